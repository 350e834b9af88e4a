// SPDX-License-Identifier: Apache-2.0
// The agent when the hub is not there, comes back, or changed in between.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Agent } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { Program, programs, until } from '../harness/programs.mjs';

let hub;
const agents = [];
before(async () => { hub = await Hub.started(); });
after(async () => {
  for (const agent of agents) await agent.stop();
  await hub.stop();
});

async function newAgent(deviceId, options = {}) {
  const agent = await Agent.make(hub, { deviceId, ...options });
  agents.push(agent);
  return agent;
}

const cacheSizeInForce = (agent) => until('the status', async () => (await agent.status()).settings.Process_CacheSize);

test('what was applied is in force after a start without network', async () => {
  const agent = await newAgent('offline');
  agent.start();
  await agent.verdict(1);
  await agent.judge({ Process_CacheSize: 300 });
  await agent.stop();
  await hub.stop();
  agent.start();
  assert.equal(await cacheSizeInForce(agent), 300);
  await hub.start();
  const reported = await agent.judge({ Process_CacheSize: 301 });
  assert.equal(reported.latest_state, 'success');
});

test('changes made while the agent was away are applied when it returns', async () => {
  const agent = await newAgent('away');
  agent.start();
  await agent.verdict(1);
  await agent.kill9();
  await agent.desire({ Process_CacheSize: 10 });
  await agent.desire({ Process_CacheSize: 11 });
  const version = await agent.desire({ Heartbeat_Disabled: true });
  agent.start();
  const reported = await agent.verdict(version);
  assert.equal(reported.Process_CacheSize, 11);
  assert.equal(reported.Heartbeat_Disabled, true);
});

test('changes made while the hub was killed and came back are not missed', async () => {
  const agent = await newAgent('through-kills');
  agent.start();
  await agent.verdict(1);
  for (let i = 1; i <= 3; i++) {
    await hub.kill9();
    await hub.start();
    const version = await agent.desire({ Process_CacheSize: 400 + i });
    const reported = await agent.verdict(version);
    assert.equal(reported.Process_CacheSize, 400 + i);
  }
});

test('an agent that was frozen through several changes catches up', async () => {
  const agent = await newAgent('frozen');
  agent.start();
  await agent.verdict(1);
  agent.program.child.kill('SIGSTOP');
  let version;
  for (let i = 1; i <= 30; i++) version = await agent.desire({ Process_CacheSize: 500 + i });
  agent.program.child.kill('SIGCONT');
  assert.equal((await agent.verdict(version)).Process_CacheSize, 530);
});

test('conf.json counts over the defaults, desired over conf.json', async () => {
  const agent = await newAgent('with-conf', { conf: { Process_CacheSize: 99, Login_UsePAM: true } });
  agent.start();
  const first = await agent.verdict(1);
  assert.equal(first.Process_CacheSize, 99);
  assert.equal(first.Login_UsePAM, true);
  const reported = await agent.judge({ Process_CacheSize: 100 });
  assert.equal(reported.Process_CacheSize, 100);
  assert.equal(reported.Login_UsePAM, true);
  assert.equal((await agent.judge({ Process_CacheSize: null })).Process_CacheSize, 99);
});

test('a damaged cache is set aside and the agent starts', async () => {
  const agent = await newAgent('damaged');
  agent.start();
  await agent.verdict(1);
  await agent.judge({ Process_CacheSize: 300 });
  await agent.stop();
  assert.ok(existsSync(join(agent.stateDir, 'cache.json')));
  writeFileSync(join(agent.stateDir, 'cache.json'), '{"format":1,"desi');
  agent.start();
  const reported = await agent.judge({ Heartbeat_Disabled: true });
  assert.equal(reported.latest_state, 'success');
  assert.equal(reported.Process_CacheSize, 300);
});

for (const [what, spoil] of [
  ['is missing', (file) => rmSync(file)],
  ['is nonsense', (file, agent) => agent.write('connection_string.txt', 'nonsense')],
  ['is a device’s, without module', (file, agent) => agent.write('connection_string.txt', 'HostName=x;DeviceId=d;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==')],
  ['is empty', (file, agent) => agent.write('connection_string.txt', '')],
]) {
  test(`a connection string that ${what} is said so, with its file, and never quoted`, async () => {
    const agent = await newAgent(`string-${agents.length}`);
    const file = join(agent.configDir, 'connection_string.txt');
    spoil(file, agent);
    const program = new Program(programs.agent, ['run', '--config-dir', agent.configDir, '--state-dir', agent.stateDir]);
    const line = await program.says(/^.*connection_string\.txt.*$/m);
    assert.doesNotMatch(program.output, /MDEyMzQ1Njc4OWFiY2RlZg/);
    assert.ok(line);
    assert.equal((await program.ended).code, 2);
  });
}

test('a hub whose certificate is not trusted is not told anything', async () => {
  const agent = await newAgent('distrust');
  rmSync(join(agent.configDir, 'ca.pem'));
  agent.start();
  await agent.program.says(/certificate|TLS|verif/i, 30_000);
  assert.equal((await agent.twin()).properties.reported.latest_state, undefined);
});

test('a key that was changed at the hub keeps the agent out until its file is changed too', async () => {
  const agent = await newAgent('rekeyed');
  agent.start();
  await agent.verdict(1);
  await agent.stop();
  await hub.must('PUT', `/devices/rekeyed/modules/DefenderIotMicroAgent`, { headers: { 'if-match': '*' },
    body: { ...agent.module, authentication: { type: 'sas', symmetricKey: { primaryKey: Buffer.from('a new key of 24 bytes...').toString('base64'),
      secondaryKey: Buffer.from('another key of 24 bytes.').toString('base64') } } } });
  agent.start();
  await agent.program.says(/refused|not accepted|unauthori|5/i, 30_000);
  await agent.stop();
  agent.write('connection_string.txt', hub.connectionString(await hub.must('GET', '/devices/rekeyed/modules/DefenderIotMicroAgent')));
  agent.start();
  assert.equal((await agent.judge({ Heartbeat_Disabled: true })).Heartbeat_Disabled, true);
});

test('an unwritable state folder is said and does not end the agent’s work', { skip: process.getuid() === 0 ? 'root may write everywhere' : false }, async () => {
  const agent = await newAgent('readonly');
  chmodSync(agent.stateDir, 0o500);
  agent.start();
  await agent.program.says(/state/i);
});
