// SPDX-License-Identifier: Apache-2.0
// azure-iothub's Registry: devices and modules, one by one and in bulk.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { createDevice, facts, refusal, Registry, registry, unique } from './place.mjs';

const made = new Set();
const remember = (device) => { made.add(device.deviceId); return device; };
after(async () => { for (const deviceId of made) await registry.delete(deviceId).catch(() => {}); });

test('a device that is created gets keys, a generation and an etag', async () => {
  const deviceId = unique('device');
  const { responseBody: device, httpResponse } = await registry.create({ deviceId });
  remember(device);
  assert.equal(httpResponse.statusCode, 200);
  assert.equal(device.deviceId, deviceId);
  assert.equal(device.status, 'enabled');
  assert.equal(device.connectionState, 'Disconnected');
  assert.equal(device.authentication.type, 'sas');
  const { primaryKey, secondaryKey } = device.authentication.symmetricKey;
  assert.ok(Buffer.from(primaryKey, 'base64').length >= 16);
  assert.notEqual(primaryKey, secondaryKey);
  assert.match(device.generationId, /^\d+$/);
  assert.ok(device.etag.length > 0);
});

test('keys that are given are kept as they are', async () => {
  const symmetricKey = { primaryKey: Buffer.from('sixteen bytes ok').toString('base64'),
    secondaryKey: Buffer.from('and nineteen bytes.').toString('base64') };
  const { responseBody: device } = await registry.create({ deviceId: unique('keys'),
    status: 'disabled', authentication: { type: 'sas', symmetricKey } });
  remember(device);
  assert.deepEqual(device.authentication.symmetricKey, symmetricKey);
  assert.equal(device.status, 'disabled');
});

test('a device comes back by get and in the list', async () => {
  const device = remember(await createDevice());
  const { responseBody: got } = await registry.get(device.deviceId);
  assert.deepEqual(got.authentication, device.authentication);
  assert.equal(got.generationId, device.generationId);
  const { responseBody: all } = await registry.list();
  assert.ok(all.some((d) => d.deviceId === device.deviceId));
});

test('a second device of the same name is refused', async () => {
  const device = remember(await createDevice());
  const error = await refusal(registry.create({ deviceId: device.deviceId }));
  assert.equal(error.name, 'DeviceAlreadyExistsError');
});

test('an update is stored and keeps the keys', async () => {
  const device = remember(await createDevice());
  const { responseBody: updated } = await registry.update({ deviceId: device.deviceId,
    status: 'disabled', statusReason: 'under repair' });
  assert.equal(updated.status, 'disabled');
  assert.equal(updated.statusReason, 'under repair');
  assert.equal(updated.generationId, device.generationId);
  const { responseBody: got } = await registry.get(device.deviceId);
  assert.deepEqual(got.authentication.symmetricKey, device.authentication.symmetricKey);
  assert.notEqual(got.etag, device.etag);
});

test('what is not there is DeviceNotFound to get, update and delete', async () => {
  const deviceId = unique('nobody');
  for (const call of [() => registry.get(deviceId), () => registry.update({ deviceId, status: 'disabled' }), () => registry.delete(deviceId)])
    assert.equal((await refusal(call())).name, 'DeviceNotFoundError');
});

test('a deleted device is gone, and its name can be used again with a new generation', async () => {
  const device = await createDevice();
  await registry.delete(device.deviceId);
  assert.equal((await refusal(registry.get(device.deviceId))).name, 'DeviceNotFoundError');
  const { responseBody: again } = await registry.create({ deviceId: device.deviceId });
  remember(again);
  assert.notEqual(again.generationId, device.generationId);
});

test('an id with every allowed character works, one with a slash is refused', async () => {
  const deviceId = `${unique('id')}-:.+%_#*?!(),=@;$'`;
  const { responseBody: device } = await registry.create({ deviceId });
  remember(device);
  assert.equal((await registry.get(deviceId)).responseBody.deviceId, deviceId);
  assert.equal((await registry.getTwin(deviceId)).responseBody.deviceId, deviceId);
  assert.equal((await refusal(registry.create({ deviceId: 'invalid/name' }))).name, 'ArgumentError');
});

test('x509 thumbprints make a device without keys', async () => {
  const print = 'A'.repeat(40);
  const { responseBody: device } = await registry.create({ deviceId: unique('x509'),
    authentication: { x509Thumbprint: { primaryThumbprint: print, secondaryThumbprint: print } } });
  remember(device);
  assert.equal(device.authentication.type, 'selfSigned');
  assert.equal(device.authentication.x509Thumbprint.primaryThumbprint, print);
});

test('devices are added, updated and removed in bulk', async () => {
  const devices = ['a', 'b', 'c'].map((name) => ({ deviceId: unique(name), status: 'enabled' }));
  devices.forEach(remember);
  const { responseBody: added } = await registry.addDevices(devices);
  assert.equal(added.isSuccessful, true);
  assert.deepEqual(added.errors, []);
  const { responseBody: updated } = await registry.updateDevices(
    devices.map((d) => ({ ...d, status: 'disabled' })), true);
  assert.equal(updated.isSuccessful, true);
  for (const { deviceId } of devices)
    assert.equal((await registry.get(deviceId)).responseBody.status, 'disabled');
  const { responseBody: removed } = await registry.removeDevices(devices, true);
  assert.equal(removed.isSuccessful, true);
  assert.equal((await refusal(registry.get(devices[0].deviceId))).name, 'DeviceNotFoundError');
});

test('a bulk in which one is there already names that one', async () => {
  const device = remember(await createDevice());
  const fresh = remember({ deviceId: unique('fresh') });
  const error = await refusal(registry.addDevices([fresh, { deviceId: device.deviceId }]));
  assert.equal(error.name, 'ArgumentError');
  const body = JSON.parse(error.responseBody);
  assert.equal(body.isSuccessful, false);
  assert.equal(body.errors.length, 1);
  assert.equal(body.errors[0].deviceId, device.deviceId);
});

test('modules are created, listed, updated and removed', async () => {
  const { deviceId } = remember(await createDevice());
  const { responseBody: module } = await registry.addModule({ deviceId, moduleId: 'm1', managedBy: 'tests' });
  assert.equal(module.moduleId, 'm1');
  assert.ok(module.authentication.symmetricKey.primaryKey);
  await registry.addModule({ deviceId, moduleId: 'm2' });
  const { responseBody: modules } = await registry.getModulesOnDevice(deviceId);
  assert.deepEqual(modules.map((m) => m.moduleId).sort(), ['m1', 'm2']);
  const { responseBody: got } = await registry.getModule(deviceId, 'm1');
  assert.equal(got.managedBy, 'tests');
  const { responseBody: updated } = await registry.updateModule({ ...got, managedBy: 'someone else' }, true);
  assert.equal(updated.managedBy, 'someone else');
  assert.equal((await refusal(registry.addModule({ deviceId, moduleId: 'm1' }))).name, 'DeviceAlreadyExistsError');
  await registry.removeModule(deviceId, 'm1');
  assert.equal((await registry.getModulesOnDevice(deviceId)).responseBody.length, 1);
  assert.ok(await refusal(registry.getModule(deviceId, 'm1')));
});

test('a deleted device takes its modules with it', async () => {
  const { deviceId } = await createDevice();
  await registry.addModule({ deviceId, moduleId: 'm' });
  await registry.delete(deviceId);
  remember((await registry.create({ deviceId })).responseBody);
  assert.deepEqual((await registry.getModulesOnDevice(deviceId)).responseBody, []);
});

test('statistics count devices', async () => {
  remember(await createDevice());
  const { responseBody: statistics } = await registry.getRegistryStatistics();
  assert.ok(statistics.totalDeviceCount >= 1);
  assert.equal(statistics.totalDeviceCount, statistics.enabledDeviceCount + statistics.disabledDeviceCount);
});

test('a wrong key and an unknown policy are unauthorized', async () => {
  const wrong = facts.connectionString.replace(/SharedAccessKey=.*/, `SharedAccessKey=${Buffer.from('x'.repeat(32)).toString('base64')}`);
  assert.equal((await refusal(Registry.fromConnectionString(wrong).list())).name, 'UnauthorizedError');
  const unknown = facts.connectionString.replace('iothubowner', 'nobody');
  assert.equal((await refusal(Registry.fromConnectionString(unknown).list())).name, 'UnauthorizedError');
});
