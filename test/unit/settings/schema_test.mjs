// SPDX-License-Identifier: Apache-2.0
// The JSON Schema and the agent's own judgement must agree on every example. The schema is read by
// a small checker of the keywords that it uses; a keyword that the checker does not know fails.
import { spawnSync } from 'node:child_process';
import assert from 'node:assert/strict';
import test from 'node:test';

const [docProgram, judgeProgram] = process.argv.slice(2);
const run = (program, args, input) => {
  const done = spawnSync(program, args, { input, encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.equal(done.status, 0, done.stderr);
  return done.stdout;
};
const schema = JSON.parse(run(docProgram, ['schema']));

const types = {
  boolean: (v) => typeof v === 'boolean',
  integer: (v) => Number.isInteger(v),
  string: (v) => typeof v === 'string',
};
const annotations = ['title', 'description', 'default', 'deprecated',
  'x-group', 'x-unit', 'x-labels', 'x-alias-of'];
const keywords = {
  type: (v, type) => types[type](v),
  minimum: (v, least) => v >= least,
  maximum: (v, most) => v <= most,
  enum: (v, words) => words.includes(v),
  maxLength: (v, most) => [...v].length <= most,
  pattern: (v, pattern) => new RegExp(pattern, 'u').test(v),
};
function fitsProperty(value, rules) {
  if (!types[rules.type](value)) return false;
  return Object.entries(rules).every(([keyword, rule]) => {
    if (annotations.includes(keyword)) return true;
    assert.ok(keyword in keywords, `the checker knows no ${keyword}`);
    return keywords[keyword](value, rule);
  });
}
function fits(document) {
  assert.equal(schema.additionalProperties, false);
  return Object.entries(document).every(([name, value]) =>
    Object.hasOwn(schema.properties, name)
      ? fitsProperty(value, schema.properties[name])
      : Object.keys(schema.patternProperties).some((p) => new RegExp(p, 'u').test(name)));
}

const long = (text, length) => text.repeat(length).slice(0, length);
const numbers = (rules) => [rules.minimum - 1, rules.minimum, rules.minimum + 1, rules.default,
  rules.maximum - 1, rules.maximum, rules.maximum + 1, -1, 0, 1, 2 ** 40];
const strings = [
  '', ' ', 'Low', 'Medium', 'High', 'low', ' Low', 'eth0', 'eth0,eth1', ' eth0 ,\teth1 ', 'eth0,',
  ',', 'eth0,,eth1', 'eth/0', 'eth0:1', 'eth 0', '.', '..', '. ,eth0', 'eth0,..', '...', '.a', '-',
  'a-b', '~', '!', '+,-', 'abcdefghijklmno', 'abcdefghijklmnop', 'é', '/', '/a', '/a b', '/a,/b',
  '/a, /b ', 'a,/b', '/a,b', '/a\n', '/a\u0000', '/é', 'x\u0001y', 'x\u007fy', 'x\u009by',
  '3.3.5, 2.2.1.1', '3.3.5 2.2', 'Time Synchronization, Network Parameters Host', '"quoted"',
  '30,120,1440', ' 1 , 2 , 3 ', '1,2', '1,2,3,4', '1,2,', 'a,b,c', '1,2,100000', '-1,2,3', '1.5,2,3',
  long('x', 64), long('x', 65), long('x', 128), long('x', 129), long('x', 256), long('x', 257),
  long('/abcdefg', 4000), long('/abcdefg', 4001), long('a,', 63), long('a,', 65),
  long('/,', 127), long('/,', 129), long('1,', 255), long('1,', 257), long('1,', 1023),
  long('1,', 1025),
];
const kinds = [true, false, 5, 5.5, 'x', [], ['eth0'], {}, { value: 1 }];

function* examples() {
  yield {};
  yield { $version: 3, $metadata: { a: 1 } };
  for (const name of ['', 'Unknown', 'process_mode', 'IothubModule_ProxyConfig',
    'IothubModule_TransportProtocol', '$other'])
    yield { [name]: 'x' };
  for (const [name, rules] of Object.entries(schema.properties)) {
    const values = rules.type === 'integer' ? numbers(rules) : strings;
    for (const value of [...values, ...kinds])
      yield { [name]: value };
    yield { [name]: rules.default ?? 'x', Zzz: 1 };
  }
}

test('schema and agent agree on every example', () => {
  const documents = [...examples()];
  const lines = documents.map((d) => JSON.stringify(d)).join('\n') + '\n';
  const answers = run(judgeProgram, [], lines).trimEnd().split('\n');
  assert.equal(answers.length, documents.length);
  let good = 0;
  documents.forEach((document, i) => {
    const expected = fits(document) ? 'good' : 'bad';
    if (expected === 'good') good += 1;
    assert.equal(answers[i], expected, JSON.stringify(document).slice(0, 200));
  });
  assert.ok(good > 200 && good < documents.length / 2);
});

test('every property is described, grouped and has a default that fits', () => {
  const groups = schema['x-groups'].map((g) => g.name);
  assert.equal(new Set(groups).size, groups.length);
  for (const [name, rules] of Object.entries(schema.properties)) {
    assert.ok(rules.title && rules.description, name);
    assert.ok(groups.includes(rules['x-group']), name);
    if ('default' in rules) assert.ok(fitsProperty(rules.default, rules), name);
  }
});
