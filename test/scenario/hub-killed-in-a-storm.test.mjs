// SPDX-License-Identifier: Apache-2.0
// kill -9 of the hub while devices report and the service changes desired, three times: whatever
// was acknowledged is there afterwards.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient } from '../harness/mqtt.mjs';
import { sleep } from '../harness/programs.mjs';

const DEVICES = 8;
let hub;
const devices = [];

before(async () => {
  hub = await Hub.started();
  for (let i = 0; i < DEVICES; i++) devices.push(await hub.createDevice(`d${i}`));
});
after(() => hub.stop());

// Reports a counter as fast as answers come; remembers the highest that was acknowledged.
async function storm(device, state) {
  const client = await MqttClient.connect(hub, device);
  await client.subscribe('$iothub/twin/res/#');
  for (;;) {
    const value = state.sent + 1;
    state.sent = value;
    let answer;
    try {
      answer = await client.report({ counter: value, [`k${value % 50}`]: value });
    } catch {
      return;
    }
    if (answer.status !== 204) return;
    state.acknowledged = value;
    state.keys.set(`k${value % 50}`, value);
    state.version = answer.version;
  }
}

async function desireStorm(device, state, running) {
  while (running()) {
    const value = ++state.desiredSent;
    const answer = await hub.rest('PATCH', hub.twinPath(device.deviceId),
      { body: { properties: { desired: { counter: value } } } }).catch(() => null);
    if (answer?.status === 200) state.desiredAcknowledged = value;
    else return;
  }
}

test('every acknowledged update survives three kills', async () => {
  const states = devices.map(() => ({ keys: new Map(), sent: 0, acknowledged: 0, version: 0, desiredSent: 0, desiredAcknowledged: 0 }));
  for (let round = 0; round < 3; round++) {
    let running = true;
    const storms = devices.flatMap((device, i) => [storm(device, states[i]),
      ...(i < 2 ? [desireStorm(device, states[i], () => running)] : [])]);
    await sleep(1500 + 400 * round);
    await hub.kill9();
    running = false;
    await Promise.all(storms);
    await hub.start();
    for (const [i, device] of devices.entries()) {
      const { desired, reported } = (await hub.twin(device.deviceId)).properties;
      const state = states[i];
      assert.ok(state.acknowledged > 0, `d${i} was never acknowledged`);
      assert.ok(reported.counter >= state.acknowledged, `d${i}: ${reported.counter} < ${state.acknowledged}`);
      assert.ok(reported.counter <= state.sent);
      assert.ok(reported.$version >= state.version);
      for (const [key, value] of state.keys)
        assert.ok(reported[key] >= value, `d${i}: ${key} is ${reported[key]}, older than ${value}`);
      if (i < 2) assert.ok(desired.counter >= state.desiredAcknowledged, `d${i}: desired ${desired.counter} < ${state.desiredAcknowledged}`);
    }
  }
});

test('every event that got its PUBACK is in the log after a kill', async () => {
  const device = await hub.createDevice('sender');
  const client = await MqttClient.connect(hub, device);
  const acknowledged = [];
  const sending = (async () => {
    for (let i = 0; ; i++) {
      try {
        await client.publish('devices/sender/messages/events/', `event-${i}`);
      } catch {
        return;
      }
      acknowledged.push(`event-${i}`);
    }
  })();
  await sleep(1000);
  await hub.kill9();
  await sending;
  assert.ok(acknowledged.length > 10);
  await hub.start();
  const found = new Set((await hub.events({ deviceId: 'sender' })).map((event) => event.body));
  for (const body of acknowledged) assert.ok(found.has(body), `${body} is lost`);
});
