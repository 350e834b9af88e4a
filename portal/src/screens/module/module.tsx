// SPDX-License-Identifier: Apache-2.0
import { useState } from 'preact/hooks';

import { readHostName } from '../../api/hubs';
import { deleteModule, readModule, updateModule } from '../../api/identity';
import { Link, go } from '../../app/location';
import { useLoad } from '../../app/load';
import { say } from '../../app/outcome';
import { pathOf } from '../../app/route';
import { useMay } from '../../app/session';
import { Moment, State } from '../../parts/badge';
import { Confirm } from '../../parts/confirm';
import { CopyButton } from '../../parts/copy';
import { Facts } from '../../parts/facts';
import { Heading } from '../../parts/heading';
import { IdentityKeys } from '../../parts/identity-keys';
import { Loading, Problem } from '../../parts/notice';

interface ModuleScreenProps {
  hub: string;
  deviceId: string;
  moduleId: string;
}

export function ModuleScreen({ hub, deviceId, moduleId }: ModuleScreenProps) {
  const module = useLoad((signal) => readModule(hub, deviceId, moduleId, { signal }), [hub, deviceId, moduleId]);
  const hostName = useLoad((signal) => readHostName(hub, { signal }), [hub]);
  const [deleting, setDeleting] = useState(false);
  const mayChange = useMay('operator', hub);
  const remove = async () => {
    await deleteModule(hub, deviceId, moduleId);
    await go(pathOf('device', { hub, device: deviceId }));
    say(`Module identity ${moduleId} is deleted.`);
  };
  const { data } = module;
  return (
    <>
      <Heading title="Module Identity Details" of={moduleId} />
      {module.error !== '' && <Problem sentence={module.error} onRetry={module.reload} />}
      {!data && module.loading && <Loading />}
      {data && (
        <>
          <div class="commands">
            <Link to={pathOf('module-twin', { hub, device: deviceId, module: moduleId })} class="button primary">
              Module Identity Twin
            </Link>
            {mayChange &&
              <button type="button" class="button" onClick={() => setDeleting(true)}>Delete module identity</button>}
            <button type="button" class="button" onClick={module.reload}>Refresh</button>
          </div>
          <section class="card" aria-label="Essentials">
            <Facts facts={[
              ['Module ID', <span class="with-copy">{moduleId} <CopyButton name="Module ID" value={moduleId} /></span>],
              ['Device ID', deviceId],
              ['Connection state', <State value={data.connectionState ?? ''} />],
              ['Connection changed', <Moment at={data.connectionStateUpdatedTime} />],
              ['Last activity', <Moment at={data.lastActivityTime} />],
            ]} />
          </section>
          <IdentityKeys hostName={hostName.data ?? ''} deviceId={deviceId} moduleId={moduleId}
            authentication={data.authentication ?? {}}
            onChange={mayChange ? async (authentication) => {
              await updateModule(hub, { ...data, authentication });
              await module.reload();
            } : undefined} />
        </>
      )}
      {deleting && (
        <Confirm title="Delete module identity" deed="Delete" onConfirm={remove} onClose={() => setDeleting(false)}>
          <p>Delete <strong>{moduleId}</strong> of {deviceId} with its twin and keys? This cannot be undone.</p>
        </Confirm>
      )}
    </>
  );
}
