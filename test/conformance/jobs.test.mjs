// SPDX-License-Identifier: Apache-2.0
// azure-iothub's JobClient, unmodified.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import iothub from 'azure-iothub';

import { Client, createDevice, createModule, deviceConnectionString, facts, Mqtt, refusal, registry, unique } from './place.mjs';

const jobs = iothub.JobClient.fromConnectionString(facts.connectionString);
const made = new Set();
const open = new Set();
const remember = (identity) => { made.add(identity.deviceId); return identity; };
after(async () => {
  for (const client of open) await client.close().catch(() => {});
  for (const deviceId of made) await registry.delete(deviceId).catch(() => {});
});

async function becomes(jobId, status) {
  for (const end = Date.now() + 60_000; ;) {
    const job = (await jobs.getJob(jobId)).jobStatus;
    if (job.status === status) return job;
    assert.ok(Date.now() < end, `${jobId} is ${job.status}, not ${status}: ${JSON.stringify(job)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

// As a promise, next() forgets its own token.
async function all(query) {
  const found = [];
  while (query.hasMoreResults) found.push(...(await query.next(query.continuationToken)).result);
  return found;
}
const rowsOf = (text) => all(registry.createQuery(text, 2));

const patch = (level) => ({ etag: '*', tags: { level }, properties: { desired: { level } } });

test('a twin update is queued, and later completed', async () => {
  const device = remember(await createDevice());
  const jobId = unique('twin');
  const { jobStatus } = await jobs.scheduleTwinUpdate(jobId, `deviceId = '${device.deviceId}'`, patch(3), new Date(), 3600);
  assert.equal(jobStatus.jobId, jobId);
  assert.equal(jobStatus.type, 'scheduleUpdateTwin');
  assert.equal(jobStatus.status, 'queued');
  const job = await becomes(jobId, 'completed');
  assert.deepEqual(job.deviceJobStatistics, { deviceCount: 1, failedCount: 0, succeededCount: 1, runningCount: 0, pendingCount: 0 });
  assert.deepEqual(job.updateTwin, patch(3));
  const { responseBody: twin } = await registry.getTwin(device.deviceId);
  assert.equal(twin.tags.level, 3);
  assert.equal(twin.properties.desired.level, 3);
  const again = await refusal(jobs.scheduleTwinUpdate(jobId, 'deviceId = \'x\'', patch(4), new Date(), 3600));
  assert.match(again.responseBody, /JobAlreadyExists/);
});

test('a method job asks each device, and devices.jobs has what it said', async () => {
  const online = remember(await createDevice());
  const offline = remember(await createDevice());
  const client = Client.fromConnectionString(deviceConnectionString(online), Mqtt);
  await client.open();
  open.add(client);
  const called = new Promise((resolve) => client.onDeviceMethod('reboot', (request, response) => {
    response.send(200, { delay: request.payload.delay }, () => resolve(request.payload));
  }));
  const jobId = unique('method');
  // The SDK subscribes behind the caller's back: a direct call waits until it did.
  const service = iothub.Client.fromConnectionString(facts.connectionString);
  client.onDeviceMethod('ready', (request, response) => response.send(200));
  await service.invokeDeviceMethod(online.deviceId, { methodName: 'ready', connectTimeoutInSeconds: 20 });
  const { jobStatus } = await jobs.scheduleDeviceMethod(jobId, `deviceId IN ['${online.deviceId}', '${offline.deviceId}']`,
    { methodName: 'reboot', payload: { delay: 5 }, responseTimeoutInSeconds: 30 }, new Date(), 600);
  assert.equal(jobStatus.status, 'queued');
  assert.deepEqual(await called, { delay: 5 });
  const job = await becomes(jobId, 'completed');
  assert.deepEqual(job.deviceJobStatistics, { deviceCount: 2, failedCount: 1, succeededCount: 1, runningCount: 0, pendingCount: 0 });
  const rows = await rowsOf(`SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '${jobId}'`);
  const of = (deviceId) => rows.find((row) => row.deviceId === deviceId);
  assert.equal(rows.length, 2);
  assert.equal(of(online.deviceId).status, 'completed');
  assert.deepEqual(of(online.deviceId).outcome, { deviceMethodResponse: { payload: { delay: 5 }, status: 200 } });
  assert.equal(of(offline.deviceId).status, 'failed');
  assert.equal(of(offline.deviceId).error.code, 'DeviceNotOnline');
  assert.deepEqual(await rowsOf(`SELECT * FROM devices.jobs WHERE devices.jobs.deviceId = '${offline.deviceId}'`
    + ' AND devices.jobs.status = \'completed\''), []);
});

test('a job that waits for its time is cancelled', async () => {
  const jobId = unique('cancel');
  const { jobStatus } = await jobs.scheduleTwinUpdate(jobId, 'deviceId = \'nobody\'', patch(1), new Date(Date.now() + 3600_000), 60);
  assert.equal(jobStatus.status, 'queued');
  await becomes(jobId, 'scheduled');
  await jobs.cancelJob(jobId);
  await becomes(jobId, 'cancelled');
});

test('modules are reached, and a type and a status list jobs page by page', async () => {
  const module = remember(await createModule());
  const ids = [unique('a'), unique('b'), unique('c')];
  for (const jobId of ids) {
    await jobs.scheduleTwinUpdate(jobId, `FROM devices.modules WHERE deviceId = '${module.deviceId}'`, patch(7), new Date(), 60);
    await becomes(jobId, 'completed');
  }
  const { responseBody: twin } = await registry.getModuleTwin(module.deviceId, module.moduleId);
  assert.equal(twin.properties.desired.level, 7);
  const found = (await all(jobs.createQuery('scheduleUpdateTwin', 'completed', 2))).map((job) => job.jobId);
  for (const jobId of ids) assert.equal(found.filter((id) => id === jobId).length, 1);
});

test('what cannot be is refused as the SDK expects', async () => {
  const missing = await refusal(jobs.getJob('conformance_none'));
  assert.match(missing.responseBody, /JobNotFound/);
  const wrong = await refusal(jobs.scheduleTwinUpdate(unique('bad'), 'deviceId =', patch(1), new Date(), 60));
  assert.equal(wrong.name, 'ArgumentError');
  assert.match(wrong.responseBody, /column 11/);
  await refusal(jobs.cancelJob('conformance_none'));
});
