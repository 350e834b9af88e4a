// SPDX-License-Identifier: Apache-2.0
// Settings that cut the agent off, cost too much or kill it are taken back by the agent itself, and
// the twin says so.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Agent } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { until } from '../harness/programs.mjs';

let hub;
const agents = [];
before(async () => { hub = await Hub.started(); });
after(async () => {
  for (const agent of agents) await agent.stop();
  await hub.stop();
});

async function startedAgent(deviceId, conf) {
  const agent = await Agent.started(hub, { deviceId, conf: { IothubModule_BackOffLongest: 1, ...conf } });
  agents.push(agent);
  return agent;
}

// Success comes at once, as ever; the failure takes its place.
async function failure(agent, version) {
  return until(`version ${version} to be taken back`, async () => {
    const reported = await agent.reported();
    return reported.latest_state === 'failed' && reported;
  }, { timeoutMs: 60_000 }).then((reported) => {
    assert.equal(reported.latest_desired_version, version);
    return reported;
  });
}

test('an agent that dies again and again with new settings goes back, and not again at them', async () => {
  const agent = await startedAgent('dying');
  const version = await agent.desire({ Process_CacheSize: 300 });
  assert.equal((await agent.verdict(version)).latest_state, 'success');
  for (let i = 0; i < 4; i++) {
    await agent.kill9();
    agent.start();
    const status = await until('the status', () => agent.status());
    assert.equal(status.settings.Process_CacheSize, 300);
    assert.equal(status.probation.version, version);
  }
  await agent.kill9();
  agent.start();
  const reported = await failure(agent, version);
  assert.equal(reported.latest_invalid_fields, 'Process_CacheSize');
  assert.match(reported.latest_errors.Process_CacheSize, /died 5 times/);
  assert.equal(reported.Process_CacheSize, 256);

  await agent.stop();
  agent.start();
  const status = await until('to be in step', async () => {
    const now = await agent.status();
    return now.twin === 'in step' && now;
  });
  assert.equal(status.settings.Process_CacheSize, 256);
  assert.equal(status.taken_back_version, version);
  const next = await agent.judge({ Process_CacheSize: 301 });
  assert.equal(next.latest_state, 'success');
  assert.equal(next.Process_CacheSize, 301);
});

test('settings that exceed the budget are taken back', async () => {
  const agent = await startedAgent('greedy', { Agent_BudgetSeconds: 5, Agent_CpuPercent: 3 });
  const version = await agent.desire({ Process_Mode: 3, Process_PollingInterval: 1000 });
  const reported = await failure(agent, version);
  assert.equal(reported.latest_invalid_fields, 'Process_Mode,Process_PollingInterval');
  assert.match(reported.latest_errors.Process_PollingInterval, /% of a core over 5 s; Agent_CpuPercent allows 3/);
  assert.equal(reported.Process_PollingInterval, 100000);
  assert.equal((await agent.status()).settings.Process_Mode, 1);
});

test('a hub that is lost with new settings and comes back with the old ones hears of it', async () => {
  const agent = await startedAgent('cut-off', { Agent_ProbationSeconds: 4 });
  const version = await agent.desire({ Process_CacheSize: 300 });
  assert.equal((await agent.verdict(version)).latest_state, 'success');
  await hub.stop();
  const status = await until('the settings to be taken back', async () => {
    const now = await agent.status();
    return now.taken_back_version === version && now;
  });
  assert.equal(status.settings.Process_CacheSize, 256);
  // Whether it is back in time for the old settings to get the credit, this machine decides: if so,
  // the change is reported as failed, else it is tried again.
  await hub.start();
  const reported = await until('the verdict', async () => {
    const now = await agent.reported();
    const failed = now.latest_state === 'failed' && now.Process_CacheSize === 256;
    return (failed || (await agent.status()).taken_back_version === undefined) && now;
  });
  if (reported.latest_state === 'failed')
    assert.match(reported.latest_errors.Process_CacheSize, /lost the hub .* 4 s/);
  else
    await until('the second attempt', async () => (await agent.reported()).Process_CacheSize === 300);
});
