// SPDX-License-Identifier: Apache-2.0
// The conformance report tells what the tests said, and notices when it is out of date.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { judge, report } from './conformance-report.mjs';

const SECTIONS = [['Some', [
  ['Offered', { 'conformance/a': /one|two/, 'scenario/b': /./ }],
  ['Missing', { 'scenario/b': /refused/ }, '501'],
]]];
const row = (file, name, result = 'ok') => ({ file: `${file}.test.mjs`, name, result });
const ALL = [row('conformance/a', 'one'), row('conformance/a', 'two'), row('scenario/b', 'it is refused')];

test('an operation works when all of its tests passed', () => {
  const { text, mistakes } = report(SECTIONS, ALL);
  assert.deepEqual(mistakes, []);
  assert.match(text, /^\| Offered \| \[a\]\(\S+\) \| \[b\]\(\S+\) \| works \|$/m);
  assert.match(text, /^\| Missing \|  \| \[b\]\(\S+\) \| not offered: 501 \|$/m);
  assert.equal(judge({ text, mistakes }, ALL, text, '').result, 'ok');
});

test('one failure among many is told, and leaves the comparison to the next run', () => {
  const rows = [row('conformance/a', 'two', 'failed'), ...ALL];
  const made = report(SECTIONS, rows);
  assert.match(made.text, /^\| Offered .* \*\*fails\*\* \|$/m);
  assert.equal(judge(made, rows, '', '').result, 'skipped');
});

test('a report that is out of date, or a row without a test, fails', () => {
  assert.equal(judge(report(SECTIONS, ALL), ALL, 'old', '').result, 'failed');
  const without = ALL.slice(0, 2);
  const made = report(SECTIONS, without);
  assert.equal(made.mistakes.length, 2);
  assert.equal(judge(made, without, made.text, '').result, 'failed');
});
