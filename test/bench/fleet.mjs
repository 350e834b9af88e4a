// SPDX-License-Identifier: Apache-2.0
// A large fleet, of which every device stays connected: what connections cost, how long a change takes
// to the last device, and how the fleet comes back when the server was killed, beside Mosquitto. Server
// and load generator each hold a file open for each device (ulimit -n).
import { createInterface } from 'node:readline';
import { spawn } from 'node:child_process';
import { Agent as HttpsAgent } from 'node:https';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Hub } from '../harness/hub.mjs';
import { MqttClient, connectPacket, publishPacket, TYPES } from '../harness/mqtt.mjs';
import { sleep, temporaryFolder, until } from '../harness/programs.mjs';
import { hubPeers, Mosquitto, privateBytes, writePeers } from './servers.mjs';

let DEVICES;
const PATIENCE = { timeoutMs: 600_000, everyMs: 100 };
const say = (text) => process.stderr.write(`fleet: ${text}\n`);
const seconds = (ms) => Number((ms / 1000).toFixed(2));

class Fleet {
  constructor(server, peers, extra = []) {
    this.child = spawn(join(process.env.GEMEL_BUILD, 'test/bench/gemel-fleet'),
      ['--peers', peers, '--ca', server.caFile, '--port', String(server.mqttPort), ...extra], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async stat() {
    this.child.stdin.write('stat\n');
    return JSON.parse((await this.lines.next()).value);
  }

  reset() { this.child.stdin.write('reset\n'); }

  drop() { this.child.stdin.write('drop\n'); }

  all(what, probe) {
    return until(what, async () => { const stat = await this.stat(); return probe(stat) && stat; }, PATIENCE);
  }

  // Seconds until every device is connected and has read what it follows.
  async back() {
    const begin = Date.now();
    await this.all('every device to be connected', (s) => s.read === DEVICES);
    return seconds(Date.now() - begin);
  }

  // Sends something that names the time, and tells how late the devices heard of it.
  async wave(send) {
    this.reset();
    const wave = Date.now();
    await send(wave);
    const sent = Date.now();
    const { medianMs, p99Ms, lastMs } = await this.all('every device to have heard', (s) => s.oldestWave >= wave);
    return { medianMs, p99Ms, lastMs, answeredMs: sent - wave };
  }

  async end() {
    this.child.stdin.end();
    await new Promise((resolve) => { this.child.once('close', resolve); });
  }
}

async function measure(server, fleet, before) {
  const result = { connectS: await fleet.back() };
  result.kibPerConnection = Number(((privateBytes(server.program.pid) - before) / DEVICES / 1024).toFixed(1));
  say(JSON.stringify(result));
  return result;
}

// All at once: the network, and then the server itself.
async function measureReturn(fleet, restart, result) {
  fleet.drop();
  await sleep(50);
  result.networkBackS = await fleet.back();
  await restart();
  result.killedBackS = await fleet.back();
  say(JSON.stringify(result));
}

async function methods(hub, keepAlive, calls) {
  const taken = [];
  let left = calls;
  await Promise.all(Array.from({ length: 16 }, async () => {
    while (left-- > 0) {
      const begin = Date.now();
      const id = `bench-${Math.floor(Math.random() * DEVICES)}`;
      const answer = await hub.must('POST', `/twins/${id}/methods`,
        { agent: keepAlive, body: { methodName: 'echo', payload: { id }, responseTimeoutInSeconds: 30 } });
      if (answer.payload.id !== id) throw new Error(`${id} was answered for by ${answer.payload.id}`);
      taken.push(Date.now() - begin);
    }
  }));
  taken.sort((a, b) => a - b);
  return { calls, medianMs: taken[calls >> 1], p99Ms: taken[Math.floor(calls * 0.99)] };
}

async function ofHub(folder) {
  const hub = await Hub.started();
  hub.caFile = hub.facts.caFile;
  const peers = await hubPeers(hub, folder, DEVICES);
  const keepAlive = new HttpsAgent({ keepAlive: true, maxSockets: 16 });
  const configure = (wave, id = `w${wave}`) => hub.must('PUT', `/configurations/${id}`, { agent: keepAlive, body: { id, schemaVersion: '1.0',
    priority: 1, targetCondition: '*', content: { deviceContent: { 'properties.desired.fleet': { wave } } } } });
  const before = privateBytes(hub.program.pid);
  const fleet = new Fleet(hub, peers);
  const result = await measure(hub, fleet, before);
  result.configuration = await fleet.wave(configure);
  await hub.must('DELETE', `/configurations/${(await hub.must('GET', '/configurations'))[0].id}`);
  result.bulk = await fleet.wave(async (wave) => {
    for (let first = 0; first < DEVICES; first += 100)
      await hub.must('POST', '/devices', { agent: keepAlive, body: Array.from({ length: Math.min(100, DEVICES - first) }, (_, i) => ({
        id: `bench-${first + i}`, importMode: 'updateTwin', properties: { desired: { other: { wave } } } })) });
  });
  say(JSON.stringify(result));
  result.methods = await methods(hub, keepAlive, 2000);
  await measureReturn(fleet, async () => { await hub.kill9(); await hub.start(); }, result);
  // A change in the midst of the return reaches all of them too.
  fleet.drop();
  result.whileComingBack = await fleet.wave(configure);
  const { gaps } = await fleet.stat();
  Object.assign(result, { gaps, rssMib: Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${hub.program.pid}/status`, 'utf8'))[1]) >> 10 });
  await fleet.end();
  keepAlive.destroy();
  await hub.stop();
  return result;
}

async function ofMosquitto(folder) {
  const broker = await Mosquitto.started(folder);
  const server = { address: '127.0.0.1', mqttPort: broker.port, caFile: broker.ca, program: broker.program, ca: readFileSync(broker.ca, 'utf8') };
  const peers = writePeers(folder, 'broker-fleet', Array.from({ length: DEVICES }, (_, i) => [`bench-${i}`, 'x', 'x']));
  const before = privateBytes(server.program.pid);
  const fleet = new Fleet(server, peers, ['--filter', 'fleet']);
  const result = await measure(server, fleet, before);
  const client = await MqttClient.open(server, { judged: false });
  client.send(connectPacket({ clientId: 'sender', username: 'x', password: 'x' }));
  await client.next(TYPES.CONNACK);
  result.published = await fleet.wave((wave) => client.publish('fleet', `{"wave":${wave}}`));
  await client.end();
  await measureReturn(fleet, async () => { await broker.program.kill9(); await broker.start(); server.program = broker.program; }, result);
  await fleet.end();
  await broker.program.stop();
  return result;
}

export async function fleetTable({ devices }) {
  DEVICES = devices;
  const folder = temporaryFolder();
  const broker = await ofMosquitto(folder);
  const hub = await ofHub(folder);
  const s = (ms) => `${(ms / 1000).toFixed(2)} s`;
  const row = (what, mine, theirs, digits = 2) => [what, mine[1], theirs[1], (mine[0] / theirs[0]).toFixed(digits)];
  const taken = (value) => [value, `${value.toFixed(1)} s`];
  const rows = [
    row('all connect, subscribe and (hub) read their twin', taken(hub.connectS), taken(broker.connectS)),
    row('private memory per connection', [hub.kibPerConnection, `${hub.kibPerConnection} KiB`], [broker.kibPerConnection, `${broker.kibPerConnection} KiB`]),
    row('one change of all → heard by the last', [hub.configuration.lastMs, s(hub.configuration.lastMs)], [broker.published.lastMs, s(broker.published.lastMs)]),
    row('network gone → all are back', taken(hub.networkBackS), taken(broker.networkBackS)),
    row('server killed and started again → all are back', taken(hub.killedBackS), taken(broker.killedBackS)),
  ];
  return [`| measure, ${devices} devices | Gemel | Mosquitto | ratio |`, '| --- | --- | --- | --- |',
    ...rows.map((r) => `| ${r.join(' | ')} |`), '',
    `The change of all is a configuration: ${devices} durable updates of twins, with their history and events; Mosquitto's is one`,
    `message to all subscribers. By requests of 100 devices each it took ${s(hub.bulk.lastMs)} until the last had heard, and with`,
    `the fleet in the midst of coming back ${s(hub.whileComingBack.lastMs)}. ${hub.methods.calls} direct methods to devices by chance, 16 at a time:`,
    `median ${hub.methods.medianMs} ms, 99 % within ${hub.methods.p99Ms} ms. Versions missed: ${hub.gaps}. The hub's resident memory at the end:`,
    `${hub.rssMib} MiB.`].join('\n');
}
