// SPDX-License-Identifier: Apache-2.0
// Where in a JSON text a place is, for completion and help. The text is being written, so it need
// not be right.

export interface Context {
  /** The names that lead to the object around the place. */
  path: string[];
  at: 'name' | 'value' | 'elsewhere';
  /** The name whose value is at the place, or the name itself. */
  name: string;
  /** Of the word or text at the place, quotes included; empty between them. */
  from: number;
  to: number;
  /** All names of the object, the one at the place left out. */
  others: Set<string>;
  /** Where a comma is missing before the place; -1: nowhere. */
  commaAt: number;
}

interface Frame {
  object: boolean;
  phase: 'name' | 'colon' | 'value' | 'after';
  key: string;
  names: Set<string>;
  valueEnd: number;
}

const TOKEN = /"(?:[^"\\\n]|\\.)*"?|[{}[\]:,]|[^\s{}[\],:"]+/y;
const BLANK = /\s*/y;

const newFrame = (object: boolean): Frame =>
  ({ object, phase: object ? 'name' : 'value', key: '', names: new Set(), valueEnd: -1 });

const unquoted = (token: string) => token.replace(/^"|"$/g, '');

function describe(frames: readonly Frame[], from: number, to: number, token: string): Context {
  const top = frames.at(-1)!;
  const naming = top.object && (top.phase === 'name' || top.phase === 'after');
  const at = naming ? 'name' : top.object && top.phase === 'value' ? 'value' : 'elsewhere';
  return {
    path: frames.slice(1, -1).map(({ key }) => key), at, from, to,
    name: naming ? unquoted(token) : top.key,
    others: top.names,
    commaAt: naming && top.phase === 'after' ? top.valueEnd : -1,
  };
}

function punctuate(frames: Frame[], token: string, end: number): void {
  const top = frames.at(-1)!;
  if (token === ':') top.phase = 'value';
  else if (token === ',') top.phase = top.object ? 'name' : 'value';
  else if (token === '{' || token === '[') frames.push(newFrame(token === '{'));
  else {
    if (frames.length > 1) frames.pop();
    endValue(frames.at(-1)!, end);
  }
}

function endValue(frame: Frame, end: number): void {
  frame.phase = 'after';
  frame.valueEnd = end;
}

export function contextAt(text: string, place: number): Context {
  const frames = [newFrame(false)];
  let found: Context | undefined;
  let at = 0;
  for (;;) {
    BLANK.lastIndex = at;
    BLANK.exec(text);
    const from = BLANK.lastIndex;
    TOKEN.lastIndex = from;
    const token = TOKEN.exec(text)?.[0];
    const to = token === undefined ? from : from + token.length;
    const word = token !== undefined && !/^[{}[\]:,]/.test(token);
    if (!found && place <= from && !(word && place === from)) found = describe(frames, place, place, '');
    if (token === undefined) break;
    const top = frames.at(-1)!;
    const naming = top.object && (top.phase === 'name' || top.phase === 'after');
    const here = !found && word && place <= to;
    if (here) found = describe(frames, from, to, token);
    if (!word) punctuate(frames, token, to);
    else if (naming) {
      top.key = unquoted(token);
      if (!here) top.names.add(top.key);
      top.phase = 'colon';
    } else {
      endValue(top, to);
    }
    at = to;
  }
  return found ?? describe(frames, place, place, '');
}
