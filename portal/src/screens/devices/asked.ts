// SPDX-License-Identifier: Apache-2.0
// What the devices' table shows, kept in the address, so that it survives a reload, a bookmark and
// the way back from a device.
import type { DeviceQuery, DeviceSort } from '../../api/devices';

const SORTS: readonly DeviceSort[] = ['deviceId', 'status', 'connectionState', 'lastActivityTime'];

function oneOf<T extends string>(value: string | null, allowed: readonly T[], otherwise: T): T {
  return allowed.find((each) => each === value) ?? otherwise;
}

export function askedFrom(search: string): DeviceQuery {
  const given = new URLSearchParams(search);
  return {
    filter: given.get('filter') ?? '',
    status: oneOf(given.get('status'), ['enabled', 'disabled'], ''),
    connection: oneOf(given.get('connection'), ['Connected', 'Disconnected'], ''),
    sort: oneOf(given.get('sort'), SORTS, 'deviceId'),
    order: oneOf(given.get('order'), ['desc'], 'asc'),
  } as DeviceQuery;
}

/** The part of the address from '?' on; "" for the table as it is first shown. */
export function searchOf(asked: DeviceQuery): string {
  const usual = askedFrom('');
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(asked))
    if (value !== usual[name as keyof DeviceQuery]) search.set(name, value);
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}

/** The query after a click on a column's heading: the same column turns the order round. */
export function sortedBy(asked: DeviceQuery, by: DeviceSort): DeviceQuery {
  const turned = asked.sort === by && asked.order === 'asc';
  return { ...asked, sort: by, order: turned ? 'desc' : 'asc' };
}
