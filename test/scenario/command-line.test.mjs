// SPDX-License-Identifier: Apache-2.0
// The journey by `gemel`: devices, modules, twins, events, and what wrong use gets.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient } from '../harness/mqtt.mjs';
import { Program, programs, runProgram, temporaryFolder, until } from '../harness/programs.mjs';

let hub;
let env;
before(async () => {
  hub = await Hub.started();
  const login = hub.facts.connectionString.replace(/HostName=[^;]*/, `HostName=${hub.hostName}:${hub.httpsPort}`);
  env = { GEMEL_LOGIN: login, GEMEL_CA: hub.facts.caFile };
});
after(() => hub.stop());

const gemel = (...args) => runProgram(programs.cli, args, { env });

async function json(...args) {
  const { code, stdout, stderr } = await gemel('--output', 'json', ...args);
  assert.equal(code, 0, `gemel ${args.join(' ')}: ${stderr}`);
  return stdout.trim() === '' ? undefined : JSON.parse(stdout);
}

test('a device lives and dies', async () => {
  const device = await json('device-identity', 'create', '-d', 'cooler-7');
  assert.equal(device.deviceId, 'cooler-7');
  assert.deepEqual(await json('device-identity', 'show', '-d', 'cooler-7'), device);
  const { connectionString } = await json('device-identity', 'connection-string', 'show', '-d', 'cooler-7');
  assert.match(connectionString, new RegExp(`DeviceId=cooler-7;.*SharedAccessKey=${device.authentication.symmetricKey.primaryKey.replaceAll('+', '\\+')}`));
  assert.ok((await json('device-identity', 'list')).some((d) => d.deviceId === 'cooler-7'));
  await json('device-identity', 'delete', '-d', 'cooler-7');
  const { code, stderr } = await gemel('device-identity', 'show', '-d', 'cooler-7');
  assert.equal(code, 1);
  assert.match(stderr, /404001|DeviceNotFound/);
});

test('a module and its twin are created, changed and replaced', async () => {
  await json('device-identity', 'create', '-d', 'd1');
  await json('module-identity', 'create', '-d', 'd1', '-m', 'DefenderIotMicroAgent');
  const twin = await json('module-twin', 'update', '-d', 'd1', '-m', 'DefenderIotMicroAgent', '--desired', '{"Process_Mode": 3}', '--tags', '{"site":"north"}');
  assert.equal(twin.properties.desired.Process_Mode, 3);
  assert.equal(twin.tags.site, 'north');
  const file = join(temporaryFolder(), 'twin.json');
  writeFileSync(file, '{"tags":{},"properties":{"desired":{"a":1.10}}}');
  const replaced = await json('module-twin', 'replace', '-d', 'd1', '-m', 'DefenderIotMicroAgent', '-j', file);
  assert.equal(replaced.properties.desired.Process_Mode, undefined);
  const { stdout } = await gemel('--output', 'json', 'module-twin', 'show', '-d', 'd1', '-m', 'DefenderIotMicroAgent');
  assert.match(stdout, /1\.10/);
});

test('a document may come from a file', async () => {
  const file = join(temporaryFolder(), 'desired.json');
  writeFileSync(file, '{"from":"file"}');
  const twin = await json('module-twin', 'update', '-d', 'd1', '-m', 'DefenderIotMicroAgent', '--desired', `@${file}`);
  assert.equal(twin.properties.desired.from, 'file');
});

test('an etag that is not the current one is refused', async () => {
  const { code, stderr } = await gemel('module-twin', 'update', '-d', 'd1', '-m', 'DefenderIotMicroAgent', '--desired', '{"a":2}', '--etag', 'abc');
  assert.equal(code, 1);
  assert.match(stderr, /412001|PreconditionFailed/);
});

test('events are followed, one object a line', async () => {
  const device = await hub.createDevice('sender');
  const monitor = new Program(programs.cli, ['--output', 'json', 'monitor-events', '-d', 'sender', '--from', 'earliest', '--timeout', '20'], { env });
  const client = await MqttClient.connect(hub, device);
  await client.publish('devices/sender/messages/events/k=v%20w&%24.ct=application%2Fjson', '{"n":1}');
  await client.publish('devices/sender/messages/events/', 'two');
  await until('both events', () => monitor.stdout.trim().split('\n').length >= 2);
  const [one, two] = monitor.stdout.trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(Object.keys(one), ['sequenceNumber', 'enqueuedTime', 'deviceId', 'moduleId', 'systemProperties', 'properties', 'body']);
  assert.deepEqual(one.body, { n: 1 });
  assert.deepEqual(one.properties, { k: 'v w' });
  assert.equal(two.body, 'two');
  assert.ok(two.sequenceNumber > one.sequenceNumber);
  await client.end();
  await monitor.stop();
});

for (const [what, args] of [
  ['an unknown command', ['device-identity', 'explode']],
  ['a flag that is missing', ['device-identity', 'show']],
  ['an unknown flag', ['device-identity', 'list', '--loudly']],
  ['desired that is no JSON', ['module-twin', 'update', '-d', 'd1', '-m', 'DefenderIotMicroAgent', '--desired', '{a}']],
  ['nothing at all', []],
]) {
  test(`${what} is wrong usage`, async () => {
    const { code, stderr } = await gemel(...args);
    assert.equal(code, 2);
    assert.ok(stderr.length > 0);
  });
}

test('no hub there is exit status 3', async () => {
  const { code, stderr } = await runProgram(programs.cli, ['device-identity', 'list'],
    { env: { ...env, GEMEL_LOGIN: env.GEMEL_LOGIN.replace(/HostName=[^;]*/, 'HostName=localhost:1') } });
  assert.equal(code, 3);
  assert.ok(stderr.length > 0);
});

test('the table output is for people, and holds no key', async () => {
  const { code, stdout } = await gemel('--output', 'table', 'device-identity', 'list');
  assert.equal(code, 0);
  assert.match(stdout, /d1/);
  const { authentication } = await json('device-identity', 'show', '-d', 'd1');
  assert.ok(!stdout.includes(authentication.symmetricKey.primaryKey));
});

test('help is printed for every command', async () => {
  const { code, stdout } = await gemel('--help');
  assert.equal(code, 0);
  for (const word of ['device-identity', 'module-twin', 'monitor-events', '--login']) assert.match(stdout, new RegExp(word));
});

for (const [program, verb] of [['agent', 'run'], ['agent', 'schema'], ['hub', 'serve'], ['hub', 'backup'], ['cli', 'query']]) {
  test(`-h and --help after ${verb}, and help before it, print its help`, async () => {
    const told = [];
    for (const args of [[verb, '-h'], [verb, '--help'], ['help', verb]]) {
      const { code, stdout, stderr } = await runProgram(programs[program], args);
      assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
      told.push(stdout);
    }
    assert.match(told[0], new RegExp(`gemel(-\\w+)? ${verb}`));
    assert.equal(new Set(told).size, 1);
  });
}
