// SPDX-License-Identifier: Apache-2.0
// That the rules can fail: each near miss is found by the rule that it breaks, and what is right passes.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { root } from './programs.mjs';
import { CODES, judgeAnswer, judgePublish } from './sdk-rules.mjs';

const TWIN = '{"desired":{"$version":1},"reported":{"a":1,"$version":2}}';
const ERROR = '{"errorCode":400004,"trackingId":"t","message":"m","timestampUtc":"2026-01-02T03:04:05.1234567Z"}';
const C2D = 'devices/d/messages/devicebound/%24.to=%2Fdevices%2Fd%2Fmessages%2FdeviceBound';

test('every error that a client may be told of is one of CODES, with its number', () => {
  const rows = [...readFileSync(join(root, 'src/base/err.def'), 'utf8').matchAll(/^ERR\(\w+, \d+, ([1-9]\d*), "(\w+)"/gm)];
  assert.ok(rows.length > 40);
  for (const [, number, name] of rows) assert.equal(CODES[name], Number(number), name);
});

test('what the SDKs can read passes', () => {
  judgePublish('$iothub/twin/res/200/?$rid=1', TWIN);
  judgePublish('$iothub/twin/res/204/?$rid=a%20b&$version=7', '');
  judgePublish('$iothub/twin/res/400/?$rid=1', ERROR);
  judgePublish('$iothub/twin/PATCH/properties/desired/?$version=5', '{"a":null,"$version":5}');
  judgePublish('$iothub/methods/POST/reboot/?$rid=1f', '');
  judgePublish(`${C2D}&%24.mid=m&a=b%20c&empty=&null`, 'any');
  judgePublish('$dps/registrations/res/202/?$rid=1&retry-after=3', '{"operationId":"o","status":"assigning"}');
});

for (const [what, topic, payload, rule] of [
  ['a version before the rid', '$iothub/twin/res/204/?$version=7&$rid=1', '', /embedded C/],
  ['a status of two digits', '$iothub/twin/res/20/?$rid=1', TWIN, /Java/],
  ['a 204 with a body', '$iothub/twin/res/204/?$rid=1&$version=2', '{}', / C: /],
  ['an error without errorCode', '$iothub/twin/res/400/?$rid=1', '{"message":"m"}', /Node/],
  ['an error with the code of another status', '$iothub/twin/res/429/?$rid=1', ERROR, /\.NET/],
  ['an error that is no JSON', '$iothub/twin/res/500/?$rid=1', 'oops', /Node/],
  ['a twin without versions', '$iothub/twin/res/200/?$rid=1', '{"desired":{},"reported":{}}', /Python/],
  ['a twin with metadata', '$iothub/twin/res/200/?$rid=1', '{"desired":{"$version":1,"$metadata":{}},"reported":{"$version":1}}', /IoT Hub/],
  ['a change with the version of another', '$iothub/twin/PATCH/properties/desired/?$version=5', '{"$version":4}', /Python/],
  ['something behind the rid of a method', '$iothub/methods/POST/m/?$rid=1&a=b', '', /\.NET/],
  ['a message without properties', 'devices/d/messages/devicebound/', '', /\.NET/],
  ['a system property that is not encoded', `${C2D}&$.mid=1`, '', / C: /],
  ['a blank as a plus', `${C2D}&a=b+c`, '', /Java/],
  ['an empty system property', `${C2D}&%24.mid=`, '', /Java/],
  ['a topic of another server', 'a/b', '', /every SDK/],
]) {
  test(`${what} is found`, () => assert.throws(() => judgePublish(topic, payload), rule));
}

const answer = (status, body, headers = {}) => ({ status, json: body, text: JSON.stringify(body),
  headers: { 'content-type': 'application/json; charset=utf-8', 'x-ms-request-id': '1', ...headers } });
const error = (name, sentence = 's') => ({ Message: `ErrorCode:${name};${sentence}`, ExceptionMessage: '' });

test('what REST clients can read passes', () => {
  judgeAnswer('GET', '/devices/x?api-version=1', answer(404, error('DeviceNotFound'), { 'iothub-errorcode': 'DeviceNotFound' }));
  judgeAnswer('POST', '/devices/query', answer(200, [], { 'x-ms-item-type': 'raw' }));
  judgeAnswer('GET', '/devices/x', answer(200, { deviceId: 'x', etag: 'ODgxNTgwOA==', generationId: '1', lastActivityTime: '0001-01-01T00:00:00Z' }, { etag: '"ODgxNTgwOA=="' }));
});

for (const [what, method, path, given, rule] of [
  ['an error without its header', 'GET', '/devices/x', answer(404, error('DeviceNotFound')), /\.NET/],
  ['an error of another status', 'GET', '/devices/x', answer(400, error('DeviceNotFound'), { 'iothub-errorcode': 'DeviceNotFound' }), /\.NET/],
  ['a semicolon in the sentence', 'GET', '/devices/x', answer(404, error('DeviceNotFound', 'a;b'), { 'iothub-errorcode': 'DeviceNotFound' }), /Node/],
  ['a code that nobody knows', 'GET', '/devices/x', answer(404, error('Gone'), { 'iothub-errorcode': 'Gone' }), /\.NET/],
  ['an empty continuation', 'POST', '/devices/query', answer(200, [], { 'x-ms-item-type': 'raw', 'x-ms-continuation': '' }), /Node/],
  ['a query without the type of its items', 'POST', '/devices/query', answer(200, []), /\.NET/],
  ['an etag without quotes', 'GET', '/devices/x', answer(200, { deviceId: 'x' }, { etag: 'MQ==' }), /\.NET/],
  ['a date in another form', 'GET', '/devices', answer(200, [{ lastActivityTime: '2026-01-02 03:04:05' }]), /\.NET/],
]) {
  test(`${what} is found`, () => assert.throws(() => judgeAnswer(method, path, given), rule));
}
