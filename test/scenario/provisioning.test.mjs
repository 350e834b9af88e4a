// SPDX-License-Identifier: Apache-2.0
// A device that provisions itself byte by byte: what the protocol offers, what it does not, and that
// its connection is no device's.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { connectPacket, MqttClient, publishPacket, subscribePacket, TYPES, unsubscribePacket } from '../harness/mqtt.mjs';
import { until } from '../harness/programs.mjs';

const REGISTER = '$dps/registrations/PUT/iotdps-register/';
const STATUS = '$dps/registrations/GET/iotdps-get-operationstatus/';
let hub;
let key;

before(async () => {
  hub = await Hub.started();
  const enrollment = await hub.must('PUT', '/enrollments/pump', { body: { attestation: { type: 'symmetricKey' },
    modules: { DefenderIotMicroAgent: {} } } });
  key = enrollment.attestation.symmetricKey.primaryKey;
});
after(() => hub.stop());

function password(id = 'pump', scope = hub.facts.idScope, secret = key) {
  const se = Math.floor(Date.now() / 1000) + 600;
  const sr = `${scope}/registrations/${id}`;
  const sig = createHmac('sha256', Buffer.from(secret, 'base64')).update(`${sr}\n${se}`).digest('base64');
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}&skn=registration`;
}

async function connect({ id = 'pump', clientId = id, scope = hub.facts.idScope, webSocket = false, ...more } = {}) {
  const client = await MqttClient.open(hub, { webSocket });
  client.send(connectPacket({ clientId, username: `${scope}/registrations/${id}/api-version=2019-03-31&ClientVersion=x`,
    password: password(id, scope), clean: true, ...more }));
  client.code = (await client.next(TYPES.CONNACK)).body[1];
  return client;
}

async function ask(client, topic, query, payload = '', options) {
  client.send(publishPacket(`${topic}?${query}`, payload, options));
  const answer = await client.next(TYPES.PUBLISH);
  return { topic: answer.topic, status: Number(answer.topic.split('/')[3]), body: JSON.parse(answer.payload) };
}

test('a device registers, asks for the outcome, and connects as its module', async () => {
  for (const webSocket of [false, true]) {
    const client = await connect({ webSocket });
    assert.equal(client.code, 0);
    assert.deepEqual(await client.subscribe(['$dps/registrations/res/#', 1], 'devices/pump/messages/devicebound/#'), [1, 0x80]);
    const answer = await ask(client, REGISTER, '$rid=a%20b', '{"registrationId":"pump"}', { qos: 1, id: 7 });
    await client.next(TYPES.PUBACK, (p) => p.body.readUInt16BE(0) === 7);
    assert.equal(answer.topic, '$dps/registrations/res/200/?$rid=a%20b');
    assert.equal(answer.body.registrationState.deviceId, 'pump');
    const status = await ask(client, STATUS, `$rid=2&operationId=${answer.body.operationId}`);
    assert.deepEqual(status.body, answer.body);
    const lost = await ask(client, STATUS, '$rid=3&operationId=other');
    assert.equal(lost.status, 404);
    assert.equal(lost.body.errorCode, 404202);
    assert.equal((await ask(client, REGISTER, '$rid=4', '{')).status, 400);
    assert.equal((await ask(client, REGISTER, '$rid=5', '{"registrationId":"other"}')).status, 400);
    client.send(unsubscribePacket(9, '$dps/registrations/res/#'));
    await client.next(TYPES.UNSUBACK);
    await client.end();
  }
  const symmetricKey = { primaryKey: key };
  const module = await MqttClient.connect(hub, { deviceId: 'pump', moduleId: 'DefenderIotMicroAgent', authentication: { symmetricKey } });
  assert.equal(module.code, 0);
  await module.end();
});

test('many requests at once are answered each, in their order', async () => {
  const client = await connect();
  await client.subscribe('$dps/registrations/res/#');
  client.send(Buffer.concat(Array.from({ length: 40 }, (_, i) => publishPacket(`${REGISTER}?$rid=${i}`))));
  for (let i = 0; i < 40; i++)
    assert.equal((await client.next(TYPES.PUBLISH)).topic, `$dps/registrations/res/200/?$rid=${i}`);
  await client.end();
});

for (const [what, options] of [
  ['another client id', { clientId: 'other' }],
  ['an unknown id scope', { scope: '0ne00000000' }],
  ['an unknown registration', { id: 'unknown' }],
  ['no password', { password: undefined }],
  ['nonsense', { password: 'nonsense' }],
  ['an id that is none', { id: 'a b' }],
]) {
  test(`CONNECT with ${what} is refused`, async () => {
    const client = await connect(options);
    assert.equal(client.code, 5);
    await until('closed', () => client.closed);
  });
}

for (const [what, bytes] of [
  ['telemetry', publishPacket('devices/pump/messages/events/', 'x')],
  ['a twin', publishPacket('$iothub/twin/GET/?$rid=1')],
  ['a registration without $rid', publishPacket(`${REGISTER}?`)],
  ['QoS 2', publishPacket(`${REGISTER}?$rid=1`, '', { qos: 2 })],
]) {
  test(`the connection of a device that provisions ends at ${what}`, async () => {
    const client = await connect();
    client.send(Buffer.concat([subscribePacket(1, ['$dps/registrations/res/#', 0]), bytes]));
    await until('closed', () => client.closed);
  });
}

test('a client that goes in the middle of it leaves nothing behind', async () => {
  for (let i = 0; i < 5; i++) {
    const client = await connect();
    client.send(publishPacket(`${REGISTER}?$rid=1`));
    await client.drop();
  }
  const client = await MqttClient.open(hub);
  client.send(connectPacket({ clientId: 'pump', username: `${hub.facts.idScope}/registrations/pump/api-version=1`, password: password() }));
  await client.drop();
});
