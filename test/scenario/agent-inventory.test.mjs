// SPDX-License-Identifier: Apache-2.0
// What a hub learns of a machine that just runs: its system, its packages one by one, heartbeats
// whose numbers go on whatever ends the agent, its log, and how its collectors fare.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { arch, release } from 'node:os';
import { after, before, test } from 'node:test';

import { Agent } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { programs, runProgram, until } from '../harness/programs.mjs';

let hub;
let agent;
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

const payloads = async (type) => (await hub.events({ deviceId: agent.deviceId }))
  .flatMap((message) => message.body.events).filter((event) => event.payload_type === type).map((event) => event.payload);

const first = (type) => until(`an event of ${type}`, async () => {
  const found = await payloads(type);
  return found.length > 0 && found;
});

test('the system is this one', async () => {
  const [system] = await first('SystemInformation');
  assert.equal(system.kernel_info, release());
  assert.equal(system.os_arch, { x64: 'x86_64', arm64: 'aarch64' }[arch()] ?? system.os_arch);
});

test('all packages of this machine arrive, and no others',
  { skip: !existsSync('/var/lib/dpkg/status') && 'there is no dpkg here' }, async () => {
    const parts = await until('the last part', async () => {
      const found = await payloads('SBoM');
      return found.some((part) => part.last) && found;
    });
    const scan = parts.filter((part) => part.scan_id === parts[0].scan_id);
    assert.deepEqual(scan.map((part) => part.part), scan.map((_, i) => i + 1));
    const told = scan.filter((part) => part.manager === 'dpkg').flatMap((part) => part.packages)
      .map((p) => `${p.name} ${p.version} ${p.architecture}`).sort();
    const listed = execFileSync('dpkg-query',
      ['-W', '-f', '${db:Status-Status} ${Package} ${Version} ${Architecture}\n'], { encoding: 'utf8' })
      .split('\n').filter((line) => line !== '' && !/^(config-files|not-installed) /.test(line))
      .map((line) => line.slice(line.indexOf(' ') + 1)).sort();
    assert.deepEqual(told, listed);
  });

test('the log arrives from its first line on, with its place', async () => {
  const logs = (await first('LogCollector')).flatMap((payload) => payload.logs);
  assert.match(logs[0].message, /^agent: gemel-agent .* starts/);
  assert.equal(logs[0].level, 'INFO');
  assert.equal(logs[0].filename, 'run.c');
});

test('every collector is told of, the statistics among them', async () => {
  const names = (await first('StatisticEvents')).map((payload) => payload.name);
  for (const name of ['Process', 'SBoM', 'Heartbeat', 'LogCollector', 'StatisticEvents']) assert.ok(names.includes(name), name);
});

test('the numbers of heartbeats go on over stops and kills, and none comes twice', async () => {
  for (let i = 0; i < 6; i++) {
    const before = (await payloads('Heartbeat')).length;
    if (i % 2 === 0) await agent.kill9();
    else await agent.stop();
    agent.start();
    await until('another heartbeat', async () => (await payloads('Heartbeat')).length > before);
  }
  const numbers = (await payloads('Heartbeat')).map((payload) => payload.sequence);
  assert.equal(numbers[0], 1);
  for (let i = 1; i < numbers.length; i++)
    assert.ok(numbers[i] > numbers[i - 1] && numbers[i] <= numbers[i - 1] + 2, numbers.join(' '));
});

test('one collector runs once, by hand, and says why where it has nothing', async () => {
  const collect = (...args) => runProgram(programs.agent, ['collect', ...args]);
  const system = await collect('systeminformation');
  assert.equal(system.code, 0, system.stderr);
  const { events } = JSON.parse(system.stdout);
  assert.deepEqual(events.map((event) => [event.payload_type, event.payload.kernel_info]), [['SystemInformation', release()]]);
  const started = collect('Process', '--seconds', '2');
  const starts = setInterval(() => execFileSync('/bin/sleep', ['0.1']), 200);
  const processes = await started;
  clearInterval(starts);
  assert.ok(JSON.parse(processes.stdout).events.some((event) => event.payload.commandline === '/bin/sleep 0.1'), processes.stdout);
  const files = await collect('FileSystem', '--seconds', '0');
  assert.deepEqual([files.code, JSON.parse(files.stdout)], [0, { events: [] }]);
  assert.match(files.stderr, /FileSystem: no path is watched, as FileSystem_Paths is empty/);
  assert.match((await collect('Peripheral', '--seconds', '0')).stderr, /Peripheral: nothing happened in 0 s/);
  const unknown = await collect('Nonsense');
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /there is no collector Nonsense; there are: .*Process/);
});
