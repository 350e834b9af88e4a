// SPDX-License-Identifier: Apache-2.0
// A hub with limits: what is over them waits for its turn and then is refused as IoT Hub refuses,
// an event that was acknowledged is there, and who keeps within the limits notices nothing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub, sas } from '../harness/hub.mjs';
import { connectPacket, MqttClient, publishPacket, TYPES } from '../harness/mqtt.mjs';
import { sleep, until } from '../harness/programs.mjs';

let hub;
before(async () => {
  hub = await Hub.started({ set: ['throttle.burst_seconds=1', 'throttle.queue_seconds=1', 'throttle.d2c_sends_each=20',
    'throttle.twin_reads_each=4', 'throttle.connections_each=1', 'throttle.queries=60'] });
});
after(() => hub.stop());

const events = ({ deviceId }) => `devices/${deviceId}/messages/events/`;
const metric = async (outcome, name) => {
  const text = (await hub.rest('GET', '/metrics', { plain: true,
    token: `Basic ${Buffer.from(`${hub.facts.admin.user}:${hub.facts.admin.password}`).toString('base64')}` })).text;
  return Number(new RegExp(`^gemel_throttle_${outcome}_total\\{class="${name}"\\} (\\d+)$`, 'm').exec(text)[1]);
};

test('events over the rate are stored in their order, and acknowledged as they are', async () => {
  const loud = await hub.createDevice('loud');
  const calm = await hub.createDevice('calm');
  const client = await MqttClient.connect(hub, loud, { keepAlive: 0 });
  const other = await MqttClient.connect(hub, calm, { keepAlive: 0 });
  const began = Date.now();
  for (let i = 0; i < 80; i++) client.send(publishPacket(events(loud), `n${i}`, { qos: 1, id: i + 1 }));
  await other.publish(events(calm), 'x');
  assert.ok(client.packets.filter((p) => p.type === TYPES.PUBACK).length < 80, 'the calm one waited for the loud');
  for (let i = 0; i < 80; i++) {
    const { body } = await client.next(TYPES.PUBACK, undefined, 30_000);
    assert.equal(body.readUInt16BE(0), i + 1);
  }
  assert.ok(Date.now() - began >= 2800, `80 events, of which 20 a second are allowed, took ${Date.now() - began} ms`);
  assert.deepEqual((await hub.events({ deviceId: 'loud' })).filter((e) => e.systemProperties['iothub-message-source'] === 'Telemetry')
    .map((e) => (typeof e.body === 'string' ? e.body : JSON.stringify(e.body))), Array.from({ length: 80 }, (_, i) => `n${i}`));
  assert.ok(await metric('delayed', 'd2c-sends') > 0); // a busy machine itself takes up some of the time
  assert.equal(await metric('refused', 'd2c-sends'), 0);
  await client.end();
  await other.end();
});

test('a client that goes while its events wait is gone at once, and they do not come behind it', async () => {
  const device = await hub.createDevice('goes');
  const client = await MqttClient.connect(hub, device, { keepAlive: 0 });
  for (let i = 0; i < 2000; i++) client.send(publishPacket(events(device), 'x', { qos: 1, id: i + 1 }));
  await client.next(TYPES.PUBACK);
  await client.drop();
  await until('it is gone', async () => (await hub.must('GET', '/devices/goes')).connectionState === 'Disconnected');
  const count = async () => (await hub.events({ deviceId: 'goes' })).length;
  const then = await count();
  await sleep(500);
  assert.equal(await count(), then);
});

test('twin requests over the rate wait, then are answered with 429', async () => {
  const client = await MqttClient.connect(hub, await hub.createDevice('reads'), { keepAlive: 0 });
  await client.subscribe('$iothub/twin/res/#');
  for (let i = 0; i < 40; i++) client.send(publishPacket(`$iothub/twin/GET/?$rid=${100 + i}`));
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => client.twinAnswer(`${100 + i}`)));
  const refused = answers.filter(({ status }) => status === 429);
  const read = answers.filter(({ status }) => status === 200);
  assert.equal(read.length + refused.length, 40);
  assert.ok(read.length >= 5 && refused.length >= 5, `${read.length} read, ${refused.length} refused`);
  assert.equal(refused[0].body.errorCode, 429001);
  assert.match(refused[0].body.message, /twin-reads.*throttle\.twin_reads/);
  await sleep(1500);
  assert.equal((await client.getTwin()).status, 200);
  await client.end();
});

test('connections over the rate get code 3, and strangers use nothing up', async () => {
  const device = await hub.createDevice('comes');
  const credentials = MqttClient.credentials(hub, device);
  const connect = async (options) => {
    const client = await MqttClient.open(hub);
    client.send(connectPacket({ ...credentials, ...options }));
    const code = (await client.next(TYPES.CONNACK)).body[1];
    await client.drop();
    return code;
  };
  const wrong = sas(`${hub.hostName}/devices/comes`, Buffer.from('another key').toString('base64'));
  assert.deepEqual(await Promise.all(Array.from({ length: 5 }, () => connect({ password: wrong }))), [5, 5, 5, 5, 5]);
  const codes = await Promise.all(Array.from({ length: 12 }, () => connect()));
  assert.ok(codes.every((code) => code === 0 || code === 3), codes.join());
  assert.ok(codes.includes(0) && codes.includes(3), codes.join());
});

test('REST over the rate gets the documented 429, with when to try again', async () => {
  const query = () => hub.rest('POST', '/devices/query', { body: { query: 'SELECT * FROM devices' } });
  const answers = await Promise.all(Array.from({ length: 6 }, query));
  const refused = answers.filter(({ status }) => status === 429);
  assert.ok(refused.length >= 3 && answers.some(({ status }) => status === 200), answers.map(({ status }) => status).join());
  assert.equal(refused[0].headers['iothub-errorcode'], 'ThrottlingException');
  assert.match(refused[0].headers['retry-after'], /^[1-9]\d*$/);
  assert.match(refused[0].json.Message, /^ErrorCode:ThrottlingException;[^;]*throttle\.queries/);
  assert.ok(await metric('refused', 'queries') >= 3);
  await sleep(1000 * Number(refused[0].headers['retry-after']));
  assert.equal((await query()).status, 200);
});

test('the log has one line of it in a minute', () => {
  const lines = hub.program.stderr.split('\n').filter((line) => line.includes('requests were throttled'));
  assert.equal(lines.length, 1, lines.join('\n'));
});
