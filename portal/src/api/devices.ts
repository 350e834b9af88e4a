// SPDX-License-Identifier: Apache-2.0
// The table of a hub's devices, filtered, sorted and cut into pages by the hub, and changes of many
// devices at once.
import { getJson, send } from './http';
import type { Call } from './http';
import type { AuthenticationType, Status } from './identity';
import { path, query } from './path';

export interface DeviceRow {
  deviceId: string;
  status: Status;
  connectionState: string;
  lastActivityTime: string;
  authenticationType: AuthenticationType;
  modules: number;
  latestState: 'success' | 'failed' | '';
}

export type DeviceSort = 'deviceId' | 'status' | 'connectionState' | 'lastActivityTime';

export interface DeviceQuery {
  filter: string;
  status: '' | Status;
  connection: '' | 'Connected' | 'Disconnected';
  sort: DeviceSort;
  order: 'asc' | 'desc';
}

export interface DevicePage {
  items: DeviceRow[];
  total: number;
  next: string | null;
}

export const PAGE_LIMIT = 500;

export const listDevices = (hub: string, asked: DeviceQuery, after: string, limit: number, call?: Call) =>
  getJson<DevicePage>(`${path`hubs/${hub}/device-table`}${query({ ...asked, after, limit })}`, call);

export type DeviceChange = 'enable' | 'disable' | 'delete';

export interface ItemOutcome {
  deviceId: string;
  /** Empty when it is done. */
  error: string;
}

/** The hub takes so many in one request. */
export const CHANGE_LIMIT = 100;

interface BulkResult {
  isSuccessful: boolean;
  errors?: { deviceId: string; errorCode: string; errorStatus: string }[];
}

function bulkItem(change: DeviceChange, id: string) {
  if (change === 'delete') return { id, importMode: 'delete' };
  return { id, importMode: 'update', status: change === 'enable' ? 'enabled' : 'disabled' };
}

/** Changes at most CHANGE_LIMIT devices; the answer has one outcome for each, in order. */
export async function changeDevices(hub: string, change: DeviceChange, ids: string[]): Promise<ItemOutcome[]> {
  const response = await send(path`hubs/${hub}/iothub/devices`,
    { method: 'POST', body: ids.map((id) => bulkItem(change, id)) }, [400]);
  const result = (await response.json()) as BulkResult & { Message?: string };
  if (result.isSuccessful === undefined)
    return ids.map((deviceId) => ({ deviceId, error: result.Message ?? 'refused' }));
  const errors = new Map((result.errors ?? []).map((e) => [e.deviceId, e.errorStatus || e.errorCode]));
  return ids.map((deviceId) => ({ deviceId, error: errors.get(deviceId) ?? '' }));
}
