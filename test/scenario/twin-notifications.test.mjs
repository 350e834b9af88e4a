// SPDX-License-Identifier: Apache-2.0
// Several writers change desired of the same twins while their clients come, go, and take over from each other. A
// client that subscribes and then reads the twin must, from the notifications alone, always have what the hub has:
// in order of versions, without a gap, whatever becomes of the connection before it.
//
//   GEMEL_STRESS_SECONDS=600 node --test test/scenario/twin-notifications.test.mjs
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient, publishPacket, subscribePacket, TYPES } from '../harness/mqtt.mjs';
import { sleep, until } from '../harness/programs.mjs';
import { randomFrom } from '../harness/query-oracle.mjs';

const SECONDS = Number(process.env.GEMEL_STRESS_SECONDS ?? 4);
const seed = Number(process.env.GEMEL_SEED ?? Date.now() % 1e9);
const random = randomFrom(seed);
const WRITERS = 3;
const DESIRED = '$iothub/twin/PATCH/properties/desired/';
const RESPONSE = '$iothub/twin/res/';
const CLIENTS = [{ deviceId: 'd1' }, { deviceId: 'd1', moduleId: 'm1' }, { deviceId: 'd2', moduleId: 'm1' }];
let hub;

before(async () => {
  hub = await Hub.started();
  for (const id of ['d1', 'd2']) await hub.createDevice(id);
  for (const { deviceId, moduleId } of CLIENTS) if (moduleId) await hub.createModule(deviceId, moduleId);
});
after(() => hub.stop());

const isObject = (v) => typeof v === 'object' && v !== null && !Array.isArray(v);

function merge(target, patch) {
  const result = { ...target };
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith('$')) continue;
    if (value === null) delete result[name];
    else result[name] = isObject(value) ? merge(isObject(result[name]) ? result[name] : {}, value) : value;
  }
  return result;
}

// What one connection knows of desired.
class Mirror {
  constructor(client) {
    this.client = client;
    this.early = []; // notifications before the twin was there
  }

  static async open(identity, clean) {
    const mirror = new Mirror(await MqttClient.connect(hub, identity, { clean }));
    assert.equal(mirror.client.code, 0);
    return mirror;
  }

  // Subscribes and reads the twin; the answers are awaited, or not.
  ask(waits) {
    this.client.send(subscribePacket(this.client.nextId++, [`${DESIRED}#`, 0], [`${RESPONSE}#`, 0]));
    const get = publishPacket('$iothub/twin/GET/?$rid=get');
    if (waits) this.client.next(TYPES.SUBACK).then(() => this.client.send(get)).catch(() => {});
    else this.client.send(get);
  }

  take(version, patch) {
    assert.equal(patch.$version, version);
    if (this.last !== undefined) assert.equal(version, this.last + 1, 'notifications come in order, without a gap');
    this.last = version;
    if (this.version === undefined) this.early.push([version, patch]);
    else if (version > this.version) this.apply(version, patch);
  }

  apply(version, patch) {
    assert.equal(version, this.version + 1, 'what was read and what is told meet without a gap');
    this.version = version;
    this.desired = merge(this.desired, patch);
  }

  read({ desired }) {
    this.version = desired.$version;
    this.desired = merge({}, desired);
    for (const [version, patch] of this.early) if (version > this.version) this.apply(version, patch);
  }

  // To the end of the connection.
  async follow() {
    for (;;) {
      let packet;
      try {
        packet = await this.client.next(TYPES.PUBLISH, () => true, 600_000);
      } catch {
        return;
      }
      if (packet.topic.startsWith(DESIRED)) this.take(Number(/\$version=(\d+)/.exec(packet.topic)[1]), JSON.parse(packet.payload));
      else if (packet.topic.startsWith(`${RESPONSE}200/`)) this.read(JSON.parse(packet.payload));
    }
  }
}

function change(writer, turn) {
  const kind = random.below(8);
  const name = `k${random.below(4)}`;
  if (kind === 0) return { [name]: null };
  if (kind === 1) return { [name]: { [`w${writer}`]: null, turn } };
  if (kind === 2) return { deep: { [name]: { [`w${writer}`]: turn } } };
  return { [`w${writer}`]: turn, [name]: { list: [turn, { a: writer }] } };
}

async function write(writer, until_ms, told) {
  for (let turn = 0; Date.now() < until_ms; turn++) {
    const { deviceId, moduleId } = random.one(CLIENTS);
    const replaces = random.chance(0.1);
    await hub.must(replaces ? 'PUT' : 'PATCH', hub.twinPath(deviceId, moduleId), { body: { properties: { desired: change(writer, turn) } } });
    told.changes++;
    if (random.chance(0.3)) await sleep(random.below(20));
  }
}

// Connections of one identity, one after the other or over each other; gives the last.
async function live(who, until_ms, told) {
  const { deviceId, moduleId } = who;
  const identity = await hub.must('GET', moduleId ? `/devices/${deviceId}/modules/${moduleId}` : `/devices/${deviceId}`);
  const following = [];
  let mirror;
  do {
    const before = mirror;
    const way = before ? random.below(4) : 0;
    if (before && way === 0) await before.client.end();
    if (before && way === 1) await before.client.drop();
    mirror = await Mirror.open(identity, random.chance(0.5));
    following.push(mirror.follow());
    mirror.ask(random.chance(0.5));
    told.connections++;
    if (Date.now() < until_ms) await sleep(random.below(random.chance(0.5) ? 30 : 300));
    assert.ok(!before || way === 0 || before.client.closed || await until('the one before is closed', () => before.client.closed));
  } while (Date.now() < until_ms);
  return { mirror, following };
}

test(`a client has what the hub has, over writers and takeovers (seed ${seed})`, async (t) => {
  const told = { changes: 0, connections: 0 };
  const end = Date.now() + SECONDS * 1000;
  const [lives] = await Promise.all([Promise.all(CLIENTS.map((who) => live(who, end, told))),
    ...Array.from({ length: WRITERS }, (_, i) => write(i, end, told))]);
  for (let i = 0; i < CLIENTS.length; i++) {
    const { mirror, following } = lives[i];
    const { properties: { desired } } = await hub.twin(CLIENTS[i].deviceId, CLIENTS[i].moduleId);
    await until(`version ${desired.$version}, now ${mirror.version}`, () => mirror.version === desired.$version);
    assert.deepEqual(mirror.desired, merge({}, desired));
    await mirror.client.end();
    await Promise.all(following);
  }
  assert.ok(told.changes > SECONDS && told.connections > CLIENTS.length, JSON.stringify(told));
  t.diagnostic(`${told.changes} changes, ${told.connections} connections`);
});
