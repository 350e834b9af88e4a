// SPDX-License-Identifier: Apache-2.0
// azure-iot-device with certificates in place of keys, over both transports.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import mqttSdk from 'azure-iot-device-mqtt';

import { sas } from '../harness/hub.mjs';
import { until } from '../harness/programs.mjs';
import { makeCertificate } from '../harness/x509.mjs';
import { Client, facts, Message, NoRetry, refusal, registry, report, unique } from './place.mjs';

const made = [];
const open = [];
after(async () => {
  for (const client of open) await client.close().catch(() => {});
  for (const deviceId of made) await registry.delete(deviceId).catch(() => {});
});

async function createDevice(authentication, deviceId = unique('x509')) {
  await registry.create({ deviceId, authentication });
  made.push(deviceId);
  return deviceId;
}

async function connect(deviceId, certificate, transport) {
  const client = Client.fromConnectionString(`HostName=${facts.hostName};DeviceId=${deviceId};x509=true`, transport);
  open.push(client);
  client.setRetryPolicy(new NoRetry());
  await client.setOptions({ cert: certificate.chain, key: certificate.key });
  await client.open();
  return client;
}

for (const [over, transport] of [['MQTT', mqttSdk.Mqtt], ['MQTT over WebSocket', mqttSdk.MqttWs]]) {
  test(`a device connects by its thumbprint over ${over}`, async () => {
    const own = makeCertificate('whatever');
    const deviceId = await createDevice({ type: 'selfSigned', x509Thumbprint: { primaryThumbprint: own.sha256.toUpperCase() } });
    const client = await connect(deviceId, own, transport);
    const twin = await client.getTwin();
    await report(twin, { by: 'certificate' });
    await client.sendEvent(new Message('hello'));
    assert.equal((await registry.getTwin(deviceId)).responseBody.properties.reported.by, 'certificate');
    const error = await refusal(connect(deviceId, makeCertificate('whatever'), transport));
    assert.ok(['UnauthorizedError', 'NotConnectedError'].includes(error.name), error.name);
  });

  test(`a device connects by an authority over ${over}`, async () => {
    const root = makeCertificate('root', { ca: true });
    const middle = makeCertificate('middle', { ca: true, issuer: root });
    const owner = Object.fromEntries(facts.connectionString.split(';').map((p) => [p.slice(0, p.indexOf('=')), p.slice(p.indexOf('=') + 1)]));
    const url = `https://${facts.hostName}/gemel/v1/certificates/${encodeURIComponent(over.replaceAll(' ', '-'))}`;
    const authorization = sas(facts.hostName, owner.SharedAccessKey, owner.SharedAccessKeyName);
    const answer = await fetch(url, { method: 'PUT', headers: { authorization }, body: JSON.stringify({ certificate: root.cert }) });
    assert.equal(answer.status, 201, await answer.text());
    const deviceId = await createDevice({ type: 'certificateAuthority' });
    const own = makeCertificate(deviceId, { issuer: middle });
    const client = await connect(deviceId, own, transport);
    await report(await client.getTwin(), { by: 'authority' });
    await fetch(url, { method: 'DELETE', headers: { authorization } });
    await until('it is gone', async () => (await registry.getTwin(deviceId)).responseBody.connectionState === 'Disconnected');
    await refusal(connect(deviceId, own, transport));
  });
}
