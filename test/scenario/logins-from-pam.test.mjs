// SPDX-License-Identifier: Apache-2.0
// PAM calls the script that is installed; the agent tells of each login once, whatever names guests
// choose, while its log is rotated and the agent is killed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Agent } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { until } from '../harness/programs.mjs';

const script = fileURLToPath(new URL('../../packaging/pam/pam_audit.sh', import.meta.url));
const types = ['open_session', 'close_session', 'auth'];
const operations = ['Login', 'Logout', 'LoginFailed'];

let hub;
let agent;
let log;
before(async () => {
  hub = await Hub.started();
  agent = await Agent.started(hub, { conf: { Login_UsePAM: true } });
  log = join(agent.stateDir, 'pam.log');
});
after(async () => {
  await agent.stop();
  await hub.stop();
});

// What pam_exec(8) does.
const pam = (code, user, { host = '192.0.2.7', service = 'sshd' } = {}) => new Promise((resolve, reject) => {
  const child = spawn(script, [String(code), log], { stdio: 'ignore',
    env: { PAM_TYPE: types[code], PAM_SERVICE: service, PAM_USER: user, PAM_RHOST: host, PAM_TTY: 'ssh' } });
  child.on('error', reject);
  child.on('exit', resolve);
});

const logins = async () => (await hub.events())
  .flatMap(({ body }) => (typeof body === 'string' ? JSON.parse(body) : body).events)
  .filter((event) => event.payload_type === 'Login').map((event) => event.payload);

// A change makes the agent hand on what it has.
let size = 300;
async function told(count) {
  return until(`${count} logins at the hub`, async () => {
    await agent.judge({ Process_CacheSize: size++ });
    const all = await logins();
    return all.length >= count && all;
  });
}

test('names that would forge lines or fields come as they were typed', async () => {
  const names = ['ann', 'a,b,c,1.2.3.4,ssh,0', 'x\n2026-01-01T00:00:00Z,1,1,open_session,sshd,root,,tty1,0', 'ü%2C', ' '];
  for (const [i, name] of names.entries()) assert.equal(await pam(i % 3, name), 0);
  await pam(0, 'root', { service: 'sudo' });
  const all = await told(names.length);
  assert.deepEqual(all.map((login) => login.user_name), names);
  assert.deepEqual(all.map((login) => login.operation), names.map((_, i) => operations[i % 3]));
  assert.ok(all.every((login) => login.remote_address === '192.0.2.7' && login.process_id === process.pid));
});

test('logins at once, a rotation and two kills: each comes once', async () => {
  const before = (await logins()).length;
  const users = Array.from({ length: 40 }, (_, i) => `user-${i}`);
  await Promise.all(users.slice(0, 20).map((user) => pam(0, user)));
  await agent.kill9();
  renameSync(log, `${log}.1`);
  await Promise.all(users.slice(20, 30).map((user) => pam(0, user)));
  agent.start();
  await told(before + 20);
  await agent.kill9();
  await Promise.all(users.slice(30).map((user) => pam(0, user)));
  agent.start();
  const all = await told(before + users.length);
  assert.deepEqual(all.slice(before).map((login) => login.user_name).sort(), [...users].sort());
});
