// SPDX-License-Identifier: Apache-2.0
// The portal's addresses: every id that IoT Hub allows must survive the way into an address and back.
import assert from 'node:assert/strict';
import test from 'node:test';

import { portalModule } from './modules.mjs';

const { parseRoute, pathOf } = await portalModule('app/route');
const { identityPath, path, query } = await portalModule('api/path');

const ALLOWED = "abcXYZ019-:.+%_#*?!(),=@;$'";
const ids = [...ALLOWED, ALLOWED, '.', '..', '...', '%2F', '%252e', 'a+b', '$edgeAgent',
  'twin', 'modules', 'x'.repeat(128)];

test('every id comes back from the address it is put into', () => {
  for (const id of ids) {
    const address = pathOf('module-twin', { hub: 'demo', device: id, module: id });
    const seen = new URL(address, 'https://hub.example');
    assert.equal(seen.hash + seen.search, '', id);
    assert.deepEqual(parseRoute(seen.pathname), { screen: 'module-twin', hub: 'demo', device: id, module: id });
  }
});

test('each screen has an address of its own', () => {
  const names = ['hubs', 'hub', 'policies', 'devices', 'device', 'device-twin', 'module', 'module-twin', 'accounts',
    'audit', 'account'];
  const of = { hub: 'h', device: 'd', module: 'm' };
  assert.equal(new Set(names.map((name) => pathOf(name, of))).size, names.length);
  for (const name of names) assert.equal(parseRoute(pathOf(name, of)).screen, name);
});

test('the root is the list of hubs, and a slash at the end changes nothing', () => {
  assert.equal(parseRoute('/').screen, 'hubs');
  assert.equal(parseRoute('/hubs/demo/devices/').screen, 'devices');
});

test('an address that is no screen, or is not encoded as it should be, leads nowhere', () => {
  for (const address of ['/x', '/hubs/demo/nothing', '/hubs//devices', '/hubs/demo/devices/%', '/hubs/demo/devices/d/twin/x'])
    assert.equal(parseRoute(address), undefined, address);
});

test('the hub’s API gets ids encoded, and only what was asked', () => {
  assert.equal(path`hubs/${'a/b'}/iothub/devices/${'#?%+'}`, 'hubs/a%2Fb/iothub/devices/%23%3F%25%2B');
  assert.equal(identityPath('d;1', "m'"), "d%3B1/m'");
  assert.equal(query({ filter: 'a+b &c', status: '', limit: 50, before: undefined }), '?filter=a%2Bb%20%26c&limit=50');
  assert.equal(query({ status: '' }), '');
});
