// SPDX-License-Identifier: Apache-2.0
// Writes the conformance report from the operations of test/conformance/operations.mjs and from what
// their tests said, and compares it with docs/conformance.md: a report that is out of date fails a
// whole run of the tests like any other failure.
//
//   node conformance-report.mjs RESULT-FILE    reads [{"file","name","result"}], adds one row to it and
//                                              writes conformance.md beside it
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { SECTIONS } from '../conformance/operations.mjs';
import { WHOLE_FILE } from './reporter.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const COMMITTED = join('docs', 'conformance.md');

const HEAD = `<!-- Written by a whole run of the tests from test/conformance/operations.mjs: do not edit. -->
# Conformance

What Azure IoT Hub offers to devices and services, and what ran against Gemel's hub in a whole run of
\`./dev test\`. The tests of the second column use Azure's own SDKs for Node.js, unmodified; those of
the third are clients of our own, which also do what no SDK does.

| result | |
| --- | --- |
| works | every test of the row passed |
| not offered | and the tests see that the answer says so |
| fails | a test of the row failed |
`;

const link = (file) => `[${file.split('/')[1]}](../test/${file}.test.mjs)`;

// One line of the report. A file whose tests do not fit the row any more is a mistake of the table.
function line([operation, tests, refusal], rows, mistakes) {
  const results = Object.entries(tests).flatMap(([file, names]) => {
    const found = rows.filter((row) => row.file === `${file}.test.mjs` && names.test(row.name));
    if (found.length === 0) mistakes.push(`${operation}: ${file} has no test that fits ${names}`);
    return found.map((row) => row.result);
  });
  const result = results.includes('failed') ? '**fails**' : results.includes('skipped') ? 'not tried'
    : refusal ? `not offered: ${refusal}` : 'works';
  const of = (folder) => Object.keys(tests).filter((file) => file.startsWith(`${folder}/`)).map(link).join(', ');
  return `| ${operation} | ${of('conformance')} | ${of('scenario')} | ${result} |`;
}

export function report(sections, rows) {
  const mistakes = [];
  const parts = sections.map(([title, operations]) => `
## ${title}

| operation | Azure's SDKs | our own clients | result |
| --- | --- | --- | --- |
${operations.map((operation) => line(operation, rows, mistakes)).join('\n')}
`);
  return { text: HEAD + parts.join(''), mistakes };
}

// The row that this adds to a run's results. What a failure or a skipped file changed in the report
// is no second failure.
export function judge({ text, mistakes }, rows, committed, written) {
  const row = { file: 'conformance', name: 'the conformance report says what the tests said', result: 'ok', why: '' };
  if (rows.some((r) => r.result === 'failed' || (r.result === 'skipped' && r.name === WHOLE_FILE)))
    return { ...row, result: 'skipped', why: 'it needs a run in which nothing failed and no file was passed over' };
  const why = mistakes.length > 0 ? mistakes.join('; ')
    : text !== committed ? `${COMMITTED} is out of date; ${written} is what it should be` : '';
  return why === '' ? row : { ...row, result: 'failed', why };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const resultFile = process.argv[2];
  const rows = JSON.parse(readFileSync(resultFile, 'utf8'));
  const made = report(SECTIONS, rows);
  const written = resolve(dirname(resultFile), 'conformance.md');
  writeFileSync(written, made.text);
  rows.push(judge(made, rows, readFileSync(join(root, COMMITTED), 'utf8'), relative(root, written)));
  writeFileSync(resultFile, JSON.stringify(rows));
}
