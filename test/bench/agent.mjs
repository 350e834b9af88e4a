// SPDX-License-Identifier: Apache-2.0
// What watching costs: agent, auditd and collectd side by side on the same machine, the same
// processes, packets and files, in the same seconds. Each is measured by the kernel's account of its
// own threads, so that what else runs does not count.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Agent, MODULE } from '../harness/agent.mjs';
import { Program, programs, root, runProgram, sleep, temporaryFolder, until } from '../harness/programs.mjs';
import { Auditd, Collectd } from './watchers.mjs';

export const LOAD = { starts: 100, packets: 1000, files: 10 }; // a second
const LOCAL = '198.18.77.1';
const REMOTE = '198.18.77.2';
const PORT = 5005;
const INTERFACE = 'gemel-bench';
const SETTLE_S = 300;
const program = join(process.env.GEMEL_BUILD, 'test/bench/agent-load');
const say = (text) => process.stderr.write(`bench: ${text}\n`);

// ---- the kernel's account -----------------------------------------------------------------------

const threads = (pid) => readdirSync(`/proc/${pid}/task`).map((tid) => `/proc/${pid}/task/${tid}`);

function cpuNs(pid) {
  return threads(pid).reduce((sum, dir) => sum + Number(readFileSync(`${dir}/schedstat`, 'utf8').split(' ')[0]), 0);
}

// How often its threads woke: each time one had gone to sleep by itself.
function wakeups(pid) {
  return threads(pid).reduce((sum, dir) =>
    sum + Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`${dir}/status`, 'utf8'))[1]), 0);
}

function memoryKib(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const of = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)[1]);
  return { private: of('Private_Clean') + of('Private_Dirty'), pss: of('Pss'), rss: of('Rss') };
}

// What of it is the kernel's capture buffers, whose size is a setting.
function buffersKib(pid) {
  let of = false;
  let kib = 0;
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    if (/^[0-9a-f]+-/.test(line)) of = line.includes(' socket:[');
    else if (of && /^Private_/.test(line)) kib += Number(/\d+/.exec(line)[0]);
  }
  return kib;
}

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

function sample(pids) {
  const memories = pids.map(memoryKib);
  return { cpu: sum(pids.map(cpuNs)), wakeups: sum(pids.map(wakeups)),
    private: sum(memories.map((m) => m.private)), pss: sum(memories.map((m) => m.pss)), rss: sum(memories.map((m) => m.rss)) };
}

// Watches some programs, {name: {pids}}, until `work` is over.
async function watch(watched, work) {
  const names = Object.keys(watched);
  const take = () => Object.fromEntries(names.map((name) => [name, sample(watched[name].pids)]));
  const peak = Object.fromEntries(names.map((name) => [name, 0]));
  const begin = process.hrtime.bigint();
  const before = take();
  const look = () => {
    for (const name of names)
      peak[name] = Math.max(peak[name], sum(watched[name].pids.map((pid) => memoryKib(pid).private)));
  };
  const timer = setInterval(look, 500);
  const result = await work();
  clearInterval(timer);
  look();
  const after = take();
  const ns = Number(process.hrtime.bigint() - begin);
  const own = (name) => after[name].private - sum(watched[name].pids.map(buffersKib));
  const costs = Object.fromEntries(names.map((name) => [name, { cpuPercent: 100 * (after[name].cpu - before[name].cpu) / ns,
    wakeupsPerSecond: (after[name].wakeups - before[name].wakeups) / (ns / 1e9),
    ownKib: own(name), privateKib: after[name].private, peakKib: peak[name], pssKib: after[name].pss, rssKib: after[name].rss }]));
  return { costs, result };
}

// ---- the agents ---------------------------------------------------------------------------------

async function oneProcess(hub, deviceId, conf) {
  const agent = await Agent.make(hub, { deviceId, conf, args: ['--first-delay', '0'] });
  agent.start();
  await agent.verdict(1);
  return { agent, pids: [agent.program.pid], stop: () => agent.stop() };
}

// As the Debian package runs it.
async function twoProcesses(hub, deviceId, conf) {
  const socket = join(temporaryFolder(), 'link.sock');
  const link = new Program(programs.agent, ['link', '--socket', socket]);
  await link.says(/holds the connection/);
  const agent = await Agent.make(hub, { deviceId, conf, args: ['--first-delay', '0', '--link', socket] });
  agent.start();
  await agent.verdict(1);
  return { agent, pids: [agent.program.pid, link.pid], stop: async () => { await agent.stop(); await link.stop(); } };
}

// ---- the load -----------------------------------------------------------------------------------

// An interface of its own: a pair of virtual ones, the far end in a network namespace where what comes
// is sent back.
class Wire {
  static async made(name) {
    const wire = new Wire();
    wire.name = name;
    const ip = (...words) => execFileSync('ip', words);
    ip('netns', 'add', name);
    wire.ip = ip;
    ip('link', 'add', INTERFACE, 'type', 'veth', 'peer', 'name', 'far', 'netns', name);
    ip('addr', 'add', `${LOCAL}/30`, 'dev', INTERFACE);
    ip('link', 'set', INTERFACE, 'up');
    ip('-n', name, 'addr', 'add', `${REMOTE}/30`, 'dev', 'far');
    ip('-n', name, 'link', 'set', 'far', 'up');
    wire.echo = new Program(program, ['echo', name, REMOTE]);
    await wire.echo.says(/ready/);
    return wire;
  }

  async unmade() {
    await this.echo.kill9();
    this.ip('netns', 'del', this.name); // and with it the pair
  }
}

async function load(seconds, target, folder) {
  const { code, stdout, stderr } = await runProgram(program, [String(seconds), String(LOAD.starts), target,
    String(LOAD.packets), REMOTE, String(LOAD.files), folder], { timeoutMs: (seconds + 60) * 1000 });
  if (code !== 0) throw new Error(`agent-load: ${stderr}`);
  return JSON.parse(stdout);
}

// What the hub was told of the load, by sums of hit_count.
async function told(hub, deviceId, target, folder) {
  const totals = { started: 0, ended: 0, packets: 0, made: 0, removed: 0, gone: 0 };
  const kinds = {
    Process: ({ commandline, commandline_state: state, event_type: type }) =>
      state === 'GONE' && type === 'EXEC' ? 'gone' : commandline === target ? { EXEC: 'started', EXIT: 'ended' }[type] : null,
    NetworkActivity: ({ remote_address: address, remote_port: port }) => address === REMOTE && port === PORT ? 'packets' : null,
    FileSystem: ({ path, mask }) => path.startsWith(`${folder}/`) ? { Created: 'made', Deleted: 'removed' }[mask] : null,
  };
  for (const { body } of await hub.events({ deviceId, moduleId: MODULE }))
    for (const { payload_type: type, payload } of body.events) {
      const kind = kinds[type]?.(payload);
      if (kind) totals[kind] += payload.hit_count;
    }
  return totals;
}

// Sends what waits, and holds the agent's account against what was done.
async function account({ agent }, hub, done, target, folder) {
  await agent.judge({ Process_CacheSize: 257 });
  const { collectors } = await until('all is delivered', async () => {
    const status = await agent.status();
    return status.outbox.kept === 0 && status;
  });
  const heard = await told(hub, agent.deviceId, target, folder);
  const lost = {};
  for (const [name, { lost: reasons }] of Object.entries(collectors))
    for (const [reason, count] of Object.entries(reasons ?? {})) lost[`${name}.${reason}`] = count;
  const expected = { started: done.started, ended: done.started, made: done.made, removed: done.made,
    ...(collectors.NetworkActivity ? { packets: done.out + done.back } : {}) };
  const uneven = Object.entries(collectors).filter(([, c]) => c.seen !== c.waiting + c.sent
    + sum(Object.entries(c.lost ?? {}).filter(([reason]) => reason !== 'kernel_buffer').map(([, n]) => n))).map(([name]) => name);
  return { heard, expected, lost, uneven };
}

// ---- the scenarios ------------------------------------------------------------------------------

// Every collector that holds events sends them each minute; the snapshots, whose cost is one of a
// day, stay as they are by default, and what they cost is measured by itself.
const busySettings = (folder) => ({ CollectorsCore_PriorityIntervals: '1,120,1440', FileSystem_Paths: folder,
  NetworkActivity_Devices: INTERFACE,
  ...Object.fromEntries(['CustomEvent', 'FileSystem', 'Login', 'NetworkActivity', 'Peripheral', 'Process', 'LogCollector']
    .map((part) => [`${part}_MessageFrequency`, 'High'])) });

// What is due after a start is done, the walk over the file systems for the baseline above all.
async function settled(pid) {
  const main = () => Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]);
  for (let calm = 0, i = 0; calm < 3 && i < SETTLE_S; i++) {
    const before = main();
    await sleep(1000);
    calm = main() - before < 5e6 ? calm + 1 : 0;
  }
}

async function quietly(watched, work) {
  const noise = async () => watched.one ? (await watched.one.agent.status()).collectors.Process.seen : 0;
  const before = await noise();
  const { costs } = await watch(watched, () => sleep(work * 1000));
  return { costs, noise: (await noise() - before) / work };
}

// Idle: connected, with the defaults, and nothing to do but what the machine does by itself. Then
// busy. auditd takes turns with the others: its rules make every system call of the others dearer.
export async function round(hub, seconds) {
  const folder = temporaryFolder();
  const watched = join(folder, 'watched');
  mkdirSync(watched);
  const target = join(folder, 'target');
  copyFileSync('/bin/true', target);
  const wire = await Wire.made(`gemel-bench-${process.pid}`);
  try {
    Auditd.kept(true);
    const agents = { one: await oneProcess(hub, `one-${Date.now()}`), pair: await twoProcesses(hub, `pair-${Date.now()}`) };
    const all = { ...agents, collectd: await Collectd.started(folder) };
    for (const { pids } of Object.values(agents)) await settled(pids[0]);
    const idle = await quietly(all, seconds / 2);
    for (const { agent } of Object.values(agents)) await agent.judge(busySettings(watched));
    const { costs, result: done } = await watch(all, () => load(seconds, target, watched));
    const accounts = {};
    for (const [name, one] of Object.entries(agents)) accounts[name] = await account(one, hub, done, target, watched);
    for (const one of Object.values(all)) await one.stop();

    const auditd = await Auditd.started(folder, watched);
    if (auditd.refused) {
      say(`auditd is not measured: ${auditd.refused}`);
    } else {
      Object.assign(idle.costs, (await quietly({ auditd }, seconds / 2)).costs);
      const theirs = await watch({ auditd }, () => load(seconds, target, watched));
      Object.assign(costs, theirs.costs);
      accounts.auditd = { expected: theirs.result.started, ...await auditd.counts(target) };
      await auditd.stop();
      Auditd.kept(false);
    }
    return { idle, busy: { costs, accounts } };
  } finally {
    await wire.unmade();
  }
}
