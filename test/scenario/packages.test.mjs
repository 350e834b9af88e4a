// SPDX-License-Identifier: Apache-2.0
// The Debian packages on a machine of their own, with systemd: installed, started, upgraded, removed
// and purged, as an administrator does it who had the original agent before.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { MODULE } from '../harness/agent.mjs';
import { Box, noBox } from '../harness/box.mjs';
import { root, runProgram, temporaryFolder, until } from '../harness/programs.mjs';

const skip = noBox();
const DATA = '/var/lib/gemel-hub/data';
let box;
let packages;

// {agent, hub, cli}: paths of the packages in a folder.
function packagesIn(folder) {
  const find = (name) => join(folder, readdirSync(folder).find((file) => file.startsWith(`${name}_`) && file.endsWith('.deb')));
  return { agent: find('gemel-agent'), hub: find('gemel-hub'), cli: find('gemel') };
}

// The same package with a higher version, as the next release would be. (The box has a /tmp of its
// own, so it lies beside the packages.)
async function next(file) {
  const tree = join(temporaryFolder(), 'tree');
  const newer = join(root, 'build/packages/next.deb');
  for (const [program, args] of [['dpkg-deb', ['-R', file, tree]], ['sed', ['-i', 's/^Version: .*/Version: 9.0.0/', join(tree, 'DEBIAN/control')]],
    ['dpkg-deb', ['--root-owner-group', '-b', tree, newer]]])
    assert.equal((await runProgram(program, args)).code, 0);
  return newer;
}

const gemel = (...args) => box.must('gemel', args, { env: [`GEMEL_LOGIN=${box.login}`, `GEMEL_CA=${DATA}/ca.pem`] }).then(JSON.parse);
const reported = async () => (await gemel('module-twin', 'show', '-d', 'cooler-7', '-m', MODULE)).properties.reported;
const property = async (unit, name) => (await box.must('systemctl', ['show', '-P', name, unit])).trim();

before(async () => {
  if (skip) return;
  const folder = join(root, 'build/packages');
  if (!process.env.GEMEL_PACKAGES) {
    mkdirSync(folder, { recursive: true });
    const built = await runProgram('sh', [join(root, 'tools/package.sh'), folder], { timeoutMs: 600_000 });
    assert.equal(built.code, 0, `${built.stdout}${built.stderr}`.slice(-4000));
  }
  packages = packagesIn(folder);
  box = await Box.booted();
});
after(async () => box?.stop());

test('the hub is installed, made by its own user, started and serves', { skip }, async () => {
  const said = await box.must('dpkg', ['-i', packages.hub, packages.cli]);
  assert.match(said, /gemel-hub init --data-dir/);
  assert.equal(await property('gemel-hub', 'ActiveState'), 'inactive');
  const made = JSON.parse(await box.must('runuser', ['-u', 'gemel-hub', '--', 'gemel-hub', 'init', '--data-dir', DATA, '--output', 'json']));
  box.login = made.connectionString;
  await box.must('systemctl', ['enable', '--now', 'gemel-hub']);
  await until('the hub answers', () => gemel('device-identity', 'list').then(() => true));
  await gemel('device-identity', 'create', '-d', 'cooler-7');
  await gemel('module-identity', 'create', '-d', 'cooler-7', '-m', MODULE);
  const portal = await box.must('curl', ['-s', '--cacert', `${DATA}/ca.pem`, 'https://localhost/']);
  assert.match(portal, /<script/);
});

test('the agent takes over the configuration directory of the original', { skip }, async () => {
  const { connectionString } = await gemel('module-identity', 'connection-string', 'show', '-d', 'cooler-7', '-m', MODULE);
  await box.sh(`mkdir -m 700 /etc/defender_iot_micro_agent
    umask 077
    echo '${connectionString}' > /etc/defender_iot_micro_agent/connection_string.txt
    echo '{"Process_CacheSize": 300}' > /etc/defender_iot_micro_agent/conf.json`);
  const said = await box.must('dpkg', ['-i', packages.agent]);
  assert.match(said, /connection_string\.txt is a copy of/);
  assert.ok(!said.includes('SharedAccessKey'));
  await box.sh(`install -m 644 ${DATA}/ca.pem /etc/gemel-agent/ca.pem`);
  await box.must('systemctl', ['enable', '--now', 'gemel-agent']);
  const state = await until('the agent reports', async () => {
    const section = await reported();
    return section.latest_state && section;
  });
  assert.equal(state.latest_state, 'success');
  assert.equal(state.Process_CacheSize, 300);
});

test('what root renews, for himself alone, is used without a restart', { skip }, async () => {
  const connections = async () => JSON.parse(await box.must('gemel-agent', ['status', '--json'])).connections;
  const before = await connections();
  await box.sh(`install -m 600 ${DATA}/ca.pem /etc/gemel-agent/ca.pem.new && mv /etc/gemel-agent/ca.pem.new /etc/gemel-agent/ca.pem`);
  await until('it connects with it', async () => await connections() > before, { timeoutMs: 60_000, everyMs: 500 });
  assert.equal((await box.must('stat', ['-c', '%U %a', '/etc/gemel-agent/ca.pem'])).trim(), 'root 600');
});

test('the agent runs as its own user, with no more than it needs, and its secrets are its own', { skip }, async () => {
  const pid = await property('gemel-agent', 'MainPID');
  const status = await box.must('cat', [`/proc/${pid}/status`]);
  const owner = (await box.must('id', ['-u', 'gemel-agent'])).trim();
  assert.match(status, new RegExp(`^Uid:\\s+${owner}\\s+${owner}`, 'm'));
  assert.match(status, /^NoNewPrivs:\s+1$/m);
  assert.match(status, /^Seccomp:\s+2$/m);
  assert.match(await box.must('cat', [`/proc/${pid}/limits`]), /^Max core file size\s+0\s+0/m);
  for (const path of ['/etc/gemel-agent/connection_string.txt', '/var/lib/gemel-agent/cache.json']) {
    const read = await box.run('runuser', ['-u', 'nobody', '--', 'cat', path]);
    assert.notEqual(read.code, 0, path);
    assert.match(read.stderr, /Permission denied/);
  }
  const seen = JSON.parse(await box.must('gemel-agent', ['status', '--json']));
  assert.equal(seen.connection, 'connected');
  assert.equal(seen.system_calls, 'filtered');
});

test('the connection is held by a process without any right, the agent has no internet', { skip }, async () => {
  const link = await property('gemel-agent-link', 'MainPID');
  const status = await box.must('cat', [`/proc/${link}/status`]);
  assert.match(status, /^CapPrm:\s+0+$/m);
  assert.match(status, /^CapBnd:\s+0+$/m);
  const sockets = await box.must('ss', ['-Htnp', 'state', 'established', 'dport', '=', ':8883']);
  assert.match(sockets, new RegExp(`pid=${link},`));
  assert.ok(!sockets.includes(`pid=${await property('gemel-agent', 'MainPID')},`));
});

test('by hand, too, it can start no program', { skip }, async () => {
  const pid = await box.sh('gemel-agent run --state-dir /var/by-hand >/dev/null 2>&1 & echo $!');
  await until('it runs', async () => (await box.run('gemel-agent', ['status', '--state-dir', '/var/by-hand'])).code === 0);
  const status = await box.must('cat', [`/proc/${pid.trim()}/status`]);
  assert.match(status, /^Seccomp:\s+2$/m);
  assert.match(status, /^NoNewPrivs:\s+1$/m);
  const [, effective] = /^CapEff:\s+([0-9a-f]+)$/m.exec(status);
  assert.equal(BigInt(`0x${effective}`) & (1n << 21n), 0n, 'not CAP_SYS_ADMIN');
  await box.must('kill', [pid.trim()]);
  await until('it has ended', async () => (await box.run('kill', ['-0', pid.trim()])).code !== 0);
});

test('the units are as closed as they can be: below 2.0', { skip }, async () => {
  for (const unit of ['gemel-agent', 'gemel-agent-link', 'gemel-hub']) {
    const { code, stdout } = await box.run('systemd-analyze', ['security', '--no-pager', '--threshold=19', unit]);
    assert.equal(code, 0, stdout.split('\n').at(-2));
  }
});

test('the agent sees /tmp as it is, and cannot write there', { skip }, async () => {
  const pid = await property('gemel-agent', 'MainPID');
  await box.sh('touch /tmp/seen-by-the-agent');
  const inside = (args) => box.run('nsenter', ['-t', pid, '-m', '-r', ...args]);
  assert.equal((await inside(['test', '-e', '/tmp/seen-by-the-agent'])).code, 0);
  for (const path of ['/tmp/written', '/etc/written', '/var/log/written'])
    assert.notEqual((await inside(['touch', path])).code, 0, path);
});

test('a process of another user is seen whole', { skip }, async () => {
  // In a network namespace of its own the kernel tells nothing of processes: they are polled.
  await box.must('runuser', ['-u', 'nobody', '--', '/bin/sleep', '2.0625']);
  await box.must('systemctl', ['restart', 'gemel-agent']);
  await until('the event arrives', async () => {
    const lines = await box.must('gemel', ['monitor-events', '--from', 'earliest', '--timeout', '1', '--output', 'json'],
      { env: [`GEMEL_LOGIN=${box.login}`, `GEMEL_CA=${DATA}/ca.pem`] });
    const events = lines.trim().split('\n').filter(Boolean).flatMap((line) => JSON.parse(line).body.events);
    return events.some(({ payload }) => payload.commandline === '/bin/sleep 2.0625' && payload.user_name === 'nobody'
      && /\/sleep$/.test(payload.executable));
  }, { timeoutMs: 60_000, everyMs: 500 });
});

test('an upgrade restarts the agent and keeps its configuration and its state', { skip }, async () => {
  const before = await property('gemel-agent', 'MainPID');
  await box.must('dpkg', ['-i', await next(packages.agent)]);
  await until('another process runs', async () => {
    const pid = await property('gemel-agent', 'MainPID');
    return pid !== '0' && pid !== before && await property('gemel-agent', 'ActiveState') === 'active';
  });
  assert.equal((await reported()).Process_CacheSize, 300);
});

test('removing stops the agent and keeps what is its own; purging removes that', { skip }, async () => {
  await box.must('dpkg', ['-r', 'gemel-agent']);
  assert.notEqual((await box.run('pgrep', ['-x', 'gemel-agent'])).code, 0);
  await box.sh('test -s /etc/gemel-agent/connection_string.txt && test -d /var/lib/gemel-agent');
  await box.must('dpkg', ['-P', 'gemel-agent']);
  await box.sh('test ! -e /etc/gemel-agent && test ! -e /var/lib/gemel-agent && test -s /etc/defender_iot_micro_agent/connection_string.txt');
  await box.sh('test -z "$(find /etc/systemd/system /run -name "gemel-agent*")"');
});

test('purging the hub leaves its data to a person, and says so', { skip }, async () => {
  const said = await box.must('dpkg', ['-P', 'gemel-hub', 'gemel']);
  assert.match(said, /the data in \/var\/lib\/gemel-hub stay/);
  await box.sh(`test -d ${DATA}`);
});
