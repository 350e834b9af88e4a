// SPDX-License-Identifier: Apache-2.0
// A client that breaks the rules of MQTT or of IoT Hub: each breach ends its own connection, or is
// ignored where the SDKs need that, and the hub goes on serving everyone else.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub, sas } from '../harness/hub.mjs';
import { connectPacket, MqttClient, packet, publishPacket, subscribePacket, TYPES, unsubscribePacket } from '../harness/mqtt.mjs';
import { sleep, until } from '../harness/programs.mjs';

let hub;
let module;
let witness; // a well-behaved client that must not notice any of it

before(async () => {
  hub = await Hub.started({ set: ['limits.skew_seconds=0'] });
  await hub.createDevice('d');
  module = await hub.createModule('d', 'm');
  witness = await MqttClient.connect(hub, await hub.createDevice('witness'), { keepAlive: 0 });
  await witness.subscribe('$iothub/twin/res/#');
});
after(async () => {
  assert.equal((await witness.getTwin()).status, 200);
  await witness.end();
  await hub.stop();
});

const closes = async (client) => {
  const late = sleep(8000).then(() => { throw new Error('the hub did not close the connection'); });
  await Promise.race([client.closing, late]);
};

const connected = async (options) => {
  const client = await MqttClient.connect(hub, module, options);
  assert.equal(client.code, 0);
  return client;
};

const text = (value) => Buffer.concat([Buffer.from([0, value.length]), Buffer.from(value)]);

for (const [what, bytes] of [
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
  ['zeros', Buffer.alloc(64)],
  ['a PUBLISH before CONNECT', publishPacket('devices/d/messages/events/', 'x')],
  ['a PINGREQ before CONNECT', packet(0xC0)],
  ['a remaining length of five bytes', Buffer.from([0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x01])],
  ['a CONNECT that announces 256 MB', Buffer.from([0x10, 0xFF, 0xFF, 0xFF, 0x7F])],
  ['another protocol name', connectPacket({ clientId: 'd', username: 'x', password: 'y', name: 'MQIsdp' })],
  ['flags in a CONNECT', Buffer.concat([Buffer.from([0x13]), connectPacket({ clientId: 'd', username: 'x' }).subarray(1)])],
  ['a CONNECT cut short', packet(0x10, text('MQTT'), Buffer.from([4, 0xC0, 0, 60]), Buffer.from([0, 200, 65]))],
]) {
  test(`the connection ends at ${what}`, async () => {
    const client = await MqttClient.open(hub);
    client.send(bytes);
    await closes(client);
    assert.ok(!client.packets.some((p) => p.type === TYPES.CONNACK && p.body[1] === 0));
  });
}

for (const [what, bytes] of [
  ['a second CONNECT', () => connectPacket(MqttClient.credentials(hub, module))],
  ['QoS 2', () => Buffer.concat([Buffer.from([0x34]), publishPacket('devices/d/modules/m/messages/events/', 'x', { qos: 1 }).subarray(1)])],
  ['QoS 3', () => Buffer.concat([Buffer.from([0x36]), publishPacket('devices/d/modules/m/messages/events/', 'x', { qos: 1 }).subarray(1)])],
  ['a SUBSCRIBE without filters', () => packet(0x82, Buffer.from([0, 1]))],
  ['a SUBSCRIBE with wrong flags', () => Buffer.concat([Buffer.from([0x80]), subscribePacket(1, ['$iothub/twin/res/#', 0]).subarray(1)])],
  ['an UNSUBSCRIBE without filters', () => packet(0xA2, Buffer.from([0, 1]))],
  ['packet identifier 0', () => publishPacket('devices/d/modules/m/messages/events/', 'x', { qos: 1, id: 0 })],
  ['a topic with a wildcard', () => publishPacket('devices/d/modules/m/messages/events/#', 'x')],
  ['a topic that is not UTF-8', () => publishPacket(Buffer.from([0xC3, 0x28]), 'x')],
  ['the reserved packet type 15', () => packet(0xF0)],
  ['a packet only servers send', () => packet(0x20, Buffer.from([0, 0]))],
]) {
  test(`a connected client is dropped at ${what}`, async () => {
    const client = await connected();
    client.send(bytes());
    await closes(client);
  });
}

test('a message over 256 KiB ends the connection, one just below is stored', async () => {
  const client = await connected();
  await client.publish('devices/d/modules/m/messages/events/', 'x'.repeat(255 * 1024));
  client.send(publishPacket('devices/d/modules/m/messages/events/', 'x'.repeat(300 * 1024), { qos: 1, id: 9 }));
  await closes(client);
});

test('credentials that do not fit get code 5 and the end of the connection', async () => {
  const good = MqttClient.credentials(hub, module);
  const over = MqttClient.credentials(hub, module, { seconds: -60 });
  const key = module.authentication.symmetricKey.primaryKey;
  for (const wrong of [{ ...good, password: over.password }, { ...good, password: 'nonsense' }, { ...good, password: '' },
    { ...good, password: good.password.replace(/sig=[^&]*/, 'sig=AAAA') },
    { ...good, password: sas(`${hub.hostName}/devices/other`, key) },
    { ...good, clientId: 'd/other' },
    { ...good, username: `${hub.hostName}/d/unknown/?api-version=2021-04-12`, clientId: 'd/unknown' },
    { ...good, username: `unknown.example/d/m/?api-version=2021-04-12` },
    { clientId: good.clientId, username: good.username }]) {
    const client = await MqttClient.open(hub);
    client.send(connectPacket(wrong));
    const { body } = await client.next(TYPES.CONNACK);
    assert.equal(body[1], 5, JSON.stringify(wrong));
    await closes(client);
  }
});

test('protocol level 5 gets code 1', async () => {
  const client = await MqttClient.open(hub);
  client.send(connectPacket({ ...MqttClient.credentials(hub, module), level: 6 }));
  assert.equal((await client.next(TYPES.CONNACK)).body[1], 1);
  await closes(client);
});

test('one byte at a time is as good as all at once', async () => {
  const client = await MqttClient.open(hub);
  const bytes = Buffer.concat([connectPacket(MqttClient.credentials(hub, module)), subscribePacket(1, ['$iothub/twin/res/#', 0]),
    publishPacket('$iothub/twin/GET/?$rid=slow', '')]);
  client.socket.setNoDelay(true);
  for (const byte of bytes) {
    client.send(Buffer.from([byte]));
    if (byte % 16 === 0) await sleep(1);
  }
  assert.equal((await client.next(TYPES.CONNACK)).body[1], 0);
  assert.equal((await client.twinAnswer('slow')).status, 200);
  await client.end();
});

test('nobody gets the messages of another, whatever is subscribed', async () => {
  const other = await hub.createModule('d', 'spy');
  const spy = await MqttClient.connect(hub, other);
  const codes = await spy.subscribe('#', '$iothub/#', '+/d/modules/m/#', 'devices/d/modules/m/#', '$iothub/twin/PATCH/properties/desired/#');
  assert.equal(codes.length, 5);
  await hub.patchDesired('d', 'm', { secret: 1 });
  await hub.patchDesired('d', 'spy', { mine: 1 });
  assert.deepEqual((await spy.nextDesired()).patch.mine, 1);
  assert.ok(!spy.packets.some((p) => p.payload?.includes('secret')));
  await spy.end();
});

test('the desired filter is granted at most QoS 1, and unsubscribing silences it', async () => {
  const client = await connected();
  assert.deepEqual(await client.subscribe(['$iothub/twin/PATCH/properties/desired/#', 2]), [1]);
  await hub.patchDesired('d', 'm', { n: 1 });
  await client.nextDesired();
  client.send(unsubscribePacket(7, '$iothub/twin/PATCH/properties/desired/#'));
  await client.next(TYPES.UNSUBACK);
  await hub.patchDesired('d', 'm', { n: 2 });
  await assert.rejects(client.nextDesired(1000));
  await client.end();
});

test('subscriptions last for a client with CleanSession 0, and end with CleanSession 1', async () => {
  const again = await hub.createModule('d', 'again');
  const connect = (clean) => MqttClient.connect(hub, again, { clean });
  const first = await connect(false);
  assert.equal(first.sessionPresent, false);
  await first.subscribe('$iothub/twin/res/#', '$iothub/twin/PATCH/properties/desired/#');
  await first.drop();
  const second = await connect(false);
  assert.equal(second.sessionPresent, true);
  assert.equal((await second.getTwin()).status, 200);
  await hub.patchDesired('d', 'again', { n: 1 });
  assert.equal((await second.nextDesired()).patch.n, 1);
  second.send(unsubscribePacket(9, '$iothub/twin/PATCH/properties/desired/#'));
  await second.next(TYPES.UNSUBACK);
  const third = await connect(false); // takes over
  assert.equal(third.sessionPresent, true);
  await hub.patchDesired('d', 'again', { n: 2 });
  await assert.rejects(third.nextDesired(1000));
  await third.end();
  const clean = await connect(true);
  assert.equal(clean.sessionPresent, false);
  await clean.subscribe('$iothub/twin/res/#');
  await clean.end();
  const last = await connect(false);
  assert.equal(last.sessionPresent, false);
  await last.end();
  await hub.must('DELETE', '/devices/d/modules/again', { headers: { 'if-match': '*' } });
});

test('events under another identity’s topic are not accepted as its own', async () => {
  const client = await connected();
  client.send(publishPacket('devices/witness/messages/events/', 'forged', { qos: 1, id: 3 }));
  await Promise.race([client.closing, client.next(TYPES.PUBACK)]);
  assert.ok(!(await hub.events()).some((event) => event.body === 'forged' && event.deviceId === 'witness'));
  if (!client.closed) await client.end();
});

for (const [what, patch, status] of [
  ['broken JSON', '{"a":', 400],
  ['no object', '[1]', 400],
  ['a key with a dollar', '{"$a":1}', 400],
  ['a key twice', '{"a":1,"a":2}', 400],
  ['a number beyond the range', '{"a":4503599627370496}', 400],
  ['twelve levels', `${'{"a":'.repeat(12)}1${'}'.repeat(12)}`, 400],
  ['nothing', '', 400],
]) {
  test(`a reported patch with ${what} gets ${status} with an error code and changes nothing`, async () => {
    const client = await connected();
    await client.subscribe('$iothub/twin/res/#');
    const before = (await client.getTwin()).body.reported;
    const answer = await client.report(patch);
    assert.equal(answer.status, status);
    assert.match(String(answer.body.errorCode), /^400\d{3}$/);
    assert.ok(answer.body.message.length > 0);
    assert.deepEqual((await client.getTwin()).body.reported, before);
    await client.end();
  });
}

test('a request identifier comes back as it was sent', async () => {
  const client = await connected();
  await client.subscribe('$iothub/twin/res/#');
  client.send(publishPacket('$iothub/twin/GET/?$rid=a%20b%2Fc', ' '));
  const answer = await client.twinAnswer('a%20b%2Fc');
  assert.equal(answer.topic, '$iothub/twin/res/200/?$rid=a%20b%2Fc');
  await client.end();
});

test('a client that is silent for one and a half keep-alives is dropped', async () => {
  const client = await connected({ keepAlive: 1 });
  const begin = Date.now();
  await closes(client);
  assert.ok(Date.now() - begin >= 1000);
});

test('a client whose token is over is dropped', async () => {
  const client = await connected({ seconds: 2 });
  await closes(client);
});

test('the will is stored as an event when the client vanishes, not when it says goodbye', async () => {
  const will = { topic: 'devices/d/modules/m/messages/events/' };
  await (await connected({ will: { ...will, payload: 'goodbye' } })).end();
  await (await connected({ will: { ...will, payload: 'vanished' } })).drop();
  await until('the will', async () => (await hub.events()).some((event) => event.body === 'vanished'));
  assert.ok(!(await hub.events()).some((event) => event.body === 'goodbye'));
});

test('two hundred connections that say nothing do not keep others out', async () => {
  const idle = await Promise.all(Array.from({ length: 200 }, () => MqttClient.open(hub)));
  const client = await connected();
  await client.subscribe('$iothub/twin/res/#');
  assert.equal((await client.getTwin()).status, 200);
  await client.end();
  await Promise.all(idle.map((c) => c.drop()));
});
