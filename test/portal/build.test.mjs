// SPDX-License-Identifier: Apache-2.0
// What the build makes: small at first load, nothing inline, nothing from anywhere else.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const portal = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'portal');
const out = mkdtempSync(join(tmpdir(), 'gemel-dist-'));
let page;
let assets;

before(() => {
  execFileSync(process.execPath, [join(portal, 'build.mjs'), '--out', out], { stdio: 'pipe' });
  page = readFileSync(join(out, 'index.html'), 'utf8');
  assets = readdirSync(join(out, 'assets'));
});
after(() => rmSync(out, { recursive: true }));

test('the first load stays under 150 KB compressed', () => {
  const needed = [...page.matchAll(/(?:src|href)="\/assets\/([^"]+)"/g)].map((match) => match[1]);
  assert.ok(needed.some((name) => name.endsWith('.js')) && needed.some((name) => name.endsWith('.css')));
  const bytes = needed.filter((name) => /\.(js|css)$/.test(name))
    .reduce((sum, name) => sum + readFileSync(join(out, 'assets', `${name}.gz`)).length, 0);
  assert.ok(bytes < 150 * 1024, `${bytes} bytes`);
});

test('the editor and the charts are not part of the first load', () => {
  const first = [...page.matchAll(/\/assets\/([^"]+\.js)"/g)]
    .map((match) => readFileSync(join(out, 'assets', match[1]), 'utf8')).join('');
  assert.ok(!first.includes('cm-content') && !first.includes('u-wrap'));
  const rest = assets.filter((name) => name.endsWith('.js')).map((name) => readFileSync(join(out, 'assets', name), 'utf8'));
  assert.ok(rest.some((text) => text.includes('cm-content')) && rest.some((text) => text.includes('u-wrap')));
});

test('the page holds no script, style or handler of its own', () => {
  assert.doesNotMatch(page, /<style|\sstyle=|\son[a-z]+=|javascript:/i);
  for (const [, attributes, body] of page.matchAll(/<script([^>]*)>([^]*?)<\/script>/g)) {
    assert.match(attributes, /src="\/assets\//);
    assert.equal(body, '');
  }
});

test('no file is fetched from another place', () => {
  assert.doesNotMatch(page, /(?:src|href)="(?!\/assets\/)/);
  for (const name of assets.filter((each) => each.endsWith('.css')))
    assert.doesNotMatch(readFileSync(join(out, 'assets', name), 'utf8'), /url\((?!["']?data:)|@import/);
});

test('every asset’s name carries a hash, and its gzip form is the same text', () => {
  for (const name of assets.filter((each) => !each.endsWith('.gz') && !each.endsWith('.txt'))) {
    assert.match(name, /-[A-Z0-9]{8}\.(js|css|svg)$/);
    const text = readFileSync(join(out, 'assets', name));
    assert.deepEqual(gunzipSync(readFileSync(join(out, 'assets', `${name}.gz`))), text);
  }
});

test('nothing in the portal turns data into markup', () => {
  const sources = readdirSync(join(portal, 'src'), { recursive: true }).filter((name) => /\.tsx?$/.test(name));
  assert.ok(sources.length > 20);
  for (const name of sources)
    assert.doesNotMatch(readFileSync(join(portal, 'src', name), 'utf8'),
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, name);
});
