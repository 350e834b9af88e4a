// SPDX-License-Identifier: Apache-2.0
// Two hubs in one server, told apart by host name alone: the same names in both, and nothing of one
// seen or opened from the other.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub, sas } from '../harness/hub.mjs';
import { connectPacket, MqttClient, TYPES } from '../harness/mqtt.mjs';

let north;
let south;
before(async () => {
  north = await Hub.started({ hub: 'north', hostNames: ['north.example'] });
  south = await north.addHub('south', 'south.example');
});
after(() => north.stop());

test('a device of one hub is unknown in the other, and may exist in both', async () => {
  await north.createDevice('d');
  assert.equal((await south.rest('GET', '/devices/d')).status, 404);
  await south.createDevice('d');
  await north.patchDesired('d', undefined, { side: 'north' });
  assert.equal((await south.twin('d')).properties.desired.side, undefined);
});

test('host names are compared without case and port', async () => {
  assert.equal((await north.rest('GET', '/devices/d', { host: 'NORTH.example:4443' })).status, 200);
});

test('a token of one hub opens nothing in the other', async () => {
  assert.equal((await south.rest('GET', '/devices/d', { token: north.token() })).status, 401);
  assert.equal((await north.rest('GET', '/devices/d', { token: south.token() })).status, 401);
  const forged = sas(south.hostName, north.owner.SharedAccessKey, 'iothubowner');
  assert.equal((await south.rest('GET', '/devices/d', { token: forged })).status, 401);
});

test('a device’s key of one hub opens no session in the other', async () => {
  const device = await north.must('GET', '/devices/d');
  const client = await MqttClient.open(north);
  client.send(connectPacket(MqttClient.credentials(south, device)));
  assert.equal((await client.next(TYPES.CONNACK)).body[1], 5);
});

test('both devices are connected at once; each is told of its own twin only', async () => {
  const clients = {};
  for (const hub of [north, south]) {
    const client = await MqttClient.connect(hub, await hub.must('GET', '/devices/d'));
    assert.equal(client.code, 0);
    await client.subscribe('$iothub/twin/PATCH/properties/desired/#', '$iothub/twin/res/#');
    clients[hub.hostName] = client;
  }
  await north.patchDesired('d', undefined, { for: 'north' });
  await south.patchDesired('d', undefined, { for: 'south' });
  for (const [name, client] of Object.entries(clients)) {
    assert.equal((await client.nextDesired()).patch.for, name.split('.')[0]);
    await client.report({ at: name });
    await client.publish('devices/d/messages/events/', `from ${name}`);
  }
  assert.equal((await north.twin('d')).properties.reported.at, 'north.example');
  assert.deepEqual((await south.events()).map((event) => event.body), ['from south.example']);
  for (const client of Object.values(clients)) await client.end();
});

test('a deleted hub is gone with its sessions, the other is untouched', async () => {
  const third = await north.addHub('third', 'third.example');
  const client = await MqttClient.connect(third, await third.createDevice('d'));
  assert.equal(client.code, 0);
  await north.administer('DELETE', '/gemel/v1/hubs/third');
  await client.closing;
  assert.equal((await third.rest('GET', '/devices/d')).status, 404);
  assert.equal((await north.rest('GET', '/devices/d')).status, 200);
});

test('hubs survive a restart of the server', async () => {
  await north.stop();
  await north.start();
  assert.equal((await south.twin('d')).properties.desired.for, 'south');
});
