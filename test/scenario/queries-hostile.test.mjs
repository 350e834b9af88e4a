// SPDX-License-Identifier: Apache-2.0
// Queries that nobody would write, at limits as high as the configuration lets them be: each ends soon, with an
// answer or with a sentence that says where and what is too much.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';

const MIB = 1024 * 1024;
let hub;

before(async () => {
  hub = await Hub.started({ set: ['limits.query_bytes=1MiB', 'limits.query_depth=200', 'limits.query_terms=10000', 'limits.request_bytes=8MiB'] });
  await hub.must('POST', '/devices', { body: Array.from({ length: 50 }, (_, i) => ({ id: `d${i}`, importMode: 'create' })) });
  await hub.must('PATCH', hub.twinPath('d7'), { body: { tags: { n: 7 } } });
});
after(() => hub.stop());

const ask = (query) => hub.rest('POST', '/devices/query', { body: { query } });
const W = 'SELECT deviceId FROM devices WHERE ';
const many = (count, text) => Array.from({ length: count }, (_, i) => text(i)).join(', ');

const REFUSED = [
  ['more than the longest text', `${W}tags.n = '${'x'.repeat(MIB)}'`, /has \d+ bytes, at most 1048576 are allowed \(limits\.query_bytes\)/],
  ['10,000 parentheses', `${W}${'('.repeat(10_000)}1 = 1${')'.repeat(10_000)}`, /line 1, column 236: .*limits\.query_depth/],
  ['10,000 NOTs', `${W}${'NOT '.repeat(10_000)}tags.n`, /line 1, column \d+: .*limits\.query_depth/],
  ['10,000 signs', `${W}tags.n = ${'-'.repeat(10_000)}1`, /line 1, column \d+: .*limits\.query_depth/],
  ['10,000 calls in each other', `${W}${'LOWER('.repeat(10_000)}'a'${')'.repeat(10_000)} = 'a'`, /line 1, column \d+: .*limits\.query_depth/],
  ['10,001 terms', `${W}1 = 1${' AND 1 = 1'.repeat(10_000)}`, /line 1, column \d+: .*10000 terms \(limits\.query_terms\)/],
  ['a path of 100,000 names', `${W}tags${'.a'.repeat(100_000)} = 1`, /line 1, column \d+: a path has at most 32 names/],
  ['10,000 columns', `SELECT ${many(10_000, (i) => `tags.c${i}`)} FROM devices`, /line 1, column \d+: a query has at most 100 columns/],
  ['a NUL', `${W}tags.n = 7 \0`, /line 1, column 47: a byte of value 0/],
  ['a half of a surrogate pair', `${W}tags.n = '\\ud800'`, /line 1, column \d+: /],
  ['a million open brackets', `${W}${'['.repeat(MIB - 100)}`, /line 1, column \d+: /],
  ['a string without an end', `${W}tags.n = '${'\\\\'.repeat(100_000)}`, /line 1, column \d+: this string has no end/],
  ['the last of 100,000 lines', `${W}${'\n'.repeat(100_000)}=`, /line 100001, column 1: = stands where/],
];

for (const [what, query, why] of REFUSED)
  test(`${what} is refused where it is`, async () => {
    const answer = await ask(query);
    assert.equal(answer.status, 400);
    assert.equal(answer.headers['iothub-errorcode'], 'ArgumentInvalid');
    assert.match(answer.text, why);
    assert.ok(answer.text.length < 1000, 'no query comes back as a whole');
  });

const ANSWERED = [
  ['10,000 ids', `${W}deviceId IN [${many(10_000, (i) => `'x${i}'`)}, 'd7']`],
  ['10,000 values of a tag', `${W}tags.n IN [${many(10_000, (i) => i + 5)}]`],
  ['200 values of a tag, by its index', `${W}tags.n IN [${many(200, (i) => i)}]`],
  ['3,000 ORs', `${W}tags.n = 7${many(3000, (i) => ` OR tags.n = ${i + 100}`).replaceAll(',', '')}`],
  ['3,000 ANDs', `${W}tags.n = 7${many(3000, (i) => ` AND tags.n < ${i + 100}`).replaceAll(',', '')}`],
  ['190 parentheses', `${W}${'('.repeat(190)}tags.n = 7${')'.repeat(190)}`],
  ['a sum of 4,990 numbers', `${W}tags.n + ${Array(4990).fill('0').join(' + ')} = 7`],
  ['900,000 blanks', `${W}${' '.repeat(450_000)}tags.n = 7${'\n'.repeat(450_000)}`],
  ['a string of 500,000 characters', `${W}tags.n = 7 AND tags.n != '${'x'.repeat(500_000)}' OR tags.n = 7`],
];

for (const [what, query] of ANSWERED)
  test(`${what}: answered`, async () => {
    const answer = await ask(query);
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json, [{ deviceId: 'd7' }]);
  });

test('what is no UTF-8, and no JSON, is refused', async () => {
  const around = (bytes) => Buffer.concat([Buffer.from(`{"query":"${W}tags.n = '`), Buffer.from(bytes), Buffer.from('\'"}')]);
  for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82], [0x00], [0x0a]]) {
    const answer = await hub.rest('POST', '/devices/query', { body: around(bytes), raw: true });
    assert.equal(answer.status, 400, bytes.join());
  }
  const large = await hub.rest('POST', '/devices/query', { body: { query: 'x'.repeat(9 * MIB) } }).catch(() => ({ status: 413 }));
  assert.equal(large.status, 413);
});
