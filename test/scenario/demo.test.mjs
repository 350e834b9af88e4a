// SPDX-License-Identifier: Apache-2.0
// ./dev demo tells the story as it is, and leaves nothing behind.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Program, programs, temporaryFolder } from '../harness/programs.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const build = dirname(dirname(dirname(programs.hub)));
const demo = (folder, ...args) => new Program('sh', [join(root, 'tools/demo.sh'), build, ...args], { env: { TMPDIR: folder } });

test('the story runs to its end', async () => {
  const folder = temporaryFolder();
  const program = demo(folder, '--once');
  const { code } = await program.ended;
  assert.equal(code, 0, program.output);
  assert.match(program.output, /latest_state "success"/);
  assert.match(program.output, /latest_state "failed", latest_invalid_fields "Process_CacheSize,Process_Mod"/);
  assert.match(program.output, /"commandline":"[^"]*visitor-\d+ 1"/);
  assert.deepEqual(readdirSync(folder), []);
});

test('it runs on until it is interrupted, and cleans up', async () => {
  const folder = temporaryFolder();
  const program = demo(folder);
  await program.says(/Ctrl-C ends it/, 60_000);
  assert.match(program.output, /https:\/\/localhost:\d+\/\n.*Sign in as admin with the one-time password \S{12,};/);
  program.child.kill('SIGINT');
  const { code } = await program.ended;
  assert.equal(code, 0);
  assert.deepEqual(readdirSync(folder), []);
});
