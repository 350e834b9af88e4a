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
const STRINGS = ['', 'north', 'south', 'North', '1', 'it\'s', 'q"\\', 'é€😀', 'z'];
const NUMBERS = [0, 1, 2, 3, -1, 1.5, 2.25, -0.5, 100, 4503599627370495];

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
    : typeof v === 'string' && /^-?\d+(\.\d+)?$/.test(v) ? Number(v) : undefined)],
  CONCAT: [2, 'string', ofStrings((a, b) => a + b)],
  LENGTH: [1, 'number', ofStrings((a) => a.length)],
  LOWER: [1, 'string', ofStrings((a) => ascii(a, (c) => c.toLowerCase()))],
  UPPER: [1, 'string', ofStrings((a) => ascii(a, (c) => c.toUpperCase()))],
  INDEX_OF: [2, 'number', ofStrings((a, b) => a.indexOf(b))],
};

// ---- trees

const quote = (text, random) => {
  const mark = random.chance(0.5) ? '\'' : '"';
  return mark + text.replace(/[\\'"]/g, (c) => `\\${c}`) + mark;
};
const write = (v, random) => (typeof v === 'string' ? quote(v, random) : String(v));
const segment = (name, random) => (/^[a-z]\w*$/.test(name) && random.chance(0.8) ? `.${name}` : `.[[${name}]]`);

const ROOTS = [['tags'], ['properties', 'desired'], ['properties', 'reported']];
const FIELDS = ['deviceId', 'moduleId', 'status', 'connectionState', 'authenticationType', 'version', 'etag',
  'lastActivityTime', 'modelId', 'cloudToDeviceMessageCount', 'statusReason'];

function path(random) {
  let names;
  let text;
  if (random.chance(0.15)) {
    names = [random.one(FIELDS)];
    text = names[0];
  } else if (random.chance(0.08)) {
    names = ['properties', random.one(['desired', 'reported']), '$version'];
    text = names.join('.');
  } else if (random.chance(0.05)) {
    names = random.one([['capabilities', 'iotEdge'], ['x509Thumbprint', 'primaryThumbprint'], ['nothing', 'here']]);
    text = names.join('.');
  } else {
    const root = random.one(ROOTS);
    const below = [random.one(NAMES)];
    while (below.length < 3 && random.chance(0.2)) below.push(random.one(NAMES));
    names = [...root, ...below];
    text = root.join('.') + below.map((n) => segment(n, random)).join('');
  }
  if (random.chance(0.1)) text = `devices.${text}`;
  return { text, key: names.at(-1),
    value: (doc) => names.reduce((v, n) => (kindOf(v) === 'object' && Object.hasOwn(v, n) ? v[n] : undefined), doc) };
}

function constant(random, kind) {
  const v = kind === 'number' ? random.one(NUMBERS) : kind === 'string' ? random.one(STRINGS)
    : random.chance(0.05) ? null : primitive(random);
  return { text: write(v, random), value: () => v };
}

function call(random, depth, gives) {
  const [name, [count, , how]] = random.one(Object.entries(FUNCTIONS).filter(([, f]) => !gives || f[1] === gives));
  const given = Array.from({ length: count }, (_, i) => (i === 0 || random.chance(0.5) ? value(random, depth - 1) : constant(random)));
  return { text: `${random.chance(0.3) ? name.toLowerCase() : name}(${given.map((g) => g.text).join(', ')})`,
    value: (doc) => how(...given.map((g) => g.value(doc))) };
}

function value(random, depth) {
  const kind = random.below(10);
  if (kind < 6 || depth <= 0) return random.chance(0.75) ? path(random) : constant(random);
  if (kind < 8) return call(random, depth, random.one(['number', 'string']));
  const [left, right] = [value(random, depth - 1), value(random, depth - 1)];
  const op = random.one(Object.keys(ARITHMETIC));
  return { text: `(${left.text} ${op} ${right.text})`, value: (doc) => {
    const [a, b] = [left.value(doc), right.value(doc)];
    return typeof a === 'number' && typeof b === 'number' ? finite(ARITHMETIC[op](a, b)) : undefined;
  } };
}

function comparison(random, depth) {
  const left = value(random, depth);
  const right = random.chance(0.7) ? constant(random) : value(random, depth);
  const op = random.chance(0.5) ? '=' : random.one(Object.keys(COMPARE));
  const swap = random.chance(0.2);
  return { text: swap ? `${right.text} ${op} ${left.text}` : `${left.text} ${op} ${right.text}`, value: (doc) => {
    const [a, b] = swap ? [right.value(doc), left.value(doc)] : [left.value(doc), right.value(doc)];
    return comparable(a, b) ? COMPARE[op](order(a, b)) : undefined;
  } };
}

function inList(random) {
  const left = path(random);
  const items = Array.from({ length: random.below(4) }, () => primitive(random));
  const not = random.chance(0.4);
  return { text: `${left.text} ${not ? 'NIN' : 'IN'} [${items.map((i) => write(i, random)).join(', ')}]`, value: (doc) => {
    const v = left.value(doc);
    return isPrimitive(v) && v !== null ? items.includes(v) !== not : undefined;
  } };
}

export function condition(random, depth = 3) {
  const kind = random.below(12);
  if (depth > 0 && kind < 4) {
    const parts = Array.from({ length: 2 + random.below(2) }, () => condition(random, depth - 1));
    const and = random.chance(0.5);
    return { text: `(${parts.map((p) => p.text).join(and ? ' AND ' : ' OR ')})`, value: (doc) => {
      const values = parts.map((p) => p.value(doc));
      if (values.some((v) => v === !and)) return !and;
      return values.every((v) => typeof v === 'boolean') ? and : undefined;
    } };
  }
  if (depth > 0 && kind === 4) {
    const inner = condition(random, depth - 1);
    return { text: `NOT (${inner.text})`, value: (doc) => {
      const v = inner.value(doc);
      return typeof v === 'boolean' ? !v : undefined;
    } };
  }
  if (kind < 7) return call(random, depth, 'boolean');
  if (kind === 7) return path(random);
  return kind === 8 ? inList(random) : comparison(random, Math.min(depth, 2));
}

// ---- whole queries: {text, answer(documents)}; documents in the order of their ids

const AGGREGATES = {
  COUNT: (values) => values.filter((v) => v !== undefined).length,
  SUM: (values) => values.filter((v) => typeof v === 'number').reduce((a, b) => a + b, 0),
  AVG: (values) => {
    const numbers = values.filter((v) => typeof v === 'number');
    return numbers.length === 0 ? undefined : numbers.reduce((a, b) => a + b, 0) / numbers.length;
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

export function randomQuery(random, collection) {
  const where = random.chance(0.85) ? condition(random) : undefined;
  const tail = ` FROM ${collection}${where ? ` WHERE ${where.text}` : ''}`;
  const filter = (documents) => documents.filter((d) => !where || where.value(d) === true);
  const shape = random.below(4);
  if (shape === 0) return { text: `SELECT *${tail}`, whole: true, answer: filter };
  if (shape < 3) {
    const top = random.chance(0.2) ? random.below(20) : Infinity;
    const columns = Array.from({ length: 1 + random.below(3) }, (_, i) => {
      const p = random.chance(0.8) ? path(random) : value(random, 2);
      const alias = p.key === undefined || random.chance(0.5) ? `c${i}` : undefined;
      return { ...p, text: alias ? `${p.text} AS ${alias}` : p.text, key: alias ?? p.key };
    });
    return { text: `SELECT ${top < Infinity ? `TOP ${top} ` : ''}${columns.map((c) => c.text).join(', ')}${tail}`,
      answer: (documents) => filter(documents).slice(0, top).map((d) => row(columns.map((c) => [c.key, c.value(d)])
        .filter(([, v]) => v !== undefined))) };
  }
  const groups = random.chance(0.6) ? [path(random)] : [];
  const aggregates = Array.from({ length: 1 + random.below(2) }, (_, i) => {
    const name = random.one(Object.keys(AGGREGATES));
    const all = name === 'COUNT' && random.chance(0.5);
    const p = all ? { text: '', value: () => true } : path(random);
    return { text: `${name}(${p.text}) AS n${i}`, key: `n${i}`, of: (docs) => AGGREGATES[name](docs.map(p.value)) };
  });
  return { text: `SELECT ${[...groups.map((g) => `${g.text} AS g`), ...aggregates.map((a) => a.text)].join(', ')}${tail}`
    + (groups.length > 0 ? ` GROUP BY ${groups[0].text}` : ''), grouped: true, answer: (documents) => {
    const found = new Map(groups.length > 0 ? [] : [['', []]]);
    for (const d of filter(documents)) {
      const key = groups.map((g) => JSON.stringify(g.value(d)) ?? '').join();
      found.set(key, [...(found.get(key) ?? []), d]);
    }
    return [...found.values()].map((docs) => row([...groups.map((g) => ['g', docs.length > 0 ? g.value(docs[0]) : undefined]),
      ...aggregates.map((a) => [a.key, a.of(docs)])]));
  } };
}
