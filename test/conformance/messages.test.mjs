// SPDX-License-Identifier: Apache-2.0
// Cloud-to-device messages with the unmodified azure-iot-device over MQTT and over HTTP, and
// device-to-cloud messages over HTTP. What IoT Hub takes over AMQP only is sent by Gemel's own path.
import assert from 'node:assert/strict';
import { request } from 'node:https';
import { after, test } from 'node:test';

import httpSdk from 'azure-iot-device-http';

import { parseConnectionString, sas } from '../harness/hub.mjs';
import { until } from '../harness/programs.mjs';
import { Client, createDevice, deviceConnectionString, facts, Message, Mqtt, once, registry } from './place.mjs';

const made = new Set();
const open = new Set();
after(async () => {
  for (const client of open) await client.close().catch(() => {});
  for (const deviceId of made) await registry.delete(deviceId).catch(() => {});
});

const { SharedAccessKeyName, SharedAccessKey } = parseConnectionString(facts.connectionString);
const ask = (method, path, body) => new Promise((resolve, reject) => {
  const call = request({ host: facts.hostName, port: 443, method, path, headers: { 'content-type': 'application/json',
    authorization: sas(facts.hostName, SharedAccessKey, SharedAccessKeyName) } }, (answer) => {
    let text = '';
    answer.on('data', (data) => { text += data; });
    answer.on('end', () => (answer.statusCode < 300 ? resolve(JSON.parse(text)) : reject(new Error(text))));
  });
  call.on('error', reject);
  call.end(body === undefined ? undefined : JSON.stringify(body));
});
const send = (deviceId, message) => ask('POST', `/gemel/v1/devices/${deviceId}/messages/deviceBound`, message);
const outcomes = async (deviceId) => (await ask('GET', '/gemel/v1/feedback')).items
  .filter((item) => item.deviceId === deviceId).map((item) => item.statusCode);

async function connected(transport) {
  const device = await createDevice();
  made.add(device.deviceId);
  const client = Client.fromConnectionString(deviceConnectionString(device), transport);
  await client.open();
  open.add(client);
  return { device, client };
}

test('over MQTT a message arrives with all it holds, and completing it is told', async () => {
  const { device, client } = await connected(Mqtt);
  const arrives = once(client, 'message');
  await send(device.deviceId, { body: { a: 1 }, messageId: 'm1', correlationId: 'c1', ack: 'full', properties: { key: 'a value' } });
  const message = await arrives;
  assert.deepEqual(JSON.parse(message.getData().toString()), { a: 1 });
  assert.equal(message.messageId, 'm1');
  assert.equal(message.correlationId, 'c1');
  assert.equal(message.contentType, 'application/json');
  assert.equal(message.properties.getValue('iothub-ack'), 'full'); // the SDK leaves it there
  assert.equal(message.properties.getValue('key'), 'a value');
  await client.complete(message);
  await until('the feedback', async () => (await outcomes(device.deviceId)).join() === 'Success');
});

test('over MQTT what was sent before the device listened arrives in order', async () => {
  const { device, client } = await connected(Mqtt);
  for (let i = 0; i < 10; i++) await send(device.deviceId, { body: `${i}` });
  const seen = [];
  client.on('message', (message) => { seen.push(message.getData().toString()); client.complete(message, () => {}); });
  await until('ten', () => seen.length === 10);
  assert.deepEqual(seen, Array.from({ length: 10 }, (_, i) => `${i}`));
  await until('none waits', async () => (await registry.get(device.deviceId)).responseBody.cloudToDeviceMessageCount === 0);
});

for (const [verb, outcome] of [['complete', 'Success'], ['reject', 'Rejected']]) {
  test(`over HTTP a message is received, abandoned, and then: ${verb}`, async () => {
    const { device, client } = await connected(httpSdk.Http);
    await client.setOptions({ http: { receivePolicy: { interval: 1 } } });
    await send(device.deviceId, { body: 'text', messageId: 'h1', ack: 'full', properties: { key: 'value' } });
    const first = await once(client, 'message');
    assert.equal(first.getData().toString(), 'text');
    assert.equal(first.messageId, 'h1');
    assert.equal(first.properties.getValue('iothub-app-key'), 'value'); // the SDK leaves the prefix
    await client.abandon(first);
    const second = await once(client, 'message');
    await client[verb](second);
    assert.deepEqual(await outcomes(device.deviceId), [outcome]);
    client.removeAllListeners('message');
  });
}

test('over HTTP a device sends one message and a batch', async () => {
  const { device, client } = await connected(httpSdk.Http);
  const message = new Message('{"n":1}');
  message.properties.add('key', 'value');
  message.messageId = 'e1';
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  await client.sendEvent(message);
  await client.sendEventBatch([new Message('two'), new Message('three')]);
  const { events } = await ask('GET', `/gemel/v1/events?from=earliest&limit=1000&device=${device.deviceId}`);
  assert.deepEqual(events.map(({ body }) => body), [{ n: 1 }, 'two', 'three']);
  assert.deepEqual(events[0].properties, { key: 'value' });
  assert.equal(events[0].systemProperties['message-id'], 'e1');
});

test('purging empties the queue', async () => {
  const { device } = await connected(Mqtt);
  for (let i = 0; i < 3; i++) await send(device.deviceId, { body: 'x' });
  const purged = await ask('DELETE', `/devices/${device.deviceId}/commands?api-version=2021-04-12`);
  assert.equal(purged.totalMessagesPurged, 3);
});
