// SPDX-License-Identifier: Apache-2.0
// The SDKs' side of throttling.test.mjs: node throttled-client.mjs query|report|send CONNECTION-STRING
// prints what came of it as JSON.
import iothub from 'azure-iothub';
import deviceSdk from 'azure-iot-device';
import mqttSdk from 'azure-iot-device-mqtt';

const connected = async (connectionString) => {
  const client = deviceSdk.Client.fromConnectionString(connectionString, mqttSdk.Mqtt);
  await client.open();
  return client;
};

const acts = {
  async query(connectionString) {
    const registry = iothub.Registry.fromConnectionString(connectionString);
    for (let i = 0; i < 5; i++) {
      try {
        await registry.createQuery('SELECT * FROM devices', 1).nextAsTwin();
      } catch (error) {
        return { name: error.name, status: error.response?.statusCode };
      }
    }
    return {};
  },

  async report(connectionString) {
    const client = await connected(connectionString);
    const twin = await client.getTwin();
    const report = (patch) => new Promise((resolve) => {
      twin.properties.reported.update(patch, (error) => resolve(error ? error.message : null));
    });
    const first = await report({ a: 1 });
    const second = await report({ a: 2 });
    await client.close();
    return { first, second };
  },

  async send(connectionString) {
    const client = await connected(connectionString);
    const began = Date.now();
    const results = await Promise.all(Array.from({ length: 40 }, (_, i) => client.sendEvent(new deviceSdk.Message(`n${i}`))));
    await client.close();
    return { sent: results.length, ms: Date.now() - began };
  },
};

const [, , what, connectionString] = process.argv;
console.log(JSON.stringify(await acts[what](connectionString)));
process.exit(0);
