// SPDX-License-Identifier: Apache-2.0
// The twin as a document that a person edits as a whole. Only tags and properties.desired are the
// person's; the rest the hub or the module writes, and it is kept up to date in the text while the
// person's own parts and their form stay untouched.
import type { Json, JsonObject, Twin, TwinPatch } from '../api/twins';
import { applyChanges, removeMember, setMember } from './json-edit';
import type { TextChange } from './json-edit';
import { memberAt, readJson, valueOf } from './json-text';
import type { JsonMember, JsonProblem, JsonText } from './json-text';
import { applyPatch, isObject, mergePatch, ownMembers, sameJson } from './patch';

export const DESIRED = ['properties', 'desired'] as const;

/** The person's parts; one that the text does not have stays as the hub has it. */
export interface Sections {
  tags?: JsonObject;
  desired?: JsonObject;
}

export const twinText = (twin: Twin) => JSON.stringify(twin, null, 2);

export const sectionsOfTwin = (twin: Twin): Required<Sections> => ({
  tags: ownMembers(twin.tags ?? {}),
  desired: ownMembers(twin.properties.desired),
});

/** What the text says, or the first thing for which it cannot be saved. */
export function readSections(json: JsonText): Sections | JsonProblem {
  if (!json.root) return json.problem!;
  const { root } = json;
  if (root.kind !== 'object') return { from: root.from, to: root.to, sentence: 'The document is an object: { … }.' };
  const found: Sections = {};
  const properties = memberAt(root, ['properties']);
  if (properties && properties.value.kind !== 'object')
    return { ...range(properties), sentence: 'properties is an object: { "desired": { … } }.' };
  for (const [section, path] of [['tags', ['tags']], ['desired', DESIRED]] as const) {
    const member = memberAt(root, path);
    if (!member) continue;
    const value = valueOf(json, member.value);
    if (value !== null && !isObject(value)) return { ...range(member), sentence: `${section} is an object: { … }.` };
    found[section] = ownMembers(value ?? {});
  }
  return found;
}

export const isProblem = (read: Sections | JsonProblem): read is JsonProblem => 'sentence' in read;

const range = (member: JsonMember) => ({ from: member.from, to: member.value.to });

export function patchBetween(twin: Twin, wanted: Sections): TwinPatch | undefined {
  const now = sectionsOfTwin(twin);
  const tags = wanted.tags && mergePatch(now.tags, wanted.tags);
  const desired = wanted.desired && mergePatch(now.desired, wanted.desired);
  if (!tags && !desired) return undefined;
  return { ...(tags && { tags }), ...(desired && { properties: { desired } }) };
}

export const sameSections = (a: Twin, b: Twin) => sameJson(sectionsOfTwin(a) as unknown as Json, sectionsOfTwin(b) as unknown as Json);

/** The person's parts after a patch, as a twin's. */
export function patchedSections(twin: Twin, patch: TwinPatch): Required<Sections> {
  const { tags, desired } = sectionsOfTwin(twin);
  return { tags: applyPatch(tags, patch.tags ?? {}), desired: applyPatch(desired, patch.properties?.desired ?? {}) };
}

function sorted(value: Json): Json {
  if (!isObject(value)) return value;
  const result = Object.create(null) as JsonObject;
  for (const name of Object.keys(value).sort()) result[name] = sorted(value[name]!);
  return result;
}

/** Tags and desired as text in a fixed order, for comparing. */
export const sectionsText = ({ tags, desired }: Sections) =>
  JSON.stringify({ tags: sorted(tags ?? {}), desired: sorted(desired ?? {}) }, null, 2);

// The parts of the document that are not the person's, each as the path of a member.
function hubPaths(twin: Twin): string[][] {
  const top = Object.keys(twin).filter((name) => name !== 'tags' && name !== 'properties').map((name) => [name]);
  const sections = Object.keys(twin.properties).filter((name) => name !== 'desired').map((name) => ['properties', name]);
  const written = Object.keys(twin.properties.desired).filter((name) => /^\$(metadata|version)$/.test(name))
    .map((name) => [...DESIRED, name]);
  return [...top, ...sections, ...written];
}

function jsonAt(value: Json, path: readonly string[]): Json | undefined {
  let found: Json | undefined = value;
  for (const name of path) found = isObject(found) && Object.hasOwn(found, name) ? found[name] : undefined;
  return found;
}

const asJson = (twin: Twin) => twin as unknown as Json;

/** What differs from the shown twin outside the person's parts, and so will not be saved. */
export function ignoredMembers(json: JsonText, shown: Twin): { from: number; to: number; path: string[] }[] {
  const candidates: [string[], JsonMember][] = [];
  const collect = (path: readonly string[], is: (name: string) => boolean) => {
    for (const member of (path.length === 0 ? json.root : memberAt(json.root, path)?.value)?.members ?? [])
      if (is(member.name)) candidates.push([[...path, member.name], member]);
  };
  collect([], (name) => name !== 'tags' && name !== 'properties');
  collect(['properties'], (name) => name !== 'desired');
  collect(DESIRED, (name) => /^\$(metadata|version)$/.test(name));
  return candidates
    .filter(([path, member]) => !sameJson(valueOf(json, member.value), jsonAt(asJson(shown), path)))
    .map(([path, member]) => ({ from: member.from, to: member.nameTo, path }));
}

/**
 * The changes that bring the hub's parts in the text from one twin to a newer one, each to be applied
 * to what the one before made. What the person changed or took out there is left alone.
 */
export function hubChanges(text: string, before: Twin, after: Twin): TextChange[] {
  const all: TextChange[] = [];
  let json = readJson(text);
  const names = new Map([...hubPaths(before), ...hubPaths(after)].map((path) => [path.join('\n'), path]));
  for (const path of names.values()) {
    const [old, now] = [jsonAt(asJson(before), path), jsonAt(asJson(after), path)];
    const member = memberAt(json.root, path);
    const shown = member && valueOf(json, member.value);
    if (sameJson(old, now) || !sameJson(shown, old)) continue;
    for (const change of now === undefined ? removeMember(json, path) : setMember(json, path, now)) {
      all.push(change);
      json = readJson(applyChanges(json.text, [change]));
    }
  }
  return all;
}

/** The changes, in sequence, that take out members of the person's parts that are null. */
export function withoutNulls(text: string): TextChange[] {
  const all: TextChange[] = [];
  for (let json = readJson(text); ;) {
    const path = nullPath(json, ['tags']) ?? nullPath(json, [...DESIRED]);
    const change = path && removeMember(json, path)[0];
    if (!change) return all;
    all.push(change);
    json = readJson(applyChanges(json.text, [change]));
  }
}

function nullPath(json: JsonText, path: string[]): string[] | undefined {
  for (const { name, value } of memberAt(json.root, path)?.value.members ?? []) {
    if (value.kind === 'word' && json.text.slice(value.from, value.to) === 'null') return [...path, name];
    const inner = nullPath(json, [...path, name]);
    if (inner) return inner;
  }
  return undefined;
}

function touches(patch: JsonObject | undefined, path: readonly string[]): boolean {
  let node: Json | undefined = patch;
  for (const name of path) {
    if (!isObject(node)) return node !== undefined;
    if (!Object.hasOwn(node, name)) return false;
    node = node[name];
  }
  return node !== undefined;
}

function leaves(patch: JsonObject, path: string[] = []): [string[], Json][] {
  return Object.entries(patch).flatMap(([name, value]) =>
    isObject(value) && Object.keys(value).length > 0 ? leaves(value, [...path, name]) : [[[...path, name], value] as [string[], Json]]);
}

/**
 * The changes, in sequence, that bring into the text what somebody else changed from `base` to
 * `newer`, but for what the person (whose changes are `mine`) changed as well.
 */
export function theirChanges(text: string, base: Twin, newer: Twin, mine: TwinPatch | undefined): TextChange[] {
  const theirs = patchBetween(base, sectionsOfTwin(newer));
  const parts = [
    { at: ['tags'], theirs: theirs?.tags, mine: mine?.tags },
    { at: [...DESIRED], theirs: theirs?.properties?.desired, mine: mine?.properties?.desired },
  ];
  const all: TextChange[] = [];
  let json = readJson(text);
  for (const part of parts) {
    for (const [path, value] of leaves(part.theirs ?? {})) {
      if (touches(part.mine ?? undefined, path)) continue;
      const whole = [...part.at, ...path];
      for (const change of value === null ? removeMember(json, whole) : setMember(json, whole, value)) {
        all.push(change);
        json = readJson(applyChanges(json.text, [change]));
      }
    }
  }
  return all;
}
