// SPDX-License-Identifier: Apache-2.0
// The hub as the portal's web server: on every host name, beside the API, and nothing else.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { Hub } from '../harness/hub.mjs';
import { temporaryFolder } from '../harness/programs.mjs';

const html = { accept: 'text/html,*/*;q=0.8' };
let hub;
const large = `console.log(${JSON.stringify('x'.repeat(500_000))})`;
before(async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'assets'));
  writeFileSync(join(folder, 'index.html'), '<p>the page</p>');
  writeFileSync(join(folder, 'assets/main-1.js'), large);
  writeFileSync(join(folder, 'assets/main-1.js.gz'), gzipSync(large));
  hub = await Hub.started({ set: [`portal.directory=${folder}`, 'portal.hsts_seconds=60'] });
});
after(() => hub.stop());

const get = (path, headers = {}, more = {}) => hub.rest(more.method ?? 'GET', path, { plain: true, token: null, headers, ...more });

test('every host name shows the page, signed in or not', async () => {
  for (const host of ['localhost', '127.0.0.1', '[::1]:8443', 'unheard-of.example']) {
    const answer = await get('/', html, { host });
    assert.equal(answer.status, 200);
    assert.equal(answer.text, '<p>the page</p>');
    assert.equal(answer.headers['content-type'], 'text/html; charset=utf-8');
  }
});

test('an address of the page is the page, one of the API is not', async () => {
  assert.equal((await get('/hubs/h/devices/a%23b%2F..', html)).text, '<p>the page</p>');
  assert.equal((await get('/hubs/h')).status, 404);
  assert.equal((await get('/devices', html)).status, 401);
  assert.equal((await get('/gemel/v1/nothing', html)).status, 404);
  assert.equal((await get('/hubs', html, { method: 'POST', body: {} })).status, 404);
});

test('a large file comes whole, compressed or not, and HEAD tells of it', async () => {
  const plain = await get('/assets/main-1.js');
  assert.equal(plain.text, large);
  const packed = await get('/assets/main-1.js', { 'accept-encoding': 'gzip' });
  assert.equal(packed.headers['content-encoding'], 'gzip');
  assert.ok(Number(packed.headers['content-length']) < large.length);
  const head = await get('/assets/main-1.js', {}, { method: 'HEAD' });
  assert.equal(Number(head.headers['content-length']), large.length);
  assert.equal(head.text, '');
  assert.match(head.headers['cache-control'], /immutable/);
  const again = await get('/assets/main-1.js', { 'if-none-match': head.headers.etag });
  assert.equal(again.status, 304);
  assert.equal(again.text, '');
});

test('the page is protected as it should be', async () => {
  const { headers } = await get('/', html);
  assert.equal(headers['content-security-policy'], "default-src 'none'; script-src 'self'; style-src 'self'; "
    + "img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; "
    + "frame-ancestors 'none'");
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.equal(headers['referrer-policy'], 'no-referrer');
  assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
  assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
  assert.equal(headers['strict-transport-security'], 'max-age=60');
  assert.equal(headers['cache-control'], 'no-cache');
});

test('nothing outside the folder is reached', async () => {
  for (const path of ['/../hub.db', '/%2e%2e/hub.db', '/..%2fhub.db', '/assets/../../hub.db', '//etc/passwd',
    '/assets/%00', '/assets/main-1.js/..'])
    assert.ok([400, 404].includes((await get(path)).status), path);
});
