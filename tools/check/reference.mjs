// SPDX-License-Identifier: Apache-2.0
// The pages that a program prints from its own tables. ./dev docs writes them; the check compares.
//
//   node reference.mjs write BUILD-DIRECTORY
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { baselinePage } from './baseline_page.mjs';
import { run } from './tools.mjs';

// page: [program below the build folder, arguments], or a function of the repository's root
export const pages = {
  'docs/reference/baseline-checks.md': baselinePage,
  'docs/reference/errors.md': ['src/base/gemel-errors-doc', []],
  'docs/reference/settings.md': ['src/settings/gemel-settings-doc', ['reference']],
  'docs/reference/settings.schema.json': ['src/settings/gemel-settings-doc', ['schema']],
  'docs/reference/hub-configuration.md': ['src/hub/gemel-hub', ['check-config', '--reference']],
  'packaging/example/gemel-hub.conf': ['src/hub/gemel-hub', ['check-config', '--example']],
  'packaging/man/gemel.1': ['src/cli/gemel', ['manual']],
};

async function print(root, build, source) {
  if (typeof source === 'function') return source(root);
  const [program, args] = source;
  const { status, out } = await run(join(build, program), args);
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${out}`);
  return out;
}

export async function checkReference(root, paths, project) {
  const build = join(project, 'build', 'gcc');
  const findings = [];
  for (const [page, source] of Object.entries(pages)) {
    if (root !== project && !paths.includes(page)) continue;
    const have = existsSync(join(root, page)) ? readFileSync(join(root, page), 'utf8') : '';
    if (have !== await print(project, build, source))
      findings.push(`${page}:1: not what ${source[0] ?? source.name} prints now: run ./dev docs`);
  }
  return findings;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [page, source] of Object.entries(pages)) {
    mkdirSync(dirname(page), { recursive: true });
    writeFileSync(page, await print('.', process.argv[3], source));
    console.log(`docs: ${page}`);
  }
}
