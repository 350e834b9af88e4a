// SPDX-License-Identifier: Apache-2.0
// The agent with its connection in a process of its own, as the packaged units run it: the same
// journey, and either process may be killed at any moment.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Agent, leakOptions } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { Program, programs, runProgram, temporaryFolder, until } from '../harness/programs.mjs';

const socket = join(temporaryFolder(), 'link.sock');
let hub;
let agent;
let link;

async function startLink() {
  link = new Program(programs.agent, ['link', '--socket', socket], { env: leakOptions });
  await link.says(/holds the connection/);
}

before(async () => {
  hub = await Hub.started();
  agent = await Agent.make(hub, { args: ['--link', socket, '--first-delay', '0'], conf: { IothubModule_BackOffLongest: 1 } });
  await startLink();
  agent.start();
});
after(async () => {
  await agent?.stop();
  await link?.stop();
  await hub?.stop();
});

test('a change is judged and reported, and events arrive', async () => {
  const good = await agent.judge({ Process_CacheSize: 300 });
  assert.equal(good.latest_state, 'success');
  const bad = await agent.judge({ Process_CacheSize: 0 });
  assert.equal(bad.latest_state, 'failed');
  await until('events arrive', async () => (await hub.events({ deviceId: agent.deviceId })).length > 0);
  assert.equal((await agent.status()).connection, 'connected');
});

test('the agent itself has no connection to the internet', async () => {
  const { stdout } = await runProgram('ss', ['-Htnp']);
  const own = stdout.split('\n').filter((line) => line.includes(`pid=${agent.program.pid},`));
  assert.deepEqual(own, []);
  assert.ok(stdout.includes(`pid=${link.pid},`));
});

test('both keep a small heap, under their own name and process id', () => {
  for (const { pid } of [agent.program, link]) {
    assert.match(readFileSync(`/proc/${pid}/environ`, 'latin1'), /(^|\0)GLIBC_TUNABLES=glibc\.malloc\.tcache_count=0(\0|$)/);
    assert.equal(readFileSync(`/proc/${pid}/comm`, 'utf8'), 'gemel-agent\n');
  }
});

test('the link process is killed again and again: no change is missed', async () => {
  for (let round = 0; round < 4; round++) {
    await link.kill9();
    const version = await agent.desire({ Process_CacheSize: 400 + round });
    await startLink();
    const state = await agent.verdict(version);
    assert.equal(state.Process_CacheSize, 400 + round);
  }
});

test('the agent is killed and starts again: the link process serves the new one', async () => {
  await agent.kill9();
  const version = await agent.desire({ Process_CacheSize: 500 });
  agent.start();
  assert.equal((await agent.verdict(version)).Process_CacheSize, 500);
});

test('without the link process the agent says so and keeps what it sees', async () => {
  await link.stop();
  await until('it is said', async () => /gemel-agent link/.test((await agent.status()).last_error ?? ''));
  await startLink();
  await until('it is connected again', async () => (await agent.status()).connection === 'connected');
});
