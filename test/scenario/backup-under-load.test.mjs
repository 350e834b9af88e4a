// SPDX-License-Identifier: Apache-2.0
// A hub is saved while clients write: the copy holds whole requests, all that were answered before it
// began, and a server starts from it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { freePort, programs, runProgram, temporaryFolder, until } from '../harness/programs.mjs';

const BATCH = 50;
const folder = temporaryFolder();
let hub;
before(async () => { hub = await Hub.started(); });
after(() => hub.stop());

const count = async (of) => (await of.must('GET', '/statistics/devices')).totalDeviceCount;

test('a copy that is made under load is whole, and can be served', async () => {
  let writing = true;
  const writers = [0, 1].map(async (writer) => {
    for (let n = 0; writing; n++)
      await hub.must('POST', '/devices', { body: Array.from({ length: BATCH }, (_, i) => ({ id: `w${writer}-${n}-${i}`, tags: { n } })) });
  });
  await until('there is something', async () => await count(hub) > 3 * BATCH);
  const before = await count(hub);
  const place = join(folder, 'copy');
  const saved = await runProgram(programs.hub, ['backup', '--data-dir', hub.dataDir, place]);
  writing = false;
  await Promise.all(writers);
  const afterwards = await count(hub);
  assert.equal(saved.code, 0, saved.stderr);
  const refused = await runProgram(programs.hub, ['restore', '--data-dir', hub.dataDir, place]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /not empty: nothing in it was touched/);
  assert.equal(await count(hub), afterwards);

  const other = Object.assign(Object.create(hub), { dataDir: join(folder, 'restored'), mqttPort: await freePort(), httpsPort: await freePort() });
  const restored = await runProgram(programs.hub, ['restore', '--data-dir', other.dataDir, place]);
  assert.equal(restored.code, 0, restored.stderr);
  await other.start();
  try {
    const found = await count(other);
    assert.ok(found >= before && found <= afterwards, `${before} <= ${found} <= ${afterwards}`);
    assert.equal(found % BATCH, 0, 'a request is in the copy as a whole or not');
    assert.deepEqual((await other.must('GET', '/twins/w0-0-7')).tags, { n: 0 });
  } finally { await other.stop(); }
});
