// SPDX-License-Identifier: Apache-2.0
// Faults that a client asks for, as the SDKs' own test suites do; where they are not switched on, what
// asks for them is an event like any other.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient } from '../harness/mqtt.mjs';

let hub;
before(async () => { hub = await Hub.started({ set: ['tests.fault_injection=1'] }); });
after(() => hub.stop());

const topic = (device, type, reason, delay) => `devices/${device}/messages/events/`
  + `AzIoTHub_FaultOperationType=${type}&AzIoTHub_FaultOperationCloseReason=${reason}&AzIoTHub_FaultOperationDelayInSecs=${delay}`;
const telemetry = async (at, deviceId) => (await at.events({ deviceId })).filter((e) => e.systemProperties['iothub-message-source'] === 'Telemetry');

let number = 0;
for (const [type, reason, delay] of [['KillTcp', 'boom', 1], ['KillTcp', 'byebye', 0], ['ShutDownMqtt', 'byebye', 1], ['ShutDownMqtt', 'boom', 0],
  ['InvokeAuthError', 'boom', 0]]) {
  test(`${type}, ${reason}, after ${delay} s: acknowledged, then the connection is gone, and comes again`, async () => {
    const device = await hub.createDevice(`d${++number}`);
    const client = await MqttClient.connect(hub, device, { keepAlive: 0, will: { topic: `devices/d${number}/messages/events/`, payload: 'will' } });
    let ended = false;
    client.socket.on('end', () => { ended = true; });
    const began = Date.now();
    await client.publish(topic(device.deviceId, type, reason, delay), 'no event');
    const late = setTimeout(() => client.socket.destroy(new Error('late')), 20_000);
    await client.closing;
    clearTimeout(late);
    assert.ok(Date.now() - began >= delay * 1000);
    assert.ok(Date.now() - began < 15_000, 'the connection was not closed');
    if (reason === 'byebye') assert.ok(ended, 'the end was not said');
    const again = await MqttClient.connect(hub, device, { keepAlive: 0 });
    assert.equal(again.code, 0);
    await again.publish(`devices/${device.deviceId}/messages/events/`, 'after');
    assert.deepEqual((await telemetry(hub, device.deviceId)).map((e) => e.body), ['will', 'after']);
    await again.end();
  });
}

test('a fault of AMQP is acknowledged and nothing follows', async () => {
  const device = await hub.createDevice('amqp');
  const client = await MqttClient.connect(hub, device, { keepAlive: 0 });
  await client.publish(topic('amqp', 'KillAmqpSession', 'boom', 0), 'no event');
  await client.publish('devices/amqp/messages/events/', 'an event');
  assert.deepEqual((await telemetry(hub, 'amqp')).map((e) => e.body), ['an event']);
  await client.end();
});

test('where they are not switched on, it is an event', async () => {
  const plain = await Hub.started();
  try {
    const device = await plain.createDevice('d');
    const client = await MqttClient.connect(plain, device, { keepAlive: 0 });
    await client.publish(topic('d', 'KillTcp', 'boom', 0), 'an event');
    await client.publish('devices/d/messages/events/', 'another');
    assert.equal((await telemetry(plain, 'd')).length, 2);
    await client.end();
  } finally {
    await plain.stop();
  }
});
