// SPDX-License-Identifier: Apache-2.0
// What the unmodified SDKs make of a hub that throttles: azure-iothub's ThrottlingError, and a
// device client that backs off, tries again and loses nothing. The hub has limits, so it is one of
// its own, on an address beside the other's; the SDKs run in a process that trusts its CA.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Hub } from '../harness/hub.mjs';
import { runProgram } from '../harness/programs.mjs';

const ADDRESS = '127.0.0.2'; // a host name that every machine resolves
const sdk = fileURLToPath(new URL('throttled-client.mjs', import.meta.url));

let hub;
before(async () => {
  hub = await Hub.started({ hostNames: [ADDRESS], address: ADDRESS, mqttPort: 8883, httpsPort: 443,
    set: ['throttle.burst_seconds=1', 'throttle.queue_seconds=0', 'throttle.queries=60', 'throttle.twin_updates_each=1',
      'throttle.d2c_sends_each=10'] });
});
after(() => hub.stop());

const asSdk = async (what, connectionString) => {
  const { code, stdout, stderr } = await runProgram(process.execPath, [sdk, what, connectionString],
    { env: { ...process.env, NODE_EXTRA_CA_CERTS: hub.facts.caFile } });
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
};

const device = async (id) => hub.connectionString(await hub.createDevice(id), { withPort: false });

test('the service SDK makes a ThrottlingError of it', async () => {
  assert.deepEqual(await asSdk('query', hub.facts.connectionString), { name: 'ThrottlingError', status: 429 });
});

test('the device SDK hears of a reported patch that was refused', async () => {
  const { first, second } = await asSdk('report', await device('reports'));
  assert.equal(first, null);
  assert.match(second, /twin-updates/);
});

test('the device SDK sends every event, at the rate of the limit', async () => {
  const { sent, ms } = await asSdk('send', await device('sends'));
  assert.equal(sent, 40);
  assert.ok(ms >= 2500, `40 events, of which 10 a second are allowed, took ${ms} ms`);
  assert.equal((await hub.events({ deviceId: 'sends' })).filter((e) => e.systemProperties['iothub-message-source'] === 'Telemetry').length, 40);
});
