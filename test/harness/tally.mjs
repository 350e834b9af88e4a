// SPDX-License-Identifier: Apache-2.0
// Adds up what every part of a test run left in the results folder, says which tests failed or were
// skipped and why, and ends with the line that people and scripts read. Exit status: any failure.
//
//   DIRECTORY/asan.json, tsan.json, arm64.json, armhf.json   Meson's testlog.json: one JSON object a line, TAP in "stdout"
//   DIRECTORY/node-asan.json, node-tsan.json
//                                    [{"file","name","result":"ok"|"failed"|"skipped","why"}]
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export function readTap(stdout) {
  const rows = [];
  for (const line of stdout.split('\n')) {
    const tap = /^(not )?ok\b(?:\s+\d+)?(?:\s*-\s*)?([^#]*)(?:#\s*skip\S*\s*(.*))?/i.exec(line);
    if (!tap) continue;
    const skipped = /#\s*skip/i.test(line);
    rows.push({ name: tap[2].trim(), why: tap[3] ?? '',
      result: skipped ? 'skipped' : tap[1] ? 'failed' : 'ok' });
  }
  return rows;
}

// A test program that ended otherwise than its TAP says (crash, sanitizer, time-out) is a failure.
export function readMeson(text, build) {
  const rows = [];
  for (const line of text.split('\n').filter((l) => l.trim() !== '')) {
    const test = JSON.parse(line);
    if (test.skipped) {
      rows.push({ name: build, result: 'skipped', why: test.skipped });
      continue;
    }
    const name = `${build}: ${test.name.split(' / ').pop()}`;
    const points = readTap(test.stdout ?? '');
    for (const point of points) rows.push({ ...point, name: `${name}: ${point.name}` });
    const bad = !['OK', 'SKIP', 'EXPECTEDFAIL'].includes(test.result);
    if (bad && !points.some((point) => point.result === 'failed'))
      rows.push({ name, result: 'failed', why: `${test.result}, exit status ${test.returncode}` });
    if (!bad && points.length === 0)
      rows.push({ name, result: test.result === 'SKIP' ? 'skipped' : 'ok', why: 'it says so' });
  }
  return rows;
}

export function tally(directory, write) {
  const rows = [];
  const meson = ['asan', 'tsan', 'arm64', 'armhf'];
  for (const [file, read] of [...meson.map((build) => [`${build}.json`, (text) => readMeson(text, build)]),
    ['node-asan.json', JSON.parse],
    ['node-tsan.json', (text) => JSON.parse(text).map((row) => ({ ...row, file: `tsan: ${row.file}` }))]]) {
    const path = join(directory, file);
    if (existsSync(path)) rows.push(...read(readFileSync(path, 'utf8')));
  }
  const count = { ok: 0, failed: 0, skipped: 0 };
  for (const row of rows) {
    count[row.result]++;
    const name = row.file ? `${row.file}: ${row.name}` : row.name;
    if (row.result !== 'ok') write(`${row.result}: ${name}${row.why ? ` (${row.why})` : ''}`);
  }
  if (rows.length === 0) write('failed: no test ran at all');
  write(`${count.ok} passed, ${count.failed} failed, ${count.skipped} skipped`);
  return count.failed === 0 && rows.length > 0;
}

if (process.argv[1] === new URL(import.meta.url).pathname)
  process.exitCode = tally(process.argv[2], console.log) ? 0 : 1;
