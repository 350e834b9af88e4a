// SPDX-License-Identifier: Apache-2.0
// Runs the test files of test/scenario, test/portal and test/conformance, one process each, two at a time: they
// wait more than they work. Those of test/conformance share a hub and come last, one after the other.
//
//   node run.mjs BUILD-DIRECTORY RESULT-FILE [FILTER [FILE…]]
//
// FILTER is a part of the names of the files to run, FILEs are beginnings of them; none: all.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { MARK, WHOLE_FILE } from './reporter.mjs';

const FILE_TIMEOUT_MS = 240_000;
const AT_ONCE = 2;
const here = dirname(fileURLToPath(import.meta.url));
const test = dirname(here);

function testFiles(filter, only) {
  const files = [];
  for (const folder of ['harness', 'scenario', 'portal', 'conformance']) {
    const path = join(test, folder);
    const names = existsSync(path) ? readdirSync(path).sort() : [];
    files.push(...names.filter((n) => n.endsWith('.test.mjs')).map((n) => join(path, n)));
  }
  return files.filter((file) => relative(test, file).includes(filter)
    && (only.length === 0 || only.some((begin) => relative(test, file).startsWith(begin))));
}

// The SDKs know no other ports than 443 and 8883, and trust a CA only if the process began with it:
// one hub serves all conformance files.
async function conformanceHub() {
  const { Hub } = await import('./hub.mjs');
  const hub = await Hub.started({ mqttPort: 8883, httpsPort: 443 });
  return { hub, env: { NODE_EXTRA_CA_CERTS: hub.facts.caFile, GEMEL_HUB: JSON.stringify(hub.facts) } };
}

function skipped(file, why) {
  const name = relative(test, file);
  return { name, rows: [{ file: name, name: WHOLE_FILE, result: 'skipped', why }], output: '' };
}

function runFile(file, env) {
  return new Promise((resolve) => {
    const name = relative(test, file);
    const rows = [];
    let output = '';
    const child = spawn(process.execPath,
      [`--test-reporter=${join(here, 'reporter.mjs')}`, '--test-reporter-destination=stdout', file],
      { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => {
      rows.push({ file: name, name: WHOLE_FILE, result: 'failed',
        why: `not finished after ${FILE_TIMEOUT_MS / 1000} s` });
      child.kill('SIGTERM');
      setTimeout(() => child.kill('SIGKILL'), 5000).unref();
    }, FILE_TIMEOUT_MS);
    child.stdout.on('data', (data) => { output += data; });
    child.stderr.on('data', (data) => { output += data; });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      for (const line of output.split('\n'))
        if (line.startsWith(MARK)) rows.push({ file: name, ...JSON.parse(line.slice(MARK.length)) });
      const failed = rows.some((row) => row.result === 'failed');
      if ((code !== 0 && !failed) || rows.length === 0)
        rows.push({ file: name, name: WHOLE_FILE, result: 'failed',
          why: rows.length === 0 ? 'it holds no test' : `ended with ${signal ?? code}` });
      resolve({ name, rows, output });
    });
  });
}

const [build, resultFile, filter = '', ...only] = process.argv.slice(2);
process.env.GEMEL_BUILD = build;
const all = [];
let conformance;

const isAlone = (file) => file.startsWith(join(test, 'conformance'));

async function resultOf(file) {
  if (!isAlone(file)) return runFile(file, {});
  if (!process.env.GEMEL_OWN_NETWORK)
    return skipped(file, 'the SDKs need the ports 443 and 8883: run as root, or allow user namespaces');
  conformance ??= await conformanceHub();
  return runFile(file, conformance.env);
}

async function runAndTell(file) {
  const begin = Date.now();
  const { name, rows, output } = await resultOf(file);
  all.push(...rows.map(({ ms, why, ...row }) => ({ ...row, why: why.split('\n')[0] })));
  const seconds = ((Date.now() - begin) / 1000).toFixed(1);
  const count = (what) => rows.filter((row) => row.result === what).length;
  console.log(`  ${name}: ${count('ok')} of ${rows.length} ok${count('skipped') ? `, ${count('skipped')} skipped` : ''}, ${seconds} s`);
  for (const row of rows.filter((r) => r.result === 'failed'))
    console.log(`    not ok: ${row.name}\n${row.why.replace(/^/gm, '      ')}`);
  if (count('failed') > 0) {
    const own = output.split('\n').filter((line) => !line.startsWith(MARK)).join('\n').trim();
    if (own !== '') console.log(own.slice(-6000).replace(/^/gm, '    | '));
  }
  writeFileSync(resultFile, JSON.stringify(all));
}

async function runAll(files) {
  for (let file = files.shift(); file !== undefined; file = files.shift()) await runAndTell(file);
}

const files = testFiles(filter, only);
const together = files.filter((file) => !isAlone(file));
await Promise.all(Array.from({ length: AT_ONCE }, () => runAll(together)));
await runAll(files.filter(isAlone));
if (conformance) {
  const row = { file: 'conformance', name: 'the hub ends cleanly after the SDKs', result: 'ok', why: '' };
  await conformance.hub.stop().catch((error) => {
    console.log(error.message);
    Object.assign(row, { result: 'failed', why: error.message.split('\n')[0] });
  });
  all.push(row);
  writeFileSync(resultFile, JSON.stringify(all));
}
