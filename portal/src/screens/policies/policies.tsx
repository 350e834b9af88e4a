// SPDX-License-Identifier: Apache-2.0
import { useState } from 'preact/hooks';

import { listPolicies } from '../../api/hubs';
import type { Policy } from '../../api/hubs';
import { useLoad } from '../../app/load';
import { useMay } from '../../app/session';
import { Heading } from '../../parts/heading';
import { Loading, Problem } from '../../parts/notice';
import { Table } from '../../parts/table';
import type { Column } from '../../parts/table';
import { PolicyKeysPanel } from './keys';

export function Policies({ hub }: { hub: string }) {
  const policies = useLoad((signal) => listPolicies(hub, { signal }), [hub]);
  const [opened, setOpened] = useState('');
  const maySeeKeys = useMay('operator', hub);
  const columns: Column<Policy>[] = [
    { title: 'Policy', cell: (policy) => policy.name },
    { title: 'Permissions', cell: (policy) => policy.rights.join(', ') },
  ];
  if (maySeeKeys)
    columns.push({
      title: 'Keys',
      cell: ({ name }) => (
        <button type="button" class="button small" aria-label={`Show keys of ${name}`} onClick={() => setOpened(name)}>
          Show keys
        </button>
      ),
    });
  return (
    <>
      <Heading title="Shared access policies" of={hub} />
      <p class="lead">Services and tools sign in to the hub with a policy’s key and may do what the policy permits.</p>
      {policies.error !== '' && <Problem sentence={policies.error} onRetry={policies.reload} />}
      {!policies.data && policies.loading && <Loading />}
      {policies.data &&
        <Table label="Shared access policies" columns={columns} rows={policies.data} keyOf={(policy) => policy.name} />}
      {opened !== '' && <PolicyKeysPanel hub={hub} policy={opened} onClose={() => setOpened('')} />}
    </>
  );
}
