// SPDX-License-Identifier: Apache-2.0
// A state directory on a file system of its own that is really full: messages are sent from memory
// while the hub is there, wait there while it is not, and go to the disk when it has room again.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Agent } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { programs, runProgram, until } from '../harness/programs.mjs';

const conf = { IothubModule_BackOffLongest: 1, Process_Disabled: true, NetworkActivity_Disabled: true, SBoM_Disabled: true };
let hub;
let agent;
let mounted = false;
before(async () => {
  hub = await Hub.started();
  agent = await Agent.make(hub, { args: ['--first-delay', '0'], conf });
  const { code } = await runProgram('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'gemel-test', agent.stateDir]);
  mounted = code === 0;
});
after(async () => {
  await agent.stop();
  await hub.stop();
  if (mounted) await runProgram('umount', ['-l', agent.stateDir]);
});

const fillFile = () => join(agent.stateDir, 'filling');

function fillTheDisk() {
  for (const size of [65536, 4096]) {
    try {
      for (;;) writeFileSync(fillFile(), Buffer.alloc(size), { flag: 'a' });
    } catch (error) {
      assert.equal(error.code, 'ENOSPC');
    }
  }
}

// Settings that change make the collectors hand on what they hold.
let submitted = 0;
async function submit(count, size) {
  for (const last = submitted + count; submitted < last; submitted++) {
    const event = JSON.stringify({ n: submitted, filling: 'x'.repeat(size) });
    const { code, stderr } = await runProgram(programs.agent, ['event', '--state-dir', agent.stateDir, event]);
    assert.equal(code, 0, stderr);
  }
  await until('all are seen', async () => (await custom()).seen === submitted);
  agent.write('conf.json', JSON.stringify({ ...conf, Process_CacheSize: 100 + submitted }));
  agent.program.child.kill('SIGHUP');
  await until('all are handed on', async () => (await custom()).waiting === 0);
}

const custom = async () => (await agent.status()).collectors.CustomEvent;

function assertBalanced({ collectors, outbox }) {
  for (const [name, { seen, waiting, queued, delivered, lost }] of Object.entries(collectors)) {
    const gone = Object.entries(lost).reduce((sum, [reason, n]) => sum + (reason === 'kernel_buffer' ? 0 : n), 0);
    assert.equal(seen, waiting + queued + delivered + gone, `${name}: ${JSON.stringify(collectors[name])}`);
  }
  assert.equal(outbox.appended, outbox.kept + outbox.sent + outbox.dropped_expired + outbox.dropped_overflow + outbox.dropped_damaged);
}

const arrived = async () => (await hub.events({ deviceId: agent.deviceId }))
  .flatMap(({ body }) => body.events).filter((event) => event.payload_type === 'CustomEvent').map((event) => event.payload.body.n);

const settled = (what, probe) => until(what, async () => probe(await agent.status()), { timeoutMs: 60_000 });

test('on a full disk nothing is lost while the hub is there, nor what waits when there is room again', async (t) => {
  if (!mounted) { t.skip('no file system can be mounted here'); return; }
  agent.start();
  await agent.verdict(1);
  await settled('the first events', ({ outbox }) => outbox.kept === 0 && outbox.sent > 0);
  fillTheDisk();
  for (let round = 0; round < 3; round++) await submit(5, 10_000);
  await settled('an empty outbox', ({ outbox }) => outbox.kept === 0);
  assert.match(agent.program.output, /the disk takes no messages, they wait in memory/);
  assert.equal(new Set(await arrived()).size, submitted);

  await hub.stop();
  await submit(20, 10_000);
  assert.equal((await agent.status()).outbox.dropped_unwritten, 0);
  rmSync(fillFile());
  await agent.program.says(/the disk takes messages again/, 60_000);
  await submit(1, 10);
  const before = await agent.status();
  assertBalanced(before);
  assert.ok(before.collectors.CustomEvent.queued >= 21);
  await agent.kill9();

  agent.start();
  await hub.start();
  await settled('an empty outbox', ({ outbox }) => outbox.kept === 0 && outbox.sent > 0);
  const status = await agent.status();
  assertBalanced(status);
  assert.equal(status.outbox.dropped_unwritten, 0);
  assert.deepEqual(status.collectors.CustomEvent.lost, {});
  assert.equal(status.collectors.CustomEvent.delivered, submitted);
  assert.deepEqual([...new Set(await arrived())].sort((a, b) => a - b), Array.from({ length: submitted }, (_, n) => n));
});

test('what memory holds when the agent is killed is counted as unwritten', async (t) => {
  if (!mounted) { t.skip('no file system can be mounted here'); return; }
  fillTheDisk();
  await hub.stop();
  await submit(5, 10_000);
  assert.equal((await custom()).queued, 5);
  await agent.kill9();
  rmSync(fillFile());
  agent.start();
  const status = await until('a status', () => agent.status());
  assertBalanced(status);
  assert.equal(status.collectors.CustomEvent.lost.unwritten, 5);
});

test('on a disk that is read-only from the start it works from memory, and uses it as soon as it can', async (t) => {
  if (!mounted) { t.skip('no file system can be mounted here'); return; }
  await hub.stop();
  await submit(3, 1000); // and a restart: the disk holds messages from before
  await agent.stop();
  for (const args of [['--bind', agent.stateDir, agent.stateDir], ['-o', 'remount,bind,ro', agent.stateDir]])
    assert.equal((await runProgram('mount', args)).code, 0);
  agent.start();
  t.after(async () => {
    await agent.stop();
    await runProgram('umount', ['-l', agent.stateDir]);
  });
  await agent.program.says(/the disk takes no messages, they wait in memory/);
  await hub.start();
  assert.equal((await agent.judge({ Login_CacheSize: 321 })).Login_CacheSize, 321);
  const lost = 5; // by the kill above
  await until('what the disk held arrives', async () => new Set(await arrived()).size === submitted - lost);
  await hub.stop();
  assert.equal((await runProgram('mount', ['-o', 'remount,bind,rw', agent.stateDir])).code, 0);
  await agent.program.says(/the disk takes messages again/, 30_000);
  await until('it can be asked again', () => agent.status(), { timeoutMs: 30_000 });
  await agent.program.says(/events can be submitted again/, 30_000);
  await submit(2, 1000);
  const { collectors: { CustomEvent: before }, outbox } = await agent.status();
  await agent.kill9();
  agent.start();
  await hub.start();
  await until('what was kept since arrives', async () => new Set(await arrived()).size === submitted - lost);
  const status = await until('all is delivered', async () => {
    const now = await agent.status();
    return now.outbox.kept === 0 && now;
  });
  assertBalanced(status);
  assert.equal(status.collectors.CustomEvent.seen, before.seen);
  assert.ok(status.outbox.appended > outbox.appended);
});
