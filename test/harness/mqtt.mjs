// SPDX-License-Identifier: Apache-2.0
// An MQTT 3.1.1 client small enough to misbehave: it sends what it is told, byte for byte, and
// keeps what comes. The SDKs are too polite for that.
import { connect as tlsConnect } from 'node:tls';

import { sas } from './hub.mjs';
import { judgePublish } from './sdk-rules.mjs';
import { WebSocketStream } from './websocket.mjs';

const text = (value) => {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value, 'utf8');
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
};

function lengthBytes(length) {
  const bytes = [];
  do {
    bytes.push((length & 127) | (length > 127 ? 128 : 0));
    length >>= 7;
  } while (length > 0);
  return Buffer.from(bytes);
}

export const packet = (head, ...parts) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([head]), lengthBytes(body.length), body]);
};

const id16 = (id) => Buffer.from([id >> 8, id & 255]);

export const connectPacket = ({ clientId, username, password, clean = false, keepAlive = 60, name = 'MQTT', level = 4, will }) =>
  packet(0x10, text(name), Buffer.from([level,
    (clean ? 2 : 0) | (username !== undefined ? 128 : 0) | (password !== undefined ? 64 : 0) | (will ? 4 | 8 * (will.qos ?? 0) : 0),
    keepAlive >> 8, keepAlive & 255]), text(clientId), ...(will ? [text(will.topic), text(will.payload ?? '')] : []),
  ...(username !== undefined ? [text(username)] : []), ...(password !== undefined ? [text(password)] : []));

export const publishPacket = (topic, payload = '', { qos = 0, id = 1, retain = false, dup = false } = {}) =>
  packet(0x30 | (dup ? 8 : 0) | qos << 1 | (retain ? 1 : 0), text(topic), ...(qos > 0 ? [id16(id)] : []), Buffer.from(payload));

export const subscribePacket = (id, ...filters) =>
  packet(0x82, id16(id), ...filters.map(([filter, qos]) => Buffer.concat([text(filter), Buffer.from([qos])])));

export const unsubscribePacket = (id, ...filters) => packet(0xA2, id16(id), ...filters.map(text));

export const TYPES = { CONNACK: 2, PUBLISH: 3, PUBACK: 4, SUBACK: 9, UNSUBACK: 11, PINGRESP: 13 };

export class MqttClient {
  // Opens the TLS connection; nothing is sent.
  static async open(hub, options = {}) {
    const client = new MqttClient();
    client.hub = hub;
    client.judged = options.judged ?? true; // by the rules of the SDKs; not what another broker sends
    client.packets = [];
    client.waiters = [];
    client.rest = Buffer.alloc(0);
    client.nextId = 1;
    client.closed = false;
    client.socket = options.webSocket ? await WebSocketStream.open(hub, options) : tlsConnect({ host: hub.address, port: hub.mqttPort, servername: 'localhost', ca: hub.ca, ...options });
    client.socket.on('data', (data) => client.#take(data));
    client.socket.on('error', () => {});
    client.closing = new Promise((resolve) => client.socket.on('close', () => {
      client.closed = true;
      client.#wake();
      resolve();
    }));
    if (!options.webSocket) await new Promise((resolve, reject) => {
      client.socket.once('secureConnect', resolve);
      client.socket.once('error', reject);
      client.closing.then(() => reject(new Error('closed before TLS was there')));
    });
    return client;
  }

  // Opens, connects as an identity of the registry, and gives the client with its CONNACK code.
  static async connect(hub, identity, options = {}) {
    const client = await MqttClient.open(hub, options.tls);
    client.send(connectPacket({ ...MqttClient.credentials(hub, identity, options), ...options }));
    const { body } = await client.next(TYPES.CONNACK);
    client.code = body[1];
    client.sessionPresent = body[0] === 1;
    return client;
  }

  static credentials(hub, { deviceId, moduleId, authentication }, { seconds = 3600, hostName = hub.hostName } = {}) {
    const path = moduleId ? `${deviceId}/${moduleId}` : deviceId;
    const resource = `${hostName}/devices/${encodeURIComponent(deviceId)}${moduleId ? `/modules/${encodeURIComponent(moduleId)}` : ''}`;
    return { clientId: path, username: `${hostName}/${path}/?api-version=2021-04-12`,
      password: sas(resource, authentication.symmetricKey.primaryKey, undefined, seconds) };
  }

  send(bytes) { this.socket.write(bytes); }

  #take(data) {
    this.rest = Buffer.concat([this.rest, data]);
    for (;;) {
      let length = 0;
      let at = 1;
      let shift = 0;
      for (; ; at++, shift += 7) {
        if (at >= this.rest.length) return;
        length |= (this.rest[at] & 127) << shift;
        if (this.rest[at] < 128) break;
      }
      const end = at + 1 + length;
      if (this.rest.length < end) return;
      const head = this.rest[0];
      const body = Buffer.from(this.rest.subarray(at + 1, end));
      this.rest = this.rest.subarray(end);
      this.packets.push({ type: head >> 4, head, body, ...(head >> 4 === TYPES.PUBLISH ? this.#publish(head, body) : {}) });
      this.#wake();
    }
  }

  #publish(head, body) {
    const topicEnd = 2 + body.readUInt16BE(0);
    const qos = (head >> 1) & 3;
    const topic = body.toString('utf8', 2, topicEnd);
    const payload = body.subarray(topicEnd + (qos > 0 ? 2 : 0)).toString('utf8');
    if (this.judged) judgePublish(topic, payload);
    return { topic, qos, payload };
  }

  #wake() {
    for (const waiter of this.waiters.splice(0)) waiter();
  }

  // Takes the first packet of a type (that `wanted` accepts) out of what came, waiting for it.
  async next(type, wanted = () => true, timeoutMs = 10_000) {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const at = this.packets.findIndex((p) => p.type === type && wanted(p));
      if (at >= 0) return this.packets.splice(at, 1)[0];
      if (this.closed) throw new Error('the connection was closed');
      if (Date.now() > end) throw new Error(`no packet of type ${type} within ${timeoutMs} ms`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, Math.max(1, end - Date.now()));
        this.waiters.push(() => { clearTimeout(timer); resolve(); });
      });
    }
  }

  async subscribe(...filters) {
    const id = this.nextId++;
    this.send(subscribePacket(id, ...filters.map((f) => (Array.isArray(f) ? f : [f, 0]))));
    const { body } = await this.next(TYPES.SUBACK, (p) => p.body.readUInt16BE(0) === id);
    return [...body.subarray(2)];
  }

  // Publishes with QoS 1 and waits for the PUBACK.
  async publish(topic, payload, timeoutMs) {
    const id = this.nextId++;
    this.send(publishPacket(topic, payload, { qos: 1, id }));
    await this.next(TYPES.PUBACK, (p) => p.body.readUInt16BE(0) === id, timeoutMs);
  }

  // A twin request: {status, version, body}. Needs the subscription of $iothub/twin/res/#.
  async twinRequest(topic, payload = '') {
    const rid = `r${this.nextId++}`;
    this.send(publishPacket(`${topic}?$rid=${rid}`, payload));
    return this.twinAnswer(rid);
  }

  async twinAnswer(rid) {
    const answer = await this.next(TYPES.PUBLISH, (p) => p.topic.startsWith('$iothub/twin/res/') && p.topic.includes(`$rid=${rid}`));
    return { status: Number(answer.topic.split('/')[3]), version: Number(/\$version=(\d+)/.exec(answer.topic)?.[1]),
      body: answer.payload === '' ? undefined : JSON.parse(answer.payload), topic: answer.topic };
  }

  getTwin() { return this.twinRequest('$iothub/twin/GET/'); }

  report(patch) {
    return this.twinRequest('$iothub/twin/PATCH/properties/reported/', typeof patch === 'string' ? patch : JSON.stringify(patch));
  }

  async nextDesired(timeoutMs) {
    const note = await this.next(TYPES.PUBLISH, (p) => p.topic.startsWith('$iothub/twin/PATCH/properties/desired/'), timeoutMs);
    return { version: Number(/\$version=(\d+)/.exec(note.topic)[1]), patch: JSON.parse(note.payload) };
  }

  // Goes politely.
  async end() {
    if (!this.closed) this.socket.end(packet(0xE0));
    await this.closing;
  }

  // Goes as a device does that lost its power.
  async drop() {
    this.socket.destroy();
    await this.closing;
  }
}
