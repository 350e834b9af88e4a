// SPDX-License-Identifier: Apache-2.0
// Twins of devices and, with a module id, of modules: reading, watching, saving, and their history.
import { getJson, send } from './http';
import type { Call } from './http';
import { identityPath, path, query } from './path';

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

export interface Twin {
  deviceId: string;
  moduleId?: string;
  etag: string;
  version: number;
  status?: string;
  connectionState?: string;
  lastActivityTime?: string;
  tags?: JsonObject;
  properties: { desired: JsonObject; reported: JsonObject };
}

export interface TwinPatch {
  tags?: JsonObject | null;
  properties?: { desired?: JsonObject | null };
}

export interface TwinWatch {
  twin: Twin;
  connectionState: string;
  connectionStateUpdatedTime: string;
  lastActivityTime: string;
  /** The desired $version that was last sent to the connected client. */
  delivered: number | null;
}

export interface TwinHistoryItem {
  id: number;
  time: string;
  author: string;
  from: string;
  address: string;
  kind: 'patch' | 'replace' | 'create' | 'revert';
  desiredVersion: number;
  changed: 'desired' | 'tags' | 'both';
}

export interface TwinHistoryDocument {
  id: number;
  time: string;
  author: string;
  desiredVersion: number;
  tags: JsonObject;
  desired: JsonObject;
}

/** Whose twin it is. */
export interface TwinOf {
  hub: string;
  deviceId: string;
  moduleId?: string;
}

const twinPath = ({ hub, deviceId, moduleId }: TwinOf) =>
  moduleId === undefined
    ? path`hubs/${hub}/iothub/twins/${deviceId}`
    : path`hubs/${hub}/iothub/twins/${deviceId}/modules/${moduleId}`;

const ofHub = (of: TwinOf, what: string) =>
  `${path`hubs/${of.hub}/`}${what}/${identityPath(of.deviceId, of.moduleId)}`;

export const readTwin = (of: TwinOf, call?: Call) => getJson<Twin>(twinPath(of), call);

/** Merges; a null member is taken out. 412 when the etag is not the current one. */
export const patchTwin = (of: TwinOf, patch: TwinPatch, etag: string) =>
  getJson<Twin>(twinPath(of), { method: 'PATCH', body: patch, ifMatch: etag });

/** Replaces tags and desired as a whole. 412 when the etag is not the current one. */
export const replaceTwin = (of: TwinOf, document: TwinPatch, etag: string) =>
  getJson<Twin>(twinPath(of), { method: 'PUT', body: document, ifMatch: etag });

/** Waits on the hub for a change; undefined when there was none in that time. */
export async function watchTwin(of: TwinOf, since: number, connection: string, waitSeconds: number,
  call?: Call): Promise<TwinWatch | undefined> {
  const response = await send(
    `${ofHub(of, 'twin-watch')}${query({ since, connection, wait: waitSeconds })}`, call);
  return response.status === 204 ? undefined : ((await response.json()) as TwinWatch);
}

export const listTwinHistory = (of: TwinOf, before?: number, limit = 20, call?: Call) =>
  getJson<{ items: TwinHistoryItem[]; next: number | null }>(
    `${ofHub(of, 'twin-history')}${query({ before, limit })}`, call);

export const readTwinHistory = (of: TwinOf, id: number, call?: Call) =>
  getJson<TwinHistoryDocument>(`${ofHub(of, 'twin-history')}/${id}`, call);

export const restoreTwin = (of: TwinOf, id: number, etag: string) =>
  getJson<Twin>(`${ofHub(of, 'twin-history')}/${id}/restore`, { method: 'POST', ifMatch: etag });
