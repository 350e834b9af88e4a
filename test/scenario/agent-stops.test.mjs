// SPDX-License-Identifier: Apache-2.0
// SIGTERM ends the agent within a few seconds whatever it waits for: a name server, an address, a TLS
// handshake, a proxy or a hub that does not answer; and so it ends the link process.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import { leakOptions } from '../harness/agent.mjs';
import { FakeHub } from '../harness/fake-hub.mjs';
import { Hub } from '../harness/hub.mjs';
import { Program, programs, runProgram, temporaryFolder, until } from '../harness/programs.mjs';

const SECONDS = 7; // two for sending, one for closing, and a slow machine
const isolated = process.env.GEMEL_OWN_NETWORK === '1';

let hub;
before(async () => { hub = await Hub.make(); });

// A server that takes connections and what they say, and says nothing.
async function silence(t) {
  const sockets = new Set();
  const silent = { heard: 0 };
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}).on('data', () => { silent.heard++; }));
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  silent.port = server.address().port;
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return silent;
}

// A network in which packets to 10.9.9.9 leave and nothing comes back, and that is the name server.
const CUT_OFF = `ip link set lo up && ip link add out type veth peer name far && ip addr add 10.9.9.1/24 dev out &&
ip link set out arp off && ip link set out up && ip link set far up && mount --bind "$RESOLV" /etc/resolv.conf && exec "$@"`;

async function start(t, host, { conf = {}, cutOff = false, link = false } = {}) {
  const folder = temporaryFolder();
  const config = join(folder, 'config');
  const state = join(folder, 'state');
  const socket = join(folder, 'link.sock');
  const resolv = join(folder, 'resolv.conf');
  mkdirSync(config);
  writeFileSync(join(config, 'connection_string.txt'), `HostName=${host};DeviceId=d;ModuleId=m;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==`);
  writeFileSync(join(config, 'ca.pem'), hub.ca);
  writeFileSync(join(config, 'conf.json'), JSON.stringify(conf));
  writeFileSync(resolv, 'nameserver 10.9.9.9\nnameserver 10.9.9.8\nnameserver 10.9.9.7\n');
  const run = (...args) => (cutOff
    ? new Program('unshare', ['-nm', 'sh', '-c', CUT_OFF, 'sh', programs.agent, ...args], { env: { ...leakOptions, RESOLV: resolv } })
    : new Program(programs.agent, args, { env: leakOptions }));
  const helper = link ? run('link', '--socket', socket) : undefined;
  await helper?.says(/holds the connection/);
  const agent = run('run', '--config-dir', config, '--state-dir', state, '--first-delay', '0', ...(link ? ['--link', socket] : []));
  agent.status = async () => JSON.parse((await runProgram(programs.agent, ['status', '--json', '--state-dir', state])).stdout);
  t.after(async () => {
    await agent.kill9();
    await helper?.kill9();
  });
  return { agent, helper };
}

async function stopsInTime(...running) {
  for (const program of running) {
    const begin = Date.now();
    await program.stop(60_000);
    const took = (Date.now() - begin) / 1000;
    assert.ok(took < SECONDS, `${took} s:\n${program.output.slice(-3000)}`);
  }
}

const connecting = (agent) => until('it connects', async () => (await agent.status()).connection === 'connecting');

describe('a stop while', { concurrency: true }, () => {
  for (const [what, host] of [['the name servers are silent', 'hub.example'], ['the address is silent', '10.9.9.9']]) {
    test(what, { skip: isolated ? false : 'it needs a network of its own' }, async (t) => {
      const { agent } = await start(t, host, { cutOff: true });
      await connecting(agent);
      await stopsInTime(agent);
    });
  }

  test('the TLS handshake is not answered', async (t) => {
    const silent = await silence(t);
    const { agent } = await start(t, `localhost:${silent.port}`);
    await until('it was asked', () => silent.heard > 0);
    await stopsInTime(agent);
  });

  for (const [transport, link] of [['MQTT_Protocol', false], ['MQTT_WebSocket_Protocol', true]]) {
    test(`the proxy of ${transport} is silent${link ? ', with a link process' : ''}`, async (t) => {
      const silent = await silence(t);
      const { agent, helper } = await start(t, 'localhost:1', { link,
        conf: { IothubModule_TransportProtocol: transport, IothubModule_ProxyConfig: `127.0.0.1,${silent.port}` } });
      await until('the proxy was asked', () => silent.heard > 0);
      await stopsInTime(...(link ? [helper] : []), agent);
    });
  }

  test('the hub is silent after CONNECT, and then acknowledges nothing', async (t) => {
    const fake = await FakeHub.started(hub);
    t.after(() => fake.stop());
    fake.behave({ connect: () => {} });
    const { agent } = await start(t, `localhost:${fake.port}`);
    await until('it asks', () => fake.heard.connect > 0);
    await stopsInTime(agent);
    fake.behave({ event: () => {}, report: () => {} });
    const other = await start(t, `localhost:${fake.port}`);
    await until('it sends', () => fake.heard.event > 0);
    await stopsInTime(other.agent);
  });
});
