// SPDX-License-Identifier: Apache-2.0
// Every command of `gemel` against a real hub, at least once: one that is new and is not run here
// fails the last test.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Hub } from '../harness/hub.mjs';
import { MqttClient, TYPES, publishPacket } from '../harness/mqtt.mjs';
import { Program, programs, runProgram, temporaryFolder } from '../harness/programs.mjs';
import { makeCertificate } from '../harness/x509.mjs';

const folder = temporaryFolder();
const ran = new Set();
let hub;
let env;
let commands;

before(async () => {
  hub = await Hub.started();
  env = { GEMEL_CA: hub.facts.caFile, GEMEL_ADMIN_PASSWORD: hub.facts.admin.password,
    GEMEL_LOGIN: hub.facts.connectionString.replace(/HostName=[^;]*/, `HostName=${hub.hostName}:${hub.httpsPort}`) };
  const { stdout } = await runProgram(programs.cli, ['--help'], { env });
  commands = [...stdout.split('Options of all')[0].matchAll(/^ {2}(\S+(?: \S+)*)/gm)].map((match) => match[1]);
});
after(() => hub.stop());

function note(args) {
  const path = commands.filter((c) => args.join(' ').startsWith(c)).sort((a, b) => b.length - a.length)[0];
  assert.ok(path, `there is no command ${args.join(' ')}`);
  ran.add(path);
}

async function gemel(...args) {
  note(args);
  const { code, stdout, stderr } = await runProgram(programs.cli, args, { env });
  assert.equal(code, 0, `gemel ${args.join(' ')}: ${stderr}`);
  return /^[[{]/.test(stdout) && args[0] !== 'monitor-events' ? JSON.parse(stdout) : stdout;
}

async function refused(code, pattern, ...args) {
  const result = await runProgram(programs.cli, args, { env });
  assert.equal(result.code, code, `gemel ${args.join(' ')}: ${result.stderr}`);
  assert.match(result.stderr, pattern);
}

const M = ['-d', 'pump', '-m', 'agent'];

test('identities', async () => {
  await gemel('device-identity', 'create', '-d', 'pump');
  await gemel('module-identity', 'create', ...M);
  await gemel('device-identity', 'update', '-d', 'pump', '--status-reason', 'new');
  assert.equal((await gemel('device-identity', 'show', '-d', 'pump')).statusReason, 'new');
  assert.equal((await gemel('device-identity', 'list')).length, 1);
  await gemel('module-identity', 'update', ...M, '--am', 'x509_ca');
  assert.equal((await gemel('module-identity', 'show', ...M)).authentication.type, 'certificateAuthority');
  await gemel('module-identity', 'update', ...M, '--am', 'shared_private_key');
  assert.equal((await gemel('module-identity', 'list', '-d', 'pump'))[0].moduleId, 'agent');
  for (const kind of ['device', 'module']) {
    const who = kind === 'device' ? ['-d', 'pump'] : M;
    assert.match((await gemel(`${kind}-identity`, 'connection-string', 'show', ...who)).connectionString, /DeviceId=pump/);
    assert.equal((await gemel(`${kind}-identity`, 'renew-key', ...who, '--kt', 'both')).rotatedKeys.length, 1);
  }
  assert.deepEqual(await gemel('hub', 'show-stats'),
    { totalDeviceCount: 1, enabledDeviceCount: 1, disabledDeviceCount: 0, connectedDeviceCount: 0 });
});

test('twins', async () => {
  for (const [kind, who] of [['device', ['-d', 'pump']], ['module', M]]) {
    await gemel(`${kind}-twin`, 'update', ...who, '--desired', '{"a":1}', '--tags', '{"t":1}');
    const file = join(folder, 'twin.json');
    writeFileSync(file, '{"properties":{"desired":{"b":2}}}');
    await gemel(`${kind}-twin`, 'replace', ...who, '-j', file);
    assert.equal((await gemel(`${kind}-twin`, 'history', ...who)).length, 3);
    await gemel(`${kind}-twin`, 'revert', ...who);
    assert.equal((await gemel(`${kind}-twin`, 'show', ...who)).properties.desired.a, 1);
  }
  assert.equal((await gemel('device-twin', 'list')).length, 1);
  assert.deepEqual(await gemel('query', '-q', 'SELECT deviceId FROM devices'), [{ deviceId: 'pump' }]);
});

test('messages to a device, and in its name', async () => {
  const sent = await gemel('device', 'c2d-message', 'send', '-d', 'pump', '--data', 'öffne', '--props', 'valve=3;by=a=b;', '--mid', 'm-1', '--ack', 'full');
  assert.equal(sent.messageId, 'm-1');
  let held = await gemel('device', 'c2d-message', 'receive', '-d', 'pump', '--lt', '30');
  assert.deepEqual([held.data, held.properties, held.ack, held.deliveryCount], ['öffne', { valve: '3', by: 'a=b' }, 'full', '0']);
  await gemel('device', 'c2d-message', 'abandon', '-d', 'pump', '-e', held.etag);
  held = await gemel('device', 'c2d-message', 'receive', '-d', 'pump');
  assert.equal(held.deliveryCount, '1');
  await gemel('device', 'c2d-message', 'complete', '-d', 'pump', '-e', held.etag);
  await refused(1, /LockLost/, 'device', 'c2d-message', 'complete', '-d', 'pump', '-e', held.etag);
  assert.equal(await gemel('device', 'c2d-message', 'receive', '-d', 'pump'), '');
  await gemel('device', 'c2d-message', 'send', '-d', 'pump', '--data-file-path', hub.facts.caFile, '--ack', 'negative');
  held = await gemel('device', 'c2d-message', 'receive', '-d', 'pump');
  assert.equal(held.data.trim(), readFileSync(hub.facts.caFile, 'utf8').trim());
  await gemel('device', 'c2d-message', 'reject', '-d', 'pump', '-e', held.etag);
  assert.deepEqual((await gemel('device', 'c2d-message', 'feedback')).map((f) => f.statusCode), ['Success', 'Rejected']);
  for (const text of ['one', 'two']) await gemel('device', 'c2d-message', 'send', '-d', 'pump', '--data', text);
  assert.equal((await gemel('device', 'c2d-message', 'receive', '-d', 'pump', '--complete')).data, 'one');
  assert.equal((await gemel('device', 'c2d-message', 'purge', '-d', 'pump')).totalMessagesPurged, 1);
  const waiting = new Program(programs.cli, ['device', 'c2d-message', 'send', '-d', 'pump', '--ack', 'full', '--wait'], { env });
  let taken = '';
  while (taken === '') taken = await gemel('device', 'c2d-message', 'receive', '-d', 'pump', '--complete');
  assert.equal((await waiting.ended).code, 0, waiting.output);
  assert.equal(JSON.parse(waiting.stdout).statusCode, 'Success');
  await gemel('device', 'send-d2c-message', ...M, '--data', '{"t":1}', '--ct', 'application/json', '--ce', 'utf-8', '--props', 'a=b', '--mc', '2');
  const events = await gemel('monitor-events', '-d', 'pump', '--from', 'earliest', '--timeout', '1');
  const lines = events.trim().split('\n').map((l) => JSON.parse(l));
  assert.deepEqual(lines.map((l) => [l.moduleId, l.body, l.properties]), Array(2).fill(['agent', { t: 1 }, { a: 'b' }]));
});

test('direct methods', async () => {
  for (const [command, identity, who] of [['invoke-device-method', await hub.must('GET', '/devices/pump'), ['-d', 'pump']],
    ['invoke-module-method', await hub.must('GET', '/devices/pump/modules/agent'), M]]) {
    const client = await MqttClient.connect(hub, identity);
    await client.subscribe('$iothub/methods/POST/#');
    const call = gemel(command, ...who, '--mn', 'reboot', '--mp', '{"in":5}', '--connect-timeout', '10');
    const asked = await client.next(TYPES.PUBLISH);
    client.send(publishPacket(`$iothub/methods/res/200/?$rid=${/rid=(\w+)/.exec(asked.topic)[1]}`, asked.payload));
    assert.deepEqual(await call, { status: 200, payload: { in: 5 } });
    await client.end();
  }
});

test('configurations', async () => {
  const content = join(folder, 'content.json');
  writeFileSync(content, '{"content":{"deviceContent":{"properties.desired.interval":60}}}');
  const made = await gemel('configuration', 'create', '-c', 'quiet', '-k', `@${content}`, '--tc', '*', '--pri', '10', '--lab', '{"a":"b"}');
  assert.deepEqual([made.priority, made.labels, made.targetCondition], [10, { a: 'b' }, '*']);
  const changed = await gemel('configuration', 'update', '-c', 'quiet', '--pri', '20', '--metrics', '{"queries":{"all":"SELECT deviceId FROM devices"}}');
  assert.deepEqual([changed.priority, changed.content], [20, made.content]);
  await refused(1, /PreconditionFailed/, 'configuration', 'update', '-c', 'quiet', '--pri', '21', '-e', 'bm8=');
  assert.equal((await gemel('configuration', 'show', '-c', 'quiet')).priority, 20);
  assert.equal((await gemel('configuration', 'list')).length, 1);
  const metric = await gemel('configuration', 'show-metric', '-c', 'quiet', '--metric-id', 'all');
  assert.deepEqual(metric, { metric: 'all', query: 'SELECT deviceId FROM devices', result: [{ deviceId: 'pump' }] });
  await gemel('configuration', 'show-metric', '-c', 'quiet', '--metric-id', 'targetedCount', '--mt', 'system');
  await gemel('configuration', 'delete', '-c', 'quiet');
  await refused(1, /ConfigurationNotFound/, 'configuration', 'show', '-c', 'quiet');
});

test('authorities and enrollments', async () => {
  const [one, two] = ['one', 'two'].map((name) => {
    const cert = join(folder, `${name}.pem`);
    writeFileSync(cert, makeCertificate(name, { ca: true }).cert);
    return { cert };
  });
  await gemel('certificate', 'create', '-n', 'plant', '-p', one.cert);
  const updated = await gemel('certificate', 'update', '-n', 'plant', '-p', two.cert);
  assert.match(updated.properties.subject, /two/);
  assert.equal((await gemel('certificate', 'show', '-n', 'plant')).etag, updated.etag);
  assert.equal((await gemel('certificate', 'list')).length, 1);

  const made = await gemel('dps', 'enrollment', 'create', '--eid', 'pump-9', '--tags', '{"site":"n"}', '--props', '{"a":1}', '-d', 'nine',
    '--rp', 'never', '--ap', 'static', '--ee', 'false', '--modules', '{"DefenderIotMicroAgent":{}}');
  assert.deepEqual([made.deviceId, made.initialTwin, made.reprovisionPolicy.updateHubAssignment], ['nine', { tags: { site: 'n' }, properties: { desired: { a: 1 } } }, false]);
  await refused(1, /already/, 'dps', 'enrollment', 'create', '--eid', 'pump-9');
  await gemel('dps', 'enrollment', 'update', '--eid', 'pump-9', '--ps', 'disabled');
  const shown = await gemel('dps', 'enrollment', 'show', '--eid', 'pump-9', '--keys');
  assert.equal(shown.provisioningStatus, 'disabled');
  assert.deepEqual(shown.attestation, made.attestation, 'the keys stayed');
  assert.equal((await gemel('dps', 'enrollment', 'list')).length, 1);
  await refused(1, /RegistrationNotFound/, 'dps', 'enrollment', 'registration', 'show', '--eid', 'pump-9');
  await gemel('dps', 'enrollment', 'update', '--eid', 'pump-9', '--at', 'x509', '--cp', one.cert, '--scp', two.cert);
  const less = await gemel('dps', 'enrollment', 'update', '--eid', 'pump-9', '--rsc');
  assert.deepEqual(Object.keys(less.attestation.x509.clientCertificates), ['primary']);
  await gemel('dps', 'enrollment', 'delete', '--eid', 'pump-9');

  await gemel('dps', 'enrollment-group', 'create', '--gid', 'by-name', '--ca-name', 'plant');
  const files = await gemel('dps', 'enrollment-group', 'update', '--gid', 'by-name', '--cp', one.cert);
  assert.deepEqual(Object.keys(files.attestation.x509), ['signingCertificates']);
  const group = await gemel('dps', 'enrollment-group', 'create', '--gid', 'keys');
  const key = join(folder, 'group.key');
  writeFileSync(key, group.attestation.symmetricKey.primaryKey);
  const { deviceKey } = await gemel('dps', 'enrollment-group', 'compute-device-key', '--rid', 'sensor-1', '--key', `@${key}`);
  const se = Math.floor(Date.now() / 1000) + 600;
  const { createHmac } = await import('node:crypto');
  const sr = `${hub.facts.idScope}/registrations/sensor-1`;
  const sig = createHmac('sha256', Buffer.from(deviceKey, 'base64')).update(`${sr}\n${se}`).digest('base64');
  await hub.must('PUT', `/${sr}/register?api-version=2021-06-01`, { body: { registrationId: 'sensor-1' },
    token: `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}&skn=registration` });
  assert.equal((await gemel('dps', 'enrollment-group', 'registration', 'list', '--gid', 'keys'))[0].registrationId, 'sensor-1');
  assert.equal((await gemel('dps', 'enrollment-group', 'registration', 'show', '--rid', 'sensor-1')).status, 'assigned');
  assert.equal((await gemel('dps', 'enrollment-group', 'list')).length, 2);
  assert.equal((await gemel('dps', 'enrollment-group', 'show', '--gid', 'keys')).attestation.symmetricKey, undefined);
  await gemel('dps', 'enrollment', 'registration', 'delete', '--eid', 'sensor-1');
  await refused(1, /RegistrationNotFound/, 'dps', 'enrollment-group', 'registration', 'delete', '--rid', 'sensor-1');
  await gemel('dps', 'enrollment-group', 'delete', '--gid', 'by-name');
  await gemel('certificate', 'delete', '-n', 'plant');
  ran.add('dps enrollment registration show').add('dps enrollment-group registration delete');
});

test('jobs', async () => {
  const later = new Date(Date.now() + 3600_000).toISOString();
  const done = await gemel('job', 'create-update-twin', '--job-id', 'quiet', '-q', "deviceId = 'pump'", '--patch', '{"tags":{"quiet":true}}', '--wait');
  assert.deepEqual([done.status, done.deviceJobStatistics.succeededCount], ['completed', 1]);
  assert.equal((await gemel('device-twin', 'show', '-d', 'pump')).tags.quiet, true);
  await gemel('job', 'create-invoke-method', '--jid', 'restart', '-q', '*', '--mn', 'reboot', '--mp', '[1]', '--start', later, '--ttl', '60');
  await refused(1, /JobAlreadyExists/, 'job', 'create-invoke-method', '--jid', 'restart', '-q', '*', '--mn', 'reboot');
  await refused(1, /column/, 'job', 'create-update-twin', '--jid', 'x', '-q', 'deviceId =', '--patch', '{}');
  assert.deepEqual((await gemel('job', 'show', '--job-id', 'restart')).cloudToDeviceMethod.payload, [1]);
  assert.equal((await gemel('job', 'cancel', '--job-id', 'restart')).status, 'cancelled');
  assert.deepEqual((await gemel('job', 'list', '--jt', 'scheduleUpdateTwin', '--js', 'completed')).map((job) => job.jobId), ['quiet']);
});

test('hubs, files, and what needs no hub', async () => {
  const server = ['--host', `${hub.hostName}:${hub.httpsPort}`];
  await gemel('hub', 'create', '-n', 'second', '--host-name', 'second.local', 'other.local', ...server);
  assert.deepEqual((await gemel('hub', 'show', '-n', 'second', ...server)).hostNames, ['second.local', 'other.local']);
  assert.equal((await gemel('hub', 'list', ...server)).length, 2);
  await gemel('hub', 'delete', '-n', 'second', ...server);
  const file = join(folder, 'devices.txt');
  await gemel('hub', 'export', '--file', file);
  await refused(1, /line 1, pump: DeviceAlreadyExists/, 'hub', 'import', '--file', file, '--dry-run');
  assert.match(await gemel('completion', 'bash'), /complete -F/);
  assert.match(await gemel('manual'), /^\.\\"/);
  await gemel('module-identity', 'delete', ...M);
  for (const device of ['pump', 'sensor-1']) await gemel('device-identity', 'delete', '-d', device);
  assert.equal((await gemel('hub', 'import', '--file', file, '--dry-run')).refused, 0);
});

test('every command was run, and prints a table too', async () => {
  assert.deepEqual(commands.filter((c) => !ran.has(c)), []);
  for (const list of [['device-identity'], ['dps', 'enrollment-group']])
    assert.match(await gemel(...list, 'list', '--output', 'table'), /^\S.*\n-/);
});
