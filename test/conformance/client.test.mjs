// SPDX-License-Identifier: Apache-2.0
// azure-iot-device over azure-iot-device-mqtt: a module's and a device's life at the hub.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { sas } from '../harness/hub.mjs';
import { until } from '../harness/programs.mjs';
import { Client, connectModule, createDevice, createModule, deviceConnectionString, facts, Message, ModuleClient,
  moduleConnectionString, Mqtt, NoRetry, once, refusal, registry, report } from './place.mjs';

const made = new Set();
const open = new Set();
const remember = (identity) => { made.add(identity.deviceId); return identity; };
after(async () => {
  for (const client of open) await client.close().catch(() => {});
  for (const deviceId of made) await registry.delete(deviceId).catch(() => {});
});

async function connected(module) {
  const client = await connectModule(module);
  open.add(client);
  return client;
}

const newModule = async () => remember(await createModule());
const desire = (m, desired) => registry.updateModuleTwin(m.deviceId, m.moduleId, { properties: { desired } }, '*');
const twinOf = async (m) => (await registry.getModuleTwin(m.deviceId, m.moduleId)).responseBody;

test('a module connects, and the registry shows it while it does', async () => {
  const module = await newModule();
  const client = await connected(module);
  await until('connected', async () => (await twinOf(module)).connectionState === 'Connected');
  await client.close();
  await until('disconnected', async () => (await twinOf(module)).connectionState === 'Disconnected');
});

test('a module reads its twin and is told of every desired change, in order', async () => {
  const module = await newModule();
  await desire(module, { first: { a: 1.5 } });
  const client = await connected(module);
  const twin = await client.getTwin();
  assert.deepEqual(twin.properties.desired.first, { a: 1.5 });
  const seen = [];
  twin.on('properties.desired', (delta) => seen.push(delta));
  // The SDK does not say when its subscription is granted: a change that it hears does.
  let probes = 0;
  await until('it hears', async () => {
    await desire(module, { probe: ++probes });
    return seen.some((d) => 'probe' in d && !('first' in d));
  }, { everyMs: 100 });
  for (let i = 1; i <= 20; i++) await desire(module, { counter: i });
  await until('twenty changes', () => seen.some((d) => d.counter === 20));
  // The SDK's first call is for what was there at the start, with its own live copy.
  const versions = seen.filter((d) => 'counter' in d && !('first' in d)).map((d) => d.$version);
  assert.equal(versions.length, 20);
  assert.deepEqual(versions, [...versions].sort((a, b) => a - b));
  assert.equal(twin.properties.desired.counter, 20);
});

test('a key that is deleted vanishes from the SDK’s copy', async () => {
  const module = await newModule();
  await desire(module, { keep: 1, drop: { x: 1 } });
  const client = await connected(module);
  const twin = await client.getTwin();
  twin.on('properties.desired', () => {});
  await desire(module, { drop: null });
  await until('dropped', () => !('drop' in twin.properties.desired) || twin.properties.desired.drop === null);
  assert.equal(twin.properties.desired.keep, 1);
});

test('reported properties arrive in the twin', async () => {
  const module = await newModule();
  const client = await connected(module);
  const twin = await client.getTwin();
  await report(twin, { latest_state: 'success', nested: { n: 1, s: 'x' } });
  await report(twin, { nested: { n: null } });
  const { reported } = (await twinOf(module)).properties;
  assert.equal(reported.latest_state, 'success');
  assert.deepEqual(reported.nested, { s: 'x' });
  assert.equal(reported.$version, 3);
});

test('a reported key that begins with $ is refused and nothing of the patch is stored', async () => {
  const module = await newModule();
  const client = await connected(module);
  const twin = await client.getTwin();
  const error = await refusal(report(twin, { good: 1, $bad: 2 }));
  assert.ok(error.message.length > 0);
  const { reported } = (await twinOf(module)).properties;
  assert.equal(reported.good, undefined);
  assert.equal(reported.$version, 1);
  await report(twin, { good: 2 });
});

test('a device client has a twin and events too', async () => {
  const device = remember(await createDevice());
  const client = Client.fromConnectionString(deviceConnectionString(device), Mqtt);
  open.add(client);
  await client.open();
  const twin = await client.getTwin();
  await report(twin, { here: true });
  assert.equal((await registry.getTwin(device.deviceId)).responseBody.properties.reported.here, true);
  await client.sendEvent(new Message('hello'));
});

test('events with properties and system properties are acknowledged and stored', async () => {
  const module = await newModule();
  const client = await connected(module);
  const message = new Message(JSON.stringify({ temperature: 21.5 }));
  message.properties.add('kind of', 'ä & b=c/#');
  message.messageId = 'id-1';
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  await client.sendEvent(message);
  await client.sendOutputEvent('out1', new Message('to an output'));
  for (let i = 0; i < 50; i++) await client.sendEvent(new Message(`event ${i}`));
});

test('a second client of the same module takes over', async () => {
  const module = await newModule();
  const first = ModuleClient.fromConnectionString(moduleConnectionString(module), Mqtt);
  first.setRetryPolicy(new NoRetry());
  await first.open();
  const gone = once(first, 'disconnect');
  const second = await connected(module);
  await gone;
  const twin = await second.getTwin();
  await report(twin, { second: true });
  await first.close().catch(() => {});
  await report(twin, { still: true });
  assert.equal((await twinOf(module)).properties.reported.still, true);
});

test('wrong credentials are unauthorized', async () => {
  const module = await newModule();
  const wrong = { ...module, authentication: { symmetricKey: { primaryKey: Buffer.from('wrong'.repeat(8)).toString('base64') } } };
  const over = sas(`${facts.hostName}/devices/${module.deviceId}/modules/${module.moduleId}`,
    module.authentication.symmetricKey.primaryKey, undefined, -3600);
  for (const client of [ModuleClient.fromConnectionString(moduleConnectionString(wrong), Mqtt),
    ModuleClient.fromConnectionString(moduleConnectionString({ ...module, moduleId: 'unknown' }), Mqtt),
    ModuleClient.fromSharedAccessSignature(over, Mqtt)]) {
    client.setRetryPolicy(new NoRetry());
    const error = await refusal(client.open());
    assert.ok(['UnauthorizedError', 'NotConnectedError'].includes(error.name), error.name);
    await client.close().catch(() => {});
  }
});

test('a disabled device cannot connect, and a connected one is dropped', async () => {
  const module = await newModule();
  const client = ModuleClient.fromConnectionString(moduleConnectionString(module), Mqtt);
  client.setRetryPolicy(new NoRetry());
  await client.open();
  const gone = once(client, 'disconnect');
  await registry.update({ deviceId: module.deviceId, status: 'disabled' });
  await gone;
  await client.close().catch(() => {});
  const again = ModuleClient.fromConnectionString(moduleConnectionString(module), Mqtt);
  again.setRetryPolicy(new NoRetry());
  assert.ok(await refusal(again.open()));
  await again.close().catch(() => {});
});

test('a token renewed in between keeps the client working', async () => {
  const module = await newModule();
  const resource = `${facts.hostName}/devices/${module.deviceId}/modules/${module.moduleId}`;
  const key = module.authentication.symmetricKey.primaryKey;
  const client = ModuleClient.fromSharedAccessSignature(sas(resource, key, undefined, 600), Mqtt);
  open.add(client);
  await client.open();
  const twin = await client.getTwin();
  await new Promise((resolve, reject) => {
    client.updateSharedAccessSignature(sas(resource, key, undefined, 3600), (error) => (error ? reject(error) : resolve()));
  });
  await report(twin, { renewed: true });
  twin.on('properties.desired', () => {});
  await desire(module, { after: 1 });
  await until('the change after the renewal', () => twin.properties.desired.after === 1);
});
