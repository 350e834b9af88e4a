// SPDX-License-Identifier: Apache-2.0
// ./dev check: every check is one row of `checks`, with the smallest wrong examples that
// it must refuse. Each run first shows that every check can fail, then judges the repository.
//
//   node check.mjs [NAME | --list]
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { checkLayers } from './layers.mjs';
import { checkReference } from './reference.mjs';
import * as text from './text.mjs';
import * as tools from './tools.mjs';

const project = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const SPDX = '/* SPDX-License-Identifier: Apache-2.0 */\n';

// The check of texts as a check of a folder.
const texts = (check, wanted = () => true) => async (root, paths) => check(paths.filter(wanted)
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') })));

const isC = (path) => /\.(c|h|def)$/.test(path) && /^(src|test)\//.test(path);
const isSized = (path) => isC(path) || /^portal\/.*\.(ts|tsx|css|mjs)$/.test(path);
const isText = (path) => !/^test\/fuzz\/corpus\/|package-lock\.json$|\.(png|svg|bin)$/.test(path);

// wrong: {path: text}, or several: folders that the check must refuse, each of them. Order: what is quick comes first.
const checks = [
  { name: 'spdx', what: 'every source names its licence', run: texts(text.checkSpdx),
    wrong: { 'src/base/x.c': 'int x;\n' } },
  { name: 'layers', what: 'no include against the layer table', run: texts(checkLayers, isC), wrong: [
    { 'src/settings/y.h': `${SPDX}#include "z.h"\n`, 'src/twin/z.h': SPDX },
    { 'src/twin/x.c': `${SPDX}#include <sys/socket.h>\n` },
    { 'src/hub/gateway/x.c': `${SPDX}#include <sqlite3.h>\n` },
    { 'src/agent/x.c': `${SPDX}#include "z.h"\n`, 'src/hub/z.h': SPDX },
    { 'src/hub/service/x.c': `${SPDX}#include "z_priv.h"\n`, 'src/hub/store/z_priv.h': SPDX },
    { 'src/new/x.c': SPDX },
  ] },
  { name: 'sizes', what: 'files up to 700 lines, functions up to 80', run: texts(text.checkSizes, isSized),
    wrong: [{ 'src/base/x.c': `${SPDX}int x(void)\n{\n${'    x();\n'.repeat(81)}}\n` },
      { 'portal/src/x.ts': `${SPDX}${'x();\n'.repeat(700)}` }] },
  { name: 'names', what: 'no utils, common, helpers, misc', run: texts(text.checkNames),
    wrong: { 'src/base/utils.c': SPDX } },
  { name: 'paths', what: 'no path of one machine', run: texts(text.checkPaths, isText),
    wrong: { 'docs/x.md': 'see /home/me/notes\n' } },
  { name: 'whitespace', what: 'lines end clean', run: texts(text.checkWhitespace, isText),
    wrong: { 'docs/x.md': 'blank \n' } },
  { name: 'links', what: 'links in the documents lead somewhere', run: texts(text.checkLinks),
    wrong: { 'docs/x.md': 'see [there](../gone.md)\n' } },
  { name: 'node', what: 'the JavaScript parses', run: tools.checkNode,
    wrong: { 'test/x.mjs': 'import {\n' } },
  { name: 'types', what: 'the portal\'s TypeScript is well typed', run: tools.checkTypes,
    wrong: { 'portal/tsconfig.json': null, 'portal/src/x.ts': 'export const x: number = "text";\n' } },
  { name: 'shell', what: 'the shell scripts are clean', run: tools.checkShell,
    wrong: { 'x.sh': '#!/bin/sh\nrm $1\n' } },
  { name: 'format', what: 'clang-format has nothing to change', run: tools.checkFormat,
    wrong: { '.clang-format': null, 'src/base/x.c': 'int  x( void );\n' } },
  { name: 'gcc', what: 'gcc has no warning', run: tools.compiler('gcc', 'gcc'),
    wrong: { 'src/base/x.c': 'int f(long n);\nint f(long n)\n{\n    return n;\n}\n' } },
  { name: 'clang', what: 'clang has no warning', run: tools.compiler('clang', 'clang'),
    wrong: { 'src/base/x.c': 'int f(long n);\nint f(long n)\n{\n    return n;\n}\n' } },
  { name: 'reference', what: 'generated reference pages are fresh', run: checkReference,
    wrong: { 'docs/reference/settings.md': 'an old page\n' } },
  { name: 'cppcheck', what: 'cppcheck finds nothing', run: tools.checkCppcheck,
    wrong: { 'src/base/x.c': 'int f(void);\nint f(void)\n{\n    int a[2] = {0};\n    return a[2];\n}\n' } },
  { name: 'tidy', what: 'clang-tidy finds nothing', run: tools.checkTidy,
    wrong: { 'src/base/x.c': '#include <stdlib.h>\nint f(void);\nint f(void)\n{\n    int *p = malloc(4);\n    return 1;\n}\n' } },
];

async function refuses(check, example) {
  const root = mkdtempSync(join(tmpdir(), 'gemel-check-'));
  try {
    for (const [path, content] of Object.entries(example)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content ?? readFileSync(join(project, path)));
    }
    const findings = await check.run(root, Object.keys(example), project);
    return findings.length > 0;
  } finally {
    rmSync(root, { recursive: true });
  }
}

async function showsThatItFails(check) {
  for (const example of [check.wrong].flat())
    if (!await refuses(check, example)) return false;
  return true;
}

async function trackedFiles() {
  const { status, out } = await tools.run('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: project });
  if (status !== 0) throw new Error(`git ls-files: ${out}`);
  const { out: gone } = await tools.run('git', ['ls-files', '-dz'], { cwd: project });
  const deleted = new Set(gone.split('\0'));
  return out.split('\0').filter((path) => path !== '' && !deleted.has(path));
}

async function main(argument) {
  if (argument === '--list') {
    for (const { name, what } of checks) console.log(`${name.padEnd(16)} ${what}`);
    return 0;
  }
  const chosen = checks.filter(({ name }) => argument === undefined || name === argument);
  if (chosen.length === 0) {
    console.error(`check: there is no check '${argument}'; ./dev check --list names them`);
    return 2;
  }
  const paths = await trackedFiles();
  let failed = 0;
  for (const check of chosen) {
    const begin = Date.now();
    const findings = await check.run(project, paths, project);
    const skipped = findings.find((f) => f.startsWith('skipped:'));
    const toothless = !skipped && !await showsThatItFails(check);
    const seconds = ((Date.now() - begin) / 1000).toFixed(1);
    const verdict = skipped ?? (toothless ? 'FAILED: it did not refuse its own wrong example'
      : findings.length > 0 ? `FAILED: ${findings.length} finding${findings.length > 1 ? 's' : ''}` : 'ok');
    console.log(`check: ${check.name.padEnd(16)} ${check.what}: ${verdict} (${seconds} s)`);
    if (!skipped) for (const finding of findings.slice(0, 50)) console.log(`  ${finding}`);
    failed += toothless || (findings.length > 0 && !skipped) ? 1 : 0;
  }
  console.log(failed === 0 ? `check: all ${chosen.length} hold` : `check: ${failed} of ${chosen.length} failed`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv[2]);
