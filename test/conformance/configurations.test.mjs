// SPDX-License-Identifier: Apache-2.0
// azure-iothub's Registry: automatic device management.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { createDevice, refusal, registry, unique } from './place.mjs';

const made = new Set();
const configurations = new Set();
after(async () => {
  for (const id of configurations) await registry.removeConfiguration(id).catch(() => {});
  for (const deviceId of made) await registry.delete(deviceId).catch(() => {});
});

const name = (prefix) => unique(prefix).toLowerCase();
async function add(configuration) {
  configurations.add(configuration.id);
  return (await registry.addConfiguration(configuration)).responseBody;
}
async function becomes(what, probe) {
  for (const end = Date.now() + 20_000; ;) {
    if (await probe()) return;
    assert.ok(Date.now() < end, `not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test('a configuration is added, read, listed, updated and removed', async () => {
  const id = name('chillers');
  const added = await add({ id, schemaVersion: '1.0', labels: { kind: 'test' }, priority: 10, targetCondition: '',
    content: { deviceContent: { 'properties.desired.chiller-water': { temperature: 38, pressure: 78 } } },
    metrics: { queries: { waterSettingsPending: "SELECT deviceId FROM devices WHERE properties.reported.s = 'pending'" }, results: {} } });
  assert.equal(added.id, id);
  assert.ok(added.etag.length > 0);
  const { responseBody: got } = await registry.getConfiguration(id);
  assert.deepEqual(got.content, { deviceContent: { 'properties.desired.chiller-water': { temperature: 38, pressure: 78 } } });
  assert.equal(got.priority, 10);
  const { responseBody: all } = await registry.getConfigurations();
  assert.ok(all.some((one) => one.id === id));
  got.priority = 11;
  const { responseBody: updated } = await registry.updateConfiguration(got);
  assert.equal(updated.priority, 11);
  assert.notEqual(updated.etag, got.etag);
  const again = await refusal(registry.updateConfiguration(got));
  assert.equal(again.name, 'InvalidEtagError');
  await registry.updateConfiguration({ ...got, priority: 12 }, true);
  await registry.removeConfiguration(id);
  await refusal(registry.getConfiguration(id));
});

test('a device that is a target gets the content', async () => {
  const device = await createDevice();
  made.add(device.deviceId);
  const id = name('target');
  await add({ id, priority: 1, targetCondition: `deviceId='${device.deviceId}'`,
    content: { deviceContent: { 'properties.desired.cfg': { a: 1 } } } });
  await becomes('the twin has it', async () => {
    const { responseBody: twin } = await registry.getTwin(device.deviceId);
    return twin.properties.desired.cfg?.a === 1 && twin.configurations[id].status === 'Applied';
  });
  const { responseBody: got } = await registry.getConfiguration(id);
  assert.deepEqual(got.systemMetrics.results, { targetedCount: 1, appliedCount: 1 });
  const { result } = await registry.createQuery(got.systemMetrics.queries.appliedCount).nextAsTwin();
  assert.equal(result.length, 1);
  await registry.removeConfiguration(id);
  await becomes('the twin has it no more', async () =>
    (await registry.getTwin(device.deviceId)).responseBody.properties.desired.cfg === undefined);
});

test('content is applied to one device at once', async () => {
  const device = await createDevice();
  made.add(device.deviceId);
  await registry.applyConfigurationContentOnDevice(device.deviceId, { deviceContent: { 'properties.desired.once': 1 } });
  const { responseBody: twin } = await registry.getTwin(device.deviceId);
  assert.equal(twin.properties.desired.once, 1);
});
