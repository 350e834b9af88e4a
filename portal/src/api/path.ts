// SPDX-License-Identifier: Apache-2.0
// Paths of the hub's API. Every part that comes from data is percent-encoded here and nowhere else.

/** Joins path parts; strings are data and get encoded. */
export function path(parts: TemplateStringsArray, ...data: string[]): string {
  return parts.reduce((text, part, i) => text + encodeURIComponent(data[i - 1]!) + part);
}

/** "?a=1&b=2" of the members that are not empty, or "". */
export function query(members: Record<string, string | number | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(members))
    if (value !== undefined && value !== '') search.set(name, String(value));
  // A blank as '+' is the habit of forms only; everybody reads %20.
  const text = search.toString().replaceAll('+', '%20');
  return text === '' ? '' : `?${text}`;
}

/** The device or, with a module id, the module. */
export function identityPath(deviceId: string, moduleId?: string): string {
  return moduleId === undefined ? path`${deviceId}` : path`${deviceId}/${moduleId}`;
}
