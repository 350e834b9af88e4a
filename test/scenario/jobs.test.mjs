// SPDX-License-Identifier: Apache-2.0
// Scheduled jobs of whole hubs: over many devices, with kill -9 at any moment, over restarts.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient, publishPacket, TYPES } from '../harness/mqtt.mjs';
import { sleep, until } from '../harness/programs.mjs';

const DEVICES = 500;
let hub;
before(async () => {
  hub = await Hub.started({ set: ['limits.job_devices_per_second=1000000', 'limits.job_methods=6'] });
  for (let i = 0; i < DEVICES; i += 100) {
    const items = Array.from({ length: 100 }, (_, k) => ({ id: `many-${i + k}`, importMode: 'create', tags: { many: true } }));
    await hub.must('POST', '/devices', { body: items });
  }
});
after(() => hub.stop());

const job = (id) => hub.must('GET', `/jobs/v2/${id}`);
const create = (id, body) => hub.must('PUT', `/jobs/v2/${id}`, { body: { jobId: id, maxExecutionTimeInSeconds: 600, ...body } });
const ends = (id, status = 'completed') => until(`${id} is ${status}`,
  async () => (await job(id)).status === status, { timeoutMs: 60_000 });
async function rows(condition) {
  const found = [];
  let token;
  do {
    const answer = await hub.rest('POST', '/devices/query', { body: { query: `SELECT * FROM devices.jobs WHERE ${condition}` },
      headers: { 'x-ms-max-item-count': '200', ...(token ? { 'x-ms-continuation': token } : {}) } });
    assert.equal(answer.status, 200, answer.text);
    found.push(...answer.json);
    token = answer.headers['x-ms-continuation'];
  } while (token !== undefined);
  return found;
}
const stats = (deviceCount, failedCount, succeededCount) =>
  ({ deviceCount, failedCount, succeededCount, runningCount: 0, pendingCount: 0 });

// Every change makes one version: who was changed twice has one too many.
test('a job that is killed again and again changes every twin, and none twice', async () => {
  await create('update', { type: 'scheduleUpdateTwin', queryCondition: 'tags.many = true',
    updateTwin: { etag: '*', properties: { desired: { level: 1 } } } });
  for (let round = 0; round < 4; round++) {
    await sleep(20 + Math.random() * 150);
    await hub.kill9();
    await hub.start();
    await job('update');
  }
  await ends('update');
  assert.deepEqual((await job('update')).deviceJobStatistics, stats(DEVICES, 0, DEVICES));
  const twins = await hub.must('POST', '/devices/query', { headers: { 'x-ms-max-item-count': '1000' },
    body: { query: 'SELECT deviceId, properties.desired.level, properties.desired.$version AS v FROM devices WHERE tags.many = true' } });
  assert.equal(twins.length, DEVICES);
  for (const twin of twins) assert.deepEqual({ level: twin.level, v: twin.v }, { level: 1, v: 2 }, twin.deviceId);
  const found = await rows("devices.jobs.jobId = 'update' AND devices.jobs.status = 'completed'");
  assert.equal(new Set(found.map((row) => row.deviceId)).size, DEVICES);
  assert.equal(found.length, DEVICES);
});

test('a method in flight at a kill is not sent again, and said to be unknown', async () => {
  const device = await hub.createDevice('asked');
  let client = await MqttClient.connect(hub, device);
  await client.subscribe('$iothub/methods/POST/#');
  await create('method', { type: 'scheduleDeviceMethod', queryCondition: "deviceId = 'asked'",
    cloudToDeviceMethod: { methodName: 'reboot', payload: { in: 5 }, responseTimeoutInSeconds: 300 } });
  const request = await client.next(TYPES.PUBLISH, (packet) => packet.topic.startsWith('$iothub/methods/POST/reboot/'));
  assert.equal(request.payload.toString(), '{"in":5}');
  await hub.kill9();
  await hub.start();
  client = await MqttClient.connect(hub, device);
  await client.subscribe('$iothub/methods/POST/#');
  await ends('method');
  assert.deepEqual((await job('method')).deviceJobStatistics, stats(1, 1, 0));
  const [row] = await rows("devices.jobs.deviceId = 'asked'");
  assert.equal(row.status, 'failed');
  assert.equal(row.error.code, 'ServiceUnavailable');
  assert.match(row.error.description, /not known/);
  await client.end();
});

test('a method in flight at an orderly stop is waited for, and those that were not sent go on after it', async () => {
  const device = await hub.createDevice('polite');
  await hub.createDevice('polite-later');
  const client = await MqttClient.connect(hub, device);
  await client.subscribe('$iothub/methods/POST/#');
  await create('stop', { type: 'scheduleDeviceMethod', queryCondition: "STARTSWITH(deviceId, 'polite')",
    cloudToDeviceMethod: { methodName: 'reboot', responseTimeoutInSeconds: 300, connectTimeoutInSeconds: 300 } });
  const { topic } = await client.next(TYPES.PUBLISH, (packet) => packet.topic.startsWith('$iothub/methods/POST/reboot/'));
  await until('both are begun', async () => (await job('stop')).deviceJobStatistics.runningCount === 2);
  const stopped = hub.stop();
  await until('none begins', async () => (await hub.rest('POST', '/twins/polite/methods', { body: { methodName: 'm' } })).status === 503);
  client.send(publishPacket(`$iothub/methods/res/200/?${topic.split('?')[1]}`, '{"done":true}'));
  await stopped;
  await hub.start();
  const found = Object.fromEntries((await rows("devices.jobs.jobId = 'stop'")).map((row) => [row.deviceId, row]));
  assert.deepEqual(found.polite.outcome, { deviceMethodResponse: { payload: { done: true }, status: 200 } });
  assert.match(found['polite-later'].status, /pending|running/);
  await hub.must('POST', '/jobs/v2/stop/cancel');
});

// A device that answers some time after it was asked, and counts how often it was.
async function answering(device) {
  const client = await MqttClient.connect(hub, device.identity, { clean: true });
  await client.subscribe('$iothub/methods/POST/#');
  (async () => {
    for (;;) {
      const { topic } = await client.next(TYPES.PUBLISH, (packet) => packet.topic.startsWith('$iothub/methods/POST/'), 300_000);
      device.asked += 1;
      await sleep(Math.random() * 300);
      client.send(publishPacket(`$iothub/methods/res/200/?${topic.split('?')[1]}`, '{"done":true}', { qos: 1, id: 9 }));
    }
  })().catch(() => {});
  device.client = client;
}

test('a method job that is killed again and again asks every device, and none twice', async () => {
  const devices = [];
  for (let i = 0; i < 30; i++) devices.push({ identity: await hub.createDevice(`answers-${i}`), asked: 0 });
  await Promise.all(devices.map(answering));
  await create('ask', { type: 'scheduleDeviceMethod', queryCondition: "STARTSWITH(deviceId, 'answers-')",
    cloudToDeviceMethod: { methodName: 'step', responseTimeoutInSeconds: 60, connectTimeoutInSeconds: 60 } });
  for (let round = 0; round < 2; round++) {
    await sleep(100 + Math.random() * 400);
    await hub.kill9();
    await hub.start();
    await Promise.all(devices.map(answering));
  }
  await ends('ask');
  const found = await rows("devices.jobs.jobId = 'ask'");
  const completed = found.filter((row) => row.status === 'completed');
  const unknown = found.filter((row) => row.status === 'failed' && row.error.code === 'ServiceUnavailable');
  assert.equal(found.length, 30);
  assert.equal(completed.length + unknown.length, 30, JSON.stringify(found.filter((row) => row.error)));
  assert.deepEqual((await job('ask')).deviceJobStatistics, stats(30, unknown.length, completed.length));
  assert.ok(unknown.length <= 2 * 6, `${unknown.length} were under way at two kills, of six at a time`);
  for (const device of devices) {
    const row = found.find((one) => one.deviceId === device.identity.deviceId);
    assert.ok(device.asked <= 1, `${row.deviceId} was asked ${device.asked} times`);
    if (row.status === 'completed') assert.equal(device.asked, 1);
  }
  await Promise.all(devices.map((device) => device.client.end()));
});

test('jobs that wait for their time and for their turn survive a restart', async () => {
  const later = new Date(Date.now() + 4000).toISOString();
  await create('later', { type: 'scheduleUpdateTwin', queryCondition: "deviceId = 'many-1'", startTime: later,
    updateTwin: { tags: { later: true } } });
  await create('dropped', { type: 'scheduleUpdateTwin', queryCondition: '*', startTime: later, updateTwin: { tags: { dropped: true } } });
  await hub.must('POST', '/jobs/v2/dropped/cancel');
  await hub.stop();
  await hub.start();
  await ends('later');
  assert.ok((await job('later')).endTime >= later);
  assert.equal((await job('dropped')).status, 'cancelled');
  assert.equal((await hub.twin('many-1')).tags.later, true);
  assert.equal((await hub.twin('many-1')).tags.dropped, undefined);
});

test('several jobs run at a time, and metrics tell of them', async () => {
  const ids = ['p1', 'p2', 'p3', 'p4'];
  for (const id of ids)
    await create(id, { type: 'scheduleUpdateTwin', queryCondition: 'tags.many = true', updateTwin: { tags: { [id]: true } } });
  for (const id of ids) await ends(id);
  for (const id of ids) assert.deepEqual((await job(id)).deviceJobStatistics, stats(DEVICES, 0, DEVICES));
  const { tags } = await hub.twin('many-499');
  for (const id of ids) assert.equal(tags[id], true);
  const list = await hub.must('GET', '/jobs/v2/query?jobStatus=completed');
  const { user, password } = hub.facts.admin;
  const { text } = await hub.rest('GET', '/metrics', { plain: true,
    token: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` });
  assert.ok(Number(/^gemel_jobs_total\{status="completed"\} (\d+)$/m.exec(text)[1]) >= 4, text);
  assert.ok(Number(/^gemel_job_devices_total\{status="completed"\} (\d+)$/m.exec(text)[1]) >= 4 * DEVICES);
  assert.match(text, /^gemel_jobs_running 0$/m);
  assert.deepEqual(list.slice(0, 4).map((one) => one.jobId), [...ids].reverse());
});
