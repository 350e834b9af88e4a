// SPDX-License-Identifier: Apache-2.0
// No room for the database: a limit on the size of files, set on the running hub, stands for a full
// disk. What is asked gets 503 or no acknowledgement, what was acknowledged is there, and all works
// again as soon as there is room.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient } from '../harness/mqtt.mjs';
import { runProgram, until } from '../harness/programs.mjs';

let hub;
before(async () => { hub = await Hub.started(); });
after(() => hub.stop());

async function limitFiles(size) {
  const { code, stderr } = await runProgram('prlimit', ['--pid', String(hub.program.pid), `--fsize=${size}:unlimited`]);
  assert.equal(code, 0, stderr);
}

test('nothing is acknowledged that is not stored, and the hub recovers when there is room', async () => {
  const device = await hub.createDevice('d');
  const acknowledged = [];
  await limitFiles(3_000_000);
  let refused = 0;
  for (let i = 0; refused < 3; i++) {
    assert.ok(i < 100, 'the hub stores more than the disk holds');
    const client = await MqttClient.connect(hub, device);
    if (client.code === 0) {
      await client.publish('devices/d/messages/events/', `${i} ${'x'.repeat(100_000)}`)
        .then(() => acknowledged.push(String(i)), () => { refused++; });
    } else {
      assert.equal(client.code, 3, 'a hub without room is one that is not available now');
      refused++;
    }
    await client.drop();
  }
  assert.ok(acknowledged.length > 5);
  await until('a refused update', async () => {
    const answer = await hub.rest('PATCH', '/twins/d', { body: { tags: { a: 'x'.repeat(4000), b: 'x'.repeat(3000) } } });
    if (answer.status === 200) return false;
    assert.equal(answer.status, 503, answer.text);
    assert.match(answer.json.Message, /^ErrorCode:ServiceUnavailable;/);
    return true;
  });
  assert.equal((await hub.rest('GET', '/twins/d')).status, 200, 'reading needs no room');

  await limitFiles('unlimited');
  await hub.must('PATCH', '/twins/d', { body: { tags: { now: 'there is room' } } });
  const client = await MqttClient.connect(hub, device);
  assert.equal(client.code, 0);
  await client.publish('devices/d/messages/events/', 'last');
  await client.end();
  const bodies = (await hub.events()).map((event) => String(event.body).split(' ')[0]);
  for (const body of acknowledged) assert.ok(bodies.includes(body), `${body} is lost`);
  assert.equal(bodies.at(-1), 'last');
  await hub.kill9();
  await hub.start();
  assert.equal((await hub.twin('d')).tags.now, 'there is room');
});
