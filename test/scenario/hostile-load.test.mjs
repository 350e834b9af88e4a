// SPDX-License-Identifier: Apache-2.0
// Clients that ask for more than their share: others are served meanwhile, and what a hostile client
// makes the hub hold is given back.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect as tlsConnect } from 'node:tls';
import { after, before, test } from 'node:test';

import { API, Hub } from '../harness/hub.mjs';
import { MqttClient, publishPacket, subscribePacket, TYPES } from '../harness/mqtt.mjs';
import { sleep, until } from '../harness/programs.mjs';

let hub;
let device;
before(async () => {
  hub = await Hub.started({ set: ['gateway.threads=1'] });
  device = await hub.createDevice('d');
});
after(() => hub.stop());

const members = (count) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i.toString(36)}`, 1]));

const cpuMs = () => {
  const fields = readFileSync(`/proc/${hub.program.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
};

// The processor time of the hub, because the machine may have other things to do.
async function costs(limitMs, work) {
  const begin = cpuMs();
  await work();
  assert.ok(cpuMs() - begin < limitMs, `it cost ${cpuMs() - begin} ms`);
}

test('a document of very many members is refused quickly', () => costs(6000, async () => {
  for (const body of [{ tags: members(80_000) }, { properties: { desired: members(80_000) } }])
    assert.equal((await hub.rest('PATCH', '/twins/d', { body })).status, 400);
}));

test('an event of very many properties is taken quickly', () => costs(3000, async () => {
  const client = await MqttClient.connect(hub, device);
  const bag = Array.from({ length: 14_000 }, (_, i) => i.toString(36)).join('&');
  for (let i = 0; i < 4; i++) await client.publish(`devices/d/messages/events/${bag}`, 'x');
  await client.end();
}));

test('of fifty clients with one identity the last stays, and hears of changes', async () => {
  const clients = (await Promise.all(Array.from({ length: 50 }, () => MqttClient.connect(hub, device).catch(() => null)))).filter(Boolean);
  const open = await until('one connection', () => {
    const left = clients.filter((client) => !client.closed);
    return left.length === 1 && left[0];
  });
  await open.subscribe('$iothub/twin/PATCH/properties/desired/#');
  await hub.patchDesired('d', undefined, { storm: 1 });
  assert.equal((await open.nextDesired()).patch.storm, 1);
  assert.equal((await hub.twin('d')).connectionState, 'Connected');
  await open.drop();
  await until('the last to be gone', async () => (await hub.twin('d')).connectionState === 'Disconnected');
});

test('a client that asks and never reads is dropped, and its memory is given back', async () => {
  const client = await MqttClient.connect(hub, device);
  await client.subscribe('$iothub/twin/res/#');
  client.socket.pause();
  const ask = publishPacket(`$iothub/twin/GET/?$rid=${'r'.repeat(30_000)}`, '');
  for (let i = 0; i < 400 && !/does not read/.test(hub.program.output); i++) {
    client.send(ask);
    if (i % 10 === 0) await sleep(10);
  }
  await until('the hub to have enough', () => /does not read/.test(hub.program.output));
  await client.drop();
});

// What the kernel holds for the hub's end of a connection, in bytes; 0 without one.
function heldByKernel(hubPort, clientPort) {
  const hex = (port) => port.toString(16).toUpperCase().padStart(4, '0');
  const line = readFileSync('/proc/net/tcp', 'utf8').split('\n').map((l) => l.trim().split(/\s+/))
    .find((f) => f[1]?.endsWith(`:${hex(hubPort)}`) && f[2].endsWith(`:${hex(clientPort)}`));
  const [unsent, unread] = (line?.[4] ?? '0:0').split(':').map((digits) => Number.parseInt(digits, 16));
  return { unsent, unread };
}

test('the kernel holds little for a client that does not read', async () => {
  const value = 'v'.repeat(3000);
  await hub.patchDesired('d', undefined, Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`big${i}`, value])));
  const ask = `GET /twins/d?${API} HTTP/1.1\r\nHost: ${hub.hostName}\r\nAuthorization: ${hub.token()}\r\n\r\n`;
  const socket = tlsConnect({ host: hub.address, port: hub.httpsPort, servername: 'localhost', ca: hub.ca });
  await new Promise((resolve) => { socket.once('secureConnect', resolve); });
  socket.on('error', () => {});
  socket.pause();
  const port = socket.localPort;
  for (let i = 0; i < 400; i++) socket.write(ask);
  let last = -1;
  const held = await until('the hub to wait for its client', () => {
    const before = last;
    last = heldByKernel(hub.httpsPort, port).unsent;
    return last > 0 && last === before && last;
  }, { everyMs: 500 });
  socket.destroy();
  assert.ok(held < 1_000_000, `${held} bytes`);
});

test('what waits for its turn to be acknowledged is bounded too', async () => {
  const slow = await Hub.started({ set: ['throttle.twin_updates=1', 'throttle.burst_seconds=1', 'throttle.queue_seconds=300'] });
  try {
    const client = await MqttClient.connect(slow, await slow.createDevice('d'));
    const answer = Buffer.concat(Array.from({ length: 1000 }, (_, i) => publishPacket('$iothub/methods/res/200/?$rid=1', '', { qos: 1, id: 1000 + i })));
    for (let i = 1; i <= 10; i++) client.send(publishPacket(`$iothub/twin/PATCH/properties/reported/?$rid=${i}`, '{"n":1}', { qos: 1, id: i }));
    for (let i = 0; i < 100; i++) client.send(answer);
    let last = -1;
    const left = await until('the hub to read no more', () => {
      const before = last;
      last = heldByKernel(slow.mqttPort, client.socket.localPort).unread;
      return last === before && (last > 0 || client.socket.writableLength === 0) && { last };
    }, { everyMs: 400 });
    assert.ok(left.last > 0, 'it has read all of a hundred thousand answers while the first report waits');
    await client.drop();
  } finally {
    await slow.stop();
  }
});

test('ten thousand refused topics are one line of the log', async () => {
  const client = await MqttClient.connect(hub, device);
  const before = hub.program.output.length;
  client.send(subscribePacket(9, ...Array.from({ length: 10_000 }, () => ['#', 0])));
  const { body } = await client.next(TYPES.SUBACK);
  assert.ok(body.length === 10_002 && body.subarray(2).every((code) => code === 0x80));
  await client.end();
  assert.match(hub.program.output.slice(before), /d is refused 10000 of its subscriptions, the first because: .+/);
  assert.ok(hub.program.output.length - before < 2000);
});

for (const [what, change] of [
  ['disabled', () => hub.must('PUT', '/devices/v', { headers: { 'if-match': '*' }, body: { deviceId: 'v', status: 'disabled' } })],
  ['deleted', () => hub.must('DELETE', '/devices/v', { headers: { 'if-match': '*' } })],
]) {
  test(`a device that is ${what} amid its reports is cut off at once and stays out`, async () => {
    const victim = await hub.createDevice('v');
    const client = await MqttClient.connect(hub, victim);
    await client.subscribe('$iothub/twin/res/#');
    const cut = assert.rejects(async () => {
      for (let n = 0; ; n++) assert.equal((await client.report({ n })).status, 204);
    }, /closed/);
    await sleep(200);
    await change();
    await cut;
    assert.equal((await MqttClient.connect(hub, victim)).code, 5);
    await hub.rest('DELETE', '/devices/v', { headers: { 'if-match': '*' } });
  });
}

test('a client that subscribes, reads, and follows versions never misses a change', async () => {
  const devices = await Promise.all(Array.from({ length: 20 }, (_, i) => hub.createDevice(`f${i}`)));
  let writing = true;
  const writers = Array.from({ length: 3 }, async (_, w) => {
    for (let n = 0; writing; n++) await hub.patchDesired(`f${(n * 7 + w) % 20}`, undefined, { [`w${w}`]: n, [`k${n % 5}`]: n % 3 ? n : null });
  });
  const follow = async (identity) => {
    for (let session = 0; ; session++) {
      const client = await MqttClient.connect(hub, identity);
      await client.subscribe('$iothub/twin/PATCH/properties/desired/#', '$iothub/twin/res/#');
      const { $version, ...view } = (await client.getTwin()).body.desired;
      let version = $version;
      const take = async (timeoutMs) => {
        const note = await client.nextDesired(timeoutMs);
        if (note.version <= version) return;
        assert.equal(note.version, version + 1, 'a version is missing');
        version = note.version;
        for (const [key, value] of Object.entries(note.patch))
          if (value === null) delete view[key]; else if (key !== '$version') view[key] = value;
      };
      const end = Date.now() + 600 + 200 * session;
      while (Date.now() < end) await take(300).catch((error) => { if (!/no packet/.test(error.message)) throw error; });
      if (session < 3) {
        if (session % 2) await client.drop(); // the other half is taken over
        continue;
      }
      writing = false;
      await Promise.all(writers);
      const { $version: last, $metadata: _, ...desired } = (await hub.twin(identity.deviceId)).properties.desired;
      while (version < last) await take();
      assert.deepEqual(view, desired);
      await client.end();
      return;
    }
  };
  await Promise.all(devices.map(follow));
});
