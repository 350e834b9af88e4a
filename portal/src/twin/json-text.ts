// SPDX-License-Identifier: Apache-2.0
// A JSON text with the place of every part of it, or the first thing that is wrong with it, told so
// that a person knows what to type. Stricter than JSON in one way: a name that stands twice in an
// object is wrong, since readers do not agree on which of the two counts.
import type { Json } from '../api/twins';

export interface JsonMember {
  name: string;
  /** Of the name with its quotes. */
  from: number;
  nameTo: number;
  value: JsonNode;
}

export interface JsonNode {
  kind: 'object' | 'array' | 'string' | 'number' | 'word';
  from: number;
  to: number;
  /** Of an object. */
  members: JsonMember[];
  /** Of an array. */
  items: JsonNode[];
}

export interface JsonProblem {
  from: number;
  to: number;
  sentence: string;
}

export interface JsonText {
  text: string;
  root?: JsonNode;
  problem?: JsonProblem;
}

const DEPTH_LIMIT = 100;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORD = /[^\s{}[\],:"]+/y;
const BLANK = /[ \t\r\n]*/y;

class Wrong extends Error {
  constructor(readonly from: number, readonly to: number, sentence: string) {
    super(sentence);
  }
}

class Reader {
  at = 0;
  constructor(readonly text: string) {}

  blank(): void {
    BLANK.lastIndex = this.at;
    BLANK.exec(this.text);
    this.at = BLANK.lastIndex;
  }

  peek(): string {
    return this.text[this.at] ?? '';
  }

  /** What stands here, as something to point at. */
  wrong(sentence: string): never {
    if (this.at >= this.text.length) {
      const end = this.text.trimEnd().length;
      throw new Wrong(Math.max(0, end - 1), end, `The text ends too early. ${sentence}`);
    }
    WORD.lastIndex = this.at;
    const length = WORD.exec(this.text)?.[0].length ?? 1;
    throw new Wrong(this.at, this.at + length, sentence);
  }

  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  string(): string {
    const from = this.at;
    const found = this.match(STRING);
    if (found !== undefined) return JSON.parse(found) as string;
    const line = this.text.indexOf('\n', from);
    const end = line < 0 ? this.text.length : line;
    const rest = this.text.slice(from + 1, end).replace(/\\./g, '__');
    const closed = rest.indexOf('"');
    if (closed < 0) throw new Wrong(from, Math.max(end, from + 1), 'This text has no closing quote.');
    throw new Wrong(from, from + closed + 2,
      'This text holds a backslash or a control character that JSON does not allow. Write \\\\ for a backslash.');
  }

  node(kind: JsonNode['kind'], from: number): JsonNode {
    return { kind, from, to: this.at, members: [], items: [] };
  }

  value(depth: number): JsonNode {
    this.blank();
    const from = this.at;
    const first = this.peek();
    if (depth > DEPTH_LIMIT) this.wrong('This is nested too deeply.');
    if (first === '{') return this.object(depth);
    if (first === '[') return this.array(depth);
    if (first === '"') {
      this.string();
      return this.node('string', from);
    }
    if (/[-\d]/.test(first)) return this.number();
    WORD.lastIndex = from;
    const word = WORD.exec(this.text)?.[0] ?? '';
    if (['true', 'false', 'null'].includes(word)) {
      this.at += word.length;
      return this.node('word', from);
    }
    const lower = word.toLowerCase();
    if (['true', 'false', 'null'].includes(lower)) this.wrong(`Write ${lower} in small letters.`);
    if (first === "'") this.wrong('Texts stand in double quotes.');
    if (word !== '') this.wrong('A value is expected: a text in double quotes, a number, true, false, { or [.');
    this.wrong('A value is missing here.');
  }

  number(): JsonNode {
    const from = this.at;
    const found = this.match(NUMBER);
    if (found === undefined || /[^\s{}[\],:"]/.test(this.peek())) {
      this.at = from;
      this.wrong('This is no number as JSON writes it.');
    }
    if (/^-?\d+$/.test(found!) && !Number.isSafeInteger(Number(found)))
      throw new Wrong(from, this.at, 'This integer is too large for a twin.');
    if (!Number.isFinite(Number(found))) throw new Wrong(from, this.at, 'This number is too large for a twin.');
    return this.node('number', from);
  }

  member(known: Set<string>, depth: number): JsonMember {
    const from = this.at;
    if (this.peek() === "'") this.wrong('Names stand in double quotes.');
    if (this.peek() !== '"') this.wrong('A name in double quotes is expected here.');
    const name = this.string();
    const nameTo = this.at;
    if (known.has(name)) throw new Wrong(from, nameTo, `The name ${JSON.stringify(name)} stands in this object twice.`);
    known.add(name);
    this.blank();
    if (this.peek() !== ':') this.wrong('A colon is missing between the name and its value.');
    this.at++;
    return { name, from, nameTo, value: this.value(depth + 1) };
  }

  /** After an item: true if another follows, false behind the closing bracket. */
  more(close: string): boolean {
    this.blank();
    if (this.peek() === close) {
      this.at++;
      return false;
    }
    if (this.peek() !== ',') {
      if (this.at >= this.text.length) this.wrong(`A ${close} is missing.`);
      this.wrong(/["{[\w-]/.test(this.peek()) ? 'A comma is missing before this.' : `A comma or ${close} is expected here.`);
    }
    const comma = this.at++;
    this.blank();
    if (this.peek() === close) throw new Wrong(comma, comma + 1, `This comma is one too many: nothing follows before ${close}.`);
    return true;
  }

  object(depth: number): JsonNode {
    const from = this.at++;
    const known = new Set<string>();
    const members: JsonMember[] = [];
    this.blank();
    if (this.peek() === '}') this.at++;
    else do members.push(this.member(known, depth)); while (this.more('}'));
    return { ...this.node('object', from), members };
  }

  array(depth: number): JsonNode {
    const from = this.at++;
    const items: JsonNode[] = [];
    this.blank();
    if (this.peek() === ']') this.at++;
    else do items.push(this.value(depth + 1)); while (this.more(']'));
    return { ...this.node('array', from), items };
  }
}

export function readJson(text: string): JsonText {
  const reader = new Reader(text);
  try {
    const root = reader.value(0);
    reader.blank();
    if (reader.at < text.length) reader.wrong('Nothing may follow the end of the document.');
    return { text, root };
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    return { text, problem: { from: error.from, to: error.to, sentence: error.message } };
  }
}

export function memberOf(node: JsonNode | undefined, name: string): JsonMember | undefined {
  return node?.members.find((member) => member.name === name);
}

/** The member at a path of names; undefined if there is none. */
export function memberAt(root: JsonNode | undefined, path: readonly string[]): JsonMember | undefined {
  let member: JsonMember | undefined;
  let node = root;
  for (const name of path) {
    member = memberOf(node, name);
    node = member?.value;
  }
  return member;
}

/** The value as the text has it. */
export function valueOf({ text }: { text: string }, node: JsonNode): Json {
  return JSON.parse(text.slice(node.from, node.to)) as Json;
}
