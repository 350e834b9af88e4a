// SPDX-License-Identifier: Apache-2.0
// The hubs of this server and their shared access policies.
import { getJson, send } from './http';
import type { Call } from './http';
import { path, query } from './path';
import type { Role } from './session';

export interface Hub {
  name: string;
  hostName: string;
  hostNames: string[];
  devices: number;
  connected: number;
  role: Role;
}

export interface HubOverview {
  name: string;
  hostName: string;
  devices: number;
  enabledDevices: number;
  connectedDevices: number;
  modules: { success: number; failed: number; none: number };
  /** One number a minute, the oldest first. */
  eventsPerMinute: number[];
  mqttPort: number;
  httpsPort: number;
}

export interface Policy {
  name: string;
  rights: string[];
}

export interface PolicyKeys {
  primaryKey: string;
  secondaryKey: string;
  primaryConnectionString: string;
  secondaryConnectionString: string;
}

export const listHubs = (search: string, call?: Call) =>
  getJson<Hub[]>(`hubs${query({ search })}`, call);

export const readOverview = (hub: string, call?: Call) =>
  getJson<HubOverview>(path`hubs/${hub}/overview`, call);

export async function createHub(name: string, hostNames: string[]): Promise<void> {
  await send('hubs', { method: 'POST', body: { name, hostNames } });
}

export async function deleteHub(hub: string): Promise<void> {
  await send(path`hubs/${hub}`, { method: 'DELETE' });
}

export const listPolicies = (hub: string, call?: Call) =>
  getJson<Policy[]>(path`hubs/${hub}/policies`, call);

export const readPolicyKeys = (hub: string, policy: string) =>
  getJson<PolicyKeys>(path`hubs/${hub}/policies/${policy}/keys`);

export const regeneratePolicyKey = (hub: string, policy: string, key: 'primary' | 'secondary') =>
  getJson<PolicyKeys>(path`hubs/${hub}/policies/${policy}/regenerate`, { method: 'POST', body: { key } });

const MQTT_PORT = 8883;

/** What stands for HostName in devices' connection strings: with the port where it is not the usual. */
export async function readHostName(hub: string, call?: Call): Promise<string> {
  const { hostName, mqttPort } = await readOverview(hub, call);
  return mqttPort === MQTT_PORT ? hostName : `${hostName}:${mqttPort}`;
}
