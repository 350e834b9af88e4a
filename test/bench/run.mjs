// SPDX-License-Identifier: Apache-2.0
// The benchmarks: each measure and its yardstick take turns within one round, so that whatever else
// the machine does meets both. What is printed are medians over the rounds, and ratios.
//
//   --rounds N   how many rounds (default 5)
//   --peers N    idle connections (default 1000)
//   --seconds N  how long agents are watched under load in each round (default 60)
//   --only PART  hub, agent, queries or fleet; the fleet is measured only if it is asked for
//   --devices N  devices of the fleet (default 10000)
//   --twins N    modules that queries are about (default 100,000)
//   --write      puts the tables into docs/performance.md
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent as HttpsAgent } from 'node:https';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Agent, MODULE } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { runProgram, temporaryFolder } from '../harness/programs.mjs';
import { agentTable } from './agent_table.mjs';
import { fleetTable } from './fleet.mjs';
import { queryTables } from './query_table.mjs';
import { hubPeers, Mosquitto, privateBytes, writePeers } from './servers.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const bench = join(process.env.GEMEL_BUILD, 'test/bench/gemel-bench');
const storeBench = join(process.env.GEMEL_BUILD, 'test/bench/store-bench');

function option(name, otherwise) {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
}
const rounds = option('rounds', 5);
const idlePeers = option('peers', 1000);
const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : null;

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
const say = (text) => process.stderr.write(`bench: ${text}\n`);

// ---- the measures -------------------------------------------------------------------------------

async function load(kind, server, peers, extra = []) {
  const { code, stdout, stderr } = await runProgram(bench, [kind, '--peers', peers, '--ca', server.caFile ?? server.ca,
    '--port', String(server.mqttPort ?? server.port), ...extra]);
  if (code !== 0) throw new Error(`gemel-bench ${kind}: ${stderr}${stdout}`);
  return JSON.parse(stdout);
}

// From the answer of a PATCH of desired to the agent's verdict on it seen by REST, in microseconds.
async function journey(hub, agent, keepAlive, changes) {
  const samples = [];
  for (let i = 0; i < changes; i++) {
    const path = hub.twinPath(agent.deviceId, MODULE);
    const twin = await hub.must('PATCH', path, { agent: keepAlive,
      body: { properties: { desired: { Process_CacheSize: 256 + (i % 2) } } } });
    const begin = process.hrtime.bigint();
    const version = twin.properties.desired.$version;
    for (;;) {
      const { properties } = await hub.must('GET', path, { agent: keepAlive });
      if (properties.reported.latest_desired_version >= version) break;
    }
    samples.push(Number(process.hrtime.bigint() - begin) / 1000);
  }
  return median(samples);
}

// Private memory that each idle connection adds to the server.
async function idle(pid, server, peers, count) {
  const before = privateBytes(pid);
  const child = spawn(bench, ['idle', '--peers', peers, '--ca', server.caFile ?? server.ca,
    '--port', String(server.mqttPort ?? server.port)], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.once('close', () => reject(new Error('gemel-bench idle ended early')));
  });
  const after = privateBytes(pid);
  child.stdin.end();
  await new Promise((resolve) => { child.once('close', resolve); });
  return (after - before) / count;
}

async function rawRates(folder) {
  const { code, stdout, stderr } = await runProgram(storeBench, [folder, '1', '1']);
  if (code !== 0) throw new Error(`store-bench: ${stderr}`);
  return JSON.parse(stdout);
}

// ---- the run ------------------------------------------------------------------------------------

async function hubTable() {
  const folder = temporaryFolder();
  const hub = await Hub.started();
  hub.caFile = hub.facts.caFile;
  const agent = await Agent.started(hub);
  const broker = await Mosquitto.started(folder);
  const keepAlive = new HttpsAgent({ keepAlive: true, maxSockets: 1 });
  const count = Math.max(idlePeers, 64);
  const allHubPeers = await hubPeers(hub, folder, count);
  const lines = readFileSync(allHubPeers, 'utf8').trimEnd().split('\n').map((line) => line.split('\t'));
  const hub64 = writePeers(folder, 'hub-64', lines.slice(0, 64));
  const hub1 = writePeers(folder, 'hub-1', lines.slice(0, 1));
  const broker1 = writePeers(folder, 'broker-1', [['bench-0', 'x', 'x']]);
  const brokerAll = writePeers(folder, 'broker-all', lines.map(([id]) => [id, 'x', 'x']));

  // The first connections fill the servers' pools; what is measured is what a further one costs.
  await idle(hub.program.pid, hub, hub64, 64);
  await idle(broker.program.pid, broker, writePeers(folder, 'broker-64', lines.slice(0, 64).map(([id]) => [id, 'x', 'x'])), 64);
  const memory = { hub: await idle(hub.program.pid, hub, allHubPeers, count),
    broker: await idle(broker.program.pid, broker, brokerAll, count) };
  say(`memory per idle connection: hub ${memory.hub.toFixed(0)} B, mosquitto ${memory.broker.toFixed(0)} B`);

  const taken = { echo: [], journey: [], puback: [], reported: [], sqlite: [], fdatasync: [] };
  for (let round = 1; round <= rounds; round++) {
    taken.echo.push((await load('echo', broker, broker1, ['--seconds', '2'])).medianUs);
    taken.journey.push(await journey(hub, agent, keepAlive, 40));
    taken.puback.push((await load('puback', hub, hub1, ['--seconds', '2', '--topic', 'devices/bench-0/messages/events/'])).medianUs);
    taken.reported.push((await load('reported', hub, hub64, ['--seconds', '4'])).perSecond);
    const raw = await rawRates(folder);
    taken.sqlite.push(raw.raw_64.median);
    taken.fdatasync.push(raw.fdatasync.median);
    say(`round ${round} of ${rounds}: ${JSON.stringify(Object.fromEntries(Object.entries(taken).map(([k, v]) => [k, Math.round(v.at(-1))])))}`);
  }
  const m = Object.fromEntries(Object.entries(taken).map(([name, numbers]) => [name, median(numbers)]));

  keepAlive.destroy();
  await agent.stop();
  await hub.stop();
  await broker.program.stop();

  const fixed = (number, digits = 2) => number.toFixed(digits);
  const rows = [
    ['PATCH of desired answered → verdict visible by REST', `${fixed(m.journey / 1000)} ms`,
      `Mosquitto QoS 1 round trip, ${fixed(m.echo / 1000)} ms`, fixed(m.journey / m.echo, 1)],
    ['event published → PUBACK (durable)', `${fixed(m.puback / 1000)} ms`,
      `Mosquitto QoS 1 round trip, ${fixed(m.echo / 1000)} ms`, fixed(m.puback / m.echo, 1)],
    ['durable reported updates, 64 clients', `${m.reported.toFixed(0)} /s`,
      `raw SQLite, 64 rows a commit, ${m.sqlite.toFixed(0)} /s`, fixed(m.reported / m.sqlite)],
    ['durable reported updates, 64 clients', `${m.reported.toFixed(0)} /s`,
      `fdatasync of 4 KiB, ${m.fdatasync.toFixed(0)} /s`, fixed(m.reported / m.fdatasync)],
    [`private memory per idle TLS connection, ${count} of them`, `${(memory.hub / 1024).toFixed(1)} KiB`,
      `Mosquitto, ${(memory.broker / 1024).toFixed(1)} KiB`, fixed(memory.hub / memory.broker)],
  ];
  return ['| measure | Gemel | yardstick, same run | ratio |', '| --- | --- | --- | --- |',
    ...rows.map((row) => `| ${row.join(' | ')} |`), '',
    `Medians of ${rounds} rounds on ${cpus().length} cores (${cpus()[0].model.trim()}).`].join('\n');
}

const tables = {};
if (only === null || only === 'hub') tables.table = await hubTable();
if (only === 'fleet') tables['fleet table'] = await fleetTable({ devices: option('devices', 10_000) });
if (only === null || only === 'agent') tables['agent table'] = await agentTable({ rounds, seconds: option('seconds', 60) });
if (only === null || only === 'queries') tables['query table'] = await queryTables({ rounds, twins: option('twins', 100_000) });
console.log(Object.values(tables).join('\n\n'));

if (process.argv.includes('--write')) {
  const page = join(root, 'docs/performance.md');
  let text = readFileSync(page, 'utf8');
  for (const [name, table] of Object.entries(tables)) {
    const place = new RegExp(`(<!-- ${name} -->\\n)[^]*?(<!-- /${name} -->)`);
    if (!place.test(text)) throw new Error(`docs/performance.md has no place for the ${name}`);
    text = text.replace(place, (_, open, close) => `${open}${table}\n${close}`);
  }
  writeFileSync(page, text);
}
