// SPDX-License-Identifier: Apache-2.0
// What every conformance file needs: the hub that test/harness/run.mjs started on 443 and 8883 for
// all of them, and the vendor's packages, unmodified.
import { randomUUID } from 'node:crypto';

import common from 'azure-iot-common';
import iothub from 'azure-iothub';
import deviceSdk from 'azure-iot-device';
import mqttSdk from 'azure-iot-device-mqtt';

export const facts = JSON.parse(process.env.GEMEL_HUB);
export const { Registry } = iothub;
export const { Client, ModuleClient, Message } = deviceSdk;
export const { NoRetry } = common;
// The transport of every client: see over-websocket.test.mjs.
export const Mqtt = process.env.GEMEL_OVER === 'websocket' ? mqttSdk.MqttWs : mqttSdk.Mqtt;

export const registry = Registry.fromConnectionString(facts.connectionString);

// Ids in the style of the SDK's own tests, so that files do not meet each other.
export const unique = (what) => `conformance_${what}_${randomUUID()}`;

export const deviceConnectionString = (device) =>
  `HostName=${facts.hostName};DeviceId=${device.deviceId};`
  + `SharedAccessKey=${device.authentication.symmetricKey.primaryKey}`;

export const moduleConnectionString = (module) =>
  `HostName=${facts.hostName};DeviceId=${module.deviceId};ModuleId=${module.moduleId};`
  + `SharedAccessKey=${module.authentication.symmetricKey.primaryKey}`;

export async function createDevice() {
  return (await registry.create({ deviceId: unique('device') })).responseBody;
}

export async function createModule(moduleId = 'DefenderIotMicroAgent') {
  const { deviceId } = await createDevice();
  return (await registry.addModule({ deviceId, moduleId })).responseBody;
}

// A connected module client; the caller closes it.
export async function connectModule(module) {
  const client = ModuleClient.fromConnectionString(moduleConnectionString(module), Mqtt);
  await client.open();
  return client;
}

// The error that a promise ends in.
export async function refusal(promise, what = 'it') {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`${what} was not refused`);
}

// One call of an emitter's event.
export const once = (emitter, event, timeoutMs = 15_000) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error(`no '${event}' within ${timeoutMs} ms`)), timeoutMs);
  emitter.once(event, (value) => { clearTimeout(timer); resolve(value); });
});

// The SDK itself waits for ever.
export const report = (twin, patch) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error('no answer to a reported patch in 15 s')), 15_000);
  twin.properties.reported.update(patch, (error) => {
    clearTimeout(timer);
    if (error) reject(error);
    else resolve();
  });
});
