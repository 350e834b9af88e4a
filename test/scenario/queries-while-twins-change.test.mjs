// SPDX-License-Identifier: Apache-2.0
// Pages of a query while twins are made, changed and deleted, and while the hub is killed: every twin that is
// there all the time is told once.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';

const STAYING = 120;
const idOf = (i) => `stay-${String(i).padStart(4, '0')}`;
const QUERIES = [
  ['every twin', 'SELECT deviceId FROM devices.modules'],
  ['an index', 'SELECT deviceId FROM devices.modules WHERE tags.kind = \'stay\''],
  ['several indexes', 'SELECT deviceId FROM devices.modules WHERE (tags.kind = \'stay\' OR tags.n = 1) AND status = \'enabled\''],
  ['no index', 'SELECT deviceId FROM devices.modules WHERE NOT tags.kind = \'other\''],
  ['groups', 'SELECT deviceId, COUNT() AS n FROM devices.modules GROUP BY deviceId'],
];
let hub;
let turn = 0;

async function bulk(items) {
  for (let i = 0; i < items.length; i += 100) await hub.must('POST', '/devices', { body: items.slice(i, i + 100) });
}

async function make(ids, kind) {
  await bulk(ids.map((id) => ({ id, importMode: 'create' })));
  await bulk(ids.map((id) => ({ id, moduleId: 'm', importMode: 'create' })));
  await bulk(ids.map((id) => ({ id, moduleId: 'm', importMode: 'updateTwin', tags: { kind } })));
}

before(async () => {
  hub = await Hub.started();
  await make(Array.from({ length: STAYING }, (_, i) => idOf(i)), 'stay');
});
after(() => hub.stop());

async function page(query, size, token) {
  const answer = await hub.rest('POST', '/devices/query', { body: { query },
    headers: { 'x-ms-max-item-count': String(size), ...(token ? { 'x-ms-continuation': token } : {}) } });
  assert.equal(answer.status, 200, answer.text);
  return { rows: answer.json, next: answer.headers['x-ms-continuation'] };
}

// All pages; `between` is called behind each.
async function all(query, size, between) {
  const ids = [];
  let token;
  do {
    const { rows, next } = await page(query, size, token);
    ids.push(...rows.map((r) => r.deviceId));
    token = next;
    if (token) await between?.(ids.at(-1));
  } while (token);
  return ids;
}

function assertTold(ids, what) {
  assert.equal(new Set(ids).size, ids.length, `${what}: none twice`);
  assert.deepEqual(ids.filter((id) => id.startsWith('stay-')), Array.from({ length: STAYING }, (_, i) => idOf(i)), what);
}

for (const [name, query] of QUERIES)
  test(`by ${name}, what is there all the time is told once`, async () => {
    const ids = await all(query, 11, async (last) => {
      // Beside the place of the page, before it and behind it.
      turn++;
      const around = ['x', '!', '-'].map((mark) => `${last}${mark}${turn}`.replace('stay', 'pass').slice(-100));
      const near = `${last}.${turn}`;
      await make([...around, `stay.${turn}`, near], 'pass');
      await hub.must('PATCH', hub.twinPath(idOf(turn % STAYING), 'm'), { body: { tags: { n: turn, kind: 'stay' } } });
      await hub.must('DELETE', `/devices/${near}`, { headers: { 'if-match': '*' } });
    });
    assertTold(ids, name);
  });

test('a page goes on although its last twin is gone', async () => {
  const gone = 'stay-0050.gone';
  await make([gone], 'stay');
  for (const [name, query] of QUERIES.slice(0, 3)) {
    const first = await all(query, 1000);
    const size = first.indexOf(gone) + 1;
    assert.ok(size > 0);
    const { rows, next } = await page(query, size);
    assert.equal(rows.at(-1).deviceId, gone);
    await hub.must('DELETE', `/devices/${gone}`, { headers: { 'if-match': '*' } });
    const rest = await page(query, 1000, next);
    assert.deepEqual([...rows, ...rest.rows].map((r) => r.deviceId), first, name);
    await make([gone], 'stay');
  }
  await hub.must('DELETE', `/devices/${gone}`, { headers: { 'if-match': '*' } });
});

test('tokens outlive a hub that is killed', async () => {
  for (const [name, query] of QUERIES) {
    const expected = await all(query, 1000);
    let kills = 0;
    const ids = await all(query, 40, async () => {
      if (kills++ > 0) return;
      await hub.kill9();
      await hub.start();
    });
    assert.deepEqual(ids, expected, name);
    assert.equal(kills > 0, true);
  }
});

test('a token is of its query and of its hub', async () => {
  const other = await hub.addHub('other', 'other.test');
  const tokens = [];
  for (const [, query] of QUERIES) tokens.push((await page(query, 5)).next);
  for (let i = 0; i < QUERIES.length; i++) {
    for (let k = 0; k < QUERIES.length; k++) {
      const answer = await hub.rest('POST', '/devices/query', { body: { query: QUERIES[k][1] }, headers: { 'x-ms-continuation': tokens[i] } });
      assert.equal(answer.status, i === k ? 200 : 400);
      if (i !== k) assert.match(answer.text, /ArgumentInvalid.*x-ms-continuation/);
    }
    const answer = await other.rest('POST', '/devices/query', { body: { query: QUERIES[i][1] }, headers: { 'x-ms-continuation': tokens[i] } });
    assert.equal(answer.status, 400);
    // Each byte of it counts.
    const bytes = Buffer.from(tokens[i], 'base64');
    for (let at = 0; at < bytes.length; at += 3) {
      const bad = Buffer.from(bytes);
      bad[at] ^= 1 << (at % 8);
      const refused = await hub.rest('POST', '/devices/query', { body: { query: QUERIES[i][1] }, headers: { 'x-ms-continuation': bad.toString('base64') } });
      assert.equal(refused.status, 400, `byte ${at}`);
    }
  }
});
