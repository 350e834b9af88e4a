// SPDX-License-Identifier: Apache-2.0
// Connections of this machine, as the agent tells the hub of them: every flow that was made, with the
// bytes that went each way, and the ports that it could be reached at.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { after, before, test } from 'node:test';

import { Agent } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { until } from '../harness/programs.mjs';

// Addresses that nobody else on this machine talks to.
const [CLIENT, SERVER] = ['127.77.0.1', '127.77.0.2'];
let hub;
let agent;
before(async () => {
  hub = await Hub.started();
  agent = await Agent.started(hub, { args: ['--first-delay', '0'],
    conf: { NetworkActivity_Devices: 'lo', NetworkActivity_CacheSize: 4096, NetworkActivity_PacketBufferSize: 8388608 } });
});
after(async () => {
  await agent?.stop();
  await hub?.stop();
});

const payloads = async (type) => (await hub.events({ deviceId: agent.deviceId }))
  .flatMap((message) => message.body.events).filter((event) => event.payload_type === type).map((event) => event.payload);

// What all events together say of a flow, from one end.
async function flow(protocol, local, localPort, remote, remotePort) {
  const all = (await payloads('NetworkActivity')).filter((one) => one.protocol === protocol
    && one.local_address === local && one.local_port === localPort
    && one.remote_address === remote && one.remote_port === remotePort);
  const sum = (name) => all.reduce((total, one) => total + one[name], 0);
  return { hits: sum('hit_count'), in: sum('bytes_in'), out: sum('bytes_out'), last: all.at(-1) };
}

// A change of settings sends what was not sent yet.
let cacheSize = 4096;
const flush = (desired = {}) => agent.judge({ NetworkActivity_CacheSize: ++cacheSize, ...desired });

async function bound(address) {
  const socket = createSocket('udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  return socket;
}

const send = (socket, bytes, to) => new Promise((resolve, reject) => {
  socket.send(bytes, to.address().port, to.address().address, (error) => (error ? reject(error) : resolve()));
});

test('each datagram is in the flow of either end', async () => {
  const [client, server] = [await bound(CLIENT), await bound(SERVER)];
  for (let i = 0; i < 300; i++) await send(client, Buffer.alloc(92), server);
  for (let i = 0; i < 50; i++) await send(server, Buffer.alloc(2), client);
  await flush();
  const [from, to] = [client.address().port, server.address().port];
  const ours = await until('the flow at the hub', async () => {
    const found = await flow('UDP', CLIENT, from, SERVER, to);
    return found.hits >= 350 && found;
  });
  assert.deepEqual([ours.hits, ours.out, ours.in], [350, 30000, 500]);
  assert.equal(ours.last.process_id, process.pid);
  assert.equal(ours.last.user_id, process.getuid());
  const theirs = await flow('UDP', SERVER, to, CLIENT, from);
  assert.deepEqual([theirs.hits, theirs.out, theirs.in], [350, 500, 30000]);
  client.close();
  server.close();
});

test('a connection tells who made it and what went over it', async () => {
  const server = createServer((socket) => socket.on('data', () => socket.end(Buffer.alloc(20_000))));
  server.listen(0, SERVER);
  await once(server, 'listening');
  const { port } = server.address();
  const socket = connect({ port, host: SERVER, localAddress: CLIENT });
  await once(socket, 'connect');
  const from = socket.localPort;
  socket.write(Buffer.alloc(5_000));
  socket.resume();
  await once(socket, 'close');
  server.close();
  await flush();
  const { last, ...sums } = await until('the flow at the hub', async () => {
    const found = await flow('TCP', CLIENT, from, SERVER, port);
    return found.last && found;
  });
  assert.ok(sums.out >= 5_000 + 32 && sums.out < 6_000, `${sums.out}`);
  assert.ok(sums.in >= 20_000 + 32 && sums.in < 22_000, `${sums.in}`);
  assert.equal(last.application_protocol, undefined);
});

test('settings that change under load lose and double nothing', async () => {
  const [client, server] = [await bound(CLIENT), await bound(SERVER)];
  let sent = 0;
  let changing = true;
  const load = (async () => {
    while (changing) {
      for (let i = 0; i < 20; i++, sent++) await send(client, Buffer.alloc(12), server);
      await new Promise((resolve) => { setTimeout(resolve, 1); });
    }
  })();
  for (const NetworkActivity_Devices of ['lo,nothing7', 'lo', 'nothing7,lo', 'lo,lo*'])
    assert.equal((await flush({ NetworkActivity_Devices })).latest_state, 'success');
  changing = false;
  await load;
  await flush();
  const [from, to] = [client.address().port, server.address().port];
  const lost = (await agent.status()).collectors.NetworkActivity.lost.kernel_buffer ?? 0;
  await until('all of them at the hub', async () => (await flow('UDP', CLIENT, from, SERVER, to)).hits + lost >= sent);
  assert.ok(sent > 0);
  assert.equal(lost, 0);
  assert.equal((await flow('UDP', CLIENT, from, SERVER, to)).hits, sent);
  assert.equal((await flow('UDP', SERVER, to, CLIENT, from)).hits, sent);
  client.close();
  server.close();
});

test('a name that no interface can have is a bad field', async () => {
  const reported = await flush({ NetworkActivity_Devices: 'lo,eth%d' });
  assert.equal(reported.latest_state, 'failed');
  assert.equal(reported.latest_invalid_fields, 'NetworkActivity_Devices');
  assert.match(reported.latest_errors.NetworkActivity_Devices, /eth%d/);
  const { interfaces } = (await agent.status()).collectors.NetworkActivity;
  assert.equal(interfaces.lo, 'captured');
  await flush({ NetworkActivity_Devices: null });
});

test('the ports of hub and others are told with their process', async () => {
  const server = createServer();
  server.listen(0, SERVER);
  await once(server, 'listening');
  await agent.judge({ ListeningPorts_MessageFrequency: 'Medium' }); /* a snapshot is taken anew */
  const found = await until('the port', async () => (await payloads('ListeningPorts')).flatMap((one) => one.ports)
    .find((one) => one.local_address === SERVER && one.local_port === server.address().port));
  assert.deepEqual([found.protocol, found.process_id, found.user_id], ['TCP', process.pid, process.getuid()]);
  server.close();
});
