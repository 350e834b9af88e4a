// SPDX-License-Identifier: Apache-2.0
// What is pointed at in the text: what keeps it from being read, what the judge of the settings
// finds, what the module said about the last change, and what will not be saved.
import type { SettingsVerdict } from '../api/settings';
import type { Twin } from '../api/twins';
import { DESIRED, ignoredMembers, isProblem, readSections } from './document';
import { memberAt } from './json-text';
import type { JsonText } from './json-text';

export interface Mark {
  from: number;
  to: number;
  severity: 'error' | 'warning';
  /** The setting it is about, or "". */
  field: string;
  sentence: string;
}

/** The judge counts bytes of UTF-8, a text in the browser UTF-16 units. */
export function unitsOfBytes(text: string, bytes: readonly number[]): number[] {
  const wanted = bytes.map((at, i) => ({ at, i })).sort((a, b) => a.at - b.at);
  const units = new Array<number>(bytes.length).fill(text.length);
  let [byte, unit, next] = [0, 0, 0];
  for (const char of text) {
    while (next < wanted.length && wanted[next]!.at <= byte) units[wanted[next++]!.i] = unit;
    const code = char.codePointAt(0)!;
    byte += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    unit += char.length;
  }
  return units;
}

function judged(text: string, verdict: SettingsVerdict): Mark[] {
  if (!verdict.json.ok) {
    const [from = 0] = unitsOfBytes(text, [verdict.json.offset]);
    return [{ from, to: Math.min(from + 1, text.length), severity: 'error', field: '', sentence: verdict.json.sentence }];
  }
  return (verdict.errors ?? []).map(({ field, sentence, offset, length }) => {
    const [from, to] = unitsOfBytes(text, [offset, offset + length]) as [number, number];
    return { from, to: Math.max(to, from), severity: 'error', field, sentence };
  });
}

interface MarksInput {
  json: JsonText;
  /** Whose read-only parts the text shows. */
  shown: Twin;
  /** Of this very text; undefined without one. */
  verdict?: SettingsVerdict;
  /** The module's reasons that are still about what the text says. */
  reasons?: ReadonlyMap<string, string>;
}

export function marksOf({ json, shown, verdict, reasons }: MarksInput): Mark[] {
  const read = readSections(json);
  if (isProblem(read)) return [{ ...read, severity: 'error', field: '' }];
  const marks = verdict ? judged(json.text, verdict) : [];
  for (const [field, sentence] of reasons ?? []) {
    const member = memberAt(json.root, [...DESIRED, field]);
    if (member && !marks.some((mark) => mark.field === field))
      marks.push({ from: member.from, to: member.value.to, severity: 'error', field,
        sentence: `The module refused it${sentence === '' ? '.' : `: ${sentence}`}` });
  }
  for (const { from, to, path } of ignoredMembers(json, shown))
    marks.push({ from, to, severity: 'warning', field: '',
      sentence: `${path.join('.')} is not saved: only tags and properties.desired can be changed.` });
  return marks.sort((a, b) => a.from - b.from);
}

export function lineOf(text: string, at: number): number {
  let line = 1;
  for (let i = text.indexOf('\n'); i >= 0 && i < at; i = text.indexOf('\n', i + 1)) line++;
  return line;
}
