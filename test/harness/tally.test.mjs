// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';

import { readMeson, readTap, tally } from './tally.mjs';

const line = (stdout, result, returncode = 0) =>
  JSON.stringify({ name: 'gemel:unit / unit/x', stdout, result, returncode });

test('TAP points are read with their result and reason', () => {
  const rows = readTap('1..4\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no root\n# ok - tests\nok 4\n');
  assert.deepEqual(rows.map((row) => row.result), ['ok', 'failed', 'skipped', 'ok']);
  assert.equal(rows[2].why, 'no root');
});

test('a program that crashed after good points is one failure', () => {
  const rows = readMeson(line('1..2\nok 1 - a\n', 'ERROR', -6), 'asan');
  assert.deepEqual(rows.map((row) => row.result), ['ok', 'failed']);
  assert.match(rows[1].why, /-6/);
});

test('a failed point is not counted twice', () => {
  const rows = readMeson(line('1..2\nok 1 - a\nnot ok 2 - b\n', 'ERROR', 1), 'asan');
  assert.equal(rows.filter((row) => row.result === 'failed').length, 1);
});

test('the last line sums up, and a failure or an empty run is no success', () => {
  const directory = mkdtempSync(join(tmpdir(), 'gemel-tally-'));
  try {
    const lines = [];
    assert.equal(tally(directory, (l) => lines.push(l)), false);
    writeFileSync(join(directory, 'asan.json'), `${line('ok 1 - a\nok 2 - b # SKIP x\n', 'OK')}\n`);
    assert.equal(tally(directory, (l) => lines.push(l)), true);
    assert.equal(lines.at(-1), '1 passed, 0 failed, 1 skipped');
    writeFileSync(join(directory, 'node-asan.json'), '[{"file":"f","name":"n","result":"failed"}]');
    assert.equal(tally(directory, (l) => lines.push(l)), false);
    assert.equal(lines.at(-1), '1 passed, 1 failed, 1 skipped');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
