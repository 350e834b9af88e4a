// SPDX-License-Identifier: Apache-2.0
// The ways to the hub: MQTT and MQTT over WebSocket, each straight and through a real HTTP proxy, with
// and without a password, as conf.json says.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Agent } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { freePort, Program, temporaryFolder, until } from '../harness/programs.mjs';

const PASSWORD = 'wo.rd-4_1';

class Proxy {
  // credentials: "user password", or none
  static async started(credentials, ports) {
    const proxy = new Proxy();
    proxy.port = await freePort();
    const folder = temporaryFolder();
    const file = join(folder, 'tinyproxy.conf');
    proxy.log = join(folder, 'log');
    writeFileSync(file, [`Port ${proxy.port}`, 'Listen 127.0.0.1', 'Allow 127.0.0.1', `LogFile "${proxy.log}"`, 'LogLevel Connect', 'Timeout 60',
      ...(credentials ? [`BasicAuth ${credentials}`] : []), ...ports.map((port) => `ConnectPort ${port}`), ''].join('\n'));
    proxy.file = file;
    await proxy.start();
    return proxy;
  }

  async start() {
    this.program = new Program('tinyproxy', ['-d', '-c', this.file]);
    await until('the proxy listens', () => new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1', () => { socket.destroy(); resolve(true); });
      socket.on('error', reject);
    }));
  }

  get connects() { return (readFileSync(this.log, 'utf8').match(/CONNECT localhost:\d+/g) ?? []).length; }
}

let hub;
let open;
let guarded;

before(async () => {
  hub = await Hub.started();
  open = await Proxy.started(undefined, [hub.mqttPort, hub.httpsPort]);
  guarded = await Proxy.started(`an ${PASSWORD}`, [hub.mqttPort, hub.httpsPort]);
});
after(async () => {
  await open?.program.kill9();
  await guarded?.program.kill9();
  await hub?.stop();
});

// An agent of its own for a transport and a proxy; what stands in its conf.json.
async function agentBy(deviceId, transport, proxy) {
  const agent = await Agent.make(hub, { deviceId, args: ['--first-delay', '0'],
    conf: { IothubModule_BackOffFirst: 1, ...(transport ? { IothubModule_TransportProtocol: transport } : {}),
      ...(proxy ? { IothubModule_ProxyConfig: proxy } : {}) } });
  if (/WebSocket/.test(transport ?? ''))
    agent.write('connection_string.txt', hub.connectionString(agent.module).replace(`:${hub.mqttPort}`, `:${hub.httpsPort}`));
  agent.start();
  return agent;
}

const ways = [
  ['MQTT', 'MQTT_Protocol'],
  ['MQTT over WebSocket', 'MQTT_WebSocket_Protocol'],
  ['AMQP over WebSocket, which becomes MQTT over WebSocket', 'AMQP_WebSocket_Protocol'],
];

for (const [index, [name, transport]] of ways.entries()) {
  test(`${name}: straight, through a proxy, and through one with a password`, async () => {
    for (const [place, proxy, config] of [['straight'], ['open', open, `127.0.0.1,${open.port}`],
      ['guarded', guarded, `localhost,${guarded.port},an,${PASSWORD}`]]) {
      const before = proxy?.connects;
      const agent = await agentBy(`${index}-${place}`, transport, config);
      const state = await agent.judge({ Process_CacheSize: 300 });
      assert.equal(state.latest_state, 'success', place);
      if (proxy) assert.ok(proxy.connects > before, `${place}: the proxy was used`);
      await until('an event arrives', async () => (await hub.events({ deviceId: agent.deviceId })).length > 0);
      await agent.stop();
      assert.equal(agent.program.output.includes(PASSWORD), false, 'the password is in no log');
    }
  });
}

test('a password of whatever characters reaches the proxy as it is', async () => {
  const odd = 'w@rd:%41/,x "=';
  const asked = [];
  const proxy = createServer().listen(0, '127.0.0.1');
  proxy.on('connect', (request, socket) => {
    asked.push(Buffer.from(request.headers['proxy-authorization'].replace('Basic ', ''), 'base64').toString());
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  await until('it listens', () => proxy.listening);
  const agent = await agentBy('odd', 'MQTT_WebSocket_Protocol', `127.0.0.1,${proxy.address().port},an,${odd}`);
  await until('the agent asks', () => asked.length > 0);
  assert.equal(asked[0], `an:${odd}`);
  await agent.stop();
  proxy.close();
});

test('AMQP gets a clear word', async () => {
  const agent = await agentBy('amqp', 'AMQP_WebSocket_Protocol');
  await agent.program.says(/AMQP is not offered, use MQTT_WebSocket_Protocol/);
  await agent.stop();
});

test('a proxy that refuses is said, and tried again; without the proxy nothing goes out', async () => {
  const agent = await agentBy('refused', 'MQTT_WebSocket_Protocol', `127.0.0.1,${guarded.port},an,wrong`);
  await until('it is said', async () => /no connection/.test((await agent.status()).last_error ?? ''));
  assert.equal(agent.program.output.includes('wrong,') || agent.program.output.includes('an:wrong'), false);
  assert.equal((await agent.twin()).connectionState, 'Disconnected');
  await agent.stop();
});

test('a twin that is changed while a WebSocket is cut arrives when it is back', async () => {
  const agent = await agentBy('cut', 'MQTT_WebSocket_Protocol', `127.0.0.1,${open.port}`);
  await agent.judge({ Process_CacheSize: 400 });
  await open.program.kill9();
  const version = await agent.desire({ Process_CacheSize: 500 });
  await open.start();
  const state = await agent.verdict(version, 60_000);
  assert.equal(state.Process_CacheSize, 500);
  await agent.stop();
});
