// SPDX-License-Identifier: Apache-2.0
// Devices with certificates in the handshake: who may be whom, over both ports and both versions of
// TLS, and that nobody inherits an earlier connection's certificate.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { connectPacket, MqttClient, TYPES } from '../harness/mqtt.mjs';
import { until } from '../harness/programs.mjs';
import { makeCertificate } from '../harness/x509.mjs';

let hub;
before(async () => { hub = await Hub.started({ set: ['limits.skew_seconds=0'] }); });
after(() => hub.stop());

const shown = (certificate, options = {}) => ({ cert: certificate.chain, key: certificate.key, ...options });

async function connect(path, tls, { password } = {}) {
  const client = await MqttClient.open(hub, tls);
  client.send(connectPacket({ clientId: path, username: `${hub.hostName}/${path}/?api-version=2021-04-12`, password }));
  client.code = (await client.next(TYPES.CONNACK)).body[1];
  return client;
}

const create = (deviceId, authentication) => hub.must('PUT', `/devices/${deviceId}`, { body: { deviceId, authentication } });
const byThumbprint = (primaryThumbprint) => ({ type: 'selfSigned', x509Thumbprint: { primaryThumbprint } });

async function is(code, path, tls, options) {
  const client = await connect(path, tls, options);
  assert.equal(client.code, code);
  await client.end();
}

test('a thumbprint opens both ports, in TLS 1.2 and 1.3, and no other certificate does', async () => {
  const own = makeCertificate('d1');
  const device = await create('d1', byThumbprint(own.sha1));
  assert.equal(device.authentication.type, 'selfSigned');
  for (const webSocket of [false, true]) {
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      const tls = { webSocket, minVersion: version, maxVersion: version };
      await is(0, 'd1', shown(own, tls));
      await is(0, 'd1', shown(own, tls), { password: '' });
      await is(5, 'd1', tls);
      await is(5, 'd1', shown(makeCertificate('d1'), tls));
      await is(5, 'd1', shown(own, tls), { password: hub.token() });
    }
  }
});

test('the HTTPS port asks for no certificate where that is switched off', async () => {
  const own = makeCertificate('d');
  const other = await Hub.started({ set: ['listen.https_client_certificates=0'] });
  try {
    await other.must('PUT', '/devices/d', { body: { deviceId: 'd', authentication: byThumbprint(own.sha1) } });
    for (const [webSocket, code] of [[false, 0], [true, 5]]) {
      const client = await MqttClient.open(other, shown(own, { webSocket }));
      client.send(connectPacket({ clientId: 'd', username: `${other.hostName}/d/?api-version=2021-04-12` }));
      assert.equal((await client.next(TYPES.CONNACK)).body[1], code);
      await client.end();
    }
  } finally {
    await other.stop();
  }
});

test('a token counts where keys do, whatever certificate is shown beside it', async () => {
  const device = await hub.createDevice('keys');
  const { password } = MqttClient.credentials(hub, device);
  await is(0, 'keys', shown(makeCertificate('keys')), { password });
  await is(5, 'keys', shown(makeCertificate('keys')));
});

test('a session that is resumed, or is not, never lends a certificate', async () => {
  const own = makeCertificate('resumed');
  await create('resumed', byThumbprint(own.sha256));
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    const tls = { minVersion: version, maxVersion: version };
    const sessions = [];
    const first = await MqttClient.open(hub, shown(own, tls));
    first.socket.on('session', (session) => sessions.push(session));
    first.send(connectPacket({ clientId: 'resumed', username: `${hub.hostName}/resumed/?api-version=2021-04-12` }));
    assert.equal((await first.next(TYPES.CONNACK)).body[1], 0);
    sessions.push(first.socket.getSession());
    await first.end();
    for (const session of sessions.filter(Boolean)) {
      const second = await connect('resumed', { ...tls, session });
      assert.equal(second.socket.isSessionReused(), false);
      assert.equal(second.code, 5);
    }
  }
});

test('a session ends when its thumbprint changes, its device is disabled, or its certificate is over', async () => {
  const own = makeCertificate('ends');
  await create('ends', byThumbprint(own.sha1));
  const update = (body) => hub.must('PUT', '/devices/ends', { body: { deviceId: 'ends', ...body }, headers: { 'if-match': '*' } });
  const first = await connect('ends', shown(own));
  await update({ authentication: byThumbprint(makeCertificate('x').sha1) });
  await until('the first ends', () => first.closed);
  await update({ authentication: byThumbprint(own.sha1) });
  const second = await connect('ends', shown(own));
  assert.equal(second.code, 0);
  await update({ status: 'disabled', authentication: byThumbprint(own.sha1) });
  await until('the second ends', () => second.closed);
  await update({ status: 'enabled', authentication: byThumbprint(own.sha1) });
  const brief = makeCertificate('ends', { untilSeconds: 3 });
  await update({ authentication: byThumbprint(brief.sha256) });
  const third = await connect('ends', shown(brief));
  assert.equal(third.code, 0);
  await until('the third ends', () => third.closed);
  await is(5, 'ends', shown(brief));
});

test('an administrator manages the authorities of a hub, by password', async () => {
  const root = makeCertificate('root', { ca: true });
  const path = `/gemel/v1/hubs/${hub.facts.hub}/certificates`;
  const made = await hub.administer('PUT', `${path}/plant`, { certificate: root.cert });
  assert.equal(made.properties.isVerified, true);
  assert.equal(made.properties.thumbprint.toLowerCase(), root.sha1);
  assert.equal((await hub.administer('GET', path)).value.length, 1);
  await create('pump', { type: 'certificateAuthority' });
  const own = makeCertificate('pump', { issuer: root });
  await is(5, 'pump', shown(makeCertificate('pump', { issuer: makeCertificate('root', { ca: true }) })));
  await is(5, 'pump', shown(makeCertificate('pump', { issuer: root, names: ['other', 'pump'] })));
  await is(5, 'pump', shown(makeCertificate('pump', { issuer: root, untilSeconds: -5 })));
  await hub.must('PUT', '/devices/pump/modules/m', { body: { deviceId: 'pump', moduleId: 'm', authentication: { type: 'certificateAuthority' } } });
  for (const webSocket of [false, true]) {
    await is(0, 'pump/m', shown(own, { webSocket }));
    await is(0, 'pump/m', shown(makeCertificate('pump/m', { issuer: root }), { webSocket }));
  }
  const client = await connect('pump', shown(own));
  assert.equal(client.code, 0);
  await hub.administer('DELETE', `${path}/plant`);
  await until('the session ends', () => client.closed);
  await is(5, 'pump', shown(own));
});

