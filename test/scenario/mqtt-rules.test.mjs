// SPDX-License-Identifier: Apache-2.0
// IoT Hub's own rules of MQTT, each as a client sees it that speaks it byte by byte: user names, keep
// alive, topics and filters, properties, wills, request identifiers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub, sas } from '../harness/hub.mjs';
import { connectPacket, MqttClient, packet, publishPacket, TYPES } from '../harness/mqtt.mjs';
import { sleep, until } from '../harness/programs.mjs';

let hub;
let device;
let module;
before(async () => {
  hub = await Hub.started({ set: ['gateway.subscriptions=5'] });
  device = await hub.createDevice('d');
  module = await hub.createModule('d', 'm');
});
after(() => hub.stop());

const connected = async (identity = device, options = {}) => {
  const client = await MqttClient.connect(hub, identity, { keepAlive: 0, ...options });
  assert.equal(client.code, 0);
  return client;
};
const closes = (client) => Promise.race([client.closing,
  sleep(15_000).then(() => { throw new Error('the hub did not close the connection'); })]);
const code = async (credentials, options) => {
  const client = await MqttClient.open(hub, options);
  client.send(connectPacket(credentials));
  const { body } = await client.next(TYPES.CONNACK);
  await client.drop();
  return body[1];
};
const found = (body) => until(`the event "${body}"`, async () => (await hub.events({ deviceId: 'd' })).find((e) => e.body === body));

test('every form of a user name that clients send is taken, others get code 5', async () => {
  const { password } = MqttClient.credentials(hub, device);
  const host = hub.hostName;
  const as = (username, clientId = 'd') => code({ clientId, username, password });
  for (const username of [`${host}/d/?api-version=2021-04-12`, `${host}/d/?api-version=2018-06-30&DeviceClientType=x%2F1%20(y)&unknown=1`,
    `${host}/d/?api-version=2020-09-30&model-id=dtmi:a:b;1`, `${host}/d/api-version=2016-11-14&DeviceClientType=x`,
    `${host.toUpperCase()}/d/?api-version=2021-04-12`, `${host}:8883/d/?api-version=2021-04-12`])
    assert.equal(await as(username), 0, username);
  for (const username of [`${host}/d`, `${host}/d?api-version=2021-04-12`, `${host}/d/?version=1`, `${host}//?api-version=2021-04-12`,
    `${host}/D/?api-version=2021-04-12`, `${host}/d/m/x/?api-version=2021-04-12`, ''])
    assert.equal(await as(username), 5, username);
  assert.equal(await as(`${host}/d/?api-version=2021-04-12`, 'D'), 5);
});

test('every form of a token that clients send is taken', async () => {
  const { primaryKey, secondaryKey } = device.authentication.symmetricKey;
  const { iothubowner, service } = await hub.policies();
  const good = MqttClient.credentials(hub, device);
  const with_ = (password) => code({ ...good, password });
  const fields = good.password.replace('SharedAccessSignature ', '').split('&');
  assert.equal(await with_(`SharedAccessSignature ${[...fields].reverse().join('&')}`), 0);
  assert.equal(await with_(sas(`${hub.hostName}/devices/d`, secondaryKey)), 0);
  assert.equal(await with_(sas(`${hub.hostName}/devices/d/api-version=2016-11-14`, primaryKey)), 0);
  for (const resource of [hub.hostName, `${hub.hostName}/devices`, `${hub.hostName}/devices/d`])
    assert.equal(await with_(sas(resource, iothubowner.SharedAccessKey, 'iothubowner')), 0, resource);
  assert.equal(await with_(sas(hub.hostName, service.SharedAccessKey, 'service')), 5);
  assert.equal(await with_(sas(`${hub.hostName}/devices/dd`, primaryKey)), 5);
});

test('TLS 1.2 is offered, 1.1 is not', async () => {
  assert.equal(await code(MqttClient.credentials(hub, device), { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }), 0);
  await assert.rejects(MqttClient.open(hub, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }));
});

test('a keep-alive of 0, and one beyond the bound, get the bound; any packet begins it anew', async () => {
  const patient = await Hub.started({ set: ['gateway.keep_alive_seconds=3'] });
  const connect = async (deviceId, keepAlive) => MqttClient.connect(patient, await patient.createDevice(deviceId), { keepAlive });
  const silent = async (deviceId, keepAlive) => {
    const began = Date.now();
    await closes(await connect(deviceId, keepAlive));
    assert.ok(Date.now() - began >= 3000, `${keepAlive}: ${Date.now() - began} ms`);
  };
  const pings = async (deviceId) => {
    const client = await connect(deviceId, 0);
    for (let i = 0; i < 9; i++) {
      client.send(packet(0xC0));
      await client.next(TYPES.PINGRESP);
      await sleep(500);
    }
    assert.ok(!client.closed);
    await client.drop();
  };
  await Promise.all([silent('a', 0), silent('b', 65535), pings('c')]);
  await patient.stop();
});

test('every filter of IoT Hub is granted, at most five at a time, and no other', async () => {
  const ofModule = ['devices/d/modules/m/messages/devicebound/#', 'devices/d/modules/m/inputs/#', 'devices/d/modules/m/#'];
  const ofAll = ['$iothub/twin/res/#', '$iothub/twin/PATCH/properties/desired/#', '$iothub/methods/POST/#'];
  const a = await connected(module);
  assert.deepEqual(await a.subscribe(...ofModule.slice(0, 2), ...ofAll), [0, 0, 0, 0, 0]);
  assert.deepEqual(await a.subscribe(ofModule[2]), [0x80]);
  assert.deepEqual(await a.subscribe(...ofAll.map((f) => [f, 1])), [1, 1, 1]); // the same ones again
  await a.end();
  const b = await connected();
  assert.deepEqual(await b.subscribe('devices/d/messages/devicebound/#', 'devices/+/messages/devicebound/#', ['$iothub/methods/POST/#', 2]), [0, 0, 1]);
  assert.deepEqual(await b.subscribe('#', '+', 'devices/d#/messages/devicebound/#', 'devices/+d/messages/devicebound/#', '$iothub/#', 'devices/#', 'devices/d/#', '$iothub/twin/+/#', 'devices/e/messages/devicebound/#',
    '$iothub/methods/POST/m/#', 'devices/d/messages/events/#', '$SYS/#', 'x'), Array(13).fill(0x80));
  await b.end();
});

test('an event may be published to each form of its topic', async () => {
  const client = await connected();
  for (const [i, topic] of ['devices/d/messages/events', 'devices/d/messages/events/', 'devices/d/messages/events/k=v', 'devices/d/messages/events/?k=v',
    'devices/d/messages/events/k=v/'].entries()) {
    await client.publish(topic, `form ${i}`);
    const event = await found(`form ${i}`);
    assert.deepEqual(event.properties, i < 2 ? {} : { k: 'v' }, topic);
  }
  await client.end();
  const m = await connected(module);
  await m.publish('devices/d/modules/m/messages/events/%24.on=out1/', 'of a module');
  const event = await found('of a module');
  assert.equal(event.moduleId, 'm');
  assert.ok(Object.values(event.systemProperties).includes('out1'), JSON.stringify(event));
  await m.end();
});

for (const topic of ['devices/d/messages/devicebound/', 'devices/d/messages', 'devices/d/modules/m/messages/events/', 'devices/D/messages/events/',
  '$iothub/twin/PUT/?$rid=1', '$iothub/twin/GET/', '$iothub/twin/GET/?$rid=', '$iothub/twin/GET/?rid=1',
  '$iothub/twin/PATCH/properties/reported/?$version=1', '$iothub/twin/PATCH/properties/desired/?$rid=1', '$iothub/methods/res/200/', 'x']) {
  test(`a client that publishes to ${topic} is dropped, without an acknowledgement`, async () => {
    const client = await connected();
    client.send(publishPacket(topic, '{}', { qos: 1, id: 5 }));
    await closes(client);
    assert.ok(!client.packets.some((p) => p.type === TYPES.PUBACK));
  });
}

test('properties come as they were meant: nothing, empty, escaped, a plus that is a plus', async () => {
  const client = await connected();
  await client.publish('devices/d/messages/events/alone&empty=&a%20b=c%26d&plus=1%2B1&%24.ct=application%2Fjson&%24.mid=m-1&%24.cdid=forged', '"properties"');
  const event = await found('properties');
  assert.deepEqual(event.properties, { alone: null, empty: '', 'a b': 'c&d', plus: '1+1' });
  assert.equal(event.systemProperties['content-type'], 'application/json');
  assert.equal(event.systemProperties['message-id'], 'm-1');
  assert.equal(event.systemProperties['iothub-connection-device-id'], 'd');
  const long = 'v'.repeat(60_000);
  await client.publish(`devices/d/messages/events/long=${long}`, 'a long topic');
  assert.equal((await found('a long topic')).properties.long, long);
  await client.end();
});

test('retained and repeated messages are stored like others, the retained ones say so', async () => {
  const client = await connected();
  client.send(publishPacket('devices/d/messages/events/k=v', 'retained', { qos: 1, id: 7, retain: true }));
  client.send(publishPacket('devices/d/messages/events/', 'repeated', { qos: 1, id: 8, dup: true }));
  for (const id of [7, 8]) assert.equal((await client.next(TYPES.PUBACK)).body.readUInt16BE(0), id);
  assert.deepEqual((await found('retained')).properties, { k: 'v', 'mqtt-retain': 'true' });
  assert.deepEqual((await found('repeated')).properties, {});
  const fresh = await connected(module);
  await fresh.subscribe('devices/d/modules/m/#');
  assert.ok(!fresh.packets.some((p) => p.type === TYPES.PUBLISH));
  await fresh.end();
  await client.end();
});

test('what is published with QoS 1 is acknowledged on every topic, also where nobody hears the answer', async () => {
  const client = await connected();
  await client.publish('$iothub/twin/GET/?$rid=unheard', ' ');
  await client.publish('$iothub/methods/res/200/?$rid=4711', '{}');
  await client.publish('$iothub/methods/res/-1/?$rid=4711', '');
  assert.ok(!client.packets.some((p) => p.type === TYPES.PUBLISH));
  await client.subscribe('$iothub/twin/res/#');
  await client.publish('$iothub/twin/GET/?$rid=heard', '');
  assert.equal((await client.twinAnswer('heard')).status, 200);
  await client.publish('$iothub/twin/PATCH/properties/reported/?$rid=r', '{"a":1}');
  const { status, version, body } = await client.twinAnswer('r');
  assert.deepEqual([status, body], [204, undefined]);
  client.send(publishPacket(`$iothub/twin/PATCH/properties/reported/?$rid=same&$version=${version}`, '{"a":2}'));
  assert.equal((await client.twinAnswer('same')).topic, `$iothub/twin/res/204/?$rid=same&$version=${version + 1}`);
  client.send(publishPacket(`$iothub/twin/PATCH/properties/reported/?$rid=old&$version=${version}`, '{"a":3}'));
  const old = await client.twinAnswer('old');
  assert.deepEqual([old.status, old.body.errorCode], [412, 412001]);
  await client.end();
});

test('a will comes with its properties after a breach of the rules, and not from a foreign topic', async () => {
  const will = (topic, payload, qos) => ({ will: { topic, payload, qos } });
  const breach = await connected(device, will('devices/d/messages/events/k=v', 'after a breach', 1));
  breach.send(packet(0xF0));
  await closes(breach);
  assert.deepEqual((await found('after a breach')).properties, { k: 'v', 'iothub-MessageType': 'Will' });
  const silent = await connected(device, { ...will('devices/d/messages/events/', 'after silence', 0), keepAlive: 1 });
  await closes(silent);
  await found('after silence');
  for (const topic of ['devices/witness/messages/events/', '$iothub/twin/GET/?$rid=1', 'x'])
    await (await connected(device, will(topic, 'foreign', 0))).drop();
  await (await connected(device, will('devices/d/messages/events/', 'the last', 0))).drop();
  await found('the last');
  assert.ok(!(await hub.events()).some((event) => event.body === 'foreign'));
});
