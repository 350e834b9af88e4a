// SPDX-License-Identifier: Apache-2.0
// How long queries take over a hub that was filled by query-fill, over HTTPS:
//
//   GEMEL_BUILD=build/bench node test/bench/queries.mjs [DEVICES [ROUNDS]]
//
// Prints the median and the longest of the rounds in milliseconds, and how long others wait for a
// twin while whole scans run.
import { Agent } from 'node:https';
import { join } from 'node:path';

import { Hub } from '../harness/hub.mjs';
import { runProgram } from '../harness/programs.mjs';

const devices = Number(process.argv[2] ?? 100_000);
const rounds = Number(process.argv[3] ?? 9);
const hub = await Hub.make();
const filled = await runProgram(join(process.env.GEMEL_BUILD, 'test/bench/query-fill'), [hub.dataDir, String(devices)], { timeoutMs: 600_000 });
if (filled.code !== 0) throw new Error(filled.stderr);
await hub.start();
const agent = new Agent({ keepAlive: true });

async function ask(query, count = 100) {
  const begun = performance.now();
  const answer = await hub.rest('POST', '/devices/query', { body: { query }, agent, headers: { 'x-ms-max-item-count': String(count) } });
  if (answer.status !== 200) throw new Error(`${query}: ${answer.text}`);
  return { ms: performance.now() - begun, rows: answer.json.length };
}

const M = 'FROM devices.modules WHERE';
const REPORTED = 'properties.reported';
const questions = [
  `SELECT * ${M} deviceId = 'pump-050000'`,
  `SELECT * ${M} deviceId IN ['pump-000001', 'pump-050000', 'pump-099999']`,
  `SELECT * ${M} tags.site = 'site-7'`,
  `SELECT * ${M} tags.line.id = 77777`,
  `SELECT * ${M} connectionState = 'Connected'`,
  `SELECT * ${M} ${REPORTED}.latest_state = 'failed'`,
  `SELECT * ${M} ${REPORTED}.latest_state = 'failed' AND tags.site = 'site-50'`,
  `SELECT * ${M} tags.site = 'site-50' AND ${REPORTED}.latest_state = 'success'`,
  `SELECT * ${M} STARTSWITH(deviceId, 'pump-0999')`,
  'SELECT * FROM devices WHERE capabilities.iotEdge = true',
  'SELECT * FROM devices WHERE status = \'disabled\'',
  `SELECT deviceId ${M} moduleId = 'DefenderIotMicroAgent'`,
  `SELECT COUNT() AS n ${M} ${REPORTED}.latest_state = 'success'`,
  `SELECT COUNT() AS n ${M} tags.floor = 4`,
  `SELECT COUNT() AS n FROM devices.modules`,
  `SELECT deviceId ${M} ${REPORTED}.Setting_of_some_length_59 = -1`,
  `SELECT ${REPORTED}.latest_state AS state, COUNT() AS n FROM devices.modules GROUP BY ${REPORTED}.latest_state`,
  `SELECT AVG(${REPORTED}.Setting_of_some_length_59) AS a ${M} tags.floor > 4 OR CONTAINS(deviceId, '99')`,
];
for (const query of questions) {
  const times = [];
  let rows;
  for (let i = 0; i < rounds; i++) {
    const one = await ask(query);
    times.push(one.ms);
    rows = one.rows;
  }
  times.sort((a, b) => a - b);
  console.log(`${times[rounds >> 1].toFixed(1).padStart(8)} ${times.at(-1).toFixed(1).padStart(8)} ms ${String(rows).padStart(5)} rows  ${query}`);
}

// Others, while four whole scans run one after the other without end.
let over = false;
const scanning = Array.from({ length: 4 }, async () => { while (!over) await ask(questions.at(-3)); });
const waits = [];
for (let i = 0; i < 200; i++) {
  const begun = performance.now();
  await hub.rest('GET', hub.twinPath(`pump-${String(i * 17).padStart(6, '0')}`), { agent });
  waits.push(performance.now() - begun);
}
over = true;
await Promise.all(scanning);
waits.sort((a, b) => a - b);
console.log(`a twin beside four scans: median ${waits[100].toFixed(1)} ms, 99 of 100 within ${waits[198].toFixed(1)} ms`);
await hub.stop();
