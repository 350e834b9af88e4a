// SPDX-License-Identifier: Apache-2.0
// The forms that the SDKs of .NET, Java, Python, C and embedded C insist on (test/harness/sdk-rules.mjs judges
// every publish and answer): here with what makes them hard, in each kind of message of the hub.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient, publishPacket, TYPES } from '../harness/mqtt.mjs';

const ID = "a-b:c.de%f_gh*i?j!k(l)m,n=o@p;q$r's"; // with '#' or '+' no filter of MQTT could name it
let hub;
let device;
let client;

before(async () => {
  hub = await Hub.started({ set: ['limits.messages_per_device=10', 'limits.modules_per_device=2', 'limits.configurations=1'] });
  device = await hub.createDevice(ID);
  client = await MqttClient.connect(hub, device);
  await client.subscribe('$iothub/twin/res/#', '$iothub/twin/PATCH/properties/desired/#', '$iothub/methods/POST/#',
    `devices/${ID}/messages/devicebound/#`);
});
after(async () => {
  await client.end();
  await hub.stop();
});

for (const [sdk, rid] of [['C', '17'], ['.NET', '0b4c5e0e-51c3-4a1e-8f02-5a1a1a1b2c3d'], ['Java', '4294967296'], ['Python', 'E5B0A6A2-0000-4000-8000-000000000000'],
  ['one that encodes', 'a%20b%2Fc%26d%3De']]) {
  test(`a request identifier of ${sdk} comes back in every kind of twin answer`, async () => {
    const ask = async (topic, payload) => {
      client.send(publishPacket(`${topic}?$rid=${rid}`, payload));
      return client.twinAnswer(rid);
    };
    assert.equal((await ask('$iothub/twin/GET/', '')).status, 200);
    assert.equal((await ask('$iothub/twin/PATCH/properties/reported/', '{"n":1}')).status, 204);
    assert.equal((await ask('$iothub/twin/PATCH/properties/reported/', '{"n":')).status, 400);
    assert.equal((await ask('$iothub/twin/PATCH/properties/reported/', `{"n":"${'x'.repeat(5000)}"}`)).status, 400);
    client.send(publishPacket(`$iothub/twin/PATCH/properties/reported/?$rid=${rid}&$version=9999`, '{"n":1}'));
    assert.equal((await client.twinAnswer(rid)).status, 412);
  });
}

test('every change of desired bears its version in topic and body', async () => {
  for (const change of [{ a: 1 }, { a: null }, { b: { c: [1, { d: 'é€😀' }] } }]) {
    await hub.patchDesired(ID, undefined, change);
    assert.ok('$version' in (await client.nextDesired()).patch);
  }
  await hub.must('PUT', hub.twinPath(ID), { body: { properties: { desired: { z: 1 } } } });
  assert.equal((await client.nextDesired()).patch.b, null, 'what went comes as null');
  await hub.must('PATCH', hub.twinPath(ID), { body: { properties: { desired: null } } });
  assert.equal((await client.nextDesired()).patch.z, null);
});

for (const payload of [null, '', 'foo', 0, false, [], {}, { a: { b: 'ü' } }, undefined]) {
  test(`a method with the payload ${JSON.stringify(payload)} has a topic of five levels`, async () => {
    const called = hub.rest('POST', `${hub.twinPath(ID)}/methods`, { body: { methodName: 'do it?', payload, responseTimeoutInSeconds: 20 } });
    const request = await client.next(TYPES.PUBLISH, (p) => p.topic.startsWith('$iothub/methods/'));
    assert.deepEqual(request.payload === '' ? undefined : JSON.parse(request.payload), payload ?? (request.payload === '' ? undefined : null));
    client.send(publishPacket(`$iothub/methods/res/-7/?$rid=${request.topic.split('=')[1]}`, request.payload));
    const { status, json } = await called;
    assert.equal(status, 200);
    assert.deepEqual(json, { status: -7, payload: payload ?? null });
  });
}

for (const [what, message] of [
  ['nothing but a body', { body: '' }],
  ['every system property', { body: { a: 1 }, messageId: "m:.+%_#*?!(),=@;$'", correlationId: 'c=d&e'.replace('&', ';'), userId: 'a b+c/d', contentType: 'application/json; a=b', contentEncoding: 'utf-8', ack: 'full', timeToLiveSeconds: 60 }],
  ['properties that need escaping', { bodyBase64: 'AAH/', properties: { "!#$%&'*+-.^_`|~": 'a b+c&d=e/f?g#h%20é', k: 'x' } }],
]) {
  test(`a message with ${what} can be read by every SDK`, async () => {
    await hub.must('POST', `/gemel/v1/devices/${encodeURIComponent(ID)}/messages/deviceBound`, { plain: true, body: message });
    const came = await client.next(TYPES.PUBLISH, (p) => p.topic.includes('/messages/devicebound/'));
    const bag = came.topic.slice(came.topic.lastIndexOf('/') + 1);
    const items = Object.fromEntries(bag.split('&').map((item) => item.split('=').map(decodeURIComponent)));
    assert.equal(decodeURIComponent(items['$.to']), `/devices/${ID}/messages/deviceBound`);
    for (const [name, value] of Object.entries(message.properties ?? {})) assert.equal(items[name], value);
    if (message.messageId) assert.equal(items['$.mid'], message.messageId);
  });
}

test('every answer of the REST API has the forms of both parsers', async () => {
  const path = `/devices/${encodeURIComponent(ID)}`;
  const config = { id: 'c', content: { deviceContent: { 'properties.desired.c': 1 } }, targetCondition: '*', priority: 1 };
  const asked = [
    [200, 'GET', path], [200, 'GET', '/devices'], [200, 'GET', '/devices/?top=1'], [404, 'GET', '/devices/none'], [409, 'PUT', path, { deviceId: ID }],
    [200, 'PUT', path, { deviceId: ID, status: 'enabled' }, { 'if-match': '*' }], [412, 'PUT', path, { deviceId: ID }, { 'if-match': '"AAAA"' }],
    [400, 'POST', '/devices', [{ id: 'x', importMode: 'create' }, { id: 'x', importMode: 'create' }, { id: 'none', importMode: 'delete' }]],
    [200, 'PUT', `${path}/modules/m1`, { deviceId: ID, moduleId: 'm1' }], [200, 'PUT', `${path}/modules/m2`, { deviceId: ID, moduleId: 'm2' }],
    [413, 'PUT', `${path}/modules/m3`, { deviceId: ID, moduleId: 'm3' }], [409, 'PUT', `${path}/modules/m1`, { deviceId: ID, moduleId: 'm1' }],
    [200, 'GET', `${path}/modules`], [200, 'GET', `${path}/modules/m1`], [404, 'GET', `${path}/modules/none`],
    [200, 'GET', hub.twinPath(ID)], [200, 'GET', hub.twinPath(ID, 'm1')], [412, 'PATCH', hub.twinPath(ID), { tags: { a: 1 } }, { 'if-match': '"AAAA"' }],
    [400, 'PATCH', hub.twinPath(ID), { tags: { 'a.b': 1 } }], [404, 'PATCH', '/twins/none', { tags: {} }],
    [404, 'POST', `${hub.twinPath(ID, 'm1')}/methods`, { methodName: 'x' }], [400, 'POST', `${hub.twinPath(ID)}/methods`, { methodName: 'x', responseTimeoutInSeconds: 1 }],
    [200, 'POST', '/devices/query', { query: 'SELECT * FROM devices' }, { 'x-ms-max-item-count': '1' }],
    [200, 'POST', '/devices/query', { query: 'SELECT COUNT() AS n FROM devices.modules' }], [400, 'POST', '/devices/query', { query: 'SELECT' }],
    [400, 'PUT', '/configurations/c', { ...config, targetCondition: 'tags.' }], [200, 'PUT', '/configurations/c', config], [409, 'PUT', '/configurations/c', config], [413, 'PUT', '/configurations/c2', { ...config, id: 'c2' }],
    [404, 'GET', '/configurations/none'],
    [200, 'GET', '/configurations'], [200, 'POST', '/configurations/testQueries', { targetCondition: 'nonsense' }],
    [200, 'GET', '/statistics/devices'], [200, 'GET', '/statistics/service'], [404, 'GET', '/nothing'], [405, 'DELETE', '/statistics/devices'],
    [501, 'POST', `${path}/files`, { blobName: 'b' }], [204, 'DELETE', '/configurations/c'], [204, 'DELETE', `${path}/modules/m2`, undefined, { 'if-match': '*' }],
  ];
  for (const [status, method, target, body, headers] of asked) {
    const answer = await hub.rest(method, target, { body, headers });
    const also = status === 200 && method === 'PUT' ? [200, 201] : [status];
    assert.ok(also.includes(answer.status), `${method} ${target}: ${answer.status} ${answer.text}`);
  }
});

test('pages of a query end with one that has no continuation', async () => {
  for (let i = 0; i < 5; i++) await hub.createDevice(`page-${i}`);
  const seen = [];
  let continuation;
  for (let pages = 0; pages < 10; pages++) {
    const answer = await hub.rest('POST', '/devices/query', { body: { query: "SELECT deviceId FROM devices WHERE STARTSWITH(deviceId, 'page-')" },
      headers: { 'x-ms-max-item-count': '2', ...(continuation ? { 'x-ms-continuation': continuation } : {}) } });
    assert.equal(answer.headers['x-ms-item-type'], 'raw');
    seen.push(...answer.json.map((row) => row.deviceId));
    continuation = answer.headers['x-ms-continuation'];
    if (continuation === undefined) break;
  }
  assert.equal(continuation, undefined);
  assert.deepEqual(seen.sort(), ['page-0', 'page-1', 'page-2', 'page-3', 'page-4']);
});
