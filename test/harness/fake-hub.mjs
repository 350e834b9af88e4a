// SPDX-License-Identifier: Apache-2.0
// A hub that says to an agent what a test wants it to say: TLS and MQTT by hand, with the
// certificate of a data directory. Each kind of packet has a function; what a test does not replace
// is answered as a hub would.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer } from 'node:tls';

import { packet, publishPacket } from './mqtt.mjs';
import { freePort } from './programs.mjs';

const idOf = (body) => body.subarray(0, 2);

export const DESIRED = '$iothub/twin/PATCH/properties/desired/';
export const answer = (status, rid, body = '') => publishPacket(`$iothub/twin/res/${status}/?$rid=${rid}`, body);

const polite = {
  connect: (socket) => socket.write(packet(0x20, Buffer.from([0, 0]))),
  subscribe: (socket, { body }) => socket.write(packet(0x90, idOf(body), Buffer.from([0]))),
  get: (socket, { rid }) => socket.write(answer(200, rid, '{"desired":{"$version":1},"reported":{}}')),
  report: (socket, { rid }) => socket.write(answer(204, rid)),
  event: (socket, { id }) => socket.write(packet(0x40, id)),
  ping: (socket) => socket.write(packet(0xD0)),
};

// Takes one packet off the front of the bytes: {type, body, rest}, or nothing while it is not whole.
function takePacket(bytes) {
  let length = 0;
  for (let at = 1, shift = 0; at < bytes.length; at++, shift += 7) {
    length |= (bytes[at] & 127) << shift;
    if (bytes[at] & 128) continue;
    if (bytes.length < at + 1 + length) return undefined;
    return { head: bytes[0], body: bytes.subarray(at + 1, at + 1 + length), rest: bytes.subarray(at + 1 + length) };
  }
  return undefined;
}

function kindOf({ head, body }) {
  const type = head >> 4;
  if (type !== 3) return { kind: { 1: 'connect', 8: 'subscribe', 12: 'ping' }[type], body };
  const end = 2 + body.readUInt16BE(0);
  const topic = body.toString('utf8', 2, end);
  const rid = /rid=(\w+)/.exec(topic)?.[1];
  if (topic.startsWith('$iothub/twin/GET')) return { kind: 'get', rid };
  if (topic.startsWith('$iothub/twin/PATCH')) return { kind: 'report', rid, patch: JSON.parse(body.subarray(end)) };
  return { kind: 'event', id: body.subarray(end, end + 2) };
}

export class FakeHub {
  // `hub` is a Hub that was made; it need not run, for this one has a port of its own.
  static async started(hub) {
    const fake = new FakeHub();
    fake.port = await freePort();
    fake.sockets = new Set();
    fake.behave({});
    const key = readFileSync(join(hub.dataDir, 'server.key'));
    const cert = readFileSync(join(hub.dataDir, 'server.pem'));
    fake.server = createServer({ key, cert }, (socket) => fake.#serve(socket));
    fake.server.on('tlsClientError', () => {});
    await new Promise((resolve) => { fake.server.listen(fake.port, '127.0.0.1', resolve); });
    return fake;
  }

  // Replaces functions, and counts from now on what is heard.
  behave(functions) {
    this.functions = { ...polite, ...functions };
    this.heard = { connect: 0, subscribe: 0, get: 0, report: 0, event: 0, ping: 0 };
    this.lastReport = undefined;
  }

  drop() { for (const socket of this.sockets) socket.destroy(); }

  async stop() {
    this.drop();
    await new Promise((resolve) => { this.server.close(resolve); });
  }

  #serve(socket) {
    let bytes = Buffer.alloc(0);
    this.sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('data', (data) => {
      bytes = Buffer.concat([bytes, data]);
      for (let found = takePacket(bytes); found; found = takePacket(bytes)) {
        bytes = found.rest;
        const said = kindOf(found);
        if (said.kind === undefined) continue;
        this.heard[said.kind]++;
        this.lastReport = said.patch ?? this.lastReport;
        if (!socket.destroyed) this.functions[said.kind](socket, said, this.heard[said.kind]);
      }
    });
  }
}
