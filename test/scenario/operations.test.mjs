// SPDX-License-Identifier: Apache-2.0
// What those see who run a hub: health and metrics on both listeners, a notice before the drain, a
// disk without room, and the log as JSON.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient } from '../harness/mqtt.mjs';
import { freePort, runProgram, temporaryFolder, until } from '../harness/programs.mjs';

const token = 'a-token-of-more-than-16-characters';
let hub;
let port;
const plain = (path, options) => fetch(`http://127.0.0.1:${port}${path}`, options);
const bearer = { plain: true, token: `Bearer ${token}` };
const valueOf = (text, sample) => {
  const line = text.split('\n').find((l) => l.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.slice(sample.length + 1));
};
const metrics = async () => (await plain('/metrics')).text();

before(async () => {
  port = await freePort();
  const file = join(temporaryFolder(), 'token');
  writeFileSync(file, `${token}\n`);
  hub = await Hub.started({ set: [`monitor.port=${port}`, `monitor.token_file=${file}`, 'log.format=json',
    'log.level=debug', 'gateway.drain_notice_seconds=30'] });
});
after(() => hub.stop());

test('health is told on both listeners, metrics on HTTPS only to those who may', async () => {
  for (const path of ['/healthz', '/readyz']) {
    assert.equal((await plain(path)).status, 200);
    assert.equal((await hub.rest('GET', path, { plain: true, token: null })).status, 200);
  }
  assert.equal((await hub.rest('GET', '/metrics', { plain: true, token: null })).status, 401);
  assert.equal((await hub.rest('GET', '/metrics', { plain: true })).status, 401, 'a policy is no administrator');
  const answer = await hub.rest('GET', '/metrics', bearer);
  assert.equal(answer.status, 200);
  assert.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  assert.match(answer.text, /^gemel_build_info\{version="[^"]+"\} 1$/m);
  assert.equal((await plain('/')).status, 404);
  assert.equal((await plain('/healthz', { method: 'POST' })).status, 405);
});

test('connections, sessions, requests and events are counted', async () => {
  const client = await MqttClient.connect(hub, await hub.createDevice('d'));
  await client.publish('devices/d/messages/events/', 'one');
  let text = await metrics();
  assert.equal(valueOf(text, 'gemel_sessions'), 1);
  assert.equal(valueOf(text, 'gemel_connections{protocol="mqtt"}'), 1);
  assert.equal(valueOf(text, 'gemel_events_total{source="Telemetry"}'), 1);
  assert.equal(valueOf(text, 'gemel_requests_total{protocol="mqtt",operation="event",code="200"}'), 1);
  assert.equal(valueOf(text, 'gemel_request_duration_seconds_count{operation="connect"}'), 1);
  assert.ok(valueOf(text, 'gemel_store_commit_duration_seconds_count') > 0);
  assert.ok(valueOf(text, 'process_resident_memory_bytes') > 1e6);
  await client.end();
  await until('the session is counted out', async () => {
    text = await metrics();
    return valueOf(text, 'gemel_sessions') === 0 && valueOf(text, 'gemel_connections{protocol="mqtt"}') === 0;
  });
});

test('slow, broken and many clients of the plain listener do not keep others away', async () => {
  const idle = Array.from({ length: 10 }, () => connect(port, '127.0.0.1'));
  for (const socket of idle) socket.on('error', () => {});
  const broken = connect(port, '127.0.0.1');
  broken.write('\x00\xff\r\n\r\n');
  const said = await new Promise((resolve) => broken.once('data', (data) => resolve(String(data))));
  assert.match(said, /^HTTP\/1\.1 400 /);
  assert.equal((await plain('/healthz')).status, 200);
  for (const socket of idle) socket.destroy();
});

test('a hub whose disk is full is not ready, and is again without a client when there is room', async () => {
  const limit = async (size) => {
    const { code, stderr } = await runProgram('prlimit', ['--pid', String(hub.program.pid), `--fsize=${size}:unlimited`]);
    assert.equal(code, 0, stderr);
  };
  await limit(4096);
  await until('a refused write', async () =>
    (await hub.rest('PATCH', '/twins/d', { body: { tags: { a: 'x'.repeat(4000) } } })).status === 503);
  const answer = await plain('/readyz');
  assert.equal(answer.status, 503);
  assert.equal(await answer.text(), 'the store cannot write\n');
  assert.equal((await plain('/healthz')).status, 200);
  assert.ok(valueOf(await metrics(), 'gemel_store_failures_total') > 0);
  await limit('unlimited');
  await until('ready again', async () => (await plain('/readyz')).status === 200);
});

test('every line of the log is an object', async () => {
  const lines = hub.program.stderr.trim().split('\n').map((line) => JSON.parse(line));
  assert.ok(lines.length > 0);
  for (const line of lines) assert.deepEqual(Object.keys(line), ['time', 'level', 'part', 'message']);
  assert.ok(lines.some((line) => line.part === 'monitor'));
  assert.ok(!hub.program.stderr.includes(token));
});

test('after SIGTERM it serves on and says that it is not ready; a second one ends the notice', async () => {
  process.kill(hub.program.pid, 'SIGTERM');
  await until('not ready', async () => (await plain('/readyz')).status === 503);
  assert.equal((await hub.rest('GET', '/readyz', { plain: true, token: null })).status, 503);
  await hub.must('PATCH', '/twins/d', { body: { tags: { still: 'served' } } });
  await hub.stop();
});
