// SPDX-License-Identifier: Apache-2.0
// The servers that are measured, and the files of peers for the load generators.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { sas } from '../harness/hub.mjs';
import { freePort, Program } from '../harness/programs.mjs';

export class Mosquitto {
  static async started(folder) {
    const broker = new Mosquitto();
    broker.port = await freePort();
    broker.ca = join(folder, 'broker.pem');
    const key = join(folder, 'broker.key');
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
      '-keyout', key, '-out', broker.ca, '-days', '2', '-subj', '/CN=localhost',
      '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
    const conf = join(folder, 'broker.conf');
    writeFileSync(conf, [`listener ${broker.port} 127.0.0.1`, 'allow_anonymous true', `certfile ${broker.ca}`,
      `keyfile ${key}`, 'set_tcp_nodelay true', ...(process.getuid() === 0 ? ['user root'] : []), ''].join('\n'));
    broker.conf = conf;
    await broker.start();
    return broker;
  }

  async start() {
    this.program = new Program('mosquitto', ['-c', this.conf]);
    await this.program.says(/running/);
  }
}

export function writePeers(folder, name, lines) {
  const file = join(folder, name);
  writeFileSync(file, lines.map((line) => `${line.join('\t')}\n`).join(''), { mode: 0o600 });
  return file;
}

export async function hubPeers(hub, folder, count) {
  const lines = [];
  for (let first = 0; first < count; first += 100) {
    const ids = Array.from({ length: Math.min(100, count - first) }, (_, i) => `bench-${first + i}`);
    await hub.must('POST', '/devices', { body: ids.map((id) => ({ id, importMode: 'create' })) });
  }
  const key = hub.owner.SharedAccessKey;
  for (let i = 0; i < count; i++) {
    const id = `bench-${i}`;
    lines.push([id, `${hub.hostName}/${id}/?api-version=2021-04-12`,
      sas(`${hub.hostName}/devices/${id}`, key, 'iothubowner', 24 * 3600)]);
  }
  return writePeers(folder, 'hub-peers', lines);
}

export function privateBytes(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kib = [...text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB/gm)].map((m) => Number(m[1]));
  return kib.reduce((a, b) => a + b, 0) * 1024;
}
