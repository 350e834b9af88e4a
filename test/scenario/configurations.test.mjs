// SPDX-License-Identifier: Apache-2.0
// Configurations of a hub: who is a target gets their content, the higher priority wins where two
// meet, who leaves gets back what is left, and a hub that is killed in the middle goes on.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';

import { Hub } from '../harness/hub.mjs';
import { MqttClient } from '../harness/mqtt.mjs';
import { sleep, until } from '../harness/programs.mjs';

let hub;
before(async () => { hub = await Hub.started(); });
after(() => hub.stop());

const put = (id, body, options) => hub.must('PUT', `/configurations/${encodeURIComponent(id)}`, { body: { id, ...body }, ...options });
const remove = (id) => hub.must('DELETE', `/configurations/${encodeURIComponent(id)}`);
const tag = (deviceId, tags) => hub.must('PATCH', hub.twinPath(deviceId), { body: { tags } });
async function desired(deviceId, moduleId) {
  const { $metadata, $version, ...values } = (await hub.twin(deviceId, moduleId)).properties.desired;
  return values;
}
const becomes = (expected, deviceId, moduleId) =>
  until(`${deviceId} desires ${JSON.stringify(expected)}`,
    async () => isDeepStrictEqual(await desired(deviceId, moduleId), expected));
const configured = async (deviceId, moduleId) => (await hub.twin(deviceId, moduleId)).configurations;

test('a device gets the content when it enters the target, and loses it when it leaves', async () => {
  const device = await hub.createDevice('enters');
  const client = await MqttClient.connect(hub, device);
  await client.subscribe('$iothub/twin/PATCH/properties/desired/#');
  await hub.patchDesired('enters', undefined, { own: 1 });
  await client.nextDesired();
  await put('chillers', { content: { deviceContent: { 'properties.desired.cooling': { fan: 3 }, 'properties.desired.site.floor': 2 } },
    targetCondition: "tags.plant='north'", priority: 10 });
  assert.deepEqual(await desired('enters'), { own: 1 });
  await tag('enters', { plant: 'north' });
  const told = await client.nextDesired();
  assert.deepEqual(told.patch.cooling, { fan: 3 });
  await becomes({ own: 1, cooling: { fan: 3 }, site: { floor: 2 } }, 'enters');
  assert.deepEqual(await configured('enters'), { chillers: { status: 'Applied' } });
  const history = await hub.rest('GET', '/gemel/v1/twin-history/enters', { plain: true });
  assert.equal(history.json.items[0].author, 'configuration chillers');
  const shown = await hub.must('GET', '/configurations/chillers');
  assert.deepEqual(shown.systemMetrics.results, { targetedCount: 1, appliedCount: 1 });

  await tag('enters', { plant: null });
  await becomes({ own: 1 }, 'enters');
  assert.equal(await configured('enters'), undefined);
  await client.end();
  await remove('chillers');
});

test('the higher priority wins where two meet, and the lower comes back', async () => {
  await hub.createDevice('layered');
  await put('low', { content: { deviceContent: { 'properties.desired.a': 1, 'properties.desired.b': { x: 1, y: 1 } } },
    targetCondition: "deviceId='layered'", priority: 1 });
  await becomes({ a: 1, b: { x: 1, y: 1 } }, 'layered');
  await put('high', { content: { deviceContent: { 'properties.desired.a': 2, 'properties.desired.b.y': 9 } },
    targetCondition: "deviceId='layered'", priority: 2 });
  await becomes({ a: 2, b: { x: 1, y: 9 } }, 'layered');
  await put('over', { content: { deviceContent: { 'properties.desired.a': 3, 'properties.desired.b': 0 } },
    targetCondition: "deviceId='layered'", priority: 3 });
  await becomes({ a: 3, b: 0 }, 'layered');
  assert.deepEqual(await configured('layered'),
    { low: { status: 'Targeted' }, high: { status: 'Targeted' }, over: { status: 'Applied' } });
  await remove('over');
  await becomes({ a: 2, b: { x: 1, y: 9 } }, 'layered');
  const { etag } = await hub.must('GET', '/configurations/low');
  await put('low', { targetCondition: "deviceId='layered'", priority: 5 }, { headers: { 'if-match': `"${etag}"` } });
  await becomes({ a: 1, b: { x: 1, y: 1 } }, 'layered');
  await remove('low');
  await remove('high');
  await becomes({}, 'layered');
});

test('modules are targets of their own, also by what they report, and metrics count', async () => {
  await hub.createDevice('with-module');
  const module = await hub.createModule('with-module', 'DefenderIotMicroAgent');
  await put('agents', { content: { moduleContent: { 'properties.desired.Process_CacheSize': 300 } }, priority: 1,
    targetCondition: "from devices.modules where moduleId='DefenderIotMicroAgent' and properties.reported.ring='early'",
    metrics: { queries: { done: "SELECT deviceId FROM devices.modules WHERE properties.reported.latest_state='success'" } } });
  const client = await MqttClient.connect(hub, module);
  await client.subscribe('$iothub/twin/res/#');
  await client.report({ ring: 'early', latest_state: 'success' });
  await becomes({ Process_CacheSize: 300 }, 'with-module', 'DefenderIotMicroAgent');
  assert.deepEqual(await desired('with-module'), {});
  await until('the metric counts', async () => (await hub.must('GET', '/configurations/agents')).metrics.results.done === 1);
  await client.report({ ring: null });
  await becomes({}, 'with-module', 'DefenderIotMicroAgent');
  await client.end();
  await remove('agents');
});

test('what an operator changes within the content is put right again', async () => {
  await hub.createDevice('strict');
  await put('strict', { content: { deviceContent: { 'properties.desired.mode': 'safe' } }, targetCondition: "deviceId='strict'" });
  await becomes({ mode: 'safe' }, 'strict');
  await hub.patchDesired('strict', undefined, { mode: 'fast', other: 1 });
  await becomes({ mode: 'safe', other: 1 }, 'strict');
  await remove('strict');
});

test('a hub that is killed in the middle of a sweep goes on with it', async () => {
  const count = 600;
  for (let i = 0; i < count; i += 100) {
    const items = Array.from({ length: 100 }, (_, k) => ({ id: `many-${i + k}`, importMode: 'create', tags: { many: true } }));
    await hub.must('POST', '/devices', { body: items });
  }
  await put('many', { content: { deviceContent: { 'properties.desired.level': 1 } }, targetCondition: 'tags.many=true' });
  const applied = async () => (await hub.must('GET', '/configurations/many')).systemMetrics.results.appliedCount;
  await until('the sweep began', async () => (await applied()) > 0);
  await hub.kill9();
  await hub.start();
  await until('every device has it', async () => (await applied()) === count, { timeoutMs: 60_000 });
  await remove('many');
  await sleep(20);
  await hub.kill9();
  await hub.start();
  await until('no device has it any more', async () => {
    const twins = await Promise.all([0, 299, 599].map((i) => desired(`many-${i}`)));
    return twins.every((twin) => twin.level === undefined);
  }, { timeoutMs: 60_000 });
});

test('what cannot be is refused with the code that says so', async () => {
  const content = { deviceContent: { 'properties.desired.a': 1 } };
  const code = async (method, path, body, headers) =>
    (await hub.rest(method, path, { body, headers })).headers['iothub-errorcode'];
  assert.equal(await code('GET', '/configurations/none'), 'ConfigurationNotFound');
  assert.equal(await code('PUT', '/configurations/Upper', { content }), 'ArgumentInvalid');
  assert.equal(await code('PUT', '/configurations/x', { content, targetCondition: 'tags.a =' }), 'InvalidConfigurationTargetCondition');
  assert.equal(await code('PUT', '/configurations/x', { content, targetCondition: "from devices.modules where moduleId='m'" }), 'InvalidConfigurationTargetCondition');
  assert.equal(await code('PUT', '/configurations/x', { content: {} }), 'InvalidConfigurationContent');
  assert.equal(await code('PUT', '/configurations/x', { content: { deviceContent: { 'tags.a': 1 } } }), 'InvalidConfigurationContent');
  assert.equal(await code('PUT', '/configurations/x', { content: { deviceContent: { 'properties.desired.a': 'x'.repeat(5000) } } }), 'InvalidConfigurationContent');
  assert.equal(await code('PUT', '/configurations/x', { content, metrics: { queries: { m: 'SELECT' } } }), 'InvalidConfigurationCustomMetricsQuery');
  assert.equal(await code('PUT', '/configurations/x', { content, schemaVersion: '9' }), 'InvalidSchemaVersion');
  await put('fixed', { content });
  assert.equal(await code('PUT', '/configurations/fixed', { content }), 'ConfigurationAlreadyExists');
  assert.equal(await code('PUT', '/configurations/fixed', { content: { deviceContent: { 'properties.desired.a': 2 } } }, { 'if-match': '*' }), 'CannotModifyImmutableConfigurationContent');
  assert.equal(await code('PUT', '/configurations/fixed', { content }, { 'if-match': '"MTAw"' }), 'PreconditionFailed');
  const tested = await hub.must('POST', '/configurations/testQueries',
    { body: { targetCondition: 'tags.', customMetricQueries: { good: 'select *', bad: 'select' } } });
  assert.equal(typeof tested.targetConditionError, 'string');
  assert.deepEqual(Object.keys(tested.customMetricQueryErrors), ['bad']);
});

test('content is applied once, on one device', async () => {
  await hub.createDevice('once');
  await hub.createModule('once', 'm');
  await hub.must('POST', '/devices/once/applyConfigurationContent', { body: {
    deviceContent: { 'properties.desired.a.b': 1 }, modulesContent: { m: { 'properties.desired': { c: 2 } } } } });
  assert.deepEqual(await desired('once'), { a: { b: 1 } });
  assert.deepEqual(await desired('once', 'm'), { c: 2 });
  assert.equal((await hub.rest('POST', '/devices/nobody/applyConfigurationContent', { body: { deviceContent: { 'properties.desired.a': 1 } } })).status, 404);
});
