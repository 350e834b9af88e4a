// SPDX-License-Identifier: Apache-2.0
// Devices and modules whose names hold characters that mean something elsewhere, in addresses, in
// topics, in filters: their twins, events, notifications and messages work as those of any other.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient, TYPES } from '../harness/mqtt.mjs';

let hub;
before(async () => { hub = await Hub.started(); });
after(() => hub.stop());

const names = [...[..."-.+%_#*?!(),=@;$'"].map((c) => `a${c}b`), '#', '+', '%', '%41', '%2F', '?', '$x', 'x'.repeat(128)];

async function tryAs(name, identity) {
  const { moduleId } = identity;
  const client = await MqttClient.connect(hub, identity);
  assert.equal(client.code, 0);
  await client.subscribe('$iothub/twin/res/#', '$iothub/twin/PATCH/properties/desired/#');
  await hub.patchDesired(name, moduleId, { wanted: name });
  assert.equal((await client.nextDesired()).patch.wanted, name);
  assert.equal((await client.getTwin()).body.desired.wanted, name);
  assert.equal((await client.report({ is: name })).status, 204);
  const twin = await hub.twin(name, moduleId);
  assert.equal(twin.deviceId, name);
  assert.equal(twin.properties.reported.is, name);
  const own = `devices/${name}${moduleId ? `/modules/${moduleId}` : ''}`;
  // A level of "#" alone would be the last.
  assert.deepEqual(await client.subscribe([`${name === '#' ? own.replaceAll('#', '+') : own}/messages/devicebound/#`, 1]), [1]);
  await hub.must('POST', `/gemel/v1/devices/${encodeURIComponent(name)}${moduleId ? `/modules/${encodeURIComponent(moduleId)}` : ''}/messages/deviceBound`,
    { plain: true, body: { body: name } });
  const message = await client.next(TYPES.PUBLISH, (p) => p.topic.includes('/messages/devicebound/'));
  assert.equal(message.payload, name);
  await client.publish(`${own}/messages/events/a=b`, 'event');
  await client.end();
}

for (const name of names) {
  test(`a device and a module named ${name.slice(0, 8)} are like any other`, async () => {
    await tryAs(name, await hub.createDevice(name));
    await tryAs(name, await hub.createModule(name, name));
    const events = await hub.events({ deviceId: name });
    assert.deepEqual(events.map((event) => event.moduleId), [null, name]);
    assert.deepEqual(events.map((event) => event.properties.a), ['b', 'b']);
  });
}

test('names that differ in case, or by an escape, are different devices', async () => {
  for (const [one, other] of [['Case', 'case'], ['e%41', 'eA'], ['p%2B', 'p+']]) {
    await hub.createDevice(one);
    await hub.createDevice(other);
    await hub.patchDesired(one, undefined, { one: 1 });
    assert.equal((await hub.twin(other)).properties.desired.one, undefined);
  }
});
