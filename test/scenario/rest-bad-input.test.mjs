// SPDX-License-Identifier: Apache-2.0
// What a wrong REST request gets: the documented status, code and name, and nothing changed.
import assert from 'node:assert/strict';
import { connect as tlsConnect } from 'node:tls';
import { after, before, test } from 'node:test';

import { API, Hub, sas } from '../harness/hub.mjs';

let hub;
before(async () => {
  hub = await Hub.started();
  await hub.createDevice('d');
});
after(async () => {
  assert.equal((await hub.rest('GET', '/devices/d')).status, 200);
  await hub.stop();
});

// A body that both the Node SDK and the .NET SDK understand, and the header that the latter needs.
function assertError(answer, status, code) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers['content-type'], /^application\/json/);
  assert.match(answer.json.Message, new RegExp(`^ErrorCode:${code};[^;]+$`));
  assert.equal(answer.headers['iothub-errorcode'], code);
}

for (const [what, method, path, options, status, code] of [
  ['an unknown device', 'GET', '/devices/nobody', {}, 404, 'DeviceNotFound'],
  ['an unknown module', 'GET', '/devices/d/modules/nothing', {}, 404, 'ModuleNotFound'],
  ['an unknown twin', 'GET', '/twins/nobody', {}, 404, 'DeviceNotFound'],
  ['a device that exists', 'PUT', '/devices/d', { body: { deviceId: 'd' } }, 409, 'DeviceAlreadyExists'],
  ['an etag that is not the current one', 'PATCH', '/twins/d', { body: { tags: { a: 1 } }, headers: { 'if-match': '"abc"' } }, 412, 'PreconditionFailed'],
  ['broken JSON', 'PATCH', '/twins/d', { body: '{"tags":', raw: true }, 400, /ArgumentInvalid|IotHubFormatError/.source],
  ['a key twice', 'PATCH', '/twins/d', { body: '{"tags":{"a":1,"a":2}}', raw: true }, 400, /ArgumentInvalid|IotHubFormatError/.source],
  ['an array for a twin', 'PATCH', '/twins/d', { body: [] }, 400, 'ArgumentInvalid'],
  ['a body that is no UTF-8', 'PATCH', '/twins/d', { body: Buffer.from([0x22, 0xFF, 0x22]), raw: true }, 400, /ArgumentInvalid|IotHubFormatError/.source],
  ['another id in body and path', 'PUT', '/devices/x1', { body: { deviceId: 'x2' } }, 400, 'ArgumentInvalid'],
  ['an id with a blank', 'PUT', '/devices/a%20b', { body: { deviceId: 'a b' } }, 400, 'ArgumentInvalid'],
  ['an id of 129 characters', 'PUT', `/devices/${'x'.repeat(129)}`, { body: { deviceId: 'x'.repeat(129) } }, 400, 'ArgumentInvalid'],
  ['a status that is none', 'PUT', '/devices/s', { body: { deviceId: 's', status: 'perhaps' } }, 400, 'ArgumentInvalid'],
  ['a key that is no base64', 'PUT', '/devices/k', { body: { deviceId: 'k', authentication: { type: 'sas', symmetricKey: { primaryKey: '***', secondaryKey: '***' } } } }, 400, 'ArgumentInvalid'],
  ['an api-version that is missing', 'GET', '/devices/d', { plain: true }, 400, '.*'],
  ['no token', 'GET', '/devices/d', { token: null }, 401, 'IotHubUnauthorized'],
  ['a token of nonsense', 'GET', '/devices/d', { token: 'SharedAccessSignature nonsense' }, 401, 'IotHubUnauthorized'],
]) {
  test(`${what} gets ${status}`, async () => {
    const answer = await hub.rest(method, path, options);
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.headers['content-type'], /^application\/json/);
    assert.match(answer.json.Message, new RegExp(`^ErrorCode:(${code});[^;]+$`));
    assert.match(answer.headers['iothub-errorcode'], new RegExp(`^(${code})$`));
  });
}

test('an unknown path gets 404, a method that the path lacks 405', async () => {
  assert.equal((await hub.rest('GET', '/nothing/here')).status, 404);
  assert.equal((await hub.rest('DELETE', '/twins/d')).status, 405);
});

test('a token that is over, of another host, of a wrong key or of an unknown policy is refused', async () => {
  const { SharedAccessKey: key } = hub.owner;
  for (const token of [hub.token(hub.owner, -3600), sas('other.example', key, 'iothubowner'),
    sas(hub.hostName, Buffer.from('wrong'.repeat(7)).toString('base64'), 'iothubowner'), sas(hub.hostName, key, 'nobody'),
    sas(hub.hostName, key)])
    assertError(await hub.rest('GET', '/devices/d', { token }), 401, 'IotHubUnauthorized');
});

test('a policy is held to its rights', async () => {
  const policies = await hub.policies();
  const patch = { body: { tags: { a: 1 } } };
  const put = { body: { deviceId: 'new' } };
  for (const [policy, get, create, twin] of [['iothubowner', 200, 200, 200], ['registryRead', 200, 401, 401],
    ['service', 401, 401, 200], ['device', 401, 401, 401], ['registryReadWrite', 200, 409, 401]]) {
    const token = hub.token(policies[policy]);
    assert.equal((await hub.rest('GET', '/devices/d', { token })).status, get, `${policy} reads`);
    assert.equal((await hub.rest('PUT', '/devices/new', { token, ...put })).status, create, `${policy} creates`);
    assert.equal((await hub.rest('PATCH', '/twins/d', { token, ...patch })).status, twin, `${policy} changes a twin`);
  }
});

test('a device’s own key opens nothing of the service', async () => {
  const device = await hub.createDevice('own');
  const token = sas(`${hub.hostName}/devices/own`, device.authentication.symmetricKey.primaryKey);
  assert.equal((await hub.rest('GET', '/devices/d', { token })).status, 401);
});

test('an unknown host is no hub here', async () => {
  const answer = await hub.rest('GET', '/devices/d', { host: 'unknown.example' });
  assert.ok([401, 404].includes(answer.status), answer.text);
});

test('a body over the limit gets 413', async () => {
  const answer = await hub.rest('PATCH', '/twins/d', { body: { tags: { a: 'x'.repeat(2 << 20) } } });
  assertError(answer, 413, 'MessageTooLarge');
  assert.match(answer.json.Message, /1048576 bytes.*limits\.request_bytes/);
});

test('a twin over a limit gets 400 with the name of the property, and stays as it was', async () => {
  const before = await hub.twin('d');
  const answer = await hub.rest('PATCH', '/twins/d', { body: { properties: { desired: { fine: 1, toolong: 'x'.repeat(4097) } } } });
  assertError(answer, 400, 'ArgumentInvalid');
  assert.match(answer.json.Message, /toolong/);
  assert.deepEqual(await hub.twin('d'), before);
});

// What no HTTP library would send.
const raw = (bytes) => new Promise((resolve, reject) => {
  const socket = tlsConnect({ host: '127.0.0.1', port: hub.httpsPort, servername: 'localhost', ca: hub.ca }, () => socket.write(bytes));
  let answer = '';
  const timer = setTimeout(() => { socket.destroy(); resolve(answer); }, 8000);
  socket.on('data', (data) => { answer += data; if (/^HTTP\/1\.1 \d/.test(answer)) { clearTimeout(timer); setTimeout(() => { socket.destroy(); resolve(answer); }, 100); } });
  socket.on('close', () => { clearTimeout(timer); resolve(answer); });
  socket.on('error', () => {});
  socket.on('tlsClientError', reject);
});

for (const [what, request] of [
  ['nonsense', 'this is not HTTP\r\n\r\n'],
  ['a header without an end', `GET /devices/d?${API} HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(100_000)}`],
  ['two lengths', `PATCH /twins/d?${API} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}`],
  ['a negative length', `PATCH /twins/d?${API} HTTP/1.1\r\nHost: localhost\r\nContent-Length: -2\r\n\r\n{}`],
  ['a length and chunks', `PATCH /twins/d?${API} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['chunks under another name', `PATCH /twins/d?${API} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
  ['a blank before the colon', `PATCH /twins/d?${API} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
  ['a chunk of 2^68 bytes', `PATCH /twins/d?${API} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n{}`],
  ['a folded header', `GET /devices/d?${API} HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n`],
  ['two hosts', `GET /devices/d?${API} HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n`],
  ['two credentials', `GET /devices/d?${API} HTTP/1.1\r\nHost: localhost\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n`],
  ['U+0000 in the path', `GET /devices/d\0?${API} HTTP/1.1\r\nHost: localhost\r\n\r\n`],
  ['100,000 headers', `GET /devices/d?${API} HTTP/1.1\r\nHost: localhost\r\n${'a: b\r\n'.repeat(100_000)}\r\n`],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a path with a broken escape', `GET /devices/%zz?${API} HTTP/1.1\r\nHost: localhost\r\nAuthorization: x\r\n\r\n`],
]) {
  test(`${what} over HTTPS is refused or hung up on, and the hub goes on`, async () => {
    const answer = await raw(request);
    assert.ok(answer === '' || /^HTTP\/1\.[01] [45]\d\d/.test(answer), answer.slice(0, 200));
    assert.equal((await hub.rest('GET', '/devices/d')).status, 200);
  });
}
