// SPDX-License-Identifier: Apache-2.0
// The agent that was built for the architectures of small devices does the journey with a hub: it
// runs in user-mode emulation, so that all but the kernel is that architecture's.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Agent } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { programs, root, runProgram, until } from '../harness/programs.mjs';

for (const arch of ['arm64', 'armhf']) {
  const program = join(root, `build/cross-${arch}/gemel-agent`);
  const options = existsSync(program) ? {} : { skip: `there is no agent for ${arch}: ${program}` };
  test(`the agent for ${arch} takes its settings, answers and sends events`, options, async () => {
    programs.agent = program;
    const hub = await Hub.started();
    // The kernel does not show the emulated program's own sockets of the process connector.
    const agent = await Agent.started(hub, { args: ['--first-delay', '0'] });
    const good = await agent.judge({ Heartbeat_MessageFrequency: 'High', Process_Mode: 3 });
    assert.equal(good.latest_state, 'success');
    assert.equal(good.Heartbeat_MessageFrequency, 'High');
    const bad = await agent.judge({ Process_CacheSize: 'many' });
    assert.equal(bad.latest_state, 'failed');
    assert.equal(bad.latest_invalid_fields, 'Process_CacheSize');
    await until('a heartbeat and the system information arrive', async () => {
      const types = (await hub.events({ deviceId: agent.deviceId })).flatMap((event) => event.body.events.map((e) => e.payload_type));
      return types.includes('Heartbeat') && types.includes('SystemInformation');
    });
    const { stdout } = await runProgram(program, ['schema']);
    assert.equal(typeof JSON.parse(stdout).properties, 'object');
    await agent.stop();
    await hub.stop();
  });
}
