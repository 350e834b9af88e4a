// SPDX-License-Identifier: Apache-2.0
// An agent that was never told its connection string registers itself, becomes the module that its
// enrollment makes, and comes back to the service when it is no longer known.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Agent, MODULE } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { temporaryFolder, until } from '../harness/programs.mjs';
import { makeCertificate } from '../harness/x509.mjs';

const DPS = 'api-version=2021-10-01';
const KEPT = 'provisioned_connection_string.txt';
let hub;
let scope;
let groupKey;

// The service names the hub without a port: it must be at the usual ones.
const skip = process.env.GEMEL_OWN_NETWORK ? undefined : 'it needs the ports 443 and 8883: run as root, or allow user namespaces';

before(async () => {
  if (skip) return;
  hub = await Hub.started({ mqttPort: 8883, httpsPort: 443 });
  scope = (await hub.administer('GET', `/gemel/v1/hubs/${hub.facts.hub}`)).idScope;
  const made = await enrol('enrollmentGroups/plant', { enrollmentGroupId: 'plant', attestation: { type: 'symmetricKey' } });
  groupKey = made.attestation.symmetricKey.primaryKey;
});
after(() => hub?.stop());

const enrol = (path, body) => hub.must('PUT', `/${path}?${DPS}`, { body: { ...body,
  modules: { [MODULE]: { properties: { desired: { Process_CacheSize: 321 } } } } } });
const deviceKey = (id, key = groupKey) => createHmac('sha256', Buffer.from(key, 'base64')).update(id).digest('base64');

// An agent with nothing but conf.json.
function agentFor(deviceId, conf, { webSocket = false, files = {} } = {}) {
  const agent = new Agent();
  const folder = temporaryFolder();
  Object.assign(agent, { hub, deviceId, options: { args: ['--first-delay', '0'] },
    configDir: join(folder, 'config'), stateDir: join(folder, 'state') });
  mkdirSync(agent.configDir);
  mkdirSync(agent.stateDir);
  agent.write('ca.pem', hub.ca);
  agent.write('conf.json', JSON.stringify({ Provisioning_IdScope: scope, Provisioning_RegistrationId: deviceId,
    Provisioning_Host: hub.hostName, IothubModule_BackOffFirst: 1,
    IothubModule_BackOffLongest: 2, ...(webSocket ? { IothubModule_TransportProtocol: 'MQTT_WebSocket_Protocol' } : {}), ...conf }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(agent.configDir, name), text, { mode: 0o600 });
  agent.start();
  return agent;
}

for (const webSocket of [false, true]) {
  test(`with a key derived from the group's it registers over ${webSocket ? 'WebSocket' : 'MQTT'} and is configured`, { skip }, async () => {
    const id = webSocket ? 'pump-web' : 'pump-7';
    const key = deviceKey(id);
    const agent = agentFor(id, { Provisioning_SymmetricKey: key }, { webSocket });
    const state = await agent.verdict(1);
    assert.equal(state.Process_CacheSize, 321);
    assert.equal(statSync(join(agent.stateDir, KEPT)).mode & 0o077, 0);
    assert.equal((await agent.judge({ Process_CacheSize: 322 })).latest_state, 'success');
    await agent.stop();
    assert.equal(agent.program.output.includes(key), false, 'no key in the log');
  });
}

test('after a restart it uses what it was assigned, and registers again when the hub does not know it', { skip }, async () => {
  const agent = agentFor('pump-8', { Provisioning_SymmetricKey: deviceKey('pump-8') });
  await agent.verdict(1);
  await agent.stop();
  agent.start();
  await until('it is connected', async () => (await agent.status()).connection === 'connected');
  assert.equal(agent.program.output.includes('assigned hub and device'), false);
  await hub.must('DELETE', '/devices/pump-8', { headers: { 'if-match': '*' } });
  await agent.program.says(/assigned hub and device/, 60_000);
  await until('the module is there again', async () => (await agent.reported()).latest_state === 'success', { timeoutMs: 60_000 });
  await agent.stop();
});

test('with a certificate it registers, and proves itself by it afterwards', { skip }, async () => {
  const own = makeCertificate('pump-x');
  await enrol('enrollments/pump-x', { registrationId: 'pump-x', attestation: { type: 'x509',
    x509: { clientCertificates: { primary: { certificate: own.cert } } } } });
  const agent = agentFor('pump-x', {}, { files: { 'certificate_public.pem': own.chain, 'certificate_private.pem': own.key } });
  await agent.verdict(1);
  assert.match(agent.state(KEPT), /x509=true/);
  await agent.stop();
});

test('a wrong key is refused in words that help, and the right one is used after a restart', { skip }, async () => {
  const agent = agentFor('pump-9', { Provisioning_SymmetricKey: deviceKey('someone else') });
  await until('it is said', async () => /Provisioning_IdScope/.test((await agent.status()).last_error ?? ''));
  assert.equal((await agent.status()).connection, 'registering');
  assert.equal(existsSync(join(agent.stateDir, KEPT)), false);
  await agent.stop();
});

test('a connection string that a person puts there goes before what was provisioned', { skip }, async () => {
  const agent = agentFor('pump-10', { Provisioning_SymmetricKey: deviceKey('pump-10') });
  await agent.verdict(1);
  await hub.createDevice('by-hand');
  const module = await hub.createModule('by-hand', MODULE);
  agent.write('connection_string.txt', hub.connectionString(module));
  agent.deviceId = 'by-hand';
  await agent.verdict(1, 40_000);
  await agent.stop();
});

test('half a configuration is refused at the start', { skip }, async () => {
  const agent = agentFor('', { Provisioning_RegistrationId: '' });
  const { code } = await agent.program.ended;
  assert.equal(code, 2);
  assert.match(agent.program.output, /Provisioning_RegistrationId is missing/);
});
