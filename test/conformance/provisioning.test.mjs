// SPDX-License-Identifier: Apache-2.0
// The vendor's provisioning SDKs: a service that enrolls, devices that register over MQTT, MQTT over
// WebSocket and HTTPS, and then connect with what they got.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, test } from 'node:test';

import device from 'azure-iot-provisioning-device';
import deviceHttp from 'azure-iot-provisioning-device-http';
import deviceMqtt from 'azure-iot-provisioning-device-mqtt';
import service from 'azure-iot-provisioning-service';
import keySecurity from 'azure-iot-security-symmetric-key';
import x509Security from 'azure-iot-security-x509';

import { makeCertificate } from '../harness/x509.mjs';
import { Client, facts, Message, ModuleClient, Mqtt, refusal, registry, report, unique } from './place.mjs';

const { ProvisioningDeviceClient } = device;
const enrollments = service.ProvisioningServiceClient.fromConnectionString(facts.connectionString);
const transports = { MQTT: deviceMqtt.Mqtt, 'MQTT over WebSocket': deviceMqtt.MqttWs, HTTPS: deviceHttp.Http };

const made = [];
const groups = [];
after(async () => {
  for (const id of made) {
    await enrollments.deleteIndividualEnrollment(id).catch(() => {});
    await registry.delete(id).catch(() => {});
  }
  for (const id of groups) await enrollments.deleteEnrollmentGroup(id).catch(() => {});
});
const newId = (what) => {
  const id = unique(what).replaceAll('_', '-').toLowerCase();
  made.push(id);
  return id;
};
const newGroup = (what) => {
  const id = unique(what).replaceAll('_', '-').toLowerCase();
  groups.push(id);
  return id;
};

const register = (transport, security) =>
  ProvisioningDeviceClient.create(facts.hostName, facts.idScope, new transport(), security).register();
const withKey = (id, key) => new keySecurity.SymmetricKeySecurityClient(id, key);
const withCertificate = (id, certificate) =>
  new x509Security.X509Security(id, { cert: certificate.chain, key: certificate.key });

async function connect(result, key, moduleId) {
  const module = moduleId ? `;ModuleId=${moduleId}` : '';
  const client = (moduleId ? ModuleClient : Client).fromConnectionString(
    `HostName=${result.assignedHub};DeviceId=${result.deviceId}${module};SharedAccessKey=${key}`, Mqtt);
  await client.open();
  return client;
}

for (const [over, transport] of Object.entries(transports)) {
  test(`a device with a key of its own registers over ${over}, and so does its module`, async () => {
    const registrationId = newId('key');
    const { responseBody: enrollment } = await enrollments.createOrUpdateIndividualEnrollment({ registrationId,
      attestation: { type: 'symmetricKey' }, provisioningStatus: 'enabled',
      initialTwin: { tags: { site: 'north' }, properties: { desired: { a: 1 } } },
      modules: { DefenderIotMicroAgent: { properties: { desired: { Process_MessageFrequency: 'High' } } } } });
    const key = enrollment.attestation.symmetricKey.primaryKey;
    const result = await register(transport, withKey(registrationId, key));
    assert.equal(result.assignedHub, facts.hostName);
    assert.equal(result.deviceId, registrationId);
    assert.equal(result.status, 'assigned');
    assert.deepEqual(result.payload, { modules: ['DefenderIotMicroAgent'] });
    const { responseBody: twin } = await registry.getTwin(registrationId);
    assert.equal(twin.tags.site, 'north');
    assert.equal(twin.properties.desired.a, 1);
    const client = await connect(result, key);
    await client.sendEvent(new Message('hello'));
    await client.close();
    const module = await connect(result, key, 'DefenderIotMicroAgent');
    const moduleTwin = await module.getTwin();
    assert.equal(moduleTwin.properties.desired.Process_MessageFrequency, 'High');
    await report(moduleTwin, { latest_state: 'success' });
    await module.close();
    assert.equal((await register(transport, withKey(registrationId, key))).deviceId, registrationId);
    await refusal(register(transport, withKey(registrationId, Buffer.from('wrong'.repeat(8)).toString('base64'))));
    const { responseBody: state } = await enrollments.getDeviceRegistrationState(registrationId);
    assert.equal(state.status, 'assigned');
  });

  test(`a device registers by the key of its group over ${over}`, async () => {
    const enrollmentGroupId = newGroup('group');
    const { responseBody: group } = await enrollments.createOrUpdateEnrollmentGroup({ enrollmentGroupId,
      attestation: { type: 'symmetricKey' }, initialTwin: { properties: { desired: { group: true } } } });
    const registrationId = newId('member');
    const derive = (key) => createHmac('sha256', Buffer.from(key, 'base64')).update(registrationId).digest('base64');
    const key = derive(group.attestation.symmetricKey.secondaryKey);
    const result = await register(transport, withKey(registrationId, key));
    assert.equal(result.deviceId, registrationId);
    const client = await connect(result, key);
    assert.equal((await client.getTwin()).properties.desired.group, true);
    await client.close();
    await refusal(register(transport, withKey(registrationId, group.attestation.symmetricKey.primaryKey)));
  });

  test(`devices register by certificates over ${over}`, async () => {
    const own = newId('own');
    const certificate = makeCertificate(own);
    await enrollments.createOrUpdateIndividualEnrollment({ registrationId: own, deviceId: own,
      attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: certificate.cert } } } } });
    assert.equal((await register(transport, withCertificate(own, certificate))).deviceId, own);
    await refusal(register(transport, withCertificate(own, makeCertificate(own))));

    const authority = makeCertificate('plant', { ca: true });
    const middle = makeCertificate('line', { ca: true, issuer: authority });
    const enrollmentGroupId = newGroup('plant');
    await enrollments.createOrUpdateEnrollmentGroup({ enrollmentGroupId,
      attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: Buffer.from(authority.cert).toString('base64') } } } } });
    const id = newId('made');
    const leaf = makeCertificate(id, { issuer: middle });
    const result = await register(transport, withCertificate(id, leaf));
    assert.equal(result.deviceId, id);
    const client = Client.fromConnectionString(`HostName=${result.assignedHub};DeviceId=${id};x509=true`, Mqtt);
    await client.setOptions({ cert: leaf.chain, key: leaf.key });
    await client.open();
    await client.getTwin();
    await client.close();
    await refusal(register(transport, withCertificate(newId('other'), leaf)));
  });

  test(`a disabled enrollment is refused over ${over}`, async () => {
    const registrationId = newId('off');
    const { responseBody: enrollment } = await enrollments.createOrUpdateIndividualEnrollment({ registrationId,
      attestation: { type: 'symmetricKey' }, provisioningStatus: 'disabled' });
    await refusal(register(transport, withKey(registrationId, enrollment.attestation.symmetricKey.primaryKey)));
    const error = await refusal(registry.get(registrationId));
    assert.equal(error.name, 'DeviceNotFoundError');
  });
}

test('enrollments are read, changed with their etag, listed and deleted', async () => {
  const registrationId = newId('crud');
  const { responseBody: first } = await enrollments.createOrUpdateIndividualEnrollment({ registrationId, attestation: { type: 'symmetricKey' } });
  const { responseBody: read } = await enrollments.getIndividualEnrollment(registrationId);
  assert.equal(read.etag, first.etag);
  assert.equal(read.attestation.symmetricKey, undefined);
  const { responseBody: keys } = await enrollments.getIndividualEnrollmentAttestationMechanism(registrationId);
  assert.equal(keys.symmetricKey.primaryKey, first.attestation.symmetricKey.primaryKey);
  const { responseBody: second } = await enrollments.createOrUpdateIndividualEnrollment({ ...read, provisioningStatus: 'disabled' });
  assert.equal(second.attestation.symmetricKey.primaryKey, first.attestation.symmetricKey.primaryKey);
  await refusal(enrollments.createOrUpdateIndividualEnrollment({ ...read, provisioningStatus: 'enabled' }));
  await refusal(enrollments.createOrUpdateIndividualEnrollment({ registrationId, attestation: { type: 'symmetricKey' } }));
  const found = [];
  const query = enrollments.createIndividualEnrollmentQuery({ query: 'SELECT * FROM enrollments' }, 2);
  do found.push(...(await query.next(query.continuationToken)).responseBody); while (query.hasMoreResults);
  assert.ok(found.some((e) => e.registrationId === registrationId));
  assert.ok(found.length > 2);
  await enrollments.deleteIndividualEnrollment(second);
  await refusal(enrollments.getIndividualEnrollment(registrationId));
});

test('a service enrolls many at once, and hears of those that cannot be', async () => {
  const ids = [newId('bulk-1'), newId('bulk-2')];
  const all = ids.map((registrationId) => ({ registrationId, attestation: { type: 'symmetricKey' } }));
  // The SDK's promise of this call is never kept, its callback is called.
  const run = (mode, list) => new Promise((resolve, reject) => {
    enrollments.runBulkEnrollmentOperation({ mode, enrollments: list }, (error, result) => (error ? reject(error) : resolve(result)));
  });
  assert.deepEqual(await run('create', all), { isSuccessful: true, errors: [] });
  const again = await run('create', all.slice(0, 1));
  assert.equal(again.isSuccessful, false);
  assert.deepEqual(again.errors.map((e) => [e.registrationId, e.errorCode]), [[ids[0], 409201]]);
  assert.equal((await run('update', all.map((e) => ({ ...e, provisioningStatus: 'disabled' })))).isSuccessful, true);
  assert.equal((await enrollments.getIndividualEnrollment(ids[1])).responseBody.provisioningStatus, 'disabled');
  assert.equal((await run('delete', all)).isSuccessful, true);
});
