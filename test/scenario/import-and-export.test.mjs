// SPDX-License-Identifier: Apache-2.0
// A hub moves: what one exports the other imports, over a hub that is killed meanwhile; and keys made
// anew end just the sessions that the old ones let in.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient } from '../harness/mqtt.mjs';
import { Program, programs, runProgram, temporaryFolder, until } from '../harness/programs.mjs';

let from;
let to;
const folder = temporaryFolder();
const environment = (hub) => ({ GEMEL_CA: hub.facts.caFile,
  GEMEL_LOGIN: hub.facts.connectionString.replace(/HostName=[^;]*/, `HostName=${hub.hostName}:${hub.httpsPort}`) });
const gemel = (hub, ...args) => runProgram(programs.cli, args, { env: environment(hub) });

async function json(hub, ...args) {
  const { code, stdout, stderr } = await gemel(hub, ...args);
  assert.equal(code, 0, `gemel ${args.join(' ')}: ${stderr}`);
  return JSON.parse(stdout);
}

// What a file says, without what is each hub's own: etags and times.
const essence = (file) => readFileSync(file, 'utf8').trim().split('\n').map((line) => {
  const { eTag, twinETag, properties, ...rest } = JSON.parse(line);
  for (const part of Object.values(properties)) delete part.$metadata;
  return { ...rest, desired: { ...properties.desired, $version: undefined } };
});

before(async () => {
  [from, to] = await Promise.all([Hub.started(), Hub.started()]);
  const devices = Array.from({ length: 250 }, (_, i) => ({ id: `d-${i}`, importMode: 'create', status: i % 7 ? 'enabled' : 'disabled',
    statusReason: i % 7 ? undefined : 'in repair', tags: { site: i % 3, deep: { list: [1, { a: 2.50 }] } },
    properties: { desired: { interval: i, text: 'ü' } } }));
  devices[3].authentication = { type: 'certificateAuthority' };
  devices[4].authentication = { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: 'A'.repeat(40) } };
  for (let i = 0; i < devices.length; i += 100) await from.must('POST', '/devices', { body: devices.slice(i, i + 100) });
  const edge = await from.must('PUT', '/devices/edge', { body: { capabilities: { iotEdge: true } } });
  await from.must('PUT', '/devices/leaf', { body: { deviceScope: edge.deviceScope } });
  await from.must('PATCH', '/twins/edge/modules/%24edgeHub', { body: { properties: { desired: { routes: {} } } } });
  for (const id of ['d-1', 'd-249']) await from.createModule(id, 'DefenderIotMicroAgent');
  await from.must('PATCH', '/twins/d-1/modules/DefenderIotMicroAgent', { body: { tags: { a: 1 }, properties: { desired: { b: 2 } } } });
});
after(() => Promise.all([from.stop(), to.stop()]));

test('what was exported and imported is the same, keys included, and only its owner can read the file', async () => {
  const [first, second, open] = ['first', 'second', 'open'].map((name) => join(folder, name));
  assert.deepEqual(await json(from, 'hub', 'export', '--file', first, '--include-keys'), { devices: 252, modules: 4, keys: true });
  assert.equal(statSync(first).mode & 0o777, 0o600);
  const summary = await json(to, 'hub', 'import', '--file', first);
  assert.deepEqual([summary.done, summary.refused, summary.warnings, summary.complete], [256, 0, 0, true]);
  await json(to, 'hub', 'export', '--file', second, '--include-keys');
  assert.deepEqual(essence(second), essence(first));
  await json(from, 'hub', 'export', '--file', open);
  assert.ok(!/"primaryKey":"/.test(readFileSync(open, 'utf8')));
  const own = JSON.parse(readFileSync(first, 'utf8').split('\n').find((l) => l.includes('"id":"d-1",')));
  const client = await MqttClient.connect(to, { deviceId: 'd-1', authentication: own.authentication });
  assert.equal(client.code, 0, 'a device connects with the key it had');
  await client.end();
});

test('a second run says what is there already, or passes it over, or overwrites it', async () => {
  const file = join(folder, 'first');
  const report = join(folder, 'report');
  const again = await gemel(to, 'hub', 'import', '--file', file, '--report', report);
  assert.equal(again.code, 1);
  assert.equal(statSync(report).mode & 0o777, 0o600);
  const lines = readFileSync(report, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  assert.equal(lines.length, 255);
  assert.deepEqual(Object.keys(lines[0]), ['line', 'deviceId', 'operation', 'errorCode', 'errorStatus']);
  assert.ok(lines.some((l) => l.moduleId === 'DefenderIotMicroAgent' && l.errorCode === 'ModuleAlreadyExistsOnDevice'));
  const skipped = await json(to, 'hub', 'import', '--file', file, '--on-conflict', 'skip');
  assert.equal(skipped.skipped, 254);
  await to.must('PATCH', '/twins/d-9', { body: { tags: { site: 'changed' } } });
  const tried = await json(to, 'hub', 'import', '--file', file, '--on-conflict', 'skip', '--dry-run');
  assert.equal(tried.skipped, skipped.skipped, 'a dry run knows what exists');
  const over = await json(to, 'hub', 'import', '--file', file, '--on-conflict', 'overwrite');
  assert.equal(over.done, 256);
  assert.equal((await to.must('GET', '/twins/d-9')).tags.site, 0);
});

test('the lists that az prints can be imported, into a hub that dies meanwhile', async () => {
  const twins = await from.must('POST', '/devices/query', { body: { query: 'SELECT * FROM devices' }, headers: { 'x-ms-max-item-count': '1000' } });
  const file = join(folder, 'twins.json');
  const many = Array.from({ length: 4 }, (_, n) => twins.map((twin) => ({ ...twin, deviceId: `copy-${n}-${twin.deviceId}` }))).flat();
  writeFileSync(file, JSON.stringify(many, null, 2));
  const target = await Hub.started();
  try {
    const run = new Program(programs.cli, ['hub', 'import', '--file', file], { env: environment(target) });
    await until('some are there', async () => (await target.must('GET', '/statistics/devices')).totalDeviceCount > 100);
    await target.kill9();
    await target.start();
    await until('the import is over', () => !run.alive, { timeoutMs: 120_000 });
    const summary = JSON.parse(run.stdout);
    assert.equal(summary.complete, true);
    // What the answer that was lost spoke of is there all the same.
    assert.ok(summary.refused <= 100, run.stderr);
    assert.equal((await target.must('GET', '/statistics/devices')).totalDeviceCount, many.length);
  } finally { await target.stop(); }
});

test('a key made anew ends the session that it let in, and no other', async () => {
  const device = await from.createDevice('renewed');
  const { primaryKey, secondaryKey } = device.authentication.symmetricKey;
  const module = await from.createModule('renewed', 'm');
  const client = await MqttClient.connect(from, device);
  const other = await MqttClient.connect(from, module);
  const result = await json(from, 'device-identity', 'renew-key', '-d', 'renewed', '--key-type', 'secondary');
  assert.equal(result.rotatedKeys[0].primaryKey, primaryKey);
  assert.notEqual(result.rotatedKeys[0].secondaryKey, secondaryKey);
  await client.publish('devices/renewed/messages/events/', 'still here');
  await json(from, 'device-identity', 'renew-key', '-d', 'renewed', '--kt', 'swap');
  await client.publish('devices/renewed/messages/events/', 'still here');
  // Swapped, the key in use is the second.
  await json(from, 'device-identity', 'renew-key', '-d', 'renewed', '--kt', 'secondary');
  await until('closed', () => client.closed);
  const refused = await MqttClient.connect(from, device);
  assert.equal(refused.code, 5);
  await other.publish('devices/renewed/modules/m/messages/events/', 'still here');
  const some = await gemel(from, 'device-identity', 'renew-key', '-d', 'renewed', 'nobody', '--kt', 'both');
  assert.equal(some.code, 1);
  assert.equal(JSON.parse(some.stdout).errors[0].errorCode, 'DeviceNotFound');
  await other.end();
});
