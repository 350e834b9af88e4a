// SPDX-License-Identifier: Apache-2.0
// Root by hand gives the agent every right; it keeps those that collectors need, and uses those of the
// collectors that are switched on.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { Agent } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { until } from '../harness/programs.mjs';

const skip = process.getuid() === 0 ? undefined : 'it needs root';
const NUMBERS = { CAP_CHOWN: 0n, CAP_DAC_READ_SEARCH: 2n, CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n, CAP_SYS_PTRACE: 19n, CAP_SYS_NICE: 23n };
const NEEDY = ['Baseline', 'CustomEvent', 'FileSystem', 'ListeningPorts', 'Login', 'NetworkActivity', 'Peripheral', 'Process',
  'SystemInformation'];
let hub;
let agent;

before(async () => {
  if (skip) return;
  hub = await Hub.started();
  agent = await Agent.started(hub);
});
after(async () => {
  await agent?.stop();
  await hub?.stop();
});

const mask = (names) => names.reduce((bits, name) => bits | (1n << NUMBERS[name]), 0n);
function kernelSays(kind) {
  const text = readFileSync(`/proc/${agent.program.pid}/status`, 'utf8');
  return BigInt(`0x${new RegExp(`^${kind}:\\s+([0-9a-f]+)$`, 'm').exec(text)[1]}`);
}
const given = () => kernelSays('CapBnd');
const disabled = (off) => Object.fromEntries(NEEDY.map((name) => [`${name}_Disabled`, off(name)]));

async function inUse(names) {
  const wanted = mask(names) & given();
  await until(`${names.join(' ')} in use`, () => kernelSays('CapEff') === wanted);
  const said = (await agent.status()).capabilities.split(' ').filter(Boolean);
  assert.equal(mask(said), wanted);
}

test('with every collector on it uses what they need, and no more', { skip }, async () => {
  await agent.judge(disabled(() => false));
  await inUse(Object.keys(NUMBERS));
  assert.equal(kernelSays('CapPrm'), mask(Object.keys(NUMBERS)) & given());
});

test('with all off that need any it uses none', { skip }, async () => {
  assert.equal((await agent.judge(disabled(() => true))).latest_state, 'success');
  await inUse([]);
});

test('what is switched on again has its rights again, and works', { skip }, async () => {
  await agent.judge({ ...disabled((name) => name !== 'Process'), Process_Mode: 1 });
  await inUse(['CAP_NET_ADMIN', 'CAP_SYS_PTRACE', 'CAP_SYS_NICE']);
  assert.equal((await agent.status()).collectors.Process.state, 'running');
});
