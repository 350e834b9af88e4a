// SPDX-License-Identifier: Apache-2.0
// A reader of the stream of events whose hub is killed, drained and started again while a device
// sends: it sees each event that was acknowledged once, in order, and the same as the pages show.
import assert from 'node:assert/strict';
import { request as httpsRequest } from 'node:https';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient } from '../harness/mqtt.mjs';
import { until } from '../harness/programs.mjs';

let hub;
let device;
before(async () => {
  hub = await Hub.started();
  device = await hub.createDevice('d');
});
const readers = [];
after(() => {
  for (const reader of readers) reader.close();
  return hub.stop();
});

// As EventSource does it: keeps the last id, and takes up a stream that ended from there.
class Reader {
  constructor(query = '', token) {
    Object.assign(this, { query, token, events: [], lastId: '', streams: 0, clean: 0, status: 0, open: true });
    readers.push(this);
    this.connect();
  }

  connect() {
    if (!this.open) return;
    const again = () => { if (this.open) setTimeout(() => this.connect(), 100); };
    const headers = { host: hub.hostName, accept: 'text/event-stream', authorization: this.token ?? hub.token(),
      ...(this.lastId === '' ? {} : { 'last-event-id': this.lastId }) };
    this.request = httpsRequest({ host: hub.address, port: hub.httpsPort, servername: 'localhost', ca: hub.ca,
      path: `/gemel/v1/events/stream${this.query}`, headers, agent: false }, (response) => {
      this.status = response.statusCode;
      if (response.statusCode !== 200) { response.resume(); again(); return; }
      this.streams++;
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (data) => {
        text += data;
        for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) this.take(text.slice(0, end));
      });
      response.on('end', () => { this.clean++; again(); });
      response.on('error', again);
    });
    this.request.on('error', again);
    this.request.end();
  }

  take(block) {
    let data;
    for (const line of block.split('\n')) {
      if (line.startsWith('id: ')) this.lastId = line.slice(4);
      if (line.startsWith('data: ')) data = line.slice(6);
    }
    if (data !== undefined) this.events.push(JSON.parse(data));
  }

  close() {
    this.open = false;
    this.request.destroy();
  }
}

test('across a kill and a drain every acknowledged event is seen once', async () => {
  const reader = new Reader();
  const acknowledged = [];
  await until('the stream began', () => reader.lastId !== '');
  for (const [round, end] of ['kill9', 'stop', undefined].entries()) {
    const client = await MqttClient.connect(hub, device);
    for (let i = 0; i < 30; i++) {
      const body = `${end}-${i}`;
      await client.publish('devices/d/messages/events/', body);
      acknowledged.push(body);
    }
    await client.drop();
    await until('the stream is taken up', () => reader.streams > round);
    if (end === undefined) break;
    await hub[end]();
    await hub.start();
  }
  await until('all is seen', () => reader.events.length >= acknowledged.length);
  assert.deepEqual(reader.events.map((event) => event.body), acknowledged);
  assert.deepEqual(reader.events, await hub.events());
  assert.ok(reader.streams >= 3);
  assert.ok(reader.clean >= 1, 'the drain ended it as it should');
  reader.close();
});

test('events of the hub itself come as they happen, chosen by source and property', async () => {
  const twins = new Reader('?source=twinChangeEvents');
  const comings = new Reader('?source=all&property=opType=deviceConnected');
  await until('both began', () => twins.lastId !== '' && comings.lastId !== '');
  const client = await MqttClient.connect(hub, device);
  await hub.patchDesired('d', undefined, { speed: 3 });
  await until('both are told', () => twins.events.length === 1 && comings.events.length === 1);
  assert.equal(twins.events[0].body.properties.desired.speed, 3);
  assert.equal(twins.events[0].properties.opType, 'updateTwin');
  assert.equal(comings.events[0].deviceId, 'd');
  await client.end();
  for (const reader of [twins, comings]) reader.close();
});

test('a reader that does not read costs the hub only its connection, and misses nothing', async () => {
  const slow = new Reader();
  await until('it began', () => slow.lastId !== '');
  slow.request.socket.pause();
  const client = await MqttClient.connect(hub, device);
  for (let i = 0; i < 40; i++) await client.publish('devices/d/messages/events/', `${i} ${'x'.repeat(200_000)}`);
  await client.end();
  slow.request.socket.resume();
  await until('all came', () => slow.events.length === 40);
  assert.deepEqual(slow.events.map((event) => parseInt(event.body, 10)), Array.from({ length: 40 }, (_, i) => i));
  slow.close();
});

test('a stream lives no longer than the key of its token', async () => {
  const reader = new Reader('', hub.token((await hub.policies()).service));
  await until('it began', () => reader.lastId !== '');
  const { user, password } = hub.facts.admin;
  const signed = await hub.rest('POST', '/gemel/v1/session', { plain: true, token: null, body: { user, password } });
  if (signed.status === 200) {
    const cookie = signed.headers['set-cookie'][0].split(';')[0];
    const answer = await hub.rest('POST', `/gemel/v1/hubs/${hub.facts.hub}/policies/service/regenerate`, { plain: true,
      token: null, headers: { cookie, 'x-gemel-csrf': signed.json.csrf }, body: { key: 'primary' } });
    if (answer.status === 200) {
      const client = await MqttClient.connect(hub, device);
      await client.publish('devices/d/messages/events/', 'secret');
      await client.end();
      await until('it is refused', () => reader.status === 401);
      assert.deepEqual(reader.events, []);
    }
  }
  reader.close();
});
