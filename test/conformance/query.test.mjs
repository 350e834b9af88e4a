// SPDX-License-Identifier: Apache-2.0
// azure-iothub's Registry.createQuery: pages, twins that can be used, raw rows, refusals.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { refusal, registry, unique } from './place.mjs';

const group = unique('group');
const ids = Array.from({ length: 7 }, (_, i) => `${unique('query')}_${i}`).sort();
before(async () => {
  await registry.addDevices(ids.map((deviceId) => ({ deviceId, status: 'enabled' })));
  for (const [i, id] of ids.entries())
    await registry.updateTwin(id, { tags: { group, number: i }, properties: { desired: { level: i * 1.5 } } }, '*');
});
after(() => registry.removeDevices(ids.map((deviceId) => ({ deviceId })), true));

const WHERE = `FROM devices WHERE tags.group = '${group}'`;

async function all(query, read) {
  const rows = [];
  // As a promise, next() forgets its own token.
  while (query.hasMoreResults) rows.push(...(await query[read](query.continuationToken)).result);
  return rows;
}

test('nextAsTwin gives twins, page by page', async () => {
  const query = registry.createQuery(`SELECT * ${WHERE}`, 3);
  const first = await query.nextAsTwin();
  assert.equal(first.result.length, 3);
  assert.ok(query.hasMoreResults);
  const rest = await all(query, 'nextAsTwin');
  assert.deepEqual([...first.result, ...rest].map((t) => t.deviceId), ids);
  assert.equal(rest.at(-1).properties.desired.level, 9);
});

test('a twin of a query can be changed with the etag it came with', async () => {
  const { result: [twin] } = await registry.createQuery(`SELECT * ${WHERE} AND tags.number = 4`).nextAsTwin();
  await twin.update({ properties: { desired: { level: 100 } } });
  const error = await refusal(registry.updateTwin(twin.deviceId, { tags: { x: 1 } }, twin.etag === 'abc' ? 'x' : 'abc'));
  assert.match(error.name, /Etag/i);
  const { result } = await registry.createQuery(`SELECT deviceId ${WHERE} AND properties.desired.level > 50`).next();
  assert.deepEqual(result, [{ deviceId: twin.deviceId }]);
});

test('raw rows have what was selected', async () => {
  const rows = await all(registry.createQuery(`SELECT deviceId, tags.number AS n ${WHERE} AND tags.number >= 5`, 1), 'next');
  assert.deepEqual(rows, [{ deviceId: ids[5], n: 5 }, { deviceId: ids[6], n: 6 }]);
});

test('aggregates come as one row', async () => {
  const { result, message } = await registry.createQuery(`SELECT COUNT() AS numberOfDevices, MAX(tags.number) AS most ${WHERE}`).next();
  assert.deepEqual(result, [{ numberOfDevices: 7, most: 6 }]);
  assert.equal(message.headers['x-ms-item-type'], 'raw');
});

test('the queries of the SDKs\' own tests are understood', async () => {
  for (const text of ['select * from devices', `select * from devices where deviceId='${ids[0]}'`,
    `select * from devices where deviceId in ['${ids[0]}','${ids[1]}']`, 'SELECT deviceId, deviceScope FROM devices',
    'select * from devices where capabilities.iotEdge = true', 'select count() AS numberOfDevices from devices',
    'SELECT * FROM devices WHERE STARTSWITH(id,\'conformance\')', 'select * from devices where properties.reported.x = 4',
    'select * from devices.modules where devices.deviceId=\'x\'', 'select * from devices.jobs',
    'select * from devices where array_contains(parentScopes, \'ms-azure-iot-edge://x\')',
    'select * from devices where configurations.[[cfg-1]].status = \'Applied\''])
    await registry.createQuery(text, 10).next();
});

test('a query that is none is refused with the place', async () => {
  const error = await refusal(registry.createQuery('SELECT * FORM devices').next());
  assert.equal(error.name, 'ArgumentError');
  assert.match(error.responseBody, /line 1, column 10/);
});
