// SPDX-License-Identifier: Apache-2.0
// Direct methods over the wire, with clients that keep no rules: who is asked, who may answer, what
// time-outs do, and many calls at a time.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient, publishPacket, TYPES, unsubscribePacket } from '../harness/mqtt.mjs';
import { programs, runProgram, until } from '../harness/programs.mjs';

const METHODS = '$iothub/methods/POST/#';

let hub;
let device;
let other;
before(async () => {
  hub = await Hub.started();
  device = await hub.createDevice('d');
  other = await hub.createDevice('other');
});
after(() => hub.stop());

const invoke = (methodName, options = {}, path = '/twins/d') =>
  hub.rest('POST', `${path}/methods`, { body: { methodName, ...options } });

const nextMethod = async (client, timeoutMs) => {
  const { topic, payload, qos } = await client.next(TYPES.PUBLISH, (p) => p.topic.startsWith('$iothub/methods/POST/'), timeoutMs);
  const [, name, rid] = /^\$iothub\/methods\/POST\/(.*)\/\?\$rid=(.*)$/.exec(topic);
  return { name, rid, payload, qos };
};

const respond = (client, rid, status = 200, payload = '{}', options) =>
  client.send(publishPacket(`$iothub/methods/res/${status}/?$rid=${rid}`, payload, options));

async function taking(identity, options) {
  const client = await MqttClient.connect(hub, identity, { keepAlive: 0, clean: true, ...options });
  assert.equal(client.code, 0);
  await client.subscribe(METHODS);
  return client;
}

test('a method is asked and answered, with any JSON and any status', async () => {
  const client = await taking(device);
  for (const payload of [null, '', 'foo', { foo: 'bar' }, {}, [], 0, false, 'ü\u0000"', undefined]) {
    const call = invoke('echo', { payload });
    const asked = await nextMethod(client);
    assert.equal(asked.name, 'echo');
    assert.equal(asked.qos, 0);
    assert.match(asked.rid, /^[0-9a-f]+$/);
    assert.deepEqual(JSON.parse(asked.payload), payload ?? null);
    respond(client, asked.rid, -42, asked.payload, { qos: 1, id: 7 });
    await client.next(TYPES.PUBACK);
    const answer = await call;
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json, { status: -42, payload: payload ?? null });
  }
  await client.end();
});

test('who is not connected or does not subscribe is not online', async () => {
  assert.equal((await invoke('m')).headers['iothub-errorcode'], 'DeviceNotOnline');
  const client = await MqttClient.connect(hub, device, { clean: true });
  assert.equal((await invoke('m')).status, 404);
  await client.subscribe(METHODS);
  const call = invoke('m');
  respond(client, (await nextMethod(client)).rid);
  assert.equal((await call).status, 200);
  client.send(unsubscribePacket(9, METHODS));
  await client.next(TYPES.UNSUBACK);
  assert.equal((await invoke('m')).status, 404);
  await client.end();
});

test('a call waits for a device that connects in time', async () => {
  const call = invoke('late', { connectTimeoutInSeconds: 60 });
  const client = await taking(device);
  const { name, rid } = await nextMethod(client);
  assert.equal(name, 'late');
  respond(client, rid, 1);
  assert.equal((await call).json.status, 1);
  await client.end();
});

test('wrong, foreign, late and repeated answers change nothing', async () => {
  const client = await taking(device);
  const foreigner = await taking(other);
  const call = invoke('m', { responseTimeoutInSeconds: 60 });
  const { rid } = await nextMethod(client);
  respond(foreigner, rid, 66);
  await foreigner.publish('devices/other/messages/events/', 'after it');
  for (const wrong of ['0', `${rid}0`, `0${rid}`, rid.toUpperCase() + 'X', '%s%n', '../..', 'ü', `${rid}%00`, 'x'.repeat(60_000)])
    respond(client, wrong, 67);
  respond(client, rid, 1, '"first"');
  respond(client, rid, 2, '"second"');
  assert.deepEqual((await call).json, { status: 1, payload: 'first' });
  respond(client, rid, 3);
  await client.publish('devices/d/messages/events/', 'still here');
  await Promise.all([client.end(), foreigner.end()]);
});

for (const topic of ['$iothub/methods/res/200/', '$iothub/methods/res/x/?$rid=1', '$iothub/methods/res/99999999999/?$rid=1', '$iothub/methods/res/200/?$rid=']) {
  test(`an answer to ${topic} ends its connection`, async () => {
    const client = await taking(device);
    client.send(publishPacket(topic, '{}'));
    await client.closing;
  });
}

test('an answer that is no JSON, or too large, is a bad gateway; a request that is too large is refused', async () => {
  const client = await taking(device);
  for (const payload of ['{', 'text', `"${'x'.repeat(131_072)}"`]) {
    const call = invoke('m');
    respond(client, (await nextMethod(client)).rid, 200, payload);
    const answer = await call;
    assert.equal(answer.status, 502);
    assert.equal(answer.headers['iothub-errorcode'], 'InvalidResponseWhileProxying');
  }
  assert.equal((await invoke('m', { payload: 'x'.repeat(131_072) })).status, 413);
  const call = invoke('m', { payload: 'x'.repeat(131_070) });
  const asked = await nextMethod(client);
  assert.equal(asked.payload.length, 131_072);
  respond(client, asked.rid, 200, asked.payload);
  assert.equal((await call).json.payload.length, 131_070);
  await client.end();
});

test('a device that goes amid a call leaves a time-out, and the request is not sent again', async () => {
  const client = await taking(device, { clean: false });
  const begin = Date.now();
  const call = invoke('m', { responseTimeoutInSeconds: 5, connectTimeoutInSeconds: 60 });
  await nextMethod(client);
  await client.drop();
  const next = await MqttClient.connect(hub, device, { keepAlive: 0, clean: false });
  assert.ok(next.sessionPresent); // and with it the subscription
  const answer = await call;
  assert.equal(answer.status, 504);
  assert.equal(answer.headers['iothub-errorcode'], 'GatewayTimeout');
  assert.ok(Date.now() - begin >= 5000);
  assert.ok(!next.packets.some((p) => p.type === TYPES.PUBLISH));
  const again = invoke('again');
  respond(next, (await nextMethod(next)).rid);
  assert.equal((await again).status, 200);
  await next.end();
  const clean = await MqttClient.connect(hub, device, { clean: true });
  await clean.end();
});

test('a module is asked by its own path', async () => {
  const module = await hub.createModule('d', 'm');
  const client = await taking(module);
  assert.equal((await invoke('m')).status, 404);
  const call = invoke('m', {}, '/twins/d/modules/m');
  respond(client, (await nextMethod(client)).rid, 5);
  assert.equal((await call).json.status, 5);
  await client.end();
});

test('hundreds of calls are under way at a time, over as many connections', async () => {
  const client = await taking(device);
  const calls = Array.from({ length: 400 }, (_, i) => invoke(`m${i}`, { payload: i, responseTimeoutInSeconds: 120 }));
  const asked = [];
  for (let i = 0; i < calls.length; i++) asked.push(await nextMethod(client, 60_000));
  assert.equal(new Set(asked.map(({ rid }) => rid)).size, calls.length);
  for (const { rid, payload } of asked.reverse()) respond(client, rid, Number(payload), payload);
  for (const [i, call] of calls.entries()) assert.deepEqual((await call).json, { status: i, payload: i });
  await client.end();
});

test('a client of the service that goes away amid its call hurts nobody', async () => {
  const client = await taking(device);
  const call = invoke('m').catch(() => {});
  const { rid } = await nextMethod(client);
  void call;
  respond(client, rid);
  await client.end();
});

test('the command line invokes methods', async () => {
  const login = hub.facts.connectionString.replace(/HostName=[^;]*/, `HostName=${hub.hostName}:${hub.httpsPort}`);
  const env = { GEMEL_LOGIN: login, GEMEL_CA: hub.facts.caFile };
  const client = await taking(device);
  const run = runProgram(programs.cli, ['invoke-device-method', '-d', 'd', '--mn', 'reboot', '--mp', '{"in":5}'], { env });
  const { name, rid, payload } = await nextMethod(client);
  assert.equal(name, 'reboot');
  assert.deepEqual(JSON.parse(payload), { in: 5 });
  respond(client, rid, 202, '"soon"');
  const { code, stdout } = await run;
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), { status: 202, payload: 'soon' });
  await client.end();
  await until('gone', async () => (await hub.twin('d')).connectionState === 'Disconnected');
  const refused = await runProgram(programs.cli, ['invoke-device-method', '-d', 'd', '--mn', 'reboot'], { env });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /DeviceNotOnline|404103/);
});

test('a drain waits for a device that was asked, and lets no other method begin', async () => {
  const own = await Hub.started();
  const client = await MqttClient.connect(own, await own.createDevice('x'), { keepAlive: 0, clean: true });
  await client.subscribe(METHODS);
  await own.createDevice('away');
  const invoke = (device, more) => own.rest('POST', `/twins/${device}/methods`, { body: { methodName: 'm', ...more } });
  const call = invoke('x');
  const waiting = invoke('away', { connectTimeoutInSeconds: 300 });
  const { rid } = await nextMethod(client);
  const stopped = own.stop();
  assert.equal((await waiting).status, 503);
  assert.equal((await invoke('x')).status, 503);
  respond(client, rid, 200, '"done"');
  assert.deepEqual((await call).json, { status: 200, payload: 'done' });
  await stopped;
});

test('a drain answers what waits', async () => {
  const own = await Hub.started({ set: ['gateway.drain_seconds=1'] });
  const client = await MqttClient.connect(own, await own.createDevice('x'), { keepAlive: 0, clean: true });
  await client.subscribe(METHODS);
  const call = own.rest('POST', '/twins/x/methods', { body: { methodName: 'm', responseTimeoutInSeconds: 300 } });
  await nextMethod(client);
  const stopped = own.stop();
  const answer = await call.catch((error) => ({ status: String(error) }));
  await stopped;
  assert.equal(answer.status, 503);
});
