// SPDX-License-Identifier: Apache-2.0
// The micro agent's settings: their schema, and the judge that is the agent's own.
import { getJson } from './http';
import type { Call } from './http';
import type { Json, JsonObject } from './twins';

export interface SettingSchema {
  title?: string;
  description?: string;
  type?: string;
  enum?: Json[];
  minimum?: number;
  maximum?: number;
  pattern?: string;
  maxLength?: number;
  default?: Json;
  [extra: string]: unknown;
}

export interface SettingsSchema {
  title?: string;
  description?: string;
  properties: Record<string, SettingSchema>;
  [extra: string]: unknown;
}

export interface SettingsVerdict {
  json: { ok: true } | { ok: false; offset: number; sentence: string };
  latest_state?: 'success' | 'failed';
  errors?: { field: string; sentence: string; offset: number; length: number }[];
  notes?: unknown[];
  effective?: JsonObject;
  defaults?: JsonObject;
}

export const readSettingsSchema = (call?: Call) => getJson<SettingsSchema>('settings/schema', call);

/** Judges the editor's text; `path` says where in it the desired section stands. */
export const checkSettings = (text: string, path: string[], call?: Call) =>
  getJson<SettingsVerdict>('settings/check', { ...call, method: 'POST', body: { text, path } });
