// SPDX-License-Identifier: Apache-2.0
// What stands behind the devices' screens: the table's question in the address, changing many,
// ids, tags, connection strings.
import assert from 'node:assert/strict';
import test from 'node:test';

import { portalModule } from './modules.mjs';

const { askedFrom, searchOf, sortedBy } = await portalModule('screens/devices/asked');
const { runChange, summary } = await portalModule('screens/devices/change');
const { judgeId } = await portalModule('api/id');
const { judgeRows, patchOf, rowsOf } = await portalModule('screens/device/tag-rows');
const { connectionString } = await portalModule('api/connection-string');
const { newKey } = await portalModule('api/new-key');

test('the table’s question comes back from the address', () => {
  const asked = { filter: 'a#&=+ü', status: 'disabled', connection: 'Connected', sort: 'lastActivityTime', order: 'desc' };
  assert.deepEqual(askedFrom(searchOf(asked)), asked);
  assert.equal(searchOf(askedFrom('')), '');
});

test('what the address says wrongly is passed over', () => {
  const asked = askedFrom('?sort=password&order=up&status=on&connection=x&filter=y');
  assert.deepEqual(asked, { filter: 'y', status: '', connection: '', sort: 'deviceId', order: 'asc' });
});

test('the same heading twice turns the order round, another begins upwards', () => {
  const once = sortedBy(askedFrom(''), 'status');
  assert.deepEqual([once.sort, once.order], ['status', 'asc']);
  const twice = sortedBy(once, 'status');
  assert.equal(twice.order, 'desc');
  assert.equal(sortedBy(twice, 'deviceId').order, 'asc');
});

function changing(ids, change, { portion = 2, stopAfter = Infinity } = {}) {
  const told = [];
  return runChange({ ids, portion, change, sentenceOf: (error) => error.message,
    stopped: () => told.length >= stopAfter,
    onProgress: ({ total, outcomes }) => told.push([outcomes.length, total]) }).then((outcomes) => ({ outcomes, told }));
}
const done = async (ids) => ids.map((deviceId) => ({ deviceId, error: '' }));

test('many are changed in portions, with progress after each', async () => {
  const portions = [];
  const { outcomes, told } = await changing(['a', 'b', 'c', 'd', 'e'], (ids) => { portions.push(ids); return done(ids); });
  assert.deepEqual(portions, [['a', 'b'], ['c', 'd'], ['e']]);
  assert.deepEqual(told, [[2, 5], [4, 5], [5, 5]]);
  assert.equal(summary('deleted', outcomes, 5), '5 devices deleted.');
});

test('a portion that fails as a whole is told of each of its devices, and the next goes on', async () => {
  const { outcomes } = await changing(['a', 'b', 'c'], (ids) => {
    if (ids.includes('a')) throw new Error('the hub does not answer');
    return done(ids);
  });
  assert.deepEqual(outcomes.map((outcome) => outcome.error), ['the hub does not answer', 'the hub does not answer', '']);
  assert.equal(summary('enabled', outcomes, 3), '1 device enabled, 2 failed.');
});

test('a stop leaves the rest untried, and says so', async () => {
  const { outcomes } = await changing(['a', 'b', 'c', 'd', 'e'], done, { stopAfter: 1 });
  assert.equal(outcomes.length, 2);
  assert.equal(summary('disabled', outcomes, 5), '2 devices disabled, 3 not tried.');
});

test('an id may hold what IoT Hub allows and nothing else', () => {
  assert.equal(judgeId("Az09-:.+%_#*?!(),=@;$'"), '');
  assert.match(judgeId(''), /needed/);
  assert.match(judgeId('a b'), /blanks/);
  assert.match(judgeId('a/b'), /“\/”/);
  assert.match(judgeId('größe'), /“ö”/);
  assert.match(judgeId('x'.repeat(129)), /128/);
});

test('tags that did not change are not sent, those that went are sent as null', () => {
  const tags = { site: 'Kiel', floor: 3, gone: 'x', at: { row: 1 } };
  const rows = rowsOf(tags);
  assert.equal(patchOf(tags, rows), undefined);
  const edited = rows.filter((row) => row.name !== 'gone')
    .map((row) => (row.name === 'site' ? { ...row, text: '7' } : row));
  assert.deepEqual(patchOf(tags, [...edited, { id: 9, name: 'new', text: '' }]), { site: '7', gone: null, new: '' });
});

test('a renamed tag is the old one gone and a new one', () => {
  const rows = rowsOf({ a: '1' }).map((row) => ({ ...row, name: 'b' }));
  assert.deepEqual(patchOf({ a: '1' }, rows), { a: null, b: '1' });
});

test('two tags of one name, or a tag of none, are refused', () => {
  assert.match(judgeRows([{ id: 0, name: 'a', text: '' }, { id: 1, name: 'a', text: '' }]), /two tags/);
  assert.match(judgeRows([{ id: 0, name: '', text: 'x' }]), /needs a name/);
  assert.equal(judgeRows([{ id: 0, name: 'a', text: '' }]), '');
});

test('connection strings are written as IoT Hub’s tools write them', () => {
  assert.equal(connectionString({ hostName: 'h', deviceId: 'd', key: 'k=' }), 'HostName=h;DeviceId=d;SharedAccessKey=k=');
  assert.equal(connectionString({ hostName: 'h', deviceId: 'd', moduleId: 'm', key: 'k' }),
    'HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=k');
  assert.equal(connectionString({ hostName: 'h', deviceId: 'd' }), 'HostName=h;DeviceId=d;x509=true');
});

test('new keys are 32 bytes in Base64, and never the same', () => {
  const keys = new Set(Array.from({ length: 50 }, newKey));
  assert.equal(keys.size, 50);
  for (const key of keys) assert.equal(Buffer.from(key, 'base64').length, 32);
});
