// SPDX-License-Identifier: Apache-2.0
// MQTT over WebSocket beside REST and the portal: frames cut as nobody would, frames that must not
// be, and the same sessions as over plain MQTT.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { connectPacket, MqttClient, packet, publishPacket, subscribePacket, TYPES } from '../harness/mqtt.mjs';
import { sleep, until } from '../harness/programs.mjs';
import { frame, OP, WebSocketStream } from '../harness/websocket.mjs';

let hub;
let module;

before(async () => {
  hub = await Hub.started({ set: ['gateway.websocket_bytes=300000', 'gateway.connect_seconds=2'] });
  await hub.createDevice('d');
  module = await hub.createModule('d', 'm');
});
after(() => hub.stop());

const connect = async (webSocket = {}, options = {}) => {
  const client = await MqttClient.connect(hub, module, { ...options, tls: { webSocket: true, ...webSocket } });
  assert.equal(client.code, 0);
  return client;
};
const closes = async (client) => {
  await until('the hub closes the connection', () => client.closed);
};

async function lives(client) {
  assert.deepEqual(await client.subscribe('$iothub/twin/res/#', '$iothub/twin/PATCH/properties/desired/#'), [0, 0]);
  const { status, body } = await client.getTwin();
  assert.equal(status, 200);
  assert.equal((await client.report({ n: Date.now() })).status, 204);
  await hub.patchDesired('d', 'm', { n: body.desired.$version });
  assert.equal((await client.nextDesired()).patch.n, body.desired.$version);
  await client.publish('devices/d/modules/m/messages/events/', 'x'.repeat(200_000));
}

test('a session over WebSocket is a session, and the registry shows it', async () => {
  const client = await connect();
  await lives(client);
  assert.equal((await hub.twin('d', 'm')).connectionState, 'Connected');
  await client.end();
  await until('disconnected', async () => (await hub.twin('d', 'm')).connectionState === 'Disconnected');
});

test('packets may be cut into frames of one byte, and frames into fragments', async () => {
  const bytewise = (bytes) => [...bytes.subarray(0, 300)].map((byte) => frame(OP.BINARY, [byte]))
    .concat(bytes.length > 300 ? [frame(OP.BINARY, bytes.subarray(300))] : []);
  const fragments = (bytes) => [frame(OP.BINARY, bytes.subarray(0, 1), { fin: false }), frame(OP.PING, 'in between'),
    frame(OP.CONTINUATION, '', { fin: false }), frame(OP.PONG, ''), frame(OP.CONTINUATION, bytes.subarray(1))];
  for (const cut of [bytewise, fragments]) {
    const client = await connect({ cut });
    await lives(client);
    await client.end();
  }
});

test('several packets in one frame, and a packet that ends in the next, are read', async () => {
  const client = await connect();
  const stream = client.socket;
  const all = Buffer.concat([subscribePacket(7, ['$iothub/twin/res/#', 0]), publishPacket('$iothub/twin/GET/?$rid=1'),
    packet(0xC0), publishPacket('devices/d/modules/m/messages/events/', 'both', { qos: 1, id: 9 })]);
  stream.raw(frame(OP.BINARY, all.subarray(0, all.length - 5)), frame(OP.BINARY, all.subarray(all.length - 5)));
  await client.next(TYPES.SUBACK);
  assert.equal((await client.twinAnswer('1')).status, 200);
  await client.next(TYPES.PINGRESP);
  await client.next(TYPES.PUBACK);
  await client.end();
});

test('a frame that comes in halves, with a pause, is waited for', async () => {
  const client = await connect();
  const whole = frame(OP.BINARY, packet(0xC0));
  for (const byte of whole) {
    client.socket.raw(Buffer.from([byte]));
    await sleep(20);
  }
  await client.next(TYPES.PINGRESP);
  await client.end();
});

test('a ping gets its pong, and a close its close', async () => {
  const client = await connect();
  client.socket.raw(frame(OP.PING, 'who is there'));
  await until('a pong', () => client.socket.controls.some((c) => c.opcode === OP.PONG && c.payload.toString() === 'who is there'));
  client.socket.raw(frame(OP.CLOSE, Buffer.from([0x03, 0xE9])));
  await closes(client);
  assert.equal(client.socket.closeCode, 1001);
});

test('a socket that closes without DISCONNECT leaves its will', async () => {
  const client = await connect({}, { will: { topic: 'devices/d/modules/m/messages/events/', payload: 'my will' } });
  client.socket.raw(frame(OP.CLOSE, Buffer.from([0x03, 0xE8])));
  await closes(client);
  await until('the will', async () => (await hub.events({ deviceId: 'd' })).some((e) => JSON.stringify(e).includes('my will')
    || JSON.stringify(e).includes(Buffer.from('my will').toString('base64'))));
});

for (const [what, code, ...bytes] of [
  ['a frame without a mask', 1002, frame(OP.BINARY, 'x', { masked: false })],
  ['a text frame', 1003, frame(OP.TEXT, 'hello')],
  ['a reserved bit', 1002, frame(OP.BINARY, 'x', { reserved: 4 })],
  ['a reserved opcode', 1002, frame(5, 'x')],
  ['a continuation of nothing', 1002, frame(OP.CONTINUATION, 'x')],
  ['a ping in fragments', 1002, frame(OP.PING, 'x', { fin: false })],
  ['a ping of 200 bytes', 1002, frame(OP.PING, 'x'.repeat(200))],
  ['a frame that announces more than the limit', 1009, Buffer.from([0x82, 0xFF, 0, 0, 0, 0, 0x7F, 0, 0, 0, 1, 2, 3, 4])],
  ['fragments that add up to more than the limit', 1009, frame(OP.BINARY, packet(0xC0), { fin: false }),
    ...Array.from({ length: 4 }, () => frame(OP.CONTINUATION, Buffer.concat(Array(20_000).fill(packet(0xC0))), { fin: false })),
    frame(OP.CONTINUATION, Buffer.concat(Array(80_000).fill(packet(0xC0))))],
]) {
  test(`the connection ends with ${code} at ${what}`, async () => {
    const client = await connect();
    client.socket.raw(...bytes);
    await closes(client);
    assert.equal(client.socket.closeCode, code);
  });
}

test('a CONNECT that is refused is answered, then the WebSocket closes', async () => {
  const client = await MqttClient.open(hub, { webSocket: true });
  client.send(connectPacket({ clientId: 'd/m', username: `${hub.hostName}/d/m/?api-version=2021-04-12`, password: 'nonsense' }));
  assert.equal((await client.next(TYPES.CONNACK)).body[1], 5);
  await closes(client);
  assert.equal(client.socket.closeCode, 1000);
});

test('who says nothing on a WebSocket is shown out', async () => {
  const client = await MqttClient.open(hub, { webSocket: true });
  client.socket.raw(frame(OP.PING, 'pings are no CONNECT'));
  await closes(client);
});

test('requests before it on the same connection are answered first', async () => {
  const ahead = `GET /gemel/v1/about HTTP/1.1\r\nhost: ${hub.hostName}\r\n\r\n`;
  const client = await connect({ before: ahead });
  await lives(client);
  await client.end();
});

for (const [what, status, upgrade] of [
  ['AMQP', 400, { headers: { 'sec-websocket-protocol': 'AMQPWSB10' } }],
  ['no subprotocol', 400, { headers: { 'sec-websocket-protocol': null } }],
  ['another version', 426, { headers: { 'sec-websocket-version': '8' } }],
  ['no key', 400, { headers: { 'sec-websocket-key': null } }],
  ['another path', 404, { path: '/devices' }],
  ['no upgrade', 426, { headers: { upgrade: null } }],
]) {
  test(`a request with ${what} is refused with ${status}`, async () => {
    await assert.rejects(WebSocketStream.open(hub, { upgrade }), (error) => {
      assert.equal(error.status, status, error.message);
      assert.match(error.text, /"(m|M)essage"/);
      return true;
    });
  });
}

test('the same identity takes over from one transport to the other', async () => {
  const first = await connect();
  const second = await MqttClient.connect(hub, module);
  assert.equal(second.code, 0);
  await closes(first);
  const third = await connect();
  await closes(second);
  await lives(third);
  await third.end();
});

test('sessions are told that the server goes', async () => {
  const client = await connect();
  await hub.stop();
  await closes(client);
  assert.equal(client.socket.closeCode, 1001);
});
