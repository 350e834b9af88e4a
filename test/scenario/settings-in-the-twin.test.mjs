// SPDX-License-Identifier: Apache-2.0
// A person changes desired by REST; a real agent judges, applies and reports.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { Agent } from '../harness/agent.mjs';
import { Hub } from '../harness/hub.mjs';

const schema = JSON.parse(readFileSync(new URL('../../docs/reference/settings.schema.json', import.meta.url)));
const settings = Object.entries(schema.properties).filter(([, p]) => !p['x-alias-of']);

let hub;
let agent;
let first;
before(async () => {
  hub = await Hub.started();
  agent = await Agent.make(hub);
  agent.start();
  first = await agent.verdict(1);
});
after(async () => {
  await agent.stop();
  await hub.stop();
});

const values = (reported) => Object.fromEntries(Object.entries(reported)
  .filter(([key]) => !key.startsWith('$') && !key.startsWith('latest_')));

function assertSuccess(reported) {
  assert.equal(reported.latest_state, 'success', JSON.stringify(reported.latest_errors));
  assert.equal(reported.latest_invalid_fields, '');
}

function assertFailed(reported, ...fields) {
  assert.equal(reported.latest_state, 'failed');
  assert.equal(reported.latest_invalid_fields, fields.sort().join(','));
  assert.deepEqual(Object.keys(reported.latest_errors ?? {}).sort(), fields);
}

const clear = () => agent.judge(Object.fromEntries([...settings.map(([name]) => [name, null]),
  ['nonsense', null], ['Process_CachSize', null], ['Statistics_CacheSize', null]]));

test('the first report holds every default, in alphabetical order, before the verdict', () => {
  assertSuccess(first);
  for (const [name, { default: value }] of settings)
    assert.deepEqual(first[name], value, name);
  const names = Object.keys(first).filter((k) => /^[A-Z]/.test(k));
  assert.deepEqual(names, [...names].sort((a, b) => (a < b ? -1 : 1)));
  assert.equal(first.latest_desired_version, 1);
  assert.match(first.agent_version, /^\d+\.\d+/);
});

test('a valid change is applied and reported', async () => {
  const reported = await agent.judge({ Process_MessageFrequency: 'High', Heartbeat_Disabled: true });
  assertSuccess(reported);
  assert.equal(reported.Process_MessageFrequency, 'High');
  assert.equal(reported.Heartbeat_Disabled, true);
});

test('an invalid change is named and explained, and nothing changes', async () => {
  const reported = await agent.judge({ Process_CacheSize: 0 });
  assertFailed(reported, 'Process_CacheSize');
  assert.match(reported.latest_errors.Process_CacheSize, /\d/);
  assert.equal(reported.Process_MessageFrequency, 'High');
  assert.equal(reported.Process_CacheSize, 256);
});

test('a good field beside the bad one is not applied either', async () => {
  const reported = await agent.judge({ FileSystem_Recursive: false });
  assertFailed(reported, 'Process_CacheSize');
  assert.equal(reported.FileSystem_Recursive, true);
});

test('once the bad one is right, all of it is applied', async () => {
  const reported = await agent.judge({ Process_CacheSize: 512 });
  assertSuccess(reported);
  assert.equal(reported.Process_CacheSize, 512);
  assert.equal(reported.FileSystem_Recursive, false);
  assert.deepEqual(reported.latest_errors, {});
});

test('several bad fields are all named, in alphabetical order', async () => {
  const reported = await agent.judge({ SBoM_Disabled: 'yes', Baseline_MessageFrequency: 'often',
    nonsense: 1, Process_CachSize: 5, Login_UsePAM: null });
  assertFailed(reported, 'Baseline_MessageFrequency', 'Process_CachSize', 'SBoM_Disabled', 'nonsense');
  assert.match(reported.latest_errors.Process_CachSize, /Process_CacheSize/);
});

test('removed keys return to their defaults', async () => {
  const reported = await clear();
  assertSuccess(reported);
  assert.deepEqual(values(reported), values(first));
});

test('the two names of one setting agree or are refused together', async () => {
  assertSuccess(await agent.judge({ Statistics_CacheSize: 100, StatisticEvents_CacheSize: 100 }));
  const reported = await agent.judge({ StatisticEvents_CacheSize: 101 });
  assert.equal(reported.latest_state, 'failed');
  assert.match(reported.latest_invalid_fields, /StatisticEvents_CacheSize/);
  const alias = await agent.judge({ StatisticEvents_CacheSize: null });
  assertSuccess(alias);
  assert.equal(alias.StatisticEvents_CacheSize, 100);
  assert.equal(alias.Statistics_CacheSize, undefined);
  await clear();
});

// What each setting takes and refuses follows from the schema that the same table prints.
function examples(name, property) {
  if (property.type === 'boolean') return { good: [true, false], bad: ['true', 1, 0, [], {}] };
  if (property.type === 'integer')
    return { good: [property.minimum, property.maximum], bad: [property.minimum - 1, property.maximum + 1, 1.5, `${property.minimum}`, true, [1]] };
  if (property.enum) return { good: property.enum, bad: [property.enum[0].toLowerCase(), '', 1, true, [property.enum[0]]] };
  if (name === 'CollectorsCore_PriorityIntervals')
    return { good: ['1,1,1', '10080, 10080 ,10080', '2,7,1440'], bad: ['0,1,1', '1,1,10081', '3,2,1', '1,1', '1,1,1,1', '1,a,1', '', 30, '-1,2,3'] };
  return { good: [''], bad: [1, true, [], {}, 'x'.repeat((property.maxLength ?? 4000) + 1)] };
}

// Netlink needs rights that the test may lack, a transport leads away from this hub.
const skipped = { Process_Mode: [2], IothubModule_TransportProtocol: null };

for (const [name, property] of settings) {
  if (skipped[name] === null) continue;
  test(`${name}: its bounds are applied, beyond them and of a wrong type is refused`, async () => {
    const { good, bad } = examples(name, property);
    await clear(); // whatever became of the test before
    for (const value of good.filter((v) => !skipped[name]?.includes(v))) {
      const reported = await agent.judge({ [name]: value });
      assertSuccess(reported);
      if (typeof value !== 'string' || property.enum) assert.equal(reported[name], value);
    }
    const before = values(await agent.reported());
    for (const value of bad) {
      if (typeof value === 'string' && value.length > 4096) continue;
      const reported = await agent.judge({ [name]: value });
      assertFailed(reported, name);
      assert.deepEqual(values(reported), before, `${name}: ${JSON.stringify(value)}`);
    }
    const reported = await agent.judge({ [name]: null });
    assertSuccess(reported);
    assert.equal(reported[name], property.default);
  });
}

test('a hundred changes in quick succession end in the last one', async () => {
  let version;
  for (let i = 1; i <= 100; i++) version = await agent.desire({ Process_CacheSize: 100 + i });
  const reported = await agent.verdict(version);
  assertSuccess(reported);
  assert.equal(reported.Process_CacheSize, 200);
});

test('a document replaced by PUT is applied as a whole', async () => {
  await agent.judge({ Heartbeat_Disabled: true, Process_CacheSize: 300 });
  const twin = await hub.must('PUT', hub.twinPath(agent.deviceId, 'DefenderIotMicroAgent'),
    { body: { properties: { desired: { Login_UsePAM: true } } }, headers: { 'if-match': '*' } });
  const reported = await agent.verdict(twin.properties.desired.$version);
  assertSuccess(reported);
  assert.equal(reported.Login_UsePAM, true);
  assert.equal(reported.Heartbeat_Disabled, false);
  assert.equal(reported.Process_CacheSize, 256);
});

test('only differences are sent', async () => {
  const before = await agent.reported();
  const reported = await agent.judge({ Process_CacheSize: 77 });
  const changed = Object.keys(reported.$metadata).filter((key) => !key.startsWith('$')
    && JSON.stringify(reported.$metadata[key]) !== JSON.stringify(before.$metadata[key]));
  assert.deepEqual(changed.sort(), ['Process_CacheSize', 'latest_desired_version']);
});
