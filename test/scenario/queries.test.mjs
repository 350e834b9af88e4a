// SPDX-License-Identifier: Apache-2.0
// The query language over a hub's twins: random queries against a second evaluator, pages that go on
// while data change, refusals that name the place, and one query that leaves the others room.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient } from '../harness/mqtt.mjs';
import { until } from '../harness/programs.mjs';
import { randomFrom, randomObject, randomQuery } from '../harness/query-oracle.mjs';

const DEVICES = 150;
const QUERIES = Number(process.env.GEMEL_QUERIES ?? 200);
const seed = Number(process.env.GEMEL_SEED ?? Date.now() % 1e9);
const AGENT = 'DefenderIotMicroAgent';
const idOf = (i) => `d${String(i).padStart(3, '0')}`;
const random = Object.assign(randomFrom(seed), { ids: Array.from({ length: DEVICES }, (_, i) => idOf(i)),
  modules: [AGENT, '$edgeAgent', 'none'], configurations: ['c-1', 'c-2', 'none'] });
let hub;
let twins;

async function bulk(items) {
  for (let i = 0; i < items.length; i += 100)
    await hub.must('POST', '/devices', { body: items.slice(i, i + 100) });
}

async function fill() {
  const ids = Array.from({ length: DEVICES }, (_, i) => idOf(i));
  await bulk(ids.map((id, i) => ({ id, importMode: 'create', status: i % 5 === 0 ? 'disabled' : 'enabled',
    ...(i % 7 === 0 ? { statusReason: 'in repair', capabilities: { iotEdge: true } } : {}) })));
  await bulk(ids.map((id) => ({ id, moduleId: AGENT, importMode: 'create' })));
  await bulk(ids.flatMap((id) => [undefined, AGENT].map((moduleId) => ({ id, moduleId, importMode: 'updateTwin',
    tags: randomObject(random), properties: { desired: randomObject(random) } }))));
  for (let i = 0; i < 25; i++) {
    const id = idOf(random.below(DEVICES / 5) * 5 + 1); // enabled
    const client = await MqttClient.connect(hub, await hub.must('GET', `/devices/${id}/modules/${AGENT}`));
    await client.subscribe('$iothub/twin/res/#');
    await client.report({ ...randomObject(random), latest_state: random.one(['success', 'failed', 'odd', 1, { a: 1 }]) });
    await client.end();
  }
}

// "Applied" where the content stands, "Targeted" where it would pass a limit.
async function configure() {
  const put = (id, targetCondition, content) => hub.must('PUT', `/configurations/${id}`, { body: { id, schemaVersion: '1.0', priority: 1, targetCondition, content } });
  await put('c-1', 'from devices.modules where tags.a = 1 or tags.site = \'north\'', { moduleContent: { 'properties.desired.order': 1 } });
  await put('c-2', 'is_defined(tags.b)', { deviceContent: { 'properties.desired.big': { text: 'x'.repeat(4000) } } });
  const targets = await Promise.all([askAll('SELECT deviceId FROM devices.modules WHERE tags.a = 1 OR tags.site = \'north\''),
    askAll('SELECT deviceId FROM devices WHERE is_defined(tags.b)')]);
  await until('the configurations have their targets', async () => {
    const found = await hub.must('GET', '/configurations?top=10');
    return found.every((c, i) => c.systemMetrics.results.targetedCount === targets[i].rows.length);
  });
}

before(async () => {
  hub = await Hub.started();
  await fill();
  await configure();
  // Edge devices have modules of their own besides.
  const names = [];
  for (let i = 0; i < DEVICES; i++)
    for (const { moduleId } of await hub.must('GET', `/devices/${idOf(i)}/modules`)) names.push([idOf(i), moduleId]);
  names.sort((a, b) => Buffer.compare(Buffer.from(a.join('\0')), Buffer.from(b.join('\0'))));
  // Whoever connected last may still be on his way out.
  do twins = { devices: await Promise.all(Array.from({ length: DEVICES }, (_, i) => hub.twin(idOf(i)))),
    'devices.modules': await Promise.all(names.map((n) => hub.twin(...n))) };
  while (twins['devices.modules'].some((t) => t.connectionState === 'Connected'));
});
after(() => hub.stop());

const ask = (query, headers = {}) => hub.rest('POST', '/devices/query', { body: { query }, headers });

async function askAll(query, pageSize = 1000) {
  const rows = [];
  let pages = 0;
  let token;
  do {
    const page = await ask(query, { 'x-ms-max-item-count': String(pageSize), ...(token ? { 'x-ms-continuation': token } : {}) });
    assert.equal(page.status, 200, `${query}: ${page.text}`);
    assert.ok(page.json.length <= pageSize);
    rows.push(...page.json);
    token = page.headers['x-ms-continuation'];
    pages++;
  } while (token !== undefined);
  return { rows, pages };
}

const sorted = (rows) => rows.map((r) => JSON.stringify(r, Object.keys(r).sort())).sort();

test(`random queries are answered as a second evaluator answers them (seed ${seed})`, async (t) => {
  t.diagnostic(`GEMEL_SEED=${seed}`);
  let rows = 0;
  for (let i = 0; i < QUERIES; i++) {
    const collection = random.chance(0.5) ? 'devices' : 'devices.modules';
    const query = randomQuery(random, collection);
    if (query.text.length > 8000) continue;
    const expected = query.answer(twins[collection]);
    const got = (await askAll(query.text, random.one([25, 100, 1000]))).rows;
    const what = `seed ${seed}, query ${i}: ${query.text}`;
    if (query.grouped) assert.deepEqual(sorted(got), sorted(expected), what);
    else assert.deepEqual(got, expected, what);
    rows += got.length;
  }
  assert.ok(rows > QUERIES, 'the queries find something');
});

test('what an index answers is what a scan answers', async () => {
  const conditions = ['deviceId = \'d007\'', 'deviceId IN [\'d100\', \'nobody\', \'d003\', \'d003\']', 'STARTSWITH(deviceId, \'d01\')',
    'status = \'disabled\'', 'connectionState = \'Disconnected\'', 'capabilities.iotEdge = true', 'tags.site = \'north\'', 'tags.a = 1',
    'tags.b = true', 'tags.[[a-b]] = 1.50', 'properties.reported.latest_state = \'failed\'', 'properties.reported.latest_state = \'success\'',
    `moduleId = '${AGENT}'`, 'tags.site = \'north\' AND status = \'enabled\'', 'tags.a.b = \'south\'',
    'deviceId = \'d007\' AND tags.site = \'north\'', 'STARTSWITH(deviceId, \'d0\') AND tags.a = 1', 'configurations.[[c-1]].status = \'Applied\'',
    'IS_DEFINED(configurations.[[c-1]]) AND connectionState = \'Disconnected\'', 'configurations.[[c-2]].status != \'Applied\'', 'IS_DEFINED(tags.a)',
    'tags.site IN [\'north\', \'south\', 1]', 'tags.site = \'north\' OR tags.a = 1 OR deviceId = \'d003\'', 'deviceId > \'d100\' AND deviceId <= \'d120\'',
    '(tags.a = 1 AND tags.b = 2) OR status = \'disabled\'', `deviceId = 'd007' AND moduleId = '${AGENT}'`];
  for (const collection of ['devices', 'devices.modules'])
    for (const condition of conditions) {
      const fast = await askAll(`SELECT * FROM ${collection} WHERE ${condition}`, 3);
      const slow = await askAll(`SELECT * FROM ${collection} WHERE (${condition}) OR 1 = 2`, 1000);
      assert.deepEqual(fast.rows, slow.rows, `${collection}: ${condition}`);
      const { json } = await ask(`SELECT COUNT() AS n FROM ${collection} WHERE ${condition}`);
      assert.deepEqual(json, [{ n: slow.rows.length }], `${collection}: ${condition}`);
    }
});

test('pages end without a token, and say what their items are', async () => {
  const types = [['SELECT * FROM devices', 'twin'], ['SELECT * FROM devices.modules', 'twin'], ['SELECT deviceId FROM devices', 'raw'],
    ['SELECT COUNT() AS n FROM devices', 'raw'], ['SELECT * FROM devices.jobs', 'deviceJob']];
  for (const [query, type] of types) assert.equal((await ask(query)).headers['x-ms-item-type'], type);
  assert.equal((await ask('SELECT * FROM devices')).json.length, 100);
  assert.equal((await askAll('SELECT deviceId FROM devices', 50)).pages, 3);
  assert.equal((await askAll('SELECT deviceId FROM devices', 149)).pages, 2);
  assert.equal((await askAll('SELECT deviceId FROM devices', 150)).pages, 1);
  assert.equal((await askAll('SELECT TOP 60 deviceId FROM devices', 25)).rows.length, 60);
  assert.equal((await askAll('SELECT TOP 0 deviceId FROM devices')).rows.length, 0);
  assert.equal((await askAll('SELECT deviceId, COUNT() AS n FROM devices GROUP BY deviceId', 40)).rows.length, DEVICES);
  assert.equal((await askAll('SELECT TOP 70 deviceId, COUNT() AS n FROM devices GROUP BY deviceId', 40)).rows.length, 70);
  assert.deepEqual((await ask('SELECT * FROM devices.jobs WHERE devices.jobs.status = \'running\'')).json, []);
});

test('a token stays good while devices come, go and change', async () => {
  const query = 'SELECT deviceId FROM devices WHERE IS_DEFINED(deviceId) OR false';
  const first = await ask(query, { 'x-ms-max-item-count': '75' });
  const token = first.headers['x-ms-continuation'];
  const last = first.json.at(-1).deviceId;
  await hub.must('DELETE', `/devices/${last}`, { headers: { 'if-match': '*' } });
  await hub.createDevice('d000-new');
  await hub.createDevice('d149-new');
  const second = await ask(query, { 'x-ms-max-item-count': '1000', 'x-ms-continuation': token });
  const ids = second.json.map((r) => r.deviceId);
  assert.deepEqual(ids, [...Array.from({ length: 75 }, (_, i) => idOf(i + 75)), 'd149-new']);
});

test('tokens that are none, or another query\'s, are refused', async () => {
  const { headers } = await ask('SELECT deviceId FROM devices', { 'x-ms-max-item-count': '5' });
  const good = headers['x-ms-continuation'];
  const bad = ['x', 'AAAA', good.slice(4), good.slice(0, -4), `${good[0] === 'A' ? 'B' : 'A'}${good.slice(1)}`, 'ü'.repeat(9)];
  for (const token of bad) {
    const answer = await ask('SELECT deviceId FROM devices', { 'x-ms-continuation': Buffer.from(token).toString('latin1') });
    assert.equal(answer.status, 400, token);
    assert.equal(answer.headers['iothub-errorcode'], 'ArgumentInvalid');
  }
  assert.equal((await ask('SELECT deviceId FROM devices.modules', { 'x-ms-continuation': good })).status, 400);
  assert.equal((await ask('SELECT deviceId FROM devices', { 'x-ms-continuation': good })).status, 200);
  for (const count of ['0', '-2', 'x', '1.5'])
    assert.equal((await ask('SELECT * FROM devices', { 'x-ms-max-item-count': count })).status, 400, count);
});

test('a refusal says where in the query', async () => {
  const answer = await ask('SELECT *\nFROM devices WHERE tags.a = = 1');
  assert.equal(answer.status, 400);
  assert.equal(answer.headers['iothub-errorcode'], 'ArgumentInvalid');
  assert.match(answer.text, /line 2, column 29/);
  for (const body of [{}, { query: 5 }, { query: '' }, [], 'x', { query: 'SELECT * FROM devices WHERE '.concat('('.repeat(5000)) }])
    assert.equal((await hub.rest('POST', '/devices/query', { body })).status, 400);
});

test('who may read twins may query, others not', async () => {
  const policies = await hub.policies();
  const status = async (policy) => (await hub.rest('POST', '/devices/query', { body: { query: 'SELECT * FROM devices' }, token: hub.token(policy) })).status;
  assert.equal(await status(policies.service), 200);
  assert.equal(await status(policies.registryRead), 401);
  assert.equal(await status(policies.device), 401);
});
