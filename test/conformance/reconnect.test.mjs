// SPDX-License-Identifier: Apache-2.0
// The SDK's own reconnection, against a hub that is killed: a second one, at 127.0.0.2.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { until } from '../harness/programs.mjs';
import { Message, ModuleClient, Mqtt, report } from './place.mjs';

let hub;
let client;
let twin;
before(async () => {
  hub = await Hub.started({ hostNames: ['127.0.0.2'], address: '127.0.0.2', mqttPort: 8883, httpsPort: 443 });
  await hub.createDevice('d');
  const module = await hub.createModule('d', 'm');
  client = ModuleClient.fromConnectionString(hub.connectionString(module, { withPort: false }), Mqtt);
  await client.setOptions({ ca: hub.ca });
  await client.open();
  twin = await client.getTwin();
  twin.on('properties.desired', () => {});
  // Quiet before the first kill: the SDK gives up for good where a reset cuts a request short.
  await hub.patchDesired('d', 'm', { round: 0 });
  await until('the first change', () => twin.properties.desired.round === 0);
});
after(async () => {
  await client.close().catch(() => {});
  await hub.stop();
});

const connected = () => until('the SDK is back', async () => (await hub.twin('d', 'm')).connectionState === 'Connected', { timeoutMs: 60_000 });

test('after kill -9 of the hub the SDK comes back, hears of changes, reports and sends', async () => {
  for (let round = 1; round <= 2; round++) {
    await hub.kill9();
    await hub.start();
    await connected();
    await hub.patchDesired('d', 'm', { round });
    await until('the change', () => twin.properties.desired.round === round, { timeoutMs: 30_000 });
    await report(twin, { seen: round });
    assert.equal((await hub.twin('d', 'm')).properties.reported.seen, round);
    await client.sendEvent(new Message(`round ${round}`));
  }
  assert.deepEqual((await hub.events()).map((event) => event.body), ['round 1', 'round 2']);
});

test('an orderly restart is no different', async () => {
  await hub.stop();
  await hub.start();
  await connected();
  await hub.patchDesired('d', 'm', { restarted: true });
  await until('the change', () => twin.properties.desired.restarted === true, { timeoutMs: 30_000 });
});
