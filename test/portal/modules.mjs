// SPDX-License-Identifier: Apache-2.0
// The portal's own modules, compiled as its build compiles them, for tests that need no browser.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const portal = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'portal');

// `name` as in 'app/route': the exports of portal/src/app/route.ts.
export async function portalModule(name) {
  const { build } = createRequire(join(portal, 'package.json'))('esbuild');
  const folder = mkdtempSync(join(tmpdir(), 'gemel-portal-'));
  try {
    const outfile = join(folder, 'module.mjs');
    await build({ entryPoints: [join(portal, 'src', `${name}.ts`)], outfile, bundle: true, format: 'esm',
      platform: 'neutral', target: 'es2022', logLevel: 'silent' });
    return await import(pathToFileURL(outfile).href);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
