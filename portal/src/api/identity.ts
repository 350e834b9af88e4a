// SPDX-License-Identifier: Apache-2.0
// Device and module identities, in the words and through the paths of Azure IoT Hub's REST API.
import { getJson, send } from './http';
import type { Call } from './http';
import { path } from './path';

export type Status = 'enabled' | 'disabled';
export type AuthenticationType = 'sas' | 'selfSigned' | 'certificateAuthority' | 'none';

export interface Authentication {
  type?: AuthenticationType;
  symmetricKey?: { primaryKey?: string | null; secondaryKey?: string | null } | null;
  x509Thumbprint?: { primaryThumbprint?: string | null; secondaryThumbprint?: string | null } | null;
}

export interface ModuleIdentity {
  deviceId: string;
  moduleId: string;
  managedBy?: string | null;
  etag: string;
  connectionState?: string;
  connectionStateUpdatedTime?: string;
  lastActivityTime?: string;
  authentication?: Authentication;
}

export interface Device extends Omit<ModuleIdentity, 'moduleId' | 'managedBy'> {
  status: Status;
  statusReason?: string | null;
  statusUpdatedTime?: string;
}

export const readDevice = (hub: string, deviceId: string, call?: Call) =>
  getJson<Device>(path`hubs/${hub}/iothub/devices/${deviceId}`, call);

export interface NewDevice {
  deviceId: string;
  status: Status;
  authentication: Authentication;
}

export const createDevice = (hub: string, device: NewDevice) =>
  getJson<Device>(path`hubs/${hub}/iothub/devices/${device.deviceId}`, { method: 'PUT', body: device });

export const updateDevice = (hub: string, device: Device) =>
  getJson<Device>(path`hubs/${hub}/iothub/devices/${device.deviceId}`,
    { method: 'PUT', body: device, ifMatch: device.etag });

export async function deleteDevice(hub: string, deviceId: string): Promise<void> {
  await send(path`hubs/${hub}/iothub/devices/${deviceId}`, { method: 'DELETE', ifMatch: '*' });
}

export const listModules = (hub: string, deviceId: string, call?: Call) =>
  getJson<ModuleIdentity[]>(path`hubs/${hub}/iothub/devices/${deviceId}/modules`, call);

export const readModule = (hub: string, deviceId: string, moduleId: string, call?: Call) =>
  getJson<ModuleIdentity>(path`hubs/${hub}/iothub/devices/${deviceId}/modules/${moduleId}`, call);

export const createModule = (hub: string, deviceId: string, moduleId: string,
  authentication: Authentication) =>
  getJson<ModuleIdentity>(path`hubs/${hub}/iothub/devices/${deviceId}/modules/${moduleId}`,
    { method: 'PUT', body: { deviceId, moduleId, authentication } });

export const updateModule = (hub: string, module: ModuleIdentity) =>
  getJson<ModuleIdentity>(
    path`hubs/${hub}/iothub/devices/${module.deviceId}/modules/${module.moduleId}`,
    { method: 'PUT', body: module, ifMatch: module.etag });

export async function deleteModule(hub: string, deviceId: string, moduleId: string): Promise<void> {
  await send(path`hubs/${hub}/iothub/devices/${deviceId}/modules/${moduleId}`,
    { method: 'DELETE', ifMatch: '*' });
}
