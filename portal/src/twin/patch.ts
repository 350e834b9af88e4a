// SPDX-License-Identifier: Apache-2.0
// Merge patches between two sections of a twin. In a twin null is no value but means "not there".
import type { Json, JsonObject } from '../api/twins';

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

// A name may be "__proto__": objects without a prototype take it as any other.
const fresh = (): JsonObject => Object.create(null) as JsonObject;

const own = (object: JsonObject, name: string): Json | undefined =>
  Object.hasOwn(object, name) ? object[name] : undefined;

const namesOf = (object: JsonObject) => Object.keys(object).filter((name) => object[name] !== null);

export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, i) => sameJson(item, b[i]));
  if (!isObject(a) || !isObject(b)) return Object.is(a, b) || (a === 0 && b === 0);
  const names = namesOf(a);
  return names.length === namesOf(b).length && names.every((name) => sameJson(a[name], own(b, name)));
}

/** The section without what the hub writes into it, and without members that are null. */
export function ownMembers(section: JsonObject): JsonObject {
  const members = fresh();
  for (const [name, value] of Object.entries(section))
    if (!/^\$(metadata|version)$/.test(name) && value !== null)
      members[name] = isObject(value) ? ownMembers(value) : value;
  return members;
}

/** The merge patch that makes `after` of `before`; undefined if nothing is to be done. */
export function mergePatch(before: JsonObject, after: JsonObject): JsonObject | undefined {
  const patch = fresh();
  for (const name of Object.keys(before))
    if (before[name] !== null && (own(after, name) ?? null) === null) patch[name] = null;
  for (const name of namesOf(after)) {
    const [old, now] = [own(before, name), after[name]!];
    if (sameJson(old, now)) continue;
    if (isObject(old) && isObject(now)) {
      const inner = mergePatch(old, now);
      if (inner) patch[name] = inner;
    } else {
      patch[name] = now;
    }
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** What becomes of a section when the patch is merged into it. */
export function applyPatch(section: JsonObject, patch: JsonObject): JsonObject {
  const result = fresh();
  for (const [name, value] of Object.entries(section)) result[name] = value;
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else if (isObject(value)) result[name] = applyPatch(isObject(result[name]) ? result[name] as JsonObject : fresh(), value);
    else result[name] = value;
  }
  return result;
}

export interface Clash {
  path: string[];
  theirs: Json | undefined;
  mine: Json | undefined;
}

/** Members that both patches change, and to different values. */
export function clashes(theirs: JsonObject | undefined, mine: JsonObject | undefined, path: string[] = []): Clash[] {
  if (!theirs || !mine) return [];
  return Object.keys(mine).filter((name) => Object.hasOwn(theirs, name)).flatMap((name) => {
    const [a, b] = [theirs[name]!, mine[name]!];
    const here = [...path, name];
    if (isObject(a) && isObject(b)) return clashes(a, b, here);
    return sameJson(a, b) ? [] : [{ path: here, theirs: a ?? undefined, mine: b ?? undefined }];
  });
}
