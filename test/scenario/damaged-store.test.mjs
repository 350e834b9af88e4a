// SPDX-License-Identifier: Apache-2.0
// Files of the store that are not as they were left. What cannot be used is refused with the file's name
// and what to do; a log that is cut off, as by a loss of power, is used as far as it reaches.
import assert from 'node:assert/strict';
import { cpSync, closeSync, existsSync, openSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { programs, runProgram, temporaryFolder } from '../harness/programs.mjs';

const CHANGES = 60;
let hub;
let saved; // a data directory as kill -9 left it, and one whose log was carried back

before(async () => {
  hub = await Hub.started();
  await hub.createDevice('d');
  for (let n = 1; n <= CHANGES; n++) await hub.patchDesired('d', undefined, { n, text: 'x'.repeat(1000) });
  await hub.kill9();
  const folder = temporaryFolder();
  saved = { killed: join(folder, 'killed'), stopped: join(folder, 'stopped') };
  cpSync(hub.dataDir, saved.killed, { recursive: true });
  await hub.start();
  await hub.stop();
  cpSync(hub.dataDir, saved.stopped, { recursive: true });
});
after(() => hub.stop());

function copyOf(which) {
  hub.dataDir = join(temporaryFolder(), 'hub');
  cpSync(saved[which], hub.dataDir, { recursive: true });
  return (name = 'hub.db') => join(hub.dataDir, name);
}

function overwrite(file, at, size) {
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.alloc(size, 0xA5), 0, size, at);
  closeSync(fd);
}

for (const [what, damage] of [
  ['begins with something else', (file) => overwrite(file, 0, 100)],
  ['is a text', (file) => writeFileSync(file, 'not a database\n'.repeat(1000))],
  ['is empty', (file) => truncateSync(file, 0)],
  ['lost its second half', (file) => truncateSync(file, statSync(file).size >> 1)],
]) {
  test(`a database that ${what} is not served, and the sentence says what to do`, async () => {
    const file = copyOf('stopped')();
    damage(file);
    const { code, stdout, stderr } = await runProgram(programs.hub,
      ['serve', '--data-dir', hub.dataDir, '--listen', '127.0.0.1', '--mqtt-port', '0', '--https-port', '0']);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.ok(stderr.includes(file), stderr);
    assert.match(stderr, /gemel-hub restore/);
  });
}

for (const [what, damage] of [
  ['cut off', (file) => truncateSync(file, Math.floor(statSync(file).size * 0.6))],
  ['broken in the middle', (file) => overwrite(file, Math.floor(statSync(file).size * 0.5), 3000)],
  ['followed by something else', (file) => overwrite(file, statSync(file).size, 9000)],
]) {
  test(`a log that is ${what} is used as far as it reaches`, async () => {
    const log = copyOf('killed')('hub.db-wal');
    assert.ok(existsSync(log) && statSync(log).size > 100_000, 'the log holds the changes');
    damage(log);
    await hub.start();
    const { desired } = (await hub.twin('d')).properties;
    assert.ok(desired.n <= CHANGES && (what.startsWith('followed') ? desired.n === CHANGES : desired.n > 1), `${desired.n}`);
    assert.equal(desired.$version, desired.n + 1, 'a change is there as a whole or not at all');
    await hub.patchDesired('d', undefined, { after: true });
    await hub.stop();
  });
}
