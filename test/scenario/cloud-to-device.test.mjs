// SPDX-License-Identifier: Apache-2.0
// Cloud-to-device messages over the wire: in order, once completed never again, back after a lost
// connection and after the hub was killed; over MQTT and over the device HTTP API, with feedback.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub, sas } from '../harness/hub.mjs';
import { MqttClient, packet, TYPES } from '../harness/mqtt.mjs';
import { programs, runProgram, sleep, until } from '../harness/programs.mjs';

let hub;
let number = 0;
before(async () => { hub = await Hub.started({ set: ['limits.message_deliveries=3', 'limits.message_lock_seconds=5'] }); });
after(() => hub.stop());

const newDevice = () => hub.createDevice(`d${++number}`);
const filterOf = ({ deviceId }) => `devices/${deviceId}/messages/devicebound/#`;

const send = (device, body, more = {}) =>
  hub.rest('POST', `/gemel/v1/devices/${encodeURIComponent(device.deviceId)}/messages/deviceBound`, { plain: true, body: { body, ...more } });

const sent = async (...args) => {
  const answer = await send(...args);
  assert.equal(answer.status, 201, answer.text);
  return answer.json;
};

const count = async ({ deviceId }) => (await hub.must('GET', `/devices/${deviceId}`)).cloudToDeviceMessageCount;
const feedback = async ({ deviceId }) => (await hub.must('GET', '/gemel/v1/feedback', { plain: true })).items
  .filter((item) => item.deviceId === deviceId).map((item) => [item.originalMessageId, item.statusCode]);

async function connected(device, options) {
  const client = await MqttClient.connect(hub, device, { keepAlive: 0, clean: true, ...options });
  assert.equal(client.code, 0);
  return client;
}

async function nextMessage(client, timeoutMs) {
  const message = await client.next(TYPES.PUBLISH, (p) => p.topic.includes('/messages/devicebound/'), timeoutMs);
  const [, bag] = message.topic.split('/messages/devicebound/');
  const properties = Object.fromEntries(bag.split('&').map((item) => item.split('=').map(decodeURIComponent)));
  const id = message.qos > 0 ? message.body.readUInt16BE(2 + message.body.readUInt16BE(0)) : undefined;
  return { ...message, properties, id, dup: (message.head & 8) !== 0 };
}

const acknowledge = (client, { id }) => client.send(packet(0x40, Buffer.from([id >> 8, id & 255])));

const deviceToken = ({ deviceId, authentication }) =>
  sas(`${hub.hostName}/devices/${encodeURIComponent(deviceId)}`, authentication.symmetricKey.primaryKey);
const asDevice = (device, method, path, options = {}) =>
  hub.rest(method, `/devices/${encodeURIComponent(device.deviceId)}/messages/${path}`, { token: deviceToken(device), ...options });

test('messages wait, come in order when the client subscribes, and are gone once acknowledged', async () => {
  const device = await newDevice();
  for (let i = 0; i < 30; i++) await sent(device, `n${i}`);
  assert.equal(await count(device), 30);
  const client = await connected(device);
  assert.deepEqual(await client.subscribe([filterOf(device), 1]), [1]);
  for (let i = 0; i < 30; i++) {
    const message = await nextMessage(client);
    assert.equal(message.payload, `n${i}`);
    assert.equal(message.qos, 1);
    assert.ok(!message.dup);
    acknowledge(client, message);
  }
  await until('none waits', async () => await count(device) === 0);
  await sent(device, 'one more');
  acknowledge(client, await nextMessage(client));
  await client.end();
});

test('a topic holds what the SDKs read from it', async () => {
  const device = await newDevice();
  const client = await connected(device);
  await client.subscribe(['devices/+/messages/devicebound/#', 1]);
  const expiryTimeUtc = new Date(Date.now() + 60_000).toISOString();
  await sent(device, { a: 1 }, { messageId: 'm-1', correlationId: 'c', userId: 'u', ack: 'full', expiryTimeUtc,
    contentEncoding: 'utf-8', properties: { k: 'v w+&=/ü', empty: '' } });
  const message = await nextMessage(client);
  assert.equal(message.payload, '{"a":1}');
  assert.ok(message.topic.includes('%24.mid=m-1'));
  assert.ok(message.topic.includes('k=v%20w%2B%26%3D%2F%C3%BC'));
  assert.deepEqual({ ...message.properties, '$.exp': Date.parse(message.properties['$.exp']) }, {
    '$.mid': 'm-1', '$.to': `/devices/${device.deviceId}/messages/deviceBound`, '$.cid': 'c', '$.uid': 'u',
    '$.exp': Date.parse(expiryTimeUtc), '$.ct': 'application/json', '$.ce': 'utf-8', 'iothub-ack': 'full', k: 'v w+&=/ü', empty: '' });
  acknowledge(client, message);
  await until('feedback', async () => (await feedback(device)).length === 1);
  assert.deepEqual(await feedback(device), [['m-1', 'Success']]);
  const { events } = await hub.must('GET', `/gemel/v1/events?from=earliest&source=feedback&device=${device.deviceId}`, { plain: true });
  assert.equal(events[0].systemProperties['iothub-message-source'], 'feedback');
  assert.equal(events[0].body[0].statusCode, 'Success');
  await client.end();
});

test('what is not acknowledged comes again on the next connection, in order, and at last is given up', async () => {
  const device = await newDevice();
  await sent(device, 'a', { messageId: 'a', ack: 'negative' });
  await sent(device, 'b', { messageId: 'b', ack: 'negative' });
  for (let round = 0; round < 3; round++) {
    const client = await connected(device);
    await client.subscribe([filterOf(device), 1]);
    const first = await nextMessage(client);
    assert.equal(first.payload, 'a');
    assert.equal(first.dup, round > 0);
    const second = await nextMessage(client);
    assert.equal(second.payload, 'b');
    if (round === 2) {
      acknowledge(client, second);
      await until('completed', async () => await count(device) === 1);
    }
    await client.drop();
    await until('gone', async () => (await hub.twin(device.deviceId)).connectionState === 'Disconnected');
  }
  const client = await connected(device);
  await client.subscribe([filterOf(device), 1]);
  await until('given up', async () => (await feedback(device)).length === 1);
  assert.deepEqual(await feedback(device), [['a', 'DeliveryCountExceeded']]);
  assert.ok(!client.packets.some((p) => p.type === TYPES.PUBLISH));
  await client.end();
});

test('a lasting session is given its messages without subscribing again; QoS 0 completes by sending', async () => {
  const device = await newDevice();
  const client = await connected(device, { clean: false });
  await client.subscribe([filterOf(device), 1]);
  await client.end();
  await sent(device, 'while away');
  const back = await connected(device, { clean: false });
  assert.ok(back.sessionPresent);
  acknowledge(back, await nextMessage(back));
  await until('completed', async () => await count(device) === 0);
  assert.deepEqual(await back.subscribe([filterOf(device), 0]), [0]);
  await sent(device, 'at most once');
  assert.equal((await nextMessage(back)).qos, 0);
  await until('completed', async () => await count(device) === 0);
  await back.end();
});

test('a lasting session keeps the QoS that it subscribed with', async () => {
  const device = await newDevice();
  for (const qos of [0, 1, 0]) { // each is a change of nothing but that
    const client = await connected(device, { clean: false });
    assert.deepEqual(await client.subscribe([filterOf(device), qos]), [qos]);
    await client.end();
    await sent(device, `with ${qos}`);
    const back = await connected(device, { clean: false });
    const message = await nextMessage(back);
    assert.equal(message.qos, qos);
    if (qos > 0) acknowledge(back, message);
    await until('completed', async () => await count(device) === 0);
    await back.end();
  }
});

test('asking over HTTPS for the head of a message does not take it', async () => {
  const device = await newDevice();
  await sent(device, 'x');
  const head = await asDevice(device, 'HEAD', 'devicebound');
  assert.equal(head.status, 405);
  assert.equal(head.headers.allow, 'GET');
  const message = await asDevice(device, 'GET', 'devicebound');
  assert.equal(message.status, 200);
  assert.equal(message.headers['iothub-deliverycount'], '0');
  assert.equal((await hub.rest('HEAD', `/devices/${device.deviceId}`)).status, 200);
});

test('feedback is received in batches, and again until it is completed', async () => {
  const receive = () => hub.rest('GET', '/messages/serviceBound/feedback');
  const settle = (method, { headers }, rest = '') =>
    hub.rest(method, `/messages/serviceBound/feedback/${headers.etag.replaceAll('"', '')}${rest}`);
  for (let left = await receive(); left.status !== 204; left = await receive()) // that of other tests
    assert.equal((await settle('DELETE', left)).status, 204);
  const device = await newDevice();
  const client = await connected(device);
  await client.subscribe([filterOf(device), 1]);
  await sent(device, 'x', { messageId: 'wants-feedback', ack: 'positive' });
  acknowledge(client, await nextMessage(client));
  let batch;
  await until('feedback', async () => { batch = await receive(); return batch.status === 200; });
  assert.match(batch.headers['content-type'], /^application\/vnd\.microsoft\.iothub\.feedback\.json/);
  const [record, ...others] = JSON.parse(batch.text);
  assert.deepEqual(others, []);
  assert.deepEqual({ ...record, enqueuedTimeUtc: '', deviceGenerationId: '' }, { originalMessageId: 'wants-feedback',
    enqueuedTimeUtc: '', statusCode: 'Success', description: 'Success', deviceId: device.deviceId, deviceGenerationId: '' });
  assert.equal((await receive()).status, 204);
  assert.equal((await settle('POST', batch, '/abandon')).status, 204);
  assert.equal((await settle('DELETE', batch)).status, 412);
  batch = await receive();
  await hub.kill9();
  await hub.start();
  assert.equal((await settle('DELETE', batch)).status, 204);
  assert.equal((await receive()).status, 204);
  await client.drop();
});

test('nobody receives what is for another, and who did not subscribe receives nothing', async () => {
  const device = await newDevice();
  const other = await newDevice();
  const foreigner = await connected(other);
  assert.deepEqual(await foreigner.subscribe([filterOf(device), 1]), [0x80]);
  await foreigner.subscribe(['devices/+/messages/devicebound/#', 1]);
  const client = await connected(device);
  await sent(device, 'x');
  await foreigner.publish(`devices/${other.deviceId}/messages/events/`, 'a round trip');
  assert.ok(![...foreigner.packets, ...client.packets].some((p) => p.type === TYPES.PUBLISH));
  await client.subscribe([filterOf(device), 1]);
  acknowledge(client, { id: 4711 }); // of none
  assert.equal((await nextMessage(client)).payload, 'x');
  await Promise.all([client.end(), foreigner.end()]);
});

test('a queue has an end; purging empties it', async () => {
  const device = await newDevice();
  for (let i = 0; i < 50; i++) await sent(device, 'x', { messageId: `${i}`, ack: i === 0 ? 'full' : 'none' });
  const refused = await send(device, 'x');
  assert.equal(refused.status, 403);
  assert.equal(refused.headers['iothub-errorcode'], 'DeviceMaximumQueueDepthExceeded');
  const purged = await hub.must('DELETE', `/devices/${device.deviceId}/commands`);
  assert.deepEqual(purged, { totalMessagesPurged: 50, deviceId: device.deviceId, moduleId: null });
  assert.deepEqual(await feedback(device), [['0', 'Purged']]);
  assert.equal(await count(device), 0);
});

test('a message that has expired is not delivered', async () => {
  const device = await newDevice();
  await sent(device, 'short', { messageId: 's', timeToLiveSeconds: 1, ack: 'full' });
  await sent(device, 'long');
  await sleep(1100);
  const client = await connected(device);
  await client.subscribe([filterOf(device), 1]);
  const message = await nextMessage(client);
  assert.equal(message.payload, 'long');
  acknowledge(client, message);
  assert.deepEqual(await feedback(device), [['s', 'Expired']]);
  const idle = await newDevice();
  await sent(idle, 'short', { messageId: 'i', timeToLiveSeconds: 1, ack: 'negative' });
  await until('swept', async () => (await feedback(idle)).length === 1, 15_000);
  assert.equal(await count(idle), 0);
  await client.end();
});

test('over HTTPS a message is received, abandoned, completed and rejected by its lock', async () => {
  const device = await newDevice();
  assert.equal((await asDevice(device, 'GET', 'deviceBound')).status, 204);
  await sent(device, 'one', { messageId: '1', ack: 'full', correlationId: 'c', userId: 'u', properties: { Key: 'v w', u: 'ü' } });
  await sent(device, 'two', { messageId: '2', ack: 'full' });
  const one = await asDevice(device, 'GET', 'devicebound');
  assert.equal(one.status, 200);
  assert.equal(one.text, 'one');
  assert.equal(one.headers['iothub-messageid'], '1');
  assert.equal(one.headers['iothub-correlationid'], 'c');
  assert.equal(one.headers['iothub-userid'], 'u');
  assert.equal(one.headers['iothub-ack'], 'full');
  assert.equal(one.headers['iothub-to'], `/devices/${device.deviceId}/messages/deviceBound`);
  assert.equal(one.headers['iothub-deliverycount'], '0');
  assert.equal(one.headers['iothub-app-key'], 'v w');
  assert.equal(one.headers['iothub-app-u'], '%C3%BC');
  assert.match(one.headers['iothub-expiry'], /^\d{4}-/);
  const token = /^"(.*)"$/.exec(one.headers.etag)[1];
  const two = await asDevice(device, 'GET', 'deviceBound');
  assert.equal(two.text, 'two'); // the first is held
  assert.equal((await asDevice(device, 'GET', 'deviceBound')).status, 204);
  assert.equal((await asDevice(device, 'POST', `deviceBound/${token}/abandon`)).status, 204);
  const again = await asDevice(device, 'GET', 'deviceBound');
  assert.equal(again.text, 'one');
  assert.equal(again.headers['iothub-deliverycount'], '1');
  const stale = await asDevice(device, 'DELETE', `deviceBound/${token}`);
  assert.equal(stale.status, 412);
  assert.equal(stale.headers['iothub-errorcode'], 'DeviceMessageLockLost');
  const fresh = /^"(.*)"$/.exec(again.headers.etag)[1];
  assert.equal((await asDevice(device, 'DELETE', `deviceBound/${fresh}`, { headers: { 'if-match': '"other"' } })).status, 412);
  assert.equal((await asDevice(device, 'DELETE', `deviceBound/${fresh}`, { headers: { 'if-match': again.headers.etag } })).status, 204);
  assert.equal((await asDevice(device, 'DELETE', `deviceBound/${fresh}`)).status, 412);
  const other = /^"(.*)"$/.exec(two.headers.etag)[1];
  assert.equal((await asDevice(device, 'DELETE', `deviceBound/${other}?reject`)).status, 204);
  assert.deepEqual(await feedback(device), [['1', 'Success'], ['2', 'Rejected']]);
  for (const wrong of ['x', '%00', '00000000-0000-0000-0000-000000000000', 'f'.repeat(32), 'f'.repeat(33), '%27%3B--'])
    assert.equal((await asDevice(device, 'DELETE', `deviceBound/${wrong}`)).status, wrong === '%00' ? 400 : 412, wrong);
});

test('a lock over HTTPS ends by itself, and the client that subscribed gets the message', async () => {
  const device = await newDevice();
  const client = await connected(device);
  await sent(device, 'x');
  assert.equal((await asDevice(device, 'GET', 'deviceBound')).status, 200);
  await client.subscribe([filterOf(device), 1]);
  const message = await nextMessage(client, 20_000);
  assert.ok(message.dup);
  assert.equal((await asDevice(device, 'GET', 'deviceBound')).status, 204); // held by the session
  acknowledge(client, message);
  await until('completed', async () => await count(device) === 0);
  await client.end();
});

test('the device API lets in the device itself, or a policy with DeviceConnect', async () => {
  const device = await newDevice();
  const other = await newDevice();
  const policies = await hub.policies();
  for (const [token, status] of [[null, 401], ['x', 401], [deviceToken(other), 401], [hub.token(policies.service), 401],
    [hub.token(policies.device), 204], [hub.token(), 204], [deviceToken(device), 204]])
    assert.equal((await asDevice(device, 'GET', 'deviceBound', { token })).status, status);
  assert.equal((await asDevice({ ...device, deviceId: 'nobody' }, 'GET', 'deviceBound', { token: hub.token() })).status, 401);
  await hub.must('PUT', `/devices/${device.deviceId}`, { body: { deviceId: device.deviceId, status: 'disabled' }, headers: { 'if-match': '*' } });
  assert.equal((await asDevice(device, 'GET', 'deviceBound')).status, 401);
});

test('a device sends events over HTTPS, one or a batch', async () => {
  const device = await newDevice();
  const single = await asDevice(device, 'POST', 'events', { raw: true, body: '{"n":1}', headers: {
    'iothub-app-Key': 'v', 'IoTHub-MessageId': 'm', 'iothub-contenttype': 'application/json', 'iothub-contentencoding': 'utf-8', 'dt-subject': 'part' } });
  assert.equal(single.status, 204, single.text);
  const batch = (body) => asDevice(device, 'POST', 'events', { raw: true, body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/vnd.microsoft.iothub.json' } });
  assert.equal((await batch([{ body: Buffer.from('two').toString('base64'), properties: { 'iothub-app-k': '2' } },
    { body: 'three', base64Encoded: false }, { properties: {} }])).status, 204);
  for (const wrong of ['', '[', '{}', '[]', '[1]', '[{"body":1}]', '[{"body":"!"}]', '[{"body":"eA==","properties":[]}]', '[{"properties":{"a":1}}]'])
    assert.equal((await batch(wrong)).status, 400, wrong);
  const [one, two, three, four, ...more] = await hub.events({ deviceId: device.deviceId });
  assert.equal(more.length, 0);
  assert.deepEqual(one.body, { n: 1 });
  assert.deepEqual(one.properties, { Key: 'v' });
  assert.equal(one.systemProperties['message-id'], 'm');
  assert.equal(one.systemProperties['dt-subject'], 'part');
  assert.equal(one.systemProperties['iothub-connection-device-id'], device.deviceId);
  assert.deepEqual([two.body, two.properties, three.body, four.body], ['two', { k: '2' }, 'three', '']);
  assert.equal((await asDevice(device, 'POST', 'events', { raw: true, body: 'x'.repeat(262_145) })).status, 413);
});

test('what cannot be a message is refused', async () => {
  const device = await newDevice();
  for (const [more, status] of [[{ messageId: 'x'.repeat(129) }, 400], [{ messageId: 'a b' }, 400], [{ userId: 'a\nb' }, 400],
    [{ ack: 'all' }, 400], [{ properties: [] }, 400], [{ properties: { 'a b': 'c' } }, 400], [{ properties: { a: 1 } }, 400],
    [{ properties: { a: 'b\r\nc: d' } }, 400], [{ properties: { 'iothub-ack': 'full' } }, 400], [{ timeToLiveSeconds: 0 }, 403],
    [{ timeToLiveSeconds: 172_801 }, 403], [{ expiryTimeUtc: '2001-01-01T00:00:00Z' }, 403], [{ expiryTimeUtc: 'soon' }, 400],
    [{ bodyBase64: 'eA==' }, 400], [{ body: 'x'.repeat(65_537) }, 413], [{ properties: { a: 'x'.repeat(65_500) } }, 413]])
    assert.equal((await send(device, 'x', more)).status, status, JSON.stringify(more).slice(0, 80));
  assert.equal((await send({ deviceId: 'nobody' }, 'x')).headers['iothub-errorcode'], 'DeviceNotFound');
  await sent(device, undefined, { bodyBase64: Buffer.from([0, 255, 1]).toString('base64') });
  assert.equal(await count(device), 1);
});

test('a hub that is killed keeps every message it took, and delivers none that was completed', async () => {
  const own = await Hub.started();
  const device = await own.createDevice('k');
  const path = '/gemel/v1/devices/k/messages/deviceBound';
  for (let i = 0; i < 20; i++) assert.equal((await own.rest('POST', path, { plain: true, body: { body: `${i}` } })).status, 201);
  let client = await MqttClient.connect(own, device, { keepAlive: 0, clean: true });
  await client.subscribe([filterOf(device), 1]);
  for (let i = 0; i < 10; i++) {
    const message = await nextMessage(client);
    assert.equal(message.payload, `${i}`);
    acknowledge(client, message);
  }
  await until('ten are completed', async () => (await own.must('GET', '/devices/k')).cloudToDeviceMessageCount === 10);
  await own.kill9();
  await client.closing;
  await own.start();
  client = await MqttClient.connect(own, device, { keepAlive: 0, clean: true });
  await client.subscribe([filterOf(device), 1]);
  for (let i = 10; i < 20; i++) {
    const message = await nextMessage(client);
    assert.equal(message.payload, `${i}`);
    acknowledge(client, message);
  }
  await until('none is left', async () => (await own.must('GET', '/devices/k')).cloudToDeviceMessageCount === 0);
  await client.end();
  await own.stop();
});
