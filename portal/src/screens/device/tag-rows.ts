// SPDX-License-Identifier: Apache-2.0
// Tags as rows of name and text. A tag that is no text (a number, an object) keeps its value unless
// its row is taken away; it is edited in the twin.
import type { Json, JsonObject } from '../../api/twins';

export interface TagRow {
  /** Stays the same while the row is edited. */
  id: number;
  name: string;
  text: string;
  /** What the tag is when it is no text. */
  other?: Json;
}

export function rowsOf(tags: JsonObject): TagRow[] {
  return Object.entries(tags).map(([name, value], id) => typeof value === 'string'
    ? { id, name, text: value }
    : { id, name, text: JSON.stringify(value), other: value });
}

/** What is wrong with the rows; "" if nothing. */
export function judgeRows(rows: readonly TagRow[]): string {
  const names = rows.map((row) => row.name);
  if (names.includes('')) return 'Every tag needs a name.';
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  return twice === undefined ? '' : `There are two tags named “${twice}”.`;
}

const valueOf = (row: TagRow): Json => (row.other === undefined ? row.text : row.other);

/** The merge patch that makes the tags what the rows say; undefined if they are that already. */
export function patchOf(before: JsonObject, rows: readonly TagRow[]): JsonObject | undefined {
  const patch: JsonObject = {};
  for (const name of Object.keys(before))
    if (!rows.some((row) => row.name === name)) patch[name] = null;
  for (const row of rows) {
    const same = Object.hasOwn(before, row.name)
      && JSON.stringify(before[row.name]) === JSON.stringify(valueOf(row));
    if (!same) patch[row.name] = valueOf(row);
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}
