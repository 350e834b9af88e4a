// SPDX-License-Identifier: Apache-2.0
// What a page needs that follows a change: stored, delivered, judged, each told when it happens;
// and what the twin was before, with who changed it, also for gemel.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient } from '../harness/mqtt.mjs';
import { programs, runProgram } from '../harness/programs.mjs';

const AGENT = 'DefenderIotMicroAgent';
let hub;
let module;
before(async () => {
  hub = await Hub.started();
  await hub.createDevice('d');
  module = await hub.createModule('d', AGENT);
});
after(() => hub.stop());

const gemel = (path, options = {}) => hub.rest(options.method ?? 'GET', `/gemel/v1/${path}`, { plain: true, ...options });
const watch = (since, more = '') => gemel(`twin-watch/d/${AGENT}?since=${since}&wait=20${more}`);

test('a change is told as stored, delivered and judged while the page waits', async () => {
  const client = await MqttClient.connect(hub, module);
  await client.subscribe('$iothub/twin/PATCH/properties/desired/#', '$iothub/twin/res/#');
  const { version } = await hub.twin('d', AGENT);

  const stored = watch(version);
  await hub.patchDesired('d', AGENT, { Process_CacheSize: 300 });
  const first = (await stored).json;
  assert.equal(first.twin.version, version + 1);
  assert.equal(first.connectionState, 'Connected');

  const desired = first.twin.properties.desired.$version;
  const delivered = first.delivered === desired ? { json: first } : await watch(version + 1, '&delivered=null');
  assert.equal(delivered.json.delivered, desired);
  assert.equal((await client.nextDesired()).version, desired);

  const judged = watch(version + 1);
  await client.report({ latest_state: 'success', latest_desired_version: desired });
  assert.equal((await judged).json.twin.properties.reported.latest_state, 'success');

  const gone = watch(version + 2, '&connection=Connected');
  await client.end();
  const last = (await gone).json;
  assert.equal(last.connectionState, 'Disconnected');
  assert.equal(last.delivered, null);
  assert.ok(Date.parse(last.connectionStateUpdatedTime) > Date.now() - 60_000);
});

test('a client that asks for its twin has been delivered what it says', async () => {
  const client = await MqttClient.connect(hub, module);
  await client.subscribe('$iothub/twin/res/#');
  const { version, properties } = await hub.twin('d', AGENT);
  const told = watch(version, '&connection=Connected&delivered=null');
  await client.getTwin();
  assert.equal((await told).json.delivered, properties.desired.$version);
  await client.end();
});

test('gemel shows the history and takes a change back', async () => {
  const run = (...args) => runProgram(programs.cli, args, { env: { ...process.env,
    GEMEL_LOGIN: hub.facts.connectionString.replace('HostName=localhost', `HostName=localhost:${hub.httpsPort}`), GEMEL_CA: hub.facts.caFile } });
  const who = ['-d', 'd', '-m', AGENT];
  const changed = await run('module-twin', 'update', ...who, '--desired', '{"Process_CacheSize":7}');
  assert.equal(changed.code, 0, changed.stderr);
  const list = JSON.parse((await run('module-twin', 'history', ...who)).stdout);
  assert.deepEqual(list.map((item) => [item.kind, item.from, item.author]), [
    ['patch', 'cli', 'iothubowner'], ['patch', 'rest', 'iothubowner'], ['create', 'rest', 'iothubowner']]);
  const before = JSON.parse((await run('module-twin', 'history', ...who, '--id', '2')).stdout);
  assert.deepEqual(before.desired, { Process_CacheSize: 300 });
  const reverted = await run('module-twin', 'revert', ...who);
  assert.equal(reverted.code, 0, reverted.stderr);
  assert.equal((await hub.twin('d', AGENT)).properties.desired.Process_CacheSize, 300);
  const stale = await run('module-twin', 'revert', ...who, '--id', '1', '--etag', 'AAAAAAAAAAE=');
  assert.equal(stale.code, 1);
  assert.match(stale.stderr, /PreconditionFailed|412/);
});

test('history and waiting survive a restart of the hub', async () => {
  const { version } = await hub.twin('d', AGENT);
  const waiting = watch(version);
  await new Promise((resolve) => { setTimeout(resolve, 300); });
  await hub.stop();
  assert.equal((await waiting).status, 204);
  await hub.start();
  const { json } = await gemel(`twin-history/d/${AGENT}`);
  assert.equal(json.items[0].kind, 'revert');
  assert.equal((await watch(version - 1)).status, 200);
});
