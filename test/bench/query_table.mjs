// SPDX-License-Identifier: Apache-2.0
// How long queries take over a hub that was filled by query-fill, over HTTPS. Beside the time on the
// clock, in which others may have had the machine, stands the processor time that the hub took.
//
//   ./dev bench --only queries [--twins N] [--rounds N]
import { readdirSync, readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { cpus } from 'node:os';
import { join } from 'node:path';

import { Hub } from '../harness/hub.mjs';
import { runProgram, until } from '../harness/programs.mjs';

const MODULE = 'DefenderIotMicroAgent';
const FIRST = 12_500; // of the sizes at which whole scans are measured; each next is twice as large
const SIZES = 5;

const say = (text) => process.stderr.write(`bench: ${text}\n`);
const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

class FilledHub {
  static async of(devices) {
    const filled = new FilledHub();
    filled.hub = await Hub.make();
    filled.devices = devices;
    await filled.fill();
    await filled.hub.start();
    filled.agent = new Agent({ keepAlive: true });
    await filled.fill('connect');
    return filled;
  }

  async fill(...more) {
    const { code, stderr } = await runProgram(join(process.env.GEMEL_BUILD, 'test/bench/query-fill'),
      [this.hub.dataDir, String(this.devices), ...more], { timeoutMs: 900_000 });
    if (code !== 0) throw new Error(`query-fill: ${stderr}`);
  }

  // A configuration whose targets are one module in nine.
  async configure() {
    await this.hub.must('PUT', '/configurations/floor-4', { body: { id: 'floor-4', schemaVersion: '1.0', priority: 1,
      targetCondition: 'from devices.modules where tags.floor = 4',
      content: { moduleContent: { 'properties.desired.Process_CacheSize': 400 } } } });
    const targets = Math.floor((this.devices + 4) / 9);
    await until('the configuration is applied', async () => {
      const { systemMetrics } = await this.hub.must('GET', '/configurations/floor-4');
      return systemMetrics.results.appliedCount === targets;
    }, { timeoutMs: 600_000, everyMs: 1000 });
  }

  // Nanoseconds of processor that all threads of the hub have had.
  processor() {
    const tasks = `/proc/${this.hub.program.pid}/task`;
    return readdirSync(tasks).reduce((sum, task) => sum + Number(readFileSync(join(tasks, task, 'schedstat'), 'utf8').split(' ')[0]), 0);
  }

  async ask(query, count = 100, token) {
    const answer = await this.hub.rest('POST', '/devices/query', { body: { query }, agent: this.agent,
      headers: { 'x-ms-max-item-count': String(count), ...(token ? { 'x-ms-continuation': token } : {}) } });
    if (answer.status !== 200) throw new Error(`${query}: ${answer.text}`);
    return answer;
  }

  async measured(what) {
    const begun = performance.now();
    const had = this.processor();
    const result = await what();
    return { ms: performance.now() - begun, processor: (this.processor() - had) / 1e6, result };
  }

  // Every page to the end.
  async all(query, count) {
    let token;
    let rows = 0;
    do {
      const answer = await this.ask(query, count, token);
      rows += answer.json.length;
      token = answer.headers['x-ms-continuation'];
    } while (token);
    return rows;
  }

  async stop() {
    this.agent.destroy();
    await this.hub.stop();
  }
}

const M = 'FROM devices.modules WHERE';
const STATE = 'properties.reported.latest_state';
const SETTING = 'properties.reported.Setting_of_some_length_59';
// The first is what the others are compared with.
const QUESTIONS = [
  `SELECT deviceId ${M} ${SETTING} = -1`,
  `SELECT * ${M} deviceId = 'pump-005000'`,
  `SELECT * ${M} deviceId = 'pump-005000' AND moduleId = '${MODULE}'`,
  `SELECT * ${M} deviceId IN ['pump-000001', 'pump-005000', 'pump-009999']`,
  `SELECT * ${M} STARTSWITH(deviceId, 'pump-0099')`,
  `SELECT * ${M} tags.site = 'site-7'`,
  `SELECT * ${M} tags.site IN ['site-7', 'site-8', 'nowhere']`,
  `SELECT * ${M} tags.line.id = 7777`,
  `SELECT * ${M} IS_DEFINED(tags.line.id)`,
  `SELECT * ${M} IS_DEFINED(tags.nothing)`,
  `SELECT * ${M} connectionState = 'Connected'`,
  `SELECT * ${M} status = 'disabled'`,
  `SELECT * FROM devices WHERE status = 'disabled'`,
  'SELECT * FROM devices WHERE capabilities.iotEdge = true',
  `SELECT * ${M} moduleId = '${MODULE}'`,
  `SELECT * ${M} ${STATE} = 'failed'`,
  `SELECT * ${M} configurations.[[floor-4]].status = 'Applied'`,
  `SELECT * ${M} IS_DEFINED(configurations.[[floor-4]])`,
  `SELECT * ${M} IS_DEFINED(configurations.[[none]])`,
  `SELECT * ${M} ${STATE} = 'failed' AND tags.site = 'site-50'`,
  `SELECT * ${M} tags.site = 'site-50' AND ${STATE} = 'success'`,
  `SELECT * ${M} tags.floor = 4 AND tags.line.id = 7777`,
  `SELECT * ${M} connectionState = 'Connected' AND tags.site = 'site-7' AND ${STATE} = 'failed'`,
  `SELECT * ${M} tags.site = 'site-7' OR ${STATE} = 'failed' OR deviceId = 'pump-000003'`,
  `SELECT TOP 5 deviceId ${M} connectionState = 'Connected' AND tags.site = 'site-7'`,
  `SELECT COUNT() AS n FROM devices.modules`,
  `SELECT COUNT() AS n ${M} tags.floor = 4`,
  `SELECT COUNT() AS n ${M} connectionState = 'Connected'`,
  `SELECT COUNT() AS n ${M} ${STATE} = 'success' AND moduleId = '${MODULE}'`,
  `SELECT COUNT() AS n ${M} configurations.[[floor-4]].status = 'Applied'`,
  `SELECT COUNT() AS n ${M} tags.floor = 3 AND connectionState = 'Connected'`,
  `SELECT COUNT() AS n ${M} tags.floor = 4 OR ${STATE} = 'failed'`,
  `SELECT connectionState, COUNT() AS n FROM devices.modules GROUP BY connectionState`,
  `SELECT ${STATE} AS s, COUNT() AS n ${M} moduleId = '${MODULE}' GROUP BY ${STATE}`,
  `SELECT tags.site AS s, COUNT() AS n FROM devices.modules GROUP BY tags.site`,
  `SELECT tags.site AS s, COUNT() AS n ${M} ${STATE} = 'failed' GROUP BY tags.site`,
  `SELECT ${SETTING} AS s, COUNT() AS n FROM devices.modules GROUP BY ${SETTING}`,
];

// Others, while four whole scans run one after the other without end.
async function besideScans(filled) {
  let over = false;
  const scanning = Array.from({ length: 4 }, async () => { while (!over) await filled.ask(QUESTIONS[0]); });
  const waits = [];
  for (let i = 0; i < 200; i++) {
    const path = filled.hub.twinPath(`pump-${String(i * 17).padStart(6, '0')}`);
    waits.push((await filled.measured(() => filled.hub.must('GET', path, { agent: filled.agent }))).ms);
  }
  over = true;
  await Promise.all(scanning);
  waits.sort((a, b) => a - b);
  return `A twin by REST beside four whole scans without end: ${waits[100].toFixed(0)} ms, 99 of 100 within ${waits[198].toFixed(0)} ms.`;
}

async function filterTable(twins, rounds) {
  const filled = await FilledHub.of(twins);
  say(`queries over ${twins} modules`);
  await filled.configure();
  const lines = [];
  let whole;
  for (const query of QUESTIONS) {
    const taken = [];
    for (let i = 0; i < rounds; i++) taken.push(await filled.measured(() => filled.ask(query)));
    const ms = median(taken.map((t) => t.ms));
    const processor = median(taken.map((t) => t.processor));
    whole ??= processor;
    const rows = taken[0].result.json;
    const found = rows.length === 1 && 'n' in rows[0] ? `n = ${rows[0].n}` : String(rows.length);
    lines.push(`| \`${query.replaceAll('|', '\\|')}\` | ${found} | ${ms.toFixed(1)} | ${processor.toFixed(1)} | ${(processor / whole).toPrecision(2)} |`);
    say(lines.at(-1));
  }
  lines.push('', await besideScans(filled));
  await filled.stop();
  return ['| query | rows of the first page | ms | processor, ms | : whole scan |', '| --- | --- | --- | --- | --- |', ...lines].join('\n');
}

async function scalingTable(rounds) {
  const kinds = [['a condition that no index knows', (f) => f.all(QUESTIONS[0], 1000)],
    ['all rows, `SELECT *`, pages of 1000', (f) => f.all('SELECT * FROM devices.modules', 1000)],
    ['all rows, `SELECT deviceId`, pages of 100', (f) => f.all('SELECT deviceId FROM devices.modules', 100)],
    ['all rows, `SELECT deviceId`, pages of 1000', (f) => f.all('SELECT deviceId FROM devices.modules', 1000)],
    ['all rows of `tags.floor = 4`, pages of 100', (f) => f.all(`SELECT deviceId ${M} tags.floor = 4`, 100)],
    ['GROUP BY a reported property', (f) => f.all(QUESTIONS.at(-1), 1000)]];
  const columns = [];
  for (let i = 0; i < SIZES; i++) {
    const twins = FIRST * 2 ** i;
    const filled = await FilledHub.of(twins);
    const column = [];
    for (const [, what] of kinds) {
      const taken = [];
      for (let round = 0; round < rounds; round++) taken.push((await filled.measured(() => what(filled))).processor * 1000 / twins);
      column.push(median(taken));
    }
    say(`${twins} twins: ${column.map((us) => us.toFixed(2)).join(' ')} us each`);
    columns.push([twins, column]);
    await filled.stop();
  }
  return [`| processor of a twin, µs | ${columns.map(([twins]) => twins.toLocaleString('en')).join(' | ')} |`,
    `| --- |${' --- |'.repeat(SIZES)}`,
    ...kinds.map(([name], k) => `| ${name} | ${columns.map(([, column]) => column[k].toFixed(2)).join(' | ')} |`)].join('\n');
}

export async function queryTables({ rounds, twins }) {
  const filters = await filterTable(twins, rounds);
  const scaling = await scalingTable(Math.min(rounds, 3));
  return `${filters}\n\n${scaling}\n\nMedians of ${rounds} rounds on ${cpus().length} cores (${cpus()[0].model.trim()}).`;
}
