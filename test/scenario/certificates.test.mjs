// SPDX-License-Identifier: Apache-2.0
// The server's certificate: it stands for the host names of every hub as they come and go, is shown
// to new connections without touching open ones, and one that comes from elsewhere is never replaced.
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { after, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient } from '../harness/mqtt.mjs';
import { runProgram, until } from '../harness/programs.mjs';

const running = [];
const started = async (options) => {
  const hub = await Hub.started(options);
  running.push(hub);
  return hub;
};
after(() => Promise.all(running.map((hub) => hub.stop())));

// What a client sees that trusts the CA and asks for this name: the certificate, or why it refuses.
const shown = (hub, port, servername, ca = hub.ca) => new Promise((resolve, reject) => {
  const socket = tlsConnect({ host: '127.0.0.1', port, servername, ca });
  socket.on('secureConnect', () => { resolve(socket.getPeerCertificate()); socket.destroy(); });
  socket.on('error', reject);
});

const bothPorts = (hub, name, ca) => Promise.all([hub.mqttPort, hub.httpsPort].map((port) => shown(hub, port, name, ca)));

const takeFiles = (from, to) => {
  for (const name of ['server.pem', 'server.key']) copyFileSync(join(from.dataDir, name), join(to.dataDir, name));
};

test('clients can connect under the names of a new hub as soon as it is made', async () => {
  const hub = await started({ hub: 'north', hostNames: ['north.example'] });
  await assert.rejects(shown(hub, hub.mqttPort, 'south.example'), /altnames|ERR_TLS/);
  const client = await MqttClient.connect(hub, await hub.createDevice('d'));
  await client.subscribe('$iothub/twin/res/#');
  const made = await hub.administer('POST', '/gemel/v1/hubs', { name: 'south', hostNames: ['south.example', '192.0.2.9'] });
  assert.equal(made.certificateCovers, true);
  await Promise.all(Array.from({ length: 8 }, () => bothPorts(hub, 'south.example')));
  await bothPorts(hub, 'north.example');
  assert.match((await shown(hub, hub.mqttPort, 'south.example')).subjectaltname, /192\.0\.2\.9/);
  assert.equal((await client.getTwin()).status, 200, 'an open connection was disturbed');

  await hub.administer('DELETE', '/gemel/v1/hubs/south');
  await until('the names to go', () => bothPorts(hub, 'south.example').then(() => false, () => true));
  await bothPorts(hub, 'north.example');
  assert.equal((await client.getTwin()).status, 200);
});

test('names that the certificate lost are there again after a start', async () => {
  const hub = await Hub.make({ hub: 'north', hostNames: ['north.example'] });
  const before = readFileSync(join(hub.dataDir, 'server.pem'), 'utf8');
  running.push(hub);
  await hub.start();
  await hub.addHub('south', 'south.example');
  await hub.stop();
  writeFileSync(join(hub.dataDir, 'server.pem'), before);
  await hub.start();
  await bothPorts(hub, 'south.example');
});

test('many hubs made at once are all covered', async () => {
  const hub = await started({ hostNames: ['first.example'] });
  const names = Array.from({ length: 6 }, (_, i) => `hub-${i}.example`);
  const make = async (name, i) => {
    for (;;) { // one password is checked at a time
      const answer = await hub.rest('POST', '/gemel/v1/hubs', { plain: true, body: { name: `hub-${i}`, hostNames: [name] },
        token: `Basic ${Buffer.from(`${hub.facts.admin.user}:${hub.facts.admin.password}`).toString('base64')}` });
      if (answer.status === 429) continue;
      assert.equal(answer.status, 201, answer.text);
      assert.equal(answer.json.certificateCovers, true);
      await bothPorts(hub, name);
      return;
    }
  };
  await Promise.all(names.map(make));
  for (const name of names) await shown(hub, hub.mqttPort, name);
});

test('a certificate from elsewhere is read at SIGHUP, never replaced, and the answer says what it lacks', async () => {
  const other = await Hub.make({ hostNames: ['hub.example'] });
  const hub = await started({ hub: 'north', hostNames: ['hub.example'] });
  const client = await MqttClient.connect(hub, await hub.createDevice('d'));
  await client.subscribe('$iothub/twin/res/#');
  takeFiles(other, hub);
  hub.program.child.kill('SIGHUP');
  await until('the other certificate', () => bothPorts(hub, 'hub.example', other.ca).then(() => true, () => false));
  assert.equal((await client.getTwin()).status, 200);

  const theirs = readFileSync(join(hub.dataDir, 'server.pem'), 'utf8');
  hub.ca = other.ca;
  const made = await hub.administer('POST', '/gemel/v1/hubs', { name: 'south', hostNames: ['south.example'] });
  assert.equal(made.certificateCovers, false);
  assert.match(made.certificateMessage, /does not cover south\.example.*SIGHUP/);
  assert.equal(readFileSync(join(hub.dataDir, 'server.pem'), 'utf8'), theirs);
  assert.match(hub.program.output, /does not cover south\.example/);
  rmSync(join(hub.dataDir, 'ca.key'));
  await hub.administer('DELETE', '/gemel/v1/hubs/south');
  assert.equal(readFileSync(join(hub.dataDir, 'server.pem'), 'utf8'), theirs);
});

test('files that do not belong together are refused at SIGHUP, and the old certificate stays', async () => {
  const other = await Hub.make();
  const hub = await started({ hostNames: ['hub.example'] });
  copyFileSync(join(other.dataDir, 'server.pem'), join(hub.dataDir, 'server.pem'));
  hub.program.child.kill('SIGHUP');
  await until('the complaint', () => /stays in use/.test(hub.program.output));
  await bothPorts(hub, 'hub.example');
  assert.equal((await hub.rest('GET', '/devices')).status, 200);
});

test('a certificate that is about to end is made anew while the server runs', async (t) => {
  const hub = await started({ hostNames: ['hub.example'] });
  const inData = (name) => join(hub.dataDir, name);
  const { code } = await runProgram('openssl', ['x509', '-x509toreq', '-in', inData('server.pem'),
    '-signkey', inData('server.key'), '-out', inData('request')]);
  if (code === 127) return t.skip('the program openssl is not installed');
  writeFileSync(inData('names'), 'subjectAltName=DNS:hub.example,DNS:localhost,IP:127.0.0.1,IP:::1');
  const signed = await runProgram('openssl', ['x509', '-req', '-in', inData('request'), '-CA', inData('ca.pem'),
    '-CAkey', inData('ca.key'), '-set_serial', '5', '-days', '3', '-extfile', inData('names'), '-out', inData('server.pem')]);
  assert.equal(signed.code, 0, signed.stderr);
  hub.program.child.kill('SIGHUP');
  await until('the renewal', () => /about to end and was made anew/.test(hub.program.output));
  for (const { valid_to: end } of await bothPorts(hub, 'hub.example'))
    assert.ok(Date.parse(end) > Date.now() + 300 * 86_400_000, end);
});
