// SPDX-License-Identifier: Apache-2.0
// azure-iothub's twins over REST: read, merge, etags, limits.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { createDevice, createModule, refusal, registry } from './place.mjs';

const made = new Set();
const remember = (identity) => { made.add(identity.deviceId); return identity; };
after(async () => { for (const deviceId of made) await registry.delete(deviceId).catch(() => {}); });

const device = async () => remember(await createDevice()).deviceId;

test('a new twin is empty, at version 2, with etag AAAAAAAAAAE=', async () => {
  const deviceId = await device();
  const { responseBody: twin } = await registry.getTwin(deviceId);
  assert.equal(twin.deviceId, deviceId);
  assert.equal(twin.etag, 'AAAAAAAAAAE=');
  assert.equal(twin.version, 2);
  assert.equal(twin.properties.desired.$version, 1);
  assert.equal(twin.properties.reported.$version, 1);
  assert.deepEqual(twin.tags, {}); // the SDK's own, for tags that are not there
});

test('tags and desired properties merge, null deletes', async () => {
  const deviceId = await device();
  await registry.updateTwin(deviceId, { tags: { site: 'north', rack: 4 },
    properties: { desired: { a: { b: 1, c: 2 }, d: [1, 2] } } }, '*');
  const { responseBody: twin } = await registry.updateTwin(deviceId, { tags: { rack: null },
    properties: { desired: { a: { b: null, e: 'x' }, d: [3] } } }, '*');
  assert.deepEqual(twin.tags, { site: 'north' });
  const { $metadata, $version, ...values } = twin.properties.desired;
  assert.deepEqual(values, { a: { c: 2, e: 'x' }, d: [3] });
  assert.equal($version, 3);
  assert.equal($metadata.a.e.$lastUpdatedVersion, 3);
  assert.equal($metadata.a.c.$lastUpdatedVersion, 2);
  assert.ok(!('b' in $metadata.a));
});

test('twin.update sends its etag and is refused when someone else was faster', async () => {
  const deviceId = await device();
  const { responseBody: twin } = await registry.getTwin(deviceId);
  const { responseBody: other } = await registry.getTwin(deviceId);
  const { result: updated } = await twin.update({ properties: { desired: { a: 1 } } });
  assert.notEqual(updated.etag, other.etag);
  const error = await refusal(other.update({ properties: { desired: { a: 2 } } }));
  assert.equal(error.name, 'InvalidEtagError');
  assert.equal((await registry.getTwin(deviceId)).responseBody.properties.desired.a, 1);
});

test("the etag 'abc' is refused", async () => {
  const deviceId = await device();
  const error = await refusal(registry.updateTwin(deviceId, { tags: { a: 1 } }, 'abc'));
  assert.equal(error.name, 'InvalidEtagError');
});

test('reported changes do not touch the etag, tags do not touch desired', async () => {
  const deviceId = await device();
  const { responseBody: tagged } = await registry.updateTwin(deviceId, { tags: { a: 1 } }, '*');
  assert.equal(tagged.properties.desired.$version, 1);
  assert.equal(tagged.etag, 'AAAAAAAAAAI=');
  const { responseBody: same } = await registry.updateTwin(deviceId, { properties: { desired: { x: 1 } } }, '*');
  const { responseBody: again } = await registry.updateTwin(deviceId, { properties: { desired: { x: 1 } } }, '*');
  assert.equal(again.properties.desired.$version, same.properties.desired.$version + 1);
});

test('a whole twin can be sent back, with its metadata', async () => {
  const deviceId = await device();
  await registry.updateTwin(deviceId, { properties: { desired: { x: 1 } } }, '*');
  const { responseBody: twin } = await registry.getTwin(deviceId);
  const whole = JSON.parse(JSON.stringify({ ...twin, _registry: undefined }));
  const { responseBody: updated } = await registry.updateTwin(deviceId, whole, twin.etag);
  assert.equal(updated.properties.desired.x, 1);
});

test('what breaks a limit is an ArgumentError and changes nothing', async () => {
  const deviceId = await device();
  const tooBig = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, 'x'.repeat(4000)]));
  const deep = Array.from({ length: 12 }).reduce((inner) => ({ a: inner }), 1);
  for (const desired of [{ 'a.b': 1 }, { 'a b': 1 }, { a$: 1 }, { a: 'x'.repeat(4097) }, tooBig, deep,
    { a: [null] }, { a: 4503599627370496 }]) {
    const text = JSON.stringify(desired).slice(0, 60);
    const error = await refusal(registry.updateTwin(deviceId, { properties: { desired } }, '*'), text);
    assert.equal(error.name, 'ArgumentError', text);
  }
  assert.equal((await registry.getTwin(deviceId)).responseBody.version, 2);
});

test('a module has a twin of its own', async () => {
  const { deviceId, moduleId } = remember(await createModule());
  const { responseBody: updated } = await registry.updateModuleTwin(deviceId, moduleId,
    { properties: { desired: { Process_Mode: 2 } }, tags: { t: 1 } }, '*');
  assert.equal(updated.moduleId, moduleId);
  const { responseBody: twin } = await registry.getModuleTwin(deviceId, moduleId);
  assert.equal(twin.properties.desired.Process_Mode, 2);
  assert.deepEqual((await registry.getTwin(deviceId)).responseBody.properties.desired.$version, 1);
});

test('the twin of what is not registered is not found', async () => {
  assert.equal((await refusal(registry.getTwin('conformance_nobody'))).name, 'DeviceNotFoundError');
  const deviceId = await device();
  assert.ok(await refusal(registry.getModuleTwin(deviceId, 'nothing')));
});
