// SPDX-License-Identifier: Apache-2.0
// An agent that proves itself by certificate: over MQTT and WebSocket, as one process and as two, with a
// certificate that is renewed on disk, and with one that the hub does not know.
import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Agent, leakOptions, MODULE } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { Program, programs, temporaryFolder, until } from '../harness/programs.mjs';
import { makeCertificate } from '../harness/x509.mjs';

let hub;
before(async () => { hub = await Hub.started(); });
after(() => hub?.stop());

const byThumbprints = (primary, secondary) => ({ type: 'selfSigned', x509Thumbprint: { primaryThumbprint: primary.sha256,
  ...(secondary ? { secondaryThumbprint: secondary.sha256 } : {}) } });

// Gives the module these certificates at the hub and the agent the first of them.
async function agentWith(deviceId, certificates, { webSocket = false, args = [] } = {}) {
  const agent = await Agent.make(hub, { deviceId, args: ['--first-delay', '0', ...args],
    conf: { IothubModule_BackOffFirst: 1, ...(webSocket ? { IothubModule_TransportProtocol: 'MQTT_WebSocket_Protocol' } : {}) } });
  await trust(agent, ...certificates);
  const port = webSocket ? hub.httpsPort : hub.mqttPort;
  agent.write('connection_string.txt', `HostName=${hub.hostName}:${port};DeviceId=${deviceId};ModuleId=${MODULE};x509=true\n`);
  show(agent, certificates[0]);
  agent.start();
  return agent;
}

const trust = (agent, ...certificates) => hub.must('PUT', `/devices/${agent.deviceId}/modules/${MODULE}`, { headers: { 'if-match': '*' },
  body: { deviceId: agent.deviceId, moduleId: MODULE, authentication: byThumbprints(...certificates) } });

// Puts a certificate in place as a whole, the key before it.
function show(agent, certificate) {
  for (const [name, text] of [['certificate_private.pem', certificate.key], ['certificate_public.pem', certificate.chain]]) {
    agent.write(`${name}.new`, text);
    renameSync(join(agent.configDir, `${name}.new`), join(agent.configDir, name));
  }
}

for (const webSocket of [false, true]) {
  test(`a certificate serves over ${webSocket ? 'WebSocket' : 'MQTT'}`, async () => {
    const own = makeCertificate('any name');
    const agent = await agentWith(`cert-${webSocket}`, [own], { webSocket });
    assert.equal((await agent.judge({ Process_CacheSize: 300 })).latest_state, 'success');
    assert.equal(agent.program.output.includes('PRIVATE KEY'), false);
    await agent.stop();
  });
}

test('a certificate that is renewed on disk is used without a restart, before the old one goes', async () => {
  const [old, renewed] = [makeCertificate('old'), makeCertificate('new')];
  const agent = await agentWith('renewed', [old, renewed]);
  await agent.judge({ Process_CacheSize: 300 });
  agent.write('certificate_private.pem', renewed.key);
  await agent.program.says(/connection stays as it is: certificate_private\.pem is not the key of certificate_public\.pem/, 30_000);
  show(agent, renewed);
  await agent.program.says(/certificate_p\w+\.pem has changed: connecting/, 30_000);
  await trust(agent, renewed);
  const state = await agent.verdict(await agent.desire({ Process_CacheSize: 301 }), 60_000);
  assert.equal(state.Process_CacheSize, 301);
  await agent.stop();
});

test('a certificate that the hub does not know is refused, said, and tried again once it is known', async () => {
  const [known, own] = [makeCertificate('a'), makeCertificate('b')];
  const agent = await agentWith('unknown', [known]);
  show(agent, own);
  await until('it is said', async () => /refuses the credentials/.test((await agent.status()).last_error ?? ''), { timeoutMs: 40_000 });
  await trust(agent, own);
  show(agent, own); // whoever waits for a better one looks again when the file is replaced
  await agent.verdict(1, 60_000);
  await agent.stop();
});

test('without its files the agent says which one is missing', async () => {
  const agent = await Agent.make(hub, { deviceId: 'bare' });
  agent.write('connection_string.txt', `HostName=${hub.hostName}:${hub.mqttPort};DeviceId=bare;ModuleId=${MODULE};x509=true`);
  agent.start();
  await agent.program.says(/certificate_public\.pem: No such file or directory; a certificate is to prove/);
  await agent.stop();
});

test('with the connection in a process of its own it is that one which proves itself', async () => {
  const socket = join(temporaryFolder(), 'link.sock');
  const link = new Program(programs.agent, ['link', '--socket', socket], { env: leakOptions });
  await link.says(/holds the connection/);
  const agent = await agentWith('linked', [makeCertificate('c')], { args: ['--link', socket] });
  assert.equal((await agent.judge({ Process_CacheSize: 300 })).latest_state, 'success');
  await agent.stop();
  await link.stop();
});
