// SPDX-License-Identifier: Apache-2.0
// A WebSocket client that can misbehave: frames as they are told, byte for byte.
import { EventEmitter } from 'node:events';
import { createHash, randomBytes } from 'node:crypto';
import { connect as tlsConnect } from 'node:tls';

export const OP = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 };

export function frame(opcode, payload = '', { fin = true, masked = true, reserved = 0 } = {}) {
  const bytes = Buffer.from(payload);
  const size = bytes.length < 126 ? Buffer.from([bytes.length])
    : bytes.length < 65536 ? Buffer.from([126, bytes.length >> 8, bytes.length & 255])
      : Buffer.concat([Buffer.from([127, 0, 0, 0, 0]), Buffer.from([bytes.length >>> 24, (bytes.length >> 16) & 255, (bytes.length >> 8) & 255, bytes.length & 255])]);
  if (masked) size[0] |= 0x80;
  const mask = randomBytes(4);
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | reserved << 4 | opcode]), size,
    ...(masked ? [mask, bytes.map((byte, i) => byte ^ mask[i & 3])] : [bytes])]);
}

export const upgradeRequest = (hub, { path = '/$iothub/websocket?iothub-no-client-cert=true', key = randomBytes(16).toString('base64'),
  headers = {} } = {}) => {
  const all = { host: hub.hostName, upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-key': key,
    'sec-websocket-version': '13', 'sec-websocket-protocol': 'mqtt', ...headers };
  return `GET ${path} HTTP/1.1\r\n${Object.entries(all).filter(([, v]) => v !== null).map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`;
};

// Looks like a socket whose bytes go in binary frames. Events: data, close, error. What comes
// besides data is in `controls`, and the code of a Close in `closeCode`.
export class WebSocketStream extends EventEmitter {
  // Options: {before: text sent ahead of the request, upgrade: see above, cut: (bytes) => frames,
  // tls options}. An answer other than 101 is an error with `.status` and `.text`.
  static async open(hub, options = {}) {
    const stream = new WebSocketStream();
    stream.cut = options.cut ?? ((bytes) => [frame(OP.BINARY, bytes)]);
    stream.controls = [];
    stream.rest = Buffer.alloc(0);
    const key = randomBytes(16).toString('base64');
    stream.socket = tlsConnect({ host: hub.address, port: hub.httpsPort, servername: 'localhost', ca: hub.ca, ...options });
    stream.socket.on('error', (error) => stream.emit('error', error));
    stream.on('error', () => {});
    stream.socket.write((options.before ?? '') + upgradeRequest(hub, { key, ...options.upgrade }));
    const head = await stream.#head(options.before ? 2 : 1);
    if (!head.startsWith('HTTP/1.1 101 ')) throw Object.assign(new Error(head), { status: Number(head.split(' ')[1]), text: head });
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    if (!head.includes(`sec-websocket-accept: ${accept}\r\n`)) throw new Error(`wrong answer: ${head}`);
    stream.socket.on('data', (data) => stream.#take(data));
    stream.socket.on('close', () => stream.emit('close'));
    if (stream.rest.length > 0) stream.#take(Buffer.alloc(0));
    return stream;
  }

  // The head of the nth response; bodies before it are read over.
  #head(count) {
    return new Promise((resolve, reject) => {
      const take = (data) => {
        this.rest = Buffer.concat([this.rest, data]);
        const text = this.rest.toString('latin1');
        let at = -1;
        for (let i = 0; i < count; i++) at = text.indexOf('HTTP/1.1 ', at + 1);
        const end = at < 0 ? -1 : text.indexOf('\r\n\r\n', at);
        const length = end < 0 ? 0 : Number(/\r\ncontent-length: (\d+)/.exec(text.slice(at, end))?.[1] ?? 0);
        if (end < 0 || text.length < end + 4 + length) return;
        this.socket.off('data', take);
        this.rest = this.rest.subarray(end + 4 + length);
        resolve(text.slice(at, end + 4 + length));
      };
      this.socket.on('data', take);
      this.socket.once('close', () => reject(new Error(`closed before the answer: ${this.rest}`)));
    });
  }

  #take(data) {
    this.rest = Buffer.concat([this.rest, data]);
    for (;;) {
      if (this.rest.length < 2) return;
      let size = this.rest[1] & 127;
      let at = 2;
      if (size === 126) { if (this.rest.length < 4) return; size = this.rest.readUInt16BE(2); at = 4; }
      else if (size === 127) { if (this.rest.length < 10) return; size = Number(this.rest.readBigUInt64BE(2)); at = 10; }
      if (this.rest.length < at + size) return;
      const opcode = this.rest[0] & 15;
      const payload = Buffer.from(this.rest.subarray(at, at + size));
      if ((this.rest[1] & 128) !== 0) throw new Error('a server must not mask');
      this.rest = this.rest.subarray(at + size);
      if (opcode === OP.BINARY) this.emit('data', payload);
      else this.controls.push({ opcode, payload });
      if (opcode === OP.CLOSE) this.closeCode = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      this.emit('frame');
    }
  }

  raw(...parts) { this.socket.write(Buffer.concat(parts)); }

  write(bytes) { for (const part of this.cut(bytes)) this.socket.write(part); }

  end(bytes) {
    if (bytes !== undefined) this.write(bytes);
    this.socket.end(frame(OP.CLOSE, Buffer.from([0x03, 0xE8])));
  }

  destroy() { this.socket.destroy(); }
}
