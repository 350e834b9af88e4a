// SPDX-License-Identifier: Apache-2.0
import { useState } from 'preact/hooks';

import { listHubs } from '../../api/hubs';
import type { Hub } from '../../api/hubs';
import { Link } from '../../app/location';
import { useLoad } from '../../app/load';
import { pathOf } from '../../app/route';
import { useMay } from '../../app/session';
import { Heading } from '../../parts/heading';
import { Empty, Loading, Problem } from '../../parts/notice';
import { Search } from '../../parts/search';
import { Table } from '../../parts/table';
import type { Column } from '../../parts/table';
import { CreateHub } from './create';

const COLUMNS: readonly Column<Hub>[] = [
  { title: 'Name', cell: (hub) => <Link to={pathOf('hub', { hub: hub.name })}>{hub.name}</Link> },
  { title: 'Host name', cell: (hub) => hub.hostName },
  { title: 'Registered', align: 'end', cell: (hub) => hub.devices.toLocaleString('en-GB') },
  { title: 'Connected', align: 'end', cell: (hub) => hub.connected.toLocaleString('en-GB') },
  { title: 'Your role', cell: (hub) => hub.role },
];

export function Hubs() {
  const [search, setSearch] = useState('');
  const [creating, setCreating] = useState(false);
  const mayCreate = useMay('administrator');
  const hubs = useLoad((signal) => listHubs(search, { signal }), [search]);
  return (
    <>
      <Heading title="IoT hubs" />
      <div class="commands">
        {mayCreate &&
          <button type="button" class="button" onClick={() => setCreating(true)}>Create hub</button>}
        <button type="button" class="button" onClick={hubs.reload}>Refresh</button>
        <Search label="Search hubs" value={search} onSearch={setSearch} />
      </div>
      {hubs.error !== '' && <Problem sentence={hubs.error} onRetry={hubs.reload} />}
      {!hubs.data && hubs.loading && <Loading />}
      {hubs.data?.length === 0 && <Empty>{search ? `No hub’s name contains “${search}”.` : 'There is no hub that you may see.'}</Empty>}
      {hubs.data && hubs.data.length > 0 &&
        <Table label="IoT hubs" columns={COLUMNS} rows={hubs.data} keyOf={(hub) => hub.name} busy={hubs.loading} />}
      {creating && <CreateHub onClose={() => setCreating(false)} onCreated={hubs.reload} />}
    </>
  );
}
