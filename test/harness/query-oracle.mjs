// SPDX-License-Identifier: Apache-2.0
// A second opinion on the query language: queries are made at random as trees, written as text for
// the hub, and judged here, in JavaScript and from the trees, on whole twins as REST gives them.
// Nothing is shared with the hub: neither its parser, nor its indexes, nor its way through a text.

// A small generator of random numbers, so that a seed repeats a run (mulberry32).
export function randomFrom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (n) => Math.floor(next() * n);
  return { next, below, one: (list) => list[below(list.length)], chance: (p) => next() < p };
}

// ---- documents: few names and few values, so that queries meet them

const NAMES = ['a', 'b', 'site', 'in', 'a-b', 'order'];
const STRINGS = ['', 'north', 'south', 'North', '1', '-2.5', 'it\'s', 'q"\\', 'é€😀', 'z', '\t\n', ']]', 'x'.repeat(256), 'x'.repeat(257),
  '2026-11-28T10:00:00.0000000Z', '2024-02-29', 'Connected', 'null', '￿', '😀'];
const NUMBERS = [0, 1, 2, 3, -1, 1.5, 2.25, -0.5, 100, 0.1, 0.30000000000000004, 1e-7, 1.7976931348623157e308, 5e-324,
  4503599627370495, -4503599627370496, 4503599627370494];

const primitive = (random) => {
  const kind = random.below(8);
  return kind < 3 ? random.one(STRINGS) : kind < 6 ? random.one(NUMBERS) : random.chance(0.5);
};

export function randomObject(random, depth = 2) {
  const object = {};
  for (const name of NAMES) {
    const kind = random.below(10);
    if (kind < 4) object[name] = primitive(random);
    else if (kind === 4 && depth > 0) object[name] = randomObject(random, depth - 1);
    else if (kind === 5) object[name] = [primitive(random), primitive(random)];
  }
  return object;
}

// ---- values: undefined is what is not there

const kindOf = (v) => (v === undefined ? 'undefined' : v === null ? 'null' : Array.isArray(v) ? 'array' : typeof v);
const isPrimitive = (v) => ['null', 'boolean', 'number', 'string'].includes(kindOf(v));
const comparable = (a, b) => kindOf(a) === kindOf(b) && ['boolean', 'number', 'string'].includes(kindOf(a));
// Bytes of UTF-8 stand in the order of the characters.
const order = (a, b) => (typeof a === 'string' ? Buffer.compare(Buffer.from(a), Buffer.from(b)) : Number(a) - Number(b));
const finite = (n) => (Number.isFinite(n) ? n + 0 : undefined); // JSON has no -0

const COMPARE = { '=': (o) => o === 0, '!=': (o) => o !== 0, '<>': (o) => o !== 0, '<': (o) => o < 0,
  '<=': (o) => o <= 0, '>': (o) => o > 0, '>=': (o) => o >= 0 };
const ARITHMETIC = { '+': (a, b) => a + b, '-': (a, b) => a - b, '*': (a, b) => a * b,
  '/': (a, b) => (b === 0 ? undefined : a / b), '%': (a, b) => (b === 0 ? undefined : a % b) };

const ofStrings = (fn) => (...v) => (v.every((x) => typeof x === 'string') ? fn(...v) : undefined);
const ofNumbers = (fn) => (...v) => (v.every((x) => typeof x === 'number') ? finite(fn(...v)) : undefined);
// Half a character counts to the one before it.
const wholeCharacters = (s, from, to) => {
  const edge = (i) => (i > 0 && i < s.length && /[\uDC00-\uDFFF]/.test(s[i]) ? i - 1 : Math.min(i, s.length));
  return s.slice(edge(from), edge(to));
};
const ascii = (text, fn) => text.replace(/[A-Za-z]/g, fn);

// name: [number of arguments, what it gives, how]; without EXP and POWER, whose last digit depends on the
// library of mathematics
const FUNCTIONS = {
  IS_DEFINED: [1, 'boolean', (v) => v !== undefined],
  IS_NULL: [1, 'boolean', (v) => v === null],
  IS_BOOL: [1, 'boolean', (v) => kindOf(v) === 'boolean'],
  IS_NUMBER: [1, 'boolean', (v) => kindOf(v) === 'number'],
  IS_STRING: [1, 'boolean', (v) => kindOf(v) === 'string'],
  IS_ARRAY: [1, 'boolean', (v) => kindOf(v) === 'array'],
  IS_OBJECT: [1, 'boolean', (v) => kindOf(v) === 'object'],
  IS_PRIMITIVE: [1, 'boolean', isPrimitive],
  ARRAY_CONTAINS: [2, 'boolean', (list, v) => (Array.isArray(list) && v !== undefined
    ? list.some((x) => (comparable(x, v) && x === v) || (x === null && v === null)) : undefined)],
  STARTS_WITH: [2, 'boolean', ofStrings((a, b) => a.startsWith(b))],
  STARTSWITH: [2, 'boolean', ofStrings((a, b) => a.startsWith(b))],
  ENDS_WITH: [2, 'boolean', ofStrings((a, b) => a.endsWith(b))],
  CONTAINS: [2, 'boolean', ofStrings((a, b) => a.includes(b))],
  ABS: [1, 'number', ofNumbers(Math.abs)],
  SQUARE: [1, 'number', ofNumbers((a) => a * a)],
  CEILING: [1, 'number', ofNumbers(Math.ceil)],
  FLOOR: [1, 'number', ofNumbers(Math.floor)],
  SIGN: [1, 'number', ofNumbers(Math.sign)],
  SQRT: [1, 'number', ofNumbers(Math.sqrt)],
  AS_NUMBER: [1, 'number', (v) => (typeof v === 'number' ? v
    : typeof v === 'string' && /^\s*-?\d+(\.\d+)?\s*$/.test(v) ? Number(v) : undefined)],
  CONCAT: [2, 'string', ofStrings((a, b) => a + b)],
  LENGTH: [1, 'number', ofStrings((a) => a.length)],
  SUBSTRING: [3, 'string', (s, from, length) => (typeof s === 'string' && typeof from === 'number' && typeof length === 'number'
    && from >= 0 && length >= 0 ? wholeCharacters(s, Math.floor(from), Math.floor(from) + Math.floor(length)) : undefined)],
  LOWER: [1, 'string', ofStrings((a) => ascii(a, (c) => c.toLowerCase()))],
  UPPER: [1, 'string', ofStrings((a) => ascii(a, (c) => c.toUpperCase()))],
  INDEX_OF: [2, 'number', ofStrings((a, b) => a.indexOf(b))],
};

// ---- trees: {text, level, value(document)}; a part of a lower level than is needed stands in parentheses

const LEVEL = { or: 0, and: 1, not: 2, comparison: 3, sum: 4, product: 5, sign: 6, primary: 7 };

// Words in any case, and any blanks.
const word = (random, text) => (random.chance(0.8) ? text
  : [...text].map((c) => (random.chance(0.5) ? c.toLowerCase() : c.toUpperCase())).join(''));
const blank = (random) => (random.chance(0.9) ? ' ' : random.one(['\n', '\t', '  ', '\r\n ']));
const between = (random, ...parts) => parts.reduce((all, part) => all + blank(random) + part);
const at = (random, part, level) => (part.level < level || random.chance(0.1) ? `(${part.text})` : part.text);

function quote(text, random) {
  const mark = random.one(['\'', '"']);
  return mark + [...text].map((c) => {
    if (c === mark) return random.chance(0.5) ? c + c : `\\${c}`;
    if (c === '\\') return '\\\\';
    if (c === '\n' || c === '\t') return random.chance(0.5) ? c : JSON.stringify(c).slice(1, -1);
    if (c > '\x7f' && random.chance(0.3)) return Array.from({ length: c.length }, (_, i) => `\\u${c.charCodeAt(i).toString(16).padStart(4, '0')}`).join('');
    return c;
  }).join('') + mark;
}

function number(n, random) {
  const kind = random.below(5);
  if (kind === 0 && Number.isInteger(n) && n >= 0 && n < 1e9) return `0x${n.toString(16)}`;
  if (kind === 1) return n.toExponential();
  return kind === 2 && Number.isInteger(n) && Math.abs(n) < 1e9 ? `${n}.0` : String(n);
}

const write = (v, random) => (typeof v === 'string' ? quote(v, random) : typeof v === 'number' ? number(v, random) : word(random, String(v)));

const segment = (name, random) => {
  if (/^[a-z]\w*$/.test(name) && random.chance(0.8)) return `.${name}`;
  return random.chance(0.7) ? `.[[${name}]]` : `[${quote(name, random)}]`;
};

const get = (doc, names) => names.reduce((v, n) => (kindOf(v) === 'object' && Object.hasOwn(v, n) ? v[n] : undefined), doc);

// The names that the hub gives may be written in any case, those below them not.
const given = (root) => (root[0] !== 'properties' ? 1 : root[2]?.startsWith('$') ? 3 : 2);

function pathOf(random, root, below = []) {
  const text = root.map((r, i) => (i < given(root) ? word(random, r) : r)).join('.') + below.map((n) => segment(n, random)).join('');
  return { text: random.chance(0.1) ? `devices.${text}` : text, level: LEVEL.primary, key: below.at(-1) ?? root.at(-1),
    value: (doc) => get(doc, [...root, ...below]) };
}

const ROOTS = [['tags'], ['properties', 'desired'], ['properties', 'reported']];
const FIELDS = ['deviceId', 'moduleId', 'status', 'connectionState', 'authenticationType', 'version', 'etag',
  'lastActivityTime', 'modelId', 'cloudToDeviceMessageCount', 'statusReason', 'statusUpdateTime', 'deviceEtag'];
const ODD = [['capabilities', 'iotEdge'], ['x509Thumbprint', 'primaryThumbprint'], ['nothing', 'here'], ['capabilities'],
  ['properties', 'desired', '$version'], ['properties', 'reported', '$version'], ['properties', 'desired', '$metadata', '$lastUpdated'],
  ['tags'], ['parentScopes'], ['deviceScope'], ['configurations']];

function names(random) {
  const below = [random.one(NAMES)];
  while (below.length < 3 && random.chance(0.2)) below.push(random.one(NAMES));
  return below;
}

function path(random) {
  if (random.chance(0.15)) return pathOf(random, [random.one(FIELDS)]);
  if (random.chance(0.12)) return pathOf(random, random.one(ODD));
  if (random.chance(0.03)) return pathOf(random, ['properties', 'reported'], ['latest_state']);
  return pathOf(random, random.one(ROOTS), names(random));
}

function constant(random, kind) {
  const v = kind === 'number' ? random.one(NUMBERS) : kind === 'string' ? random.one(STRINGS)
    : random.chance(0.05) ? random.one([null, undefined]) : primitive(random);
  return { text: write(v, random), level: LEVEL.primary, value: () => v };
}

function call(random, depth, gives) {
  const [name, [count, , how]] = random.one(Object.entries(FUNCTIONS).filter(([, f]) => !gives || f[1] === gives));
  const all = Array.from({ length: count }, (_, i) => (i === 0 || random.chance(0.5) ? value(random, depth - 1) : constant(random)));
  return { text: `${word(random, name)}${random.chance(0.1) ? ' ' : ''}(${all.map((a) => a.text).join(`,${blank(random)}`)})`,
    level: LEVEL.primary, value: (doc) => how(...all.map((a) => a.value(doc))) };
}

function arithmetic(random, depth) {
  const op = random.one(Object.keys(ARITHMETIC));
  const level = op === '+' || op === '-' ? LEVEL.sum : LEVEL.product;
  const [left, right] = [value(random, depth - 1), value(random, depth - 1)];
  return { text: between(random, at(random, left, level), op, at(random, right, level + 1)), level, value: (doc) => {
    const [a, b] = [left.value(doc), right.value(doc)];
    return typeof a === 'number' && typeof b === 'number' ? finite(ARITHMETIC[op](a, b)) : undefined;
  } };
}

function negation(random, depth) {
  const inner = value(random, depth - 1);
  const minus = random.chance(0.7);
  return { text: `${minus ? '-' : '+'} ${at(random, inner, LEVEL.sign)}`, level: LEVEL.sign, value: (doc) => {
    const v = inner.value(doc);
    return typeof v === 'number' ? finite(minus ? -v : v) : undefined;
  } };
}

function value(random, depth) {
  const kind = random.below(12);
  if (kind < 7 || depth <= 0) return random.chance(0.75) ? path(random) : constant(random);
  if (kind < 9) return call(random, depth, random.one(['number', 'string']));
  return kind < 11 ? arithmetic(random, depth) : negation(random, depth);
}

// ---- conditions

function compare(random, left, op, right) {
  return { text: between(random, at(random, left, LEVEL.sum), op, at(random, right, LEVEL.sum)), level: LEVEL.comparison, value: (doc) => {
    const [a, b] = [left.value(doc), right.value(doc)];
    return comparable(a, b) ? COMPARE[op](order(a, b)) : undefined;
  } };
}

function comparison(random, depth) {
  const left = value(random, depth);
  const right = random.chance(0.7) ? constant(random) : value(random, depth);
  const op = random.chance(0.5) ? '=' : random.one(Object.keys(COMPARE));
  return random.chance(0.2) ? compare(random, right, op, left) : compare(random, left, op, right);
}

function isIn(random, left, items, not = false) {
  const list = items.map((i) => write(i, random)).join(`,${blank(random)}`);
  const how = not ? random.one(['NIN', 'NOT IN']) : 'IN';
  return { text: between(random, at(random, left, LEVEL.sum), word(random, how), random.chance(0.9) ? `[${list}]` : `(${list})`),
    level: LEVEL.comparison, value: (doc) => {
      const v = left.value(doc);
      return isPrimitive(v) && v !== null ? items.includes(v) !== not : undefined;
    } };
}

const inList = (random, depth) => isIn(random, random.chance(0.8) ? path(random) : value(random, depth),
  Array.from({ length: random.below(4) }, () => (random.chance(0.05) ? null : primitive(random))), random.chance(0.4));

const isDefined = (random, inner) => ({ text: `${word(random, 'IS_DEFINED')}(${inner.text})`, level: LEVEL.primary,
  value: (doc) => inner.value(doc) !== undefined });

const startsWith = (random, left, prefix) => ({ text: `${word(random, random.one(['STARTSWITH', 'STARTS_WITH']))}(${left.text}, ${quote(prefix, random)})`,
  level: LEVEL.primary, value: (doc) => (typeof left.value(doc) === 'string' ? left.value(doc).startsWith(prefix) : undefined) });

// What the hub's indexes know: of these most conditions of people are made.
function indexed(random) {
  const id = () => (random.chance(0.9) ? random.one(random.ids) : primitive(random));
  const deviceId = () => pathOf(random, [random.one(['deviceId', 'deviceId', 'id'])]);
  const known = (p, values) => {
    const kind = random.below(6);
    const v = () => (random.chance(0.9) ? random.one(values) : primitive(random));
    const constantOf = (x) => ({ text: write(x, random), level: LEVEL.primary, value: () => x });
    if (kind === 0) return isDefined(random, p);
    if (kind === 1) return isIn(random, p, Array.from({ length: random.below(4) }, v), random.chance(0.1));
    const op = kind < 5 ? '=' : random.one(['!=', '<>', '<', '>=']);
    return random.chance(0.2) ? compare(random, constantOf(v()), op, p) : compare(random, p, op, constantOf(v()));
  };
  switch (random.below(10)) {
    case 0: return known(pathOf(random, ['connectionState']), ['Connected', 'Disconnected', 'connected']);
    case 1: return known(pathOf(random, ['status']), ['enabled', 'disabled']);
    case 2: return known(pathOf(random, ['properties', 'reported'], ['latest_state']), ['success', 'failed', 'other']);
    case 3: return known(pathOf(random, ['moduleId']), random.modules);
    case 4: {
      const p = deviceId();
      const kept = { ...p, value: (doc) => doc.deviceId };
      const kind = random.below(4);
      if (kind === 0) return isIn(random, kept, Array.from({ length: random.below(5) }, id));
      if (kind === 1) return startsWith(random, kept, random.one(random.ids).slice(0, random.below(5)));
      const v = id();
      return compare(random, kept, kind === 2 ? '=' : random.one(['<', '<=', '>', '>=']), { text: write(v, random), level: LEVEL.primary, value: () => v });
    }
    case 5: return known(pathOf(random, ['capabilities', 'iotEdge']), [true, false]);
    case 6: return known(pathOf(random, ['configurations'], [random.one(random.configurations), 'status']), ['Applied', 'Targeted']);
    case 7: return isDefined(random, pathOf(random, ['configurations'], [random.one(random.configurations)]));
    case 8: return isDefined(random, pathOf(random, ['tags'], names(random)));
    default: return known(pathOf(random, ['tags'], names(random)), [...STRINGS, ...NUMBERS, true, false]);
  }
}

export function condition(random, depth = 3) {
  const kind = random.below(14);
  if (depth > 0 && kind < 4) {
    const and = random.chance(0.5);
    const level = and ? LEVEL.and : LEVEL.or;
    const parts = Array.from({ length: 2 + random.below(2) }, () => condition(random, depth - 1));
    return { text: parts.map((p) => at(random, p, level + 1)).join(blank(random) + word(random, and ? 'AND' : 'OR') + blank(random)), level, value: (doc) => {
      const values = parts.map((p) => p.value(doc));
      if (values.some((v) => v === !and)) return !and;
      return values.every((v) => typeof v === 'boolean') ? and : undefined;
    } };
  }
  if (depth > 0 && kind === 4) {
    const inner = condition(random, depth - 1);
    return { text: between(random, word(random, 'NOT'), at(random, inner, LEVEL.not)), level: LEVEL.not, value: (doc) => {
      const v = inner.value(doc);
      return typeof v === 'boolean' ? !v : undefined;
    } };
  }
  if (kind < 8) return indexed(random);
  if (kind < 10) return call(random, depth, 'boolean');
  if (kind === 10) return path(random);
  return kind === 11 ? inList(random, depth) : comparison(random, Math.min(depth, 2));
}

// ---- whole queries: {text, answer(documents)}; documents in the order of their ids

const AGGREGATES = {
  COUNT: (values) => values.filter((v) => v !== undefined).length,
  SUM: (values) => finite(values.filter((v) => typeof v === 'number').reduce((a, b) => a + b, 0)),
  AVG: (values) => {
    const numbers = values.filter((v) => typeof v === 'number');
    return numbers.length === 0 ? undefined : finite(numbers.reduce((a, b) => a + b, 0) / numbers.length);
  },
  MIN: (values) => extreme(values, (a, b) => order(a, b) < 0),
  MAX: (values) => extreme(values, (a, b) => order(a, b) > 0),
};

function extreme(values, better) {
  const numbers = values.filter((v) => typeof v === 'number');
  const from = numbers.length > 0 ? numbers : values.filter((v) => typeof v === 'string');
  return from.reduce((best, v) => (best === undefined || better(v, best) ? v : best), undefined);
}

const row = (entries) => Object.fromEntries(entries.filter(([, v]) => v !== undefined));

const ALIASES = ['c', 'Name', 'two words', 'é', 'a-b'];

// Columns get names of their own, unless they are paths: two paths may have one.
function columnOf(random, i) {
  const p = random.chance(0.8) ? path(random) : value(random, 2);
  if (p.key !== undefined && random.chance(0.5)) return p;
  const alias = `${random.one(ALIASES)}${i}`;
  const written = /^\w+$/.test(alias) && random.chance(0.7) ? alias : quote(alias, random);
  return { ...p, text: between(random, p.text, ...(random.chance(0.7) ? [word(random, 'AS')] : []), written), key: alias };
}

// Of columns with one name the last that has a value shows.
const rowOf = (columns, of) => row(columns.map((c) => [c.key, of(c)]));

function aggregateOf(random, i, unnamed) {
  const name = random.one(Object.keys(AGGREGATES));
  const all = name === 'COUNT' && random.chance(0.6);
  const p = all ? { text: random.one(['', '*']), value: () => true } : random.chance(0.8) ? path(random) : value(random, 1);
  const alias = random.chance(0.7) ? `n${i}` : undefined;
  const key = alias ?? `$${++unnamed.count}`;
  const text = `${word(random, name)}(${p.text})`;
  return { text: alias ? between(random, text, word(random, 'AS'), alias) : text, key, of: (docs) => AGGREGATES[name](docs.map(p.value)) };
}

// GROUP BY what an index may count, or anything.
function groupPath(random) {
  const kind = random.below(10);
  if (kind === 0) return pathOf(random, [random.one(['connectionState', 'status', 'moduleId'])]);
  if (kind === 1) return pathOf(random, ['properties', 'reported'], ['latest_state']);
  if (kind === 2) return pathOf(random, ['configurations'], [random.one(random.configurations), 'status']);
  if (kind === 3) return pathOf(random, ['capabilities', 'iotEdge']);
  return kind < 7 ? pathOf(random, ['tags'], names(random)) : path(random);
}

function grouped(random, filter, tail) {
  const groups = Array.from({ length: random.one([0, 1, 1, 1, 2]) }, () => groupPath(random));
  const shown = groups.map((g, i) => ({ ...g, alias: `g${i}` })).filter(() => random.chance(0.8));
  const unnamed = { count: 0 };
  const aggregates = Array.from({ length: 1 + random.below(2) }, (_, i) => aggregateOf(random, i, unnamed));
  const by = groups.map((g) => {
    const alias = shown.find((s) => s.text === g.text)?.alias;
    return alias && random.chance(0.2) ? alias : g.text;
  });
  const columns = [...shown.map((g) => between(random, g.text, word(random, 'AS'), g.alias)), ...aggregates.map((a) => a.text)];
  const text = `${word(random, 'SELECT')} ${columns.join(`,${blank(random)}`)}${tail}`
    + (groups.length > 0 ? ` ${word(random, 'GROUP')} ${word(random, 'BY')} ${by.join(', ')}` : '');
  return { text, grouped: true, answer: (documents) => {
    const found = new Map(groups.length > 0 ? [] : [['', []]]);
    for (const d of filter(documents)) {
      const key = groups.map((g) => JSON.stringify(g.value(d)) ?? '').join('\0');
      if (!found.has(key)) found.set(key, []);
      found.get(key).push(d);
    }
    return [...found.values()].map((docs) => row([...shown.map((g) => [g.alias, docs.length > 0 ? g.value(docs[0]) : undefined]),
      ...aggregates.map((a) => [a.key, a.of(docs)])]));
  } };
}

// `random` also has what there is to ask for: {ids, modules, configurations}. `most` bounds the rows that
// are not counted.
export function randomQuery(random, collection, most = Infinity) {
  const where = random.chance(0.85) ? condition(random) : undefined;
  const tail = ` ${word(random, 'FROM')}${blank(random)}${collection}${where ? `${blank(random)}${word(random, 'WHERE')} ${where.text}` : ''}`;
  const filter = (documents) => documents.filter((d) => !where || where.value(d) === true);
  const shape = random.below(4);
  if (shape === 3) return grouped(random, filter, tail);
  const top = random.chance(0.2) ? random.below(20) : most;
  const topText = top === Infinity ? '' : random.chance(0.5) ? `${word(random, 'TOP')} ${top} ` : `${word(random, 'TOP')} (${top}) `;
  if (shape === 0) return { text: `${word(random, 'SELECT')} ${topText}*${tail}`, answer: (documents) => filter(documents).slice(0, top) };
  const columns = Array.from({ length: 1 + random.below(3) }, (_, i) => columnOf(random, i));
  return { text: `${word(random, 'SELECT')} ${topText}${columns.map((c) => c.text).join(`,${blank(random)}`)}${tail}`,
    answer: (documents) => filter(documents).slice(0, top).map((d) => rowOf(columns, (c) => c.value(d))) };
}
