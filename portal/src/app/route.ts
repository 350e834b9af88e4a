// SPDX-License-Identifier: Apache-2.0
// The portal's addresses, one row each. An id may hold any character that IoT Hub allows, '#', '?',
// '%' and '+' among them, so every part is percent-encoded. The ids "." and ".." would vanish from
// an address even when encoded; they are written with a '~' before, which no id may hold.

export type Screen =
  | 'hubs' | 'hub' | 'policies' | 'devices' | 'device' | 'device-twin' | 'module' | 'module-twin'
  | 'accounts' | 'audit' | 'account';

export interface Route {
  screen: Screen;
  hub: string;
  device: string;
  module: string;
}

const PATTERNS: readonly (readonly [Screen, string])[] = [
  ['hubs', 'hubs'],
  ['hub', 'hubs/:hub'],
  ['policies', 'hubs/:hub/policies'],
  ['devices', 'hubs/:hub/devices'],
  ['device', 'hubs/:hub/devices/:device'],
  ['device-twin', 'hubs/:hub/devices/:device/twin'],
  ['module', 'hubs/:hub/devices/:device/modules/:module'],
  ['module-twin', 'hubs/:hub/devices/:device/modules/:module/twin'],
  ['accounts', 'administration/accounts'],
  ['audit', 'administration/audit'],
  ['account', 'account'],
];

function encodePart(id: string): string {
  return /^\.\.?$/.test(id) ? `~${id}` : encodeURIComponent(id);
}

function decodePart(part: string): string | undefined {
  if (/^~\.\.?$/.test(part)) return part.slice(1);
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

function match(pattern: string, parts: string[]): Record<string, string> | undefined {
  const wanted = pattern.split('/');
  if (wanted.length !== parts.length) return undefined;
  const found: Record<string, string> = {};
  for (const [i, want] of wanted.entries()) {
    const part = parts[i]!;
    if (!want.startsWith(':')) {
      if (want !== part) return undefined;
      continue;
    }
    const id = decodePart(part);
    if (id === undefined || id === '') return undefined;
    found[want.slice(1)] = id;
  }
  return found;
}

/** The screen at a path; undefined if there is none. "/" is the list of hubs. */
export function parseRoute(pathname: string): Route | undefined {
  const parts = pathname.replace(/^\/+|\/+$/g, '').split('/');
  if (parts.length === 1 && parts[0] === '') parts[0] = 'hubs';
  for (const [screen, pattern] of PATTERNS) {
    const found = match(pattern, parts);
    if (found) return { screen, hub: '', device: '', module: '', ...found };
  }
  return undefined;
}

type Ids = Partial<Pick<Route, 'hub' | 'device' | 'module'>>;

/** The path of a screen. */
export function pathOf(screen: Screen, ids: Ids = {}): string {
  const pattern = PATTERNS.find(([name]) => name === screen)![1];
  const parts = pattern.split('/').map((part) =>
    part.startsWith(':') ? encodePart(ids[part.slice(1) as keyof Ids] ?? '') : part);
  return `/${parts.join('/')}`;
}
