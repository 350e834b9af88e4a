// SPDX-License-Identifier: Apache-2.0
import type { DeviceQuery, DeviceRow, DeviceSort } from '../../api/devices';
import { Link } from '../../app/location';
import { pathOf } from '../../app/route';
import { AUTHENTICATION_NAMES } from '../../parts/authentication';
import { Moment, State } from '../../parts/badge';
import { Table } from '../../parts/table';
import type { Column } from '../../parts/table';

const columnsOf = (hub: string): Column<DeviceRow>[] => [
  { title: 'Device ID', sort: 'deviceId',
    cell: (row) => <Link to={pathOf('device', { hub, device: row.deviceId })}>{row.deviceId}</Link> },
  { title: 'Status', sort: 'status', cell: (row) => <State value={row.status} /> },
  { title: 'Connection', sort: 'connectionState', cell: (row) => <State value={row.connectionState} /> },
  { title: 'Last activity', sort: 'lastActivityTime', cell: (row) => <Moment at={row.lastActivityTime} ago /> },
  { title: 'Authentication',
    cell: (row) => AUTHENTICATION_NAMES[row.authenticationType] ?? row.authenticationType },
  { title: 'Modules', align: 'end', cell: (row) => row.modules },
  { title: 'latest_state', cell: (row) => <State value={row.latestState} /> },
];

interface DeviceTableProps {
  hub: string;
  rows: DeviceRow[];
  asked: DeviceQuery;
  onSort: (by: DeviceSort) => void;
  busy: boolean;
  selected: ReadonlySet<string>;
  /** Absent for who may not change devices. */
  onSelect?: (selected: ReadonlySet<string>) => void;
}

export function DeviceTable({ hub, rows, asked, onSort, busy, selected, onSelect }: DeviceTableProps) {
  const choose = (ids: string[], add: boolean) => {
    const next = new Set(selected);
    for (const id of ids) {
      if (add) next.add(id);
      else next.delete(id);
    }
    onSelect?.(next);
  };
  return (
    <Table label="Devices" columns={columnsOf(hub)} rows={rows} keyOf={(row) => row.deviceId} busy={busy}
      sorting={{ by: asked.sort, order: asked.order, onSort: (by) => onSort(by as DeviceSort) }}
      selection={onSelect && {
        has: (row) => selected.has(row.deviceId),
        nameOf: (row) => row.deviceId,
        toggle: (row, add) => choose([row.deviceId], add),
        toggleAll: (add) => choose(rows.map((row) => row.deviceId), add),
      }} />
  );
}
