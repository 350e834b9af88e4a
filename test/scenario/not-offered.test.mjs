// SPDX-License-Identifier: Apache-2.0
// What IoT Hub has and this hub has not: the paths are there, and the answer says what to do instead.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub, sas } from '../harness/hub.mjs';

let hub;
let own;
before(async () => {
  hub = await Hub.started();
  const device = await hub.createDevice('d');
  own = sas(`${hub.hostName}/devices/d`, device.authentication.symmetricKey.primaryKey);
});
after(() => hub.stop());

for (const [what, word, requests] of [
  ['digital twins', 'twins', [['GET', '/digitaltwins/d'], ['PATCH', '/digitaltwins/d'], ['POST', '/digitaltwins/d/commands/c'],
    ['POST', '/digitaltwins/d/components/p/commands/c']]],
  ['import and export jobs', 'Azure', [['POST', '/jobs/create'], ['GET', '/jobs'], ['GET', '/jobs/j'], ['DELETE', '/jobs/j']]],
]) {
  test(`${what} answer that they are not offered, to those who may ask`, async () => {
    for (const [method, path] of requests) {
      const body = method === 'POST' || method === 'PATCH' ? { body: {} } : {};
      const answer = await hub.rest(method, path, body);
      assert.equal(answer.status, 501, `${method} ${path}: ${answer.text}`);
      assert.equal(answer.headers['iothub-errorcode'], 'GenericNotImplemented');
      assert.match(answer.json.Message, new RegExp(`^ErrorCode:GenericNotImplemented;[^;]*${word}`));
      assert.equal((await hub.rest(method, path, { ...body, token: null })).status, 401);
    }
  });
}

test('file upload and the scope of edge devices answer devices that they are not offered', async () => {
  await hub.createModule('d', 'm');
  const module = await hub.must('GET', '/devices/d/modules/m');
  const ofModule = sas(`${hub.hostName}/devices/d/modules/m`, module.authentication.symmetricKey.primaryKey);
  for (const [token, path] of [[own, '/devices/d/files'], [own, '/devices/d/files/'], [own, '/devices/d/files/notifications'],
    [own, '/devices/d/files/notifications/c'], [ofModule, '/devices/d/modules/m/devicesAndModulesInDeviceScope'],
    [ofModule, '/devices/d/modules/m/deviceAndModuleInDeviceScope']]) {
    const answer = await hub.rest('POST', path, { token, body: { blobName: 'b' } });
    assert.equal(answer.status, 501, `${path}: ${answer.text}`);
    assert.equal(answer.headers['iothub-errorcode'], 'GenericNotImplemented');
    assert.equal((await hub.rest('POST', path, { token: null, body: {} })).status, 401);
  }
});
