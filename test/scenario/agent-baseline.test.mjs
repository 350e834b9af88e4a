// SPDX-License-Identifier: Apache-2.0
// The security baseline of this very machine, at the hub: the trial file's finding, checks that are
// switched off through the twin while the agent runs, and check files that somebody altered.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';

import { Agent } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';
import { programs, temporaryFolder, until } from '../harness/programs.mjs';

const trial = '/tmp/DefenderForIoTOSBaselineTrigger.txt';
const own = temporaryFolder();

let hub;
let agent;
before(async () => {
  // The operator's directory: a copy of the installed files, one of them with another byte.
  const installed = join(dirname(programs.agent), 'baseline/checks');
  for (const name of ['dil-2.0.0.json', 'dil-2.0.0.json.sig']) cpSync(join(installed, name), join(own, name));
  const altered = readFileSync(join(own, 'dil-2.0.0.json'), 'utf8').replace('"WARNING"', '"warning"');
  hub = await Hub.started();
  writeFileSync(trial, '');
  agent = await Agent.make(hub, { args: ['--first-delay', '0'], conf: { Baseline_Directory: own } });
  agent.start();
  agent.alter = () => writeFileSync(join(own, 'dil-2.0.0.json'), altered);
});
after(async () => {
  rmSync(trial, { force: true });
  await agent.stop();
  await hub.stop();
});

// The results of the scan number `at`, by id without what names the system.
const scan = (at) => until(`scan ${at}`, async () => {
  const scans = new Map();
  for (const message of await hub.events({ deviceId: agent.deviceId }))
    for (const { payload_type: type, payload } of message.body.events)
      if (type === 'Baseline') scans.set(payload.scan_id, [...(scans.get(payload.scan_id) ?? []), payload]);
  const parts = [...scans.values()][at];
  return parts?.some((part) => part.last)
    && new Map(parts.flatMap((part) => part.baseline_checks).map((check) => [check.id.split('-').slice(3).join('-'), check]));
});

const TRIAL = 'DEFENDER_FOR_IOT_TEST_CHECKS-0.0';
const TMP = 'Filesystem_Configuration-1.1.2';

test('every check has a result, and the trial file its finding', async () => {
  const checks = await scan(0);
  assert.ok(checks.size >= 150, `${checks.size} checks`);
  const found = checks.get(TRIAL);
  assert.equal(found.result, 'FAIL');
  assert.match(found.id, /^CIS-[^-]+-[^-]+-DEFENDER_FOR_IOT_TEST_CHECKS-0\.0$/);
  assert.equal(found.error, `${trial} exists`);
  for (const [id, check] of checks) {
    assert.ok(['PASS', 'FAIL', 'SKIP', 'ERROR'].includes(check.result), id);
    assert.equal(check.error === undefined, check.result === 'PASS', id);
  }
  assert.ok(checks.has(TMP));
});

test('what is switched off through the twin is gone from the next scan, at once', async () => {
  rmSync(trial);
  await agent.judge({ Baseline_ChecksDisabled: '1.1.2', Baseline_GroupsDisabled: 'Time Synchronization, Configure cron' });
  const checks = await scan(1);
  assert.ok(!checks.has(TMP));
  assert.deepEqual([...checks.keys()].filter((id) => /^(Time_Synchronization|Configure_cron)-/.test(id)), []);
  assert.equal(checks.get(TRIAL).result, 'PASS');
});

test('a check file that was altered is told, and the rest goes on', async () => {
  agent.alter();
  await agent.judge({ Baseline_ChecksDisabled: null, Baseline_GroupsDisabled: null });
  const checks = await scan(2);
  assert.equal(checks.get('Check_Files-0.1').result, 'ERROR');
  assert.match(checks.get('Check_Files-0.1').error, /dil-2\.0\.0\.json: the signature is not by a trusted key/);
  assert.ok(checks.size >= 150);
  assert.equal((await agent.status()).collectors.Baseline.files_refused, 1);
});
