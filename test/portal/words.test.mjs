// SPDX-License-Identifier: Apache-2.0
// What the portal says: errors, moments, roles, events, the audit log's search.
import assert from 'node:assert/strict';
import test from 'node:test';

import { portalModule } from './modules.mjs';

const { ApiError, readSentence, sentenceOf } = await portalModule('api/http');
const { agoText, parseMoment } = await portalModule('parts/moment');
const { describeRoles, grantsOf, rolesOf } = await portalModule('screens/accounts/grants');
const { describeEvents, minutesOf } = await portalModule('screens/hubs/events');
const { detailText, forHub, NOTHING_ASKED } = await portalModule('screens/audit/asked');
const { may } = await portalModule('api/session');

test('the hub’s sentence is taken out of its error', () => {
  assert.deepEqual(readSentence('ErrorCode:DeviceNotFound;Device x not registered'),
    { code: 'DeviceNotFound', sentence: 'Device x not registered' });
  assert.deepEqual(readSentence('plain words'), { code: '', sentence: 'plain words' });
  assert.deepEqual(readSentence(''), { code: '', sentence: '' });
  assert.equal(sentenceOf(new ApiError(404, 'DeviceNotFound', 'gone')), 'gone');
});

test('IoT Hub’s year 1 is never, seven digits of a second are read', () => {
  assert.equal(parseMoment('0001-01-01T00:00:00Z'), undefined);
  assert.equal(parseMoment(null), undefined);
  assert.equal(parseMoment('no time'), undefined);
  assert.equal(parseMoment('2026-03-01T10:00:00.1234567Z').toISOString(), '2026-03-01T10:00:00.123Z');
});

test('how long ago is said in the largest unit that fits', () => {
  const now = new Date('2026-03-01T12:00:00Z');
  const cases = [['2026-03-01T11:59:58Z', '2 seconds ago'], ['2026-03-01T11:57:00Z', '3 minutes ago'],
    ['2026-03-01T07:00:00Z', '5 hours ago'], ['2026-02-27T12:00:00Z', '2 days ago'], ['2026-03-01T12:00:00Z', 'now']];
  for (const [at, words] of cases) assert.equal(agoText(new Date(at), now), words);
});

test('roles come back from the form they are edited in', () => {
  const roles = [{ hub: '*', role: 'reader' }, { hub: 'north', role: 'operator' }];
  assert.deepEqual(rolesOf(grantsOf(roles)), roles);
  assert.deepEqual(rolesOf({ everywhere: '', single: [] }), []);
  assert.equal(describeRoles(roles), 'reader of every hub, operator of north');
  assert.equal(describeRoles([]), 'none');
});

test('a role on one hub adds to the server-wide one and never takes away', () => {
  const session = { user: 'u', role: 'reader', hubs: [{ name: 'north', role: 'operator' }] };
  assert.equal(may(session, 'operator', 'north'), true);
  assert.equal(may(session, 'operator', 'south'), false);
  assert.equal(may(session, 'reader', 'south'), true);
  assert.equal(may({ ...session, role: '' }, 'reader'), false);
  assert.equal(may({ ...session, role: 'administrator' }, 'operator', 'south'), true);
});

test('the chart’s counts are the minutes that end with the present one', () => {
  const now = new Date('2026-03-01T12:00:30Z');
  assert.deepEqual(minutesOf([1, 2], now).map((minute) => minute.toISOString()),
    ['2026-03-01T11:59:00.000Z', '2026-03-01T12:00:00.000Z']);
  assert.match(describeEvents([0, 7, 2], now), /^9 events in the last 3 minutes, at most 7 in a minute/);
  assert.equal(describeEvents([0, 0], now), 'No events in the last 2 minutes.');
});

test('the audit log is asked in UTC, and only for what is given', () => {
  const asked = forHub({ ...NOTHING_ASKED, user: 'a', since: '2026-03-01T10:00' });
  assert.equal(asked.since, new Date('2026-03-01T10:00').toISOString());
  assert.equal(asked.until, '');
  assert.equal(detailText({ a: 1 }), '{"a":1}');
  for (const nothing of [null, {}, '{}', '']) assert.equal(detailText(nothing), '');
});
