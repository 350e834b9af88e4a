// SPDX-License-Identifier: Apache-2.0
// A person names a path in the twin; what then happens to its files, and what an application
// submits, arrives at the hub; a container's interface does not.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Agent } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { programs, runProgram, temporaryFolder, until } from '../harness/programs.mjs';

let hub;
let agent;
const folder = temporaryFolder();
const watched = join(folder, 'watched');

before(async () => {
  hub = await Hub.started();
  agent = await Agent.make(hub, { args: ['--first-delay', '0'] });
  agent.start();
  await agent.verdict(1);
});
after(async () => {
  await agent.stop();
  await hub.stop();
});

// What the collectors hold is sent when the settings change.
let turn = 0;
async function flush() {
  turn += 1;
  const reported = await agent.judge({ Process_CacheSize: 256 + turn });
  assert.equal(reported.latest_state, 'success', JSON.stringify(reported.latest_errors));
}

const counter = async (name) => (await agent.status()).collectors[name];

test('a path that does not exist yet is watched from its first file on', async () => {
  const reported = await agent.judge({ FileSystem_Paths: watched });
  assert.equal(reported.latest_state, 'success');
  assert.equal(reported.FileSystem_Paths, watched);
  mkdirSync(join(watched, 'a/b'), { recursive: true });
  await until('its directories are watched', async () => (await counter('FileSystem')).watched === 3);
  writeFileSync(join(watched, 'a/b/one'), 'x');
  renameSync(join(watched, 'a/b/one'), join(watched, 'a/two'));
  rmSync(join(watched, 'a/two'));
  await until('all is seen', async () => (await counter('FileSystem')).seen >= 7);
  await flush();
  const { seen, waiting, sent, watched: count } = await counter('FileSystem');
  assert.equal(waiting, 0);
  assert.equal(sent, seen);
  assert.equal(count, 3);
});

test('an event is submitted from the shell, and a bad one refused', async () => {
  const event = (...words) => runProgram(programs.agent, ['event', '--state-dir', agent.stateDir, ...words]);
  assert.equal((await event('{"door":"open"}')).code, 0);
  assert.equal((await event('[1]')).code, 2);
  assert.equal((await event('no json')).code, 2);
  const { code, stderr } = await runProgram(programs.agent,
    ['event', '--socket', join(folder, 'nowhere.sock'), '{}']);
  assert.equal(code, 3);
  assert.match(stderr, /no agent/);
  const child = spawn(programs.agent, ['event', '--state-dir', agent.stateDir, '-']);
  child.stdin.end('{"from": "a pipe"}\n');
  assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0);
  await until('both are taken', async () => (await counter('CustomEvent')).seen === 2);
  await flush();
  assert.equal((await counter('CustomEvent')).sent, 2);
});

test('settings of the collectors change while they work, and what they hold is sent', async () => {
  writeFileSync(join(watched, 'three'), 'x');
  await until('it is seen', async () => (await counter('FileSystem')).waiting > 0);
  const before = await counter('FileSystem');
  const reported = await agent.judge({ FileSystem_Recursive: false, FileSystem_CacheSize: 1024 });
  assert.equal(reported.latest_state, 'success');
  const now = await counter('FileSystem');
  assert.equal(now.waiting, 0);
  assert.ok(now.sent >= before.sent + before.waiting);
  assert.equal(now.watched, 1);
});

test('the interface of a container is no alarm', { skip: process.getuid() !== 0 && 'needs root' }, async () => {
  const before = await counter('Peripheral');
  execFileSync('ip', ['link', 'add', 'gemel-veth0', 'type', 'veth', 'peer', 'name', 'gemel-veth1']);
  execFileSync('ip', ['link', 'del', 'gemel-veth0']);
  await flush();
  assert.equal((await counter('Peripheral')).seen, before.seen);
});

test('the hub has it all', async () => {
  const events = [];
  await until('the events are at the hub', async () => {
    events.length = 0;
    for (const { body } of await hub.events({ deviceId: agent.deviceId })) events.push(...(body.events ?? []));
    return events.some(({ payload }) => payload.body?.from === 'a pipe')
      && events.some(({ payload }) => payload.path === join(watched, 'three'));
  });
  const files = events.filter((event) => event.payload_type === 'FileSystem').map((event) => event.payload);
  assert.ok(files.some(({ mask, path, is_directory: directory }) => mask === 'Created' && path === watched && directory));
  assert.ok(files.some(({ mask, path }) => mask === 'Deleted' && path === join(watched, 'a/two')));
  const door = events.find((event) => event.payload.body?.door === 'open').payload;
  assert.equal(door.source.user_id, process.getuid());
});
