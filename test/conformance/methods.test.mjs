// SPDX-License-Identifier: Apache-2.0
// Direct methods between azure-iothub and azure-iot-device over MQTT, both unmodified.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import iothub from 'azure-iothub';

import { Client, connectModule, createDevice, createModule, deviceConnectionString, facts, Mqtt, refusal,
  registry } from './place.mjs';

const service = iothub.Client.fromConnectionString(facts.connectionString);
const made = new Set();
const open = new Set();
const remember = (identity) => { made.add(identity.deviceId); return identity; };
after(async () => {
  for (const client of open) await client.close().catch(() => {});
  for (const deviceId of made) await registry.delete(deviceId).catch(() => {});
});

async function connected() {
  const device = remember(await createDevice());
  const client = Client.fromConnectionString(deviceConnectionString(device), Mqtt);
  await client.open();
  open.add(client);
  return { device, client };
}

// The SDK subscribes behind the caller's back: the call waits until it did.
const params = (methodName, payload) => ({ methodName, payload, responseTimeoutInSeconds: 20, connectTimeoutInSeconds: 20 });

test('a method of a device is invoked with every kind of payload, and answered', async () => {
  const { device, client } = await connected();
  for (const [i, payload] of [null, '', 'foo', { foo: 'bar' }, {}].entries()) {
    const name = `method${i}`;
    client.onDeviceMethod(name, (request, response) => {
      assert.equal(request.methodName, name);
      response.send(200 + i, { got: request.payload }, (error) => assert.ifError(error));
    });
    const { result } = await service.invokeDeviceMethod(device.deviceId, params(name, payload));
    assert.equal(result.status, 200 + i);
    assert.deepEqual(result.payload, { got: payload });
  }
});

test('a method of a module is invoked', async () => {
  const module = remember(await createModule());
  const client = await connectModule(module);
  open.add(client);
  client.onMethod('close', (request, response) => response.send(7, request.payload));
  const { result } = await service.invokeDeviceMethod(module.deviceId, module.moduleId, params('close', [1]));
  assert.deepEqual(result, { status: 7, payload: [1] });
});

test('the SDK takes every refusal for what it is', async () => {
  const device = remember(await createDevice());
  const { message } = await refusal(service.invokeDeviceMethod(device.deviceId, { methodName: 'm', responseTimeoutInSeconds: 5 }));
  assert.match(message, /Not found|not connected/i);
  const unknown = await refusal(service.invokeDeviceMethod('conformance_nobody', { methodName: 'm' }));
  assert.equal(unknown.name, 'DeviceNotFoundError');
  const { client, device: slow } = await connected();
  client.onDeviceMethod('never', () => {});
  const late = await refusal(service.invokeDeviceMethod(slow.deviceId, { ...params('never'), responseTimeoutInSeconds: 5 }));
  assert.equal(late.name, 'GatewayTimeoutError');
});
