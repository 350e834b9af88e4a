// SPDX-License-Identifier: Apache-2.0
// Events wait on disk while the hub is away; kill -9 of the agent in between loses none, and they
// arrive in order.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Agent } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { programs, runProgram, sleep, until } from '../harness/programs.mjs';

let hub;
let agent;
before(async () => {
  hub = await Hub.started();
  agent = await Agent.make(hub, { args: ['--first-delay', '0'] });
});
after(async () => {
  await agent.stop();
  await hub.stop();
});

// Everything that was seen is somewhere, over all the kills.
function assertBalanced(status) {
  for (const [name, { seen, waiting, queued, delivered, lost }] of Object.entries(status.collectors)) {
    const gone = Object.entries(lost).reduce((sum, [reason, n]) => sum + (reason === 'kernel_buffer' ? 0 : n), 0);
    assert.equal(seen, waiting + queued + delivered + gone, `${name}: ${JSON.stringify(status.collectors[name])}`);
  }
}

const waiting = async () => (await agent.status()).outbox;

test('every message that the outbox held arrives once the hub is back', async () => {
  agent.start();
  await agent.verdict(1);
  await until('the first events', async () => (await hub.events()).length > 0);
  await agent.stop();
  await hub.stop();
  // Each start collects system information and heartbeat afresh: a message on disk a start.
  let held = 0;
  for (let i = 0; i < 5; i++) {
    agent.start();
    held = await until('a message in the outbox', async () => {
      const { kept } = await waiting();
      return kept > held && kept;
    });
    await agent.kill9();
  }
  agent.start();
  const before = await until('the outbox after the kills', async () => (await waiting()).kept);
  assert.ok(before >= held, `${before} < ${held}`);
  const offline = await agent.status();
  assertBalanced(offline);
  assert.ok(offline.collectors.Heartbeat.queued >= 5, JSON.stringify(offline.collectors.Heartbeat));
  await hub.start();
  await until('an empty outbox', async () => (await waiting()).kept === 0, { timeoutMs: 60_000 });
  const online = await agent.status();
  assertBalanced(online);
  assert.equal(online.collectors.Heartbeat.queued, 0);
  assert.ok(online.collectors.Heartbeat.delivered >= 6);
  assert.equal(online.outbox.appended, online.outbox.sent);
  const events = await hub.events({ deviceId: agent.deviceId });
  assert.ok(events.length >= before + 1, `${events.length} events`);
  const numbers = events.map((event) => event.sequenceNumber);
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
  for (const event of events) {
    assert.equal(event.moduleId, 'DefenderIotMicroAgent');
    assert.equal(event.properties.mti, '2.3-0-1-0');
  }
});

test('what the status told is not taken back by a kill', async () => {
  const before = (await agent.status()).collectors.CustomEvent;
  for (let i = 1; i <= 3; i++) {
    for (let n = 0; n < 20; n++) {
      const { code, stderr } = await runProgram(programs.agent, ['event', '--state-dir', agent.stateDir, '{"n": 1}']);
      assert.equal(code, 0, stderr);
    }
    await until('all are seen', async () => (await agent.status()).collectors.CustomEvent.seen === before.seen + 20 * i,
      { everyMs: 5 });
    await agent.kill9();
    agent.start();
    const now = await until('a status', () => agent.status());
    assertBalanced(now);
    assert.equal(now.collectors.CustomEvent.seen, before.seen + 20 * i);
  }
  const { seen, delivered, queued, lost } = (await agent.status()).collectors.CustomEvent;
  assert.equal(seen - delivered - queued, lost.restart ?? 0);
});

test('a hub killed again and again in the middle of sending loses nothing', async () => {
  const seen = new Set();
  for (let i = 0; i < 3; i++) {
    await agent.judge({ Heartbeat_MessageFrequency: i % 2 ? 'Low' : 'High' });
    await hub.kill9();
    await sleep(300);
    await hub.start();
  }
  for (const event of await hub.events()) {
    const key = JSON.stringify(event.body).slice(0, 4000);
    seen.add(key);
  }
  await until('an empty outbox', async () => (await waiting()).kept === 0, { timeoutMs: 60_000 });
  const after = new Set((await hub.events()).map((event) => JSON.stringify(event.body).slice(0, 4000)));
  for (const key of seen) assert.ok(after.has(key));
});
