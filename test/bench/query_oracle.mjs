// SPDX-License-Identifier: Apache-2.0
// Random queries over many twins, answered by the hub and by the second evaluator of test/harness: by hand, since
// it takes hours. What differs is printed with the seed, and the run goes on; it fails in the end.
//
//   GEMEL_BUILD=build/bench node test/bench/query_oracle.mjs [TWINS [QUERIES [SEED]]]
//
// A tenth of the twins are of devices, the others of modules, so that most indexes hold most of them.
import assert from 'node:assert/strict';

import { Hub } from '../harness/hub.mjs';
import { until } from '../harness/programs.mjs';
import { randomFrom, randomObject, randomQuery } from '../harness/query-oracle.mjs';

const twins = Number(process.argv[2] ?? 100_000);
const queries = Number(process.argv[3] ?? 5000);
const seed = Number(process.argv[4] ?? Date.now() % 1e9);
const MODULES = 9; // of each device
const ROWS = 300; // of queries that do not count, at most
const idOf = (i) => `d${String(i).padStart(5, '0')}`;
const random = Object.assign(randomFrom(seed), { modules: ['m1', 'm2', 'm9', 'none'], configurations: ['c-1', 'c-2', 'none'] });
const devices = Math.ceil(twins / (MODULES + 1));
random.ids = Array.from({ length: devices }, (_, i) => idOf(i));

const hub = await Hub.started({ set: ['limits.query_seconds=600', 'limits.query_groups=1000000'] });
console.log(`seed ${seed}: ${twins} twins, ${queries} queries`);

async function bulk(items) {
  for (let i = 0; i < items.length; i += 100) await hub.must('POST', '/devices', { body: items.slice(i, i + 100) });
}

async function fill() {
  const names = random.ids.flatMap((id) => [{ id }, ...Array.from({ length: MODULES }, (_, m) => ({ id, moduleId: `m${m + 1}` }))]);
  await bulk(names.filter((n) => !n.moduleId).map((n) => ({ ...n, importMode: 'create', status: random.chance(0.1) ? 'disabled' : 'enabled',
    ...(random.chance(0.1) ? { statusReason: 'in repair', capabilities: { iotEdge: true } } : {}) })));
  await bulk(names.filter((n) => n.moduleId).map((n) => ({ ...n, importMode: 'create' })));
  await bulk(names.map((n) => ({ ...n, importMode: 'updateTwin', tags: randomObject(random), properties: { desired: randomObject(random) } })));
  const content = (kind) => ({ [kind]: { 'properties.desired.order': 1 } });
  for (const [id, targetCondition, kind] of [['c-1', 'from devices.modules where tags.a = 1', 'moduleContent'], ['c-2', 'is_defined(tags.b)', 'deviceContent']])
    await hub.must('PUT', `/configurations/${id}`, { body: { id, schemaVersion: '1.0', priority: 1, targetCondition, content: content(kind) } });
  let last;
  await until('the configurations are in force', async () => {
    const found = (await hub.must('GET', '/configurations?top=10')).map((c) => c.systemMetrics.results);
    const same = JSON.stringify(found) === last && found.every((r) => r.targetedCount > 0 && r.targetedCount === r.appliedCount);
    last = JSON.stringify(found);
    return same;
  }, { timeoutMs: 900_000, everyMs: 5000 });
}

async function askAll(query) {
  const rows = [];
  let token;
  do {
    const page = await hub.rest('POST', '/devices/query', { body: { query }, headers: { 'x-ms-max-item-count': '1000', ...(token ? { 'x-ms-continuation': token } : {}) } });
    assert.equal(page.status, 200, `${query}: ${page.text}`);
    rows.push(...page.json);
    token = page.headers['x-ms-continuation'];
  } while (token !== undefined);
  return rows;
}

const sorted = (rows) => rows.map((r) => JSON.stringify(r, Object.keys(r).sort())).sort();

await fill();
const documents = { devices: await askAll('SELECT * FROM devices'), 'devices.modules': await askAll('SELECT * FROM devices.modules') };
console.log(`${documents.devices.length} devices, ${documents['devices.modules'].length} modules`);
let differ = 0;
let found = 0;
let asked = 0;
for (let i = 0; i < queries; i++) {
  const collection = random.chance(0.2) ? 'devices' : 'devices.modules';
  const query = randomQuery(random, collection, ROWS);
  if (query.text.length > 8000) continue;
  const got = await askAll(query.text);
  asked++;
  found += got.length > 0 ? 1 : 0;
  try {
    const expected = query.answer(documents[collection]);
    assert.deepEqual(query.grouped ? sorted(got) : got, query.grouped ? sorted(expected) : expected);
  } catch (error) {
    differ++;
    console.log(`differs: seed ${seed}, query ${i}: ${query.text}\n${error.message.slice(0, 1500)}`);
  }
  if (i % 250 === 249) console.log(`${i + 1} queries, ${found} with an answer, ${differ} differ`);
}
console.log(`${asked} queries, ${found} with an answer, ${differ} differ`);
await hub.stop();
process.exitCode = differ === 0 ? 0 : 1;
