// SPDX-License-Identifier: Apache-2.0
// Changes one after the other, two at a time: whatever comes while the agent is busy with the one
// before, the last verdict is soon about the last version.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Agent } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';

const ROUNDS = 150;
// Far more than a verdict takes, far less than the minute after which the agent asks again.
const SOON_MS = 10_000;

let hub;
let agent;
before(async () => {
  hub = await Hub.started();
  agent = await Agent.started(hub);
});
after(async () => {
  await agent?.stop();
  await hub?.stop();
});

test('a change that comes while another one is answered is answered soon, too', async () => {
  for (let i = 0; i < ROUNDS; i++) {
    const versions = await Promise.all([
      agent.desire({ Process_CacheSize: 1 + i }), agent.desire({ Heartbeat_Disabled: i % 2 === 0 })]);
    const version = Math.max(...versions);
    const reported = await agent.verdict(version, SOON_MS);
    assert.equal(reported.latest_state, 'success');
    assert.equal(reported.latest_desired_version, version);
    assert.equal(reported.Process_CacheSize, 1 + i);
    assert.equal(reported.Heartbeat_Disabled, i % 2 === 0);
  }
});
