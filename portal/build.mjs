// SPDX-License-Identifier: Apache-2.0
// Bundles the portal into dist/: index.html, and assets/ with a hash of the content in every name,
// so that the hub may let browsers keep assets for ever and index.html not at all. Beside every
// text file stands its gzip form. Screens that need the editor or the charts are files of their
// own that load when they are opened.
//
//   node build.mjs [--out DIRECTORY] [--depfile FILE]
//
// The depfile names, for Ninja, what was read.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';

import { build } from 'esbuild';

const FIRST_LOAD_LIMIT_BYTES = 150 * 1024;
const COMPRESSED = new Set(['.html', '.js', '.css', '.svg']);
const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({ options: {
  out: { type: 'string', default: join(here, 'dist') },
  depfile: { type: 'string' },
} });
const out = resolve(values.out);

async function bundle() {
  const result = await build({
    absWorkingDir: here,
    entryPoints: ['src/main.tsx', 'src/styles/portal.css', 'src/styles/gemel.svg'],
    outdir: join(out, 'assets'),
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    target: ['es2022'],
    loader: { '.svg': 'copy' },
    jsx: 'automatic',
    jsxImportSource: 'preact',
    minify: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  });
  return result.metafile;
}

// The licences of the packages that went into the bundle ask to be passed on with it.
function writeLicences(inputs) {
  const packages = new Set(Object.keys(inputs)
    .map((name) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(name)?.[1]).filter(Boolean));
  const texts = [...packages].sort().map((name) => {
    const folder = join(here, 'node_modules', name);
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((each) => /^licen[cs]e(\.\w+)?$/i.test(each));
    if (!file) throw new Error(`${name} has no licence text`);
    return `${name} ${version}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
  });
  writeFileSync(join(out, 'licences.txt'), texts.join(`\n${'-'.repeat(72)}\n\n`));
}

// The files that the page needs before it shows anything: an entry and what it imports statically.
function firstLoad(outputs, entry) {
  const needed = new Set([entry]);
  for (const name of needed)
    for (const { path, kind } of outputs[name].imports)
      if (kind === 'import-statement') needed.add(path);
  return [...needed];
}

function writePage(outputs) {
  const of = (source) => Object.keys(outputs).find((name) => outputs[name].entryPoint === source);
  const script = of('src/main.tsx');
  const style = of('src/styles/portal.css');
  const icon = Object.keys(outputs).find((name) => name.endsWith('.svg'));
  const url = (name) => `/assets/${basename(name)}`;
  const scripts = firstLoad(outputs, script);
  const preload = scripts.slice(1).map((name) => `<link rel="modulepreload" href="${url(name)}">`);
  const page = readFileSync(join(here, 'src/page.html'), 'utf8')
    .replace('<!--preload-->', () => preload.join('\n'))
    .replace('{script}', () => url(script))
    .replace('{style}', () => url(style))
    .replace('{icon}', () => url(icon));
  writeFileSync(join(out, 'index.html'), page);
  return [...scripts, style].map((name) => join(out, 'assets', basename(name)));
}

function compress(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) compress(path);
    else if (COMPRESSED.has(extname(entry.name)))
      writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
  }
}

// New and removed sources change what imports them, so the list of what was read is enough.
function writeDepfile(inputs) {
  const name = (path) => path.replace(/[ #$\\]/g, (special) => (special === '$' ? '$$' : `\\${special}`));
  const read = Object.keys(inputs).map((path) => name(join(here, path)));
  writeFileSync(values.depfile, `${name(values.out)}: ${read.join(' ')}\n`);
}

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, 'assets'), { recursive: true });
const { inputs, outputs } = await bundle();
const first = writePage(outputs);
writeLicences(inputs);
compress(out);
if (values.depfile) writeDepfile(inputs);
const bytes = first.reduce((sum, file) => sum + readFileSync(`${file}.gz`).length, 0);
console.log(`portal: ${out}, first load ${(bytes / 1024).toFixed(1)} KB compressed`);
if (bytes > FIRST_LOAD_LIMIT_BYTES) {
  console.error(`portal: the first load may have ${FIRST_LOAD_LIMIT_BYTES / 1024} KB`);
  process.exitCode = 1;
}
