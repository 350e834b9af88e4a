// SPDX-License-Identifier: Apache-2.0
// Changes of a JSON text at exact places. All else stays as the person wrote it: the order of names,
// the indentation, the line ends.
import type { Json } from '../api/twins';
import { memberAt, memberOf } from './json-text';
import type { JsonMember, JsonNode, JsonText } from './json-text';

export interface TextChange {
  from: number;
  to: number;
  insert: string;
}

export function applyChanges(text: string, changes: readonly TextChange[]): string {
  return [...changes].sort((a, b) => b.from - a.from)
    .reduce((whole, { from, to, insert }) => whole.slice(0, from) + insert + whole.slice(to), text);
}

/** The smallest single change that makes one text of another; undefined if they are the same. */
export function changeBetween(before: string, after: string): TextChange | undefined {
  if (before === after) return undefined;
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start++;
  let end = 0;
  while (end < most - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return { from: start, to: before.length - end, insert: after.slice(start, after.length - end) };
}

const indentOf = (text: string, at: number) => {
  const line = text.lastIndexOf('\n', at - 1) + 1;
  return /^[ \t]*/.exec(text.slice(line, at))![0];
};

const startsLine = (text: string, at: number) => /(^|\n)[ \t]*$/.test(text.slice(0, at));

/** One step of indentation, as the text has it. */
function stepOf({ text, root }: JsonText): string {
  const first = root?.members[0];
  return first && startsLine(text, first.from) ? indentOf(text, first.from) || '  ' : '  ';
}

function format(value: Json, step: string, indent: string): string {
  return JSON.stringify(value, null, step).replace(/\n/g, `\n${indent}`);
}

// Names that begin with '$' are the hub's own and stand last; what is new goes before them.
function placeFor(object: JsonNode): JsonMember | undefined {
  const own = object.members.findIndex((member) => member.name.startsWith('$'));
  return own < 0 ? object.members.at(-1) : object.members[own - 1];
}

function insertMember(json: JsonText, object: JsonNode, name: string, value: Json): TextChange {
  const { text } = json;
  const step = stepOf(json);
  const after = placeFor(object);
  const before = after ? undefined : object.members[0];
  const near = after ?? before;
  const spread = near ? startsLine(text, near.from) : true;
  const indent = near ? indentOf(text, near.from) : indentOf(text, object.from) + step;
  const made = `${JSON.stringify(name)}: ${format(value, step, indent)}`;
  const gap = spread ? `\n${indent}` : ' ';
  if (after) return { from: after.value.to, to: after.value.to, insert: `,${gap}${made}` };
  if (before) return { from: before.from, to: before.from, insert: `${made},${gap}` };
  const end = `\n${indentOf(text, object.from)}`;
  return { from: object.from, to: object.to, insert: `{${gap}${made}${end}}` };
}

/**
 * Sets the member at a path; objects on the way that are not there are made. No change if the value
 * is there already, or if something on the way is no object.
 */
export function setMember(json: JsonText, path: readonly string[], value: Json): TextChange[] {
  const { text } = json;
  let object = json.root;
  for (const [i, name] of path.entries()) {
    if (object?.kind !== 'object') return [];
    const member = memberOf(object, name);
    if (!member) {
      const rest = path.slice(i + 1).reduceRight<Json>((inner, each) => ({ [each]: inner }), value);
      return [insertMember(json, object, name, rest)];
    }
    if (i < path.length - 1) {
      object = member.value;
      continue;
    }
    const { from, to } = member.value;
    const insert = format(value, stepOf(json), indentOf(text, member.from));
    const change = changeBetween(text.slice(from, to), insert);
    return change ? [{ ...change, from: from + change.from, to: from + change.to }] : [];
  }
  return [];
}

/** Takes the member at a path out, with its comma and its line. */
export function removeMember(json: JsonText, path: readonly string[]): TextChange[] {
  const { text, root } = json;
  const object = path.length > 1 ? memberAt(root, path.slice(0, -1))?.value : root;
  const at = object?.members.findIndex((member) => member.name === path.at(-1)) ?? -1;
  if (!object || at < 0) return [];
  const member = object.members[at]!;
  const before = object.members[at - 1];
  const after = object.members[at + 1];
  if (after) return [{ from: member.from, to: after.from, insert: '' }];
  if (before) return [{ from: before.value.to, to: member.value.to, insert: '' }];
  if (/\S/.test(text.slice(object.from + 1, member.from) + text.slice(member.value.to, object.to - 1))) return [];
  return [{ from: object.from, to: object.to, insert: '{}' }];
}
