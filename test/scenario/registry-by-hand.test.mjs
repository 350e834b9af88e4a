// SPDX-License-Identifier: Apache-2.0
// The registry byte by byte, where the SDKs are too polite to go: every import mode with its result
// object, etags in every place and spelling, paths as people write them, limits with their codes.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';

let hub;
before(async () => { hub = await Hub.started({ set: ['limits.modules_per_device=3', 'limits.list_items=5'] }); });
after(() => hub.stop());

const V = 'api-version=2021-04-12';
const bulk = (...items) => hub.rest('POST', '/devices', { body: items });
const code = (answer) => answer.headers['iothub-errorcode'];

async function expect(status, error, method, path, options) {
  const answer = await hub.rest(method, path, options);
  assert.equal(answer.status, status, `${method} ${path} ${JSON.stringify(options ?? {})}: ${answer.text}`);
  assert.equal(code(answer), error, `${method} ${path}`);
  return answer;
}

const KEY = Buffer.alloc(32, 7).toString('base64');
const OTHER = Buffer.alloc(32, 8).toString('base64');
const auth = (primaryKey) => ({ type: 'sas', symmetricKey: { primaryKey, secondaryKey: OTHER } });

// A row: [what, the items before it, the item, the error or undefined, what the device is afterwards].
// The device "old" is there, with the etag "now" and a twin with the tag t = 0.
const modes = [
  ['create makes one with its twin', { id: 'new', importMode: 'create', tags: { t: 1 }, properties: { desired: { d: 1 } } }, undefined,
    { id: 'new', tags: { t: 1 } }],
  ['no mode is create', { id: 'new' }, undefined, { id: 'new' }],
  ['create of one that is there', { id: 'old', importMode: 'create', status: 'disabled' }, 'DeviceAlreadyExists', { status: 'enabled' }],
  ['modes are read in any case', { id: 'old', importMode: 'UPDATE', status: 'disabled' }, undefined, { status: 'disabled' }],
  ['update changes what it names', { id: 'old', importMode: 'update', statusReason: 'r' }, undefined, { statusReason: 'r', key: KEY }],
  ['update of none', { id: 'new', importMode: 'update' }, 'DeviceNotFound'],
  ['update with a key', { id: 'old', importMode: 'update', authentication: auth(OTHER) }, undefined, { key: OTHER }],
  ['update with the right etag', { id: 'old', importMode: 'updateIfMatchETag', eTag: 'now', status: 'disabled' }, undefined, { status: 'disabled' }],
  ['update with the right etag, quoted', { id: 'old', importMode: 'updateIfMatchETag', eTag: '"now"', status: 'disabled' }, undefined, { status: 'disabled' }],
  ['update with any etag', { id: 'old', importMode: 'updateIfMatchETag', eTag: '*', status: 'disabled' }, undefined, { status: 'disabled' }],
  ['update with a wrong etag', { id: 'old', importMode: 'updateIfMatchETag', eTag: 'bm8=', status: 'disabled' }, 'PreconditionFailed', { status: 'enabled' }],
  ['update without the etag', { id: 'old', importMode: 'updateIfMatchETag', status: 'disabled' }, 'PreconditionFailed', { status: 'enabled' }],
  ['createOrUpdate creates', { id: 'new', importMode: 'createOrUpdate', tags: { t: 1 } }, undefined, { id: 'new', tags: { t: 1 } }],
  ['createOrUpdate updates', { id: 'old', importMode: 'createOrUpdate', status: 'disabled', tags: { t: 2 } }, undefined, { status: 'disabled', tags: { t: 2 } }],
  ['createOrUpdate with an etag creates', { id: 'new', importMode: 'createOrUpdateIfMatchETag', eTag: 'bm8=' }, undefined, { id: 'new' }],
  ['createOrUpdate with a wrong etag', { id: 'old', importMode: 'createOrUpdateIfMatchETag', eTag: 'bm8=', status: 'disabled' }, 'PreconditionFailed', { status: 'enabled' }],
  ['delete', { id: 'old', importMode: 'delete' }, undefined, null],
  ['delete of none', { id: 'new', importMode: 'delete' }, 'DeviceNotFound'],
  ['delete with the right etag', { id: 'old', importMode: 'deleteIfMatchETag', eTag: 'now' }, undefined, null],
  ['delete with a wrong etag', { id: 'old', importMode: 'deleteIfMatchETag', eTag: 'bm8=' }, 'PreconditionFailed', {}],
  ['delete without the etag', { id: 'old', importMode: 'deleteIfMatchETag' }, 'PreconditionFailed', {}],
  ['updateTwin merges', { id: 'old', importMode: 'updateTwin', tags: { u: 1 }, properties: { desired: { d: 1 } } }, undefined, { tags: { t: 0, u: 1 }, desired: 1 }],
  ['updateTwin leaves the identity alone', { id: 'old', importMode: 'updateTwin', status: 'disabled', tags: { u: 1 } }, undefined, { status: 'enabled' }],
  ['updateTwin of none', { id: 'new', importMode: 'updateTwin', tags: {} }, 'DeviceNotFound'],
  ['updateTwin over a limit', { id: 'old', importMode: 'updateTwin', tags: { x: 'x'.repeat(5000) } }, 'ArgumentInvalid', { tags: { t: 0 } }],
  ['updateTwin with the right etag', { id: 'old', importMode: 'updateTwinIfMatchETag', twinETag: 'twin', tags: { t: 3 } }, undefined, { tags: { t: 3 } }],
  ['updateTwin with a wrong etag', { id: 'old', importMode: 'updateTwinIfMatchETag', twinETag: 'AAAAAAAAAAk=', tags: { t: 3 } }, 'PreconditionFailed', { tags: { t: 0 } }],
  ['updateTwin without the etag', { id: 'old', importMode: 'updateTwinIfMatchETag', tags: { t: 3 } }, 'PreconditionFailed', { tags: { t: 0 } }],
  ['a mode that is none', { id: 'old', importMode: 'explode' }, 'ArgumentInvalid', {}],
  ['an id that is none', { id: 'a/b' }, 'ArgumentInvalid'],
  ['a key that is none', { id: 'new', authentication: auth('AAAA') }, 'ArgumentInvalid'],
  ['a thumbprint that is none', { id: 'new', authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: 'xyz' } } }, 'ArgumentInvalid'],
  ['a module of none', { id: 'new', moduleId: 'm' }, 'DeviceNotFound'],
];

for (const [what, item, error, state = undefined] of modes) {
  test(`bulk: ${what}`, async () => {
    await bulk({ id: 'old', importMode: 'delete' }, { id: 'new', importMode: 'delete' });
    await hub.must('POST', '/devices', { body: [{ id: 'old', authentication: auth(KEY), tags: { t: 0 } }] });
    const old = await hub.must('GET', '/devices/old');
    const twin = await hub.must('GET', '/twins/old');
    const sent = { ...item, ...(item.eTag ? { eTag: item.eTag.replace('now', old.etag) } : {}),
      ...(item.twinETag === 'twin' ? { twinETag: twin.etag } : {}) };
    const answer = await bulk(sent);
    assert.equal(answer.status, error ? 400 : 200, answer.text);
    assert.deepEqual(Object.keys(answer.json), ['isSuccessful', 'errors', 'warnings']);
    assert.equal(answer.json.isSuccessful, !error);
    assert.equal(code(answer), error && 'BulkRegistryOperationFailure');
    if (error) {
      const [row] = answer.json.errors;
      assert.deepEqual([row.deviceId, row.moduleId, row.errorCode], [item.id, item.moduleId, error]);
      assert.equal(row.operation?.toLowerCase(), item.importMode === 'explode' ? undefined : (item.importMode ?? 'create').toLowerCase());
      assert.ok(row.errorStatus.length > 5 && !row.errorStatus.includes(';'));
    } else assert.deepEqual(answer.json.errors, []);
    if (state === undefined) return;
    const id = state?.id ?? 'old';
    const now = await hub.rest('GET', `/devices/${id}`);
    assert.equal(now.status, state === null ? 404 : 200);
    if (state === null) return;
    const { tags, properties } = await hub.must('GET', `/twins/${id}`);
    for (const [name, value] of Object.entries(state))
      assert.deepEqual({ ...now.json, tags, desired: properties.desired.d, key: now.json.authentication.symmetricKey.primaryKey, id }[name], value, name);
  });
}

test('a bulk of a hundred is one, of one more none', async () => {
  const many = (n) => Array.from({ length: n }, (_, i) => ({ id: `many-${i}` }));
  assert.equal((await bulk(...many(100))).status, 200);
  assert.equal(code(await bulk(...many(101))), 'TooManyDevices');
  assert.equal((await bulk()).status, 200);
  await expect(400, 'ArgumentInvalid', 'POST', '/devices', { body: {} });
  assert.equal((await bulk(...many(100).map((d) => ({ ...d, importMode: 'delete' })))).json.isSuccessful, true);
});

test('paths are read in any case and with a slash behind them, ids are not', async () => {
  await expect(200, undefined, 'PUT', '/Devices/Case/', { body: {} });
  await expect(200, undefined, 'PUT', '/DEVICES/Case/MODULES/M/', { body: {} });
  for (const path of ['/devices/', '/Devices/Case', '/devices/Case/modules/', '/devices/Case/Modules/M/', '/twins/Case/', '/TWINS/Case/modules/M',
    '/statistics/devices/', '/Statistics/Service', '/configurations/'])
    await expect(200, undefined, 'GET', path);
  await expect(404, 'DeviceNotFound', 'GET', '/devices/case');
  await expect(404, 'ModuleNotFound', 'GET', '/devices/Case/modules/m');
  await expect(404, 'GenericNotFound', 'GET', '/devices//');
  await expect(200, undefined, 'POST', '/devices/query/', { body: { query: 'SELECT * FROM devices' } });
  await expect(405, 'GenericMethodNotAllowed', 'PATCH', '/devices/Case', { body: {} });
});

test('lists are as long as top says, within the bound', async () => {
  await bulk(...Array.from({ length: 7 }, (_, i) => ({ id: `top-${i}` })));
  for (const [top, count] of [['?top=2', 2], ['?top=5', 5], ['', 5], ['?top=6', 5], ['?top=0', 5], ['?top=-1', 5], ['?top=x', 5], ['?top=', 5]]) {
    const answer = await hub.must('GET', `/devices${top}`);
    assert.equal(answer.length, count, top);
  }
  assert.equal((await hub.must('GET', `/devices?${V}&Top=1`)).length, 1);
  const { totalDeviceCount, enabledDeviceCount, disabledDeviceCount } = await hub.must('GET', '/statistics/devices');
  assert.equal(totalDeviceCount, enabledDeviceCount + disabledDeviceCount);
});

test('every operation that takes an etag compares it', async () => {
  await hub.must('PUT', '/devices/tagged', { body: {} });
  await hub.must('PUT', '/devices/tagged/modules/m', { body: {} });
  await hub.must('PUT', '/configurations/tagged', { body: { content: { deviceContent: { 'properties.desired.c': 1 } }, targetCondition: '', priority: 1 } });
  await hub.must('PUT', '/enrollments/tagged', { body: { attestation: { type: 'symmetricKey' } } });
  await hub.must('PUT', '/enrollmentGroups/tagged', { body: { attestation: { type: 'symmetricKey' } } });
  const enrollment = { body: { attestation: { type: 'symmetricKey' } } };
  const rows = [
    ['PUT', '/devices/tagged', { body: { status: 'enabled' } }], ['PUT', '/devices/tagged/modules/m', { body: {} }],
    ['PATCH', '/twins/tagged', { body: { tags: { a: 1 } } }], ['PUT', '/twins/tagged', { body: { tags: { a: 1 } } }],
    ['PATCH', '/twins/tagged/modules/m', { body: { tags: { a: 1 } } }], ['PUT', '/twins/tagged/modules/m', { body: { tags: { a: 1 } } }],
    ['PUT', '/configurations/tagged', { body: { targetCondition: '', priority: 2 } }],
    ['PUT', '/enrollments/tagged', enrollment], ['PUT', '/enrollmentGroups/tagged', enrollment],
    ['DELETE', '/configurations/tagged'], ['DELETE', '/enrollments/tagged'], ['DELETE', '/enrollmentGroups/tagged'],
    ['DELETE', '/devices/tagged/modules/m'], ['DELETE', '/devices/tagged'],
  ];
  for (const [method, path, options = {}] of rows) {
    const change = (etag) => hub.rest(method, path, { ...options, headers: { 'if-match': etag } });
    const current = async () => (await hub.rest('GET', path)).headers.etag;
    for (const wrong of ['"abc"', 'abc', 'W/"abc"', '""x']) {
      const answer = await change(wrong);
      assert.equal(answer.status, 412, `${method} ${path} If-Match: ${wrong}: ${answer.text}`);
      assert.equal(code(answer), 'PreconditionFailed');
    }
    assert.match(await current(), /^".+"$/);
    if (method !== 'DELETE') for (const etag of ['*', '"*"']) {
      const answer = await change(etag);
      assert.equal(answer.status, 200, `${method} ${path} If-Match: ${etag}: ${answer.text}`);
      assert.equal(answer.headers.etag, await current(), 'the answer has the new etag');
    }
    const bare = (await current()).replaceAll('"', '');
    const last = await change(method === 'PUT' ? bare : `"${bare}"`);
    assert.equal(last.status, method === 'DELETE' ? 204 : 200, `${method} ${path}: ${last.text}`);
    if (method !== 'DELETE') assert.equal((await change(`"${bare}"`)).status, 412, 'the etag grew');
  }
  for (const etag of ['*', '"*"', '"abc"'])
    await expect(404, 'DeviceNotFound', 'PUT', '/devices/tagged', { body: {}, headers: { 'if-match': etag } });
});

test('what is over a limit gets its code', async () => {
  await hub.must('PUT', '/devices/full', { body: {} });
  for (let i = 0; i < 3; i++) await hub.must('PUT', `/devices/full/modules/m${i}`, { body: {} });
  await expect(413, 'TooManyModulesOnDevice', 'PUT', '/devices/full/modules/m3', { body: {} });
  assert.equal((await bulk({ id: 'full', moduleId: 'm3' })).json.errors[0].errorCode, 'TooManyModulesOnDevice');
  await expect(200, undefined, 'PUT', `/devices/${'a'.repeat(128)}`, { body: {} });
  await expect(400, 'ArgumentInvalid', 'PUT', `/devices/${'a'.repeat(129)}`, { body: {} });
  await expect(400, 'ArgumentInvalid', 'PUT', '/devices/odd', { body: { statusReason: 'x'.repeat(129) } });
  for (const thumbprint of ['0'.repeat(39), '0'.repeat(41), 'g'.repeat(40), '0'.repeat(63)])
    await expect(400, 'ArgumentInvalid', 'PUT', '/devices/odd', { body: { authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: thumbprint } } } });
  for (const thumbprint of ['0'.repeat(40), 'aF'.repeat(32)])
    await expect(200, undefined, 'PUT', `/devices/print-${thumbprint.length}`, { body: { authentication: { x509Thumbprint: { primaryThumbprint: thumbprint } } } });
  for (const key of [Buffer.alloc(15), Buffer.alloc(65)])
    await expect(400, 'ArgumentInvalid', 'PUT', '/devices/odd', { body: { authentication: auth(key.toString('base64')) } });
  await expect(404, 'DeviceNotFound', 'GET', '/devices/odd');
});

test('an edge device has a scope and its modules, and a leaf names the scope of one that is there', async () => {
  const edge = await hub.must('PUT', '/devices/edge', { body: { capabilities: { iotEdge: true } } });
  assert.equal(edge.deviceScope, `ms-azure-iot-edge://edge-${edge.generationId}`);
  const modules = await hub.must('GET', '/devices/edge/modules');
  assert.deepEqual(modules.map((m) => [m.moduleId, m.authentication.type]), [['$edgeAgent', 'none'], ['$edgeHub', 'none']]);
  assert.equal((await hub.must('GET', '/twins/edge/modules/%24edgeAgent')).authenticationType, 'none');
  assert.equal((await hub.must('GET', '/twins/edge')).deviceScope, edge.deviceScope);
  const leaf = await hub.must('PUT', '/devices/leaf', { body: { deviceScope: edge.deviceScope } });
  assert.deepEqual(leaf.parentScopes, [edge.deviceScope]);
  await expect(400, 'InvalidDeviceScope', 'PUT', '/devices/leaf', { body: { deviceScope: 'bogus' }, headers: { 'if-match': '*' } });
  await expect(400, 'InvalidDeviceScope', 'PUT', '/devices/edge', { body: { deviceScope: leaf.deviceId }, headers: { 'if-match': '*' } });
  assert.equal((await hub.must('GET', '/devices/leaf')).deviceScope, edge.deviceScope);
  const plain = await hub.must('PUT', '/devices/plain', { body: {} });
  assert.ok(!('deviceScope' in plain) && !('parentScopes' in plain));
});

test('enrollments in bulk: each mode, and what is refused', async () => {
  const one = (registrationId, more) => ({ registrationId, attestation: { type: 'symmetricKey' }, ...more });
  const run = (mode, ...enrollments) => hub.must('POST', '/enrollments', { body: { mode, enrollments } });
  assert.deepEqual(await run('create', one('b1'), one('B2')), { isSuccessful: true, errors: [] });
  const created = await run('create', one('b1'), one('b3'), one('b 4'), { registrationId: 'b5', attestation: { type: 'tpm', tpm: {} } });
  assert.equal(created.isSuccessful, false);
  assert.deepEqual(created.errors.map((e) => [e.registrationId, e.errorCode]), [['b1', 409201], ['b 4', 400004], ['b5', 400004]]);
  assert.match(created.errors[2].errorStatus, /tpm is not offered/);
  await hub.must('GET', '/enrollments/b3');
  const { attestation, etag } = await hub.must('GET', '/enrollments/b1');
  const keys = await hub.must('POST', '/enrollments/b1/attestationmechanism');
  assert.equal((await run('update', one('b1', { attestation, deviceId: 'other' }), one('none'))).errors[0].errorCode, 404201);
  assert.deepEqual(await hub.must('POST', '/enrollments/b1/attestationmechanism'), keys, 'the keys stayed');
  const stale = await run('UpdateIfMatchEtag', one('b1', { etag }), one('b2'));
  assert.deepEqual(stale.errors.map((e) => [e.registrationId, e.errorCode]), [['b1', 412001], ['b2', 412001]]);
  assert.equal((await run('updateIfMatchEtag', one('b1', { etag: (await hub.must('GET', '/enrollments/b1')).etag }))).isSuccessful, true);
  assert.deepEqual((await run('delete', one('b1'), one('b2'), one('b3'), one('none'))).errors.map((e) => e.errorCode), [404201]);
  for (const body of [{}, { mode: 'create' }, { mode: 'purge', enrollments: [] }, { mode: 'create', enrollments: Array(101).fill(one('x')) }])
    assert.equal((await hub.rest('POST', '/enrollments', { body })).status, 400);
  const groups = (mode, ...enrollmentGroups) => hub.must('POST', '/enrollmentGroups', { body: { mode, enrollmentGroups } });
  const group = { enrollmentGroupId: 'g1', attestation: { type: 'symmetricKey' } };
  assert.equal((await groups('create', group)).isSuccessful, true);
  assert.deepEqual((await groups('create', group)).errors.map((e) => [e.enrollmentGroupId, e.errorCode]), [['g1', 409201]]);
  assert.equal((await groups('delete', group)).isSuccessful, true);
});

test('enrollments that cannot be are refused with what is allowed', async () => {
  for (const [body, pattern] of [
    [{ attestation: { type: 'tpm', tpm: { endorsementKey: 'AA==' } } }, /tpm is not offered, it must be symmetricKey or x509/],
    [{ attestation: { type: 'symmetricKey' }, allocationPolicy: 'custom', customAllocationDefinition: {} }, /custom.*hashed, geoLatency or static/],
    [{ attestation: { type: 'symmetricKey' }, iotHubHostName: 'other.azure-devices.net' }, /no host name of this hub/],
    [{ attestation: { type: 'x509', x509: {} } }, /clientCertificates/],
    [{ attestation: { type: 'symmetricKey' }, initialTwin: { tags: { 'a.b': 1 } } }, /initialTwin/],
    [{ attestation: { type: 'symmetricKey' }, provisioningStatus: 'perhaps' }, /enabled or disabled/],
    [{}, /attestation/],
  ]) {
    const answer = await hub.rest('PUT', '/enrollments/cannot', { body });
    assert.equal(answer.status, 400, JSON.stringify(body));
    assert.equal(answer.json.errorCode, 400004);
    assert.match(answer.json.message, pattern);
  }
});
