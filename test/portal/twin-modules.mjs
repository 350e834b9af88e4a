// SPDX-License-Identifier: Apache-2.0
// Modules of the twin's screen, compiled together, so that they share what they import.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const portal = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'portal');

// `names` as in 'twin/patch': all exports of these modules of portal/src.
export async function twinModules(...names) {
  const { build } = createRequire(join(portal, 'package.json'))('esbuild');
  const folder = mkdtempSync(join(tmpdir(), 'gemel-twin-'));
  try {
    const outfile = join(folder, 'modules.mjs');
    await build({
      stdin: { contents: names.map((name) => `export * from './${name}';`).join('\n'), resolveDir: join(portal, 'src'), loader: 'ts' },
      outfile, bundle: true, format: 'esm', platform: 'neutral', target: 'es2022', logLevel: 'silent',
    });
    return await import(pathToFileURL(outfile).href);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
