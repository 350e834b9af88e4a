// SPDX-License-Identifier: Apache-2.0
import { useState } from 'preact/hooks';

import { deleteModule } from '../../api/identity';
import type { ModuleIdentity } from '../../api/identity';
import { Link } from '../../app/location';
import type { Loaded } from '../../app/load';
import { say } from '../../app/outcome';
import { pathOf } from '../../app/route';
import { Moment, State } from '../../parts/badge';
import { Confirm } from '../../parts/confirm';
import { Empty, Loading, Problem } from '../../parts/notice';
import { Table } from '../../parts/table';
import type { Column } from '../../parts/table';
import { AddModule } from './add-module';

const columnsOf = (hub: string, onDelete: ((id: string) => void) | undefined): Column<ModuleIdentity>[] => {
  const columns: Column<ModuleIdentity>[] = [
    { title: 'Module ID', cell: ({ deviceId, moduleId }) =>
      <Link to={pathOf('module', { hub, device: deviceId, module: moduleId })}>{moduleId}</Link> },
    { title: 'Connection', cell: (module) => <State value={module.connectionState ?? ''} /> },
    { title: 'Connection changed', cell: (module) => <Moment at={module.connectionStateUpdatedTime} /> },
    { title: 'Last activity', cell: (module) => <Moment at={module.lastActivityTime} ago /> },
  ];
  if (onDelete)
    columns.push({ title: 'Remove', cell: ({ moduleId }) => (
      <button type="button" class="button small" aria-label={`Delete module ${moduleId}`}
        onClick={() => onDelete(moduleId)}>Delete</button>
    ) });
  return columns;
};

interface ModuleIdentitiesProps {
  hub: string;
  deviceId: string;
  modules: Loaded<ModuleIdentity[]>;
  mayChange: boolean;
}

export function ModuleIdentities({ hub, deviceId, modules, mayChange }: ModuleIdentitiesProps) {
  const [adding, setAdding] = useState(false);
  const [deleting, setDeleting] = useState('');
  const remove = async () => {
    await deleteModule(hub, deviceId, deleting);
    await modules.reload();
    say(`Module identity ${deleting} is deleted.`);
  };
  return (
    <>
      {mayChange && (
        <div class="commands">
          <button type="button" class="button" onClick={() => setAdding(true)}>Add module identity</button>
        </div>
      )}
      {modules.error !== '' && <Problem sentence={modules.error} onRetry={modules.reload} />}
      {!modules.data && modules.loading && <Loading />}
      {modules.data?.length === 0 && <Empty>This device has no module identities yet.</Empty>}
      {modules.data && modules.data.length > 0 &&
        <Table label="Module Identities" columns={columnsOf(hub, mayChange ? setDeleting : undefined)}
          rows={modules.data} keyOf={(module) => module.moduleId} busy={modules.loading} />}
      {adding && <AddModule hub={hub} deviceId={deviceId} taken={modules.data ?? []}
        onClose={() => setAdding(false)} onAdded={modules.reload} />}
      {deleting !== '' && (
        <Confirm title="Delete module identity" deed="Delete" onConfirm={remove} onClose={() => setDeleting('')}>
          <p>Delete <strong>{deleting}</strong> with its twin and keys? This cannot be undone.</p>
        </Confirm>
      )}
    </>
  );
}
