// SPDX-License-Identifier: Apache-2.0
// The ids of all devices that match, however many pages they fill.
import { PAGE_LIMIT, listDevices } from '../../api/devices';
import type { DeviceQuery } from '../../api/devices';

export async function collectIds(hub: string, asked: DeviceQuery, onProgress: (count: number) => void): Promise<string[]> {
  const ids: string[] = [];
  let after: string | null = '';
  while (after !== null) {
    const page = await listDevices(hub, asked, after, PAGE_LIMIT);
    ids.push(...page.items.map((item) => item.deviceId));
    after = page.next;
    onProgress(ids.length);
  }
  return ids;
}
