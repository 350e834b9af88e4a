// SPDX-License-Identifier: Apache-2.0
// The twin on the desk against a hub that is only a few lines long: saving, being overtaken, the hub
// being away, and what is said meanwhile.
import assert from 'node:assert/strict';
import test from 'node:test';

import { twinModules } from './twin-modules.mjs';

const { ApiError, TwinDesk, applyChanges, applyPatch, follow, progressOf } =
  await twinModules('twin/desk', 'twin/watch', 'twin/progress', 'twin/json-edit', 'twin/patch', 'api/http');

function fakeHub() {
  const hub = { desired: { A: 1 }, tags: {}, reported: {}, version: 2, desiredVersion: 1, etag: 1, connectionState: 'Connected', delivered: 1 };
  hub.twin = () => ({
    deviceId: 'd', moduleId: 'm', etag: `e${hub.etag}`, version: hub.version, tags: { ...hub.tags },
    properties: { desired: { ...hub.desired, $version: hub.desiredVersion }, reported: { ...hub.reported } },
  });
  hub.watch = () => ({ twin: hub.twin(), connectionState: hub.connectionState, connectionStateUpdatedTime: '2026-01-02T03:04:05Z', lastActivityTime: '', delivered: hub.delivered });
  hub.save = (patch) => {
    hub.desired = { ...applyPatch(hub.desired, patch.properties?.desired ?? {}) };
    hub.tags = { ...applyPatch(hub.tags, patch.tags ?? {}) };
    hub.etag++;
    hub.version++;
    hub.desiredVersion++;
  };
  hub.report = (state, errors = {}) => {
    hub.reported = { latest_state: state, latest_invalid_fields: Object.keys(errors).join(','), latest_errors: errors, latest_desired_version: hub.desiredVersion };
    hub.version++;
  };
  return hub;
}

async function onDesk({ judged = true, hub = fakeHub() } = {}) {
  const said = [];
  const slept = [];
  const before = [];
  const after = [];
  const ports = {
    load: async () => hub.watch(),
    save: async (patch, etag) => {
      const act = before.shift();
      if (act) await act();
      if (etag !== `e${hub.etag}`) throw new ApiError(412, 'PreconditionFailed', 'not the etag');
      hub.save(patch);
      await after.shift()?.();
      return hub.twin();
    },
    restore: async (_id, etag) => {
      if (etag !== `e${hub.etag}`) throw new ApiError(412, 'PreconditionFailed', 'not the etag');
      hub.save({ properties: { desired: { A: 42 } } });
      return hub.twin();
    },
    sleep: async (ms) => { slept.push(ms); },
    say: (sentence, kind) => said.push(`${kind}: ${sentence}`),
  };
  const work = new TwinDesk(ports, judged);
  await work.arrive(hub.watch());
  const state = () => work.state.get();
  const desired = () => JSON.parse(state().json.text).properties.desired;
  return { hub, work, said, slept, before, after, state, desired, type: (text) => work.edited(text), arrive: () => work.arrive(hub.watch()) };
}

test('what is chosen in the form is in the text, and saved', async () => {
  const { work, state, desired, hub, said } = await onDesk();
  assert.equal(state().dirty, false);
  work.setField('B', true);
  work.removeField('A');
  assert.deepEqual(desired(), { B: true, $version: 1 });
  assert.equal(state().dirty, true);
  await work.save();
  assert.deepEqual(hub.desired, { B: true });
  assert.equal(state().dirty, false);
  assert.equal(desired().$version, 2);
  assert.match(said.at(-1), /^busy: Version 2 .* stored and on its way/);
});

test('the person’s writing survives saving', async () => {
  const { work, state, type } = await onDesk();
  const text = '{ "properties":{"desired":{ "A" : 2 , "gone": null } } }';
  type(text);
  await work.save();
  assert.equal(state().json.text, '{ "properties":{"desired":{ "A" : 2 } } }');
});

test('nothing is sent when nothing is changed or the text cannot be read', async () => {
  const { work, said, type, hub } = await onDesk();
  await work.save();
  assert.match(said.at(-1), /nothing to save/);
  type('{\n"properties": {,}');
  await work.save();
  assert.match(said.at(-1), /^failed: Not saved: line 2/);
  assert.equal(hub.etag, 1);
});

test('a change on the hub shows at once where nothing is edited', async () => {
  const { arrive, hub, desired, state } = await onDesk();
  hub.save({ properties: { desired: { A: 5 } } });
  await arrive();
  assert.equal(desired().A, 5);
  assert.equal(state().newer, undefined);
});

test('a change on the hub never overwrites an edit', async () => {
  const { arrive, hub, work, desired, state, said } = await onDesk();
  work.setField('A', 7);
  hub.save({ properties: { desired: { A: 5, C: 1 } } });
  await arrive();
  assert.equal(desired().A, 7);
  assert.ok(state().newer);
  assert.match(said.at(-1), /Somebody else/);
  await work.save();
  assert.equal(state().choosing, true);
  assert.equal(hub.desired.A, 5);
  await work.keepMine();
  assert.deepEqual(hub.desired, { A: 7, C: 1 });
  assert.deepEqual(desired(), { A: 7, C: 1, $version: 3 });
});

test('an edit that the text cannot be read with is not overwritten either', async () => {
  const { arrive, hub, type, state, work } = await onDesk();
  type('{"half');
  hub.save({ properties: { desired: { A: 5 } } });
  await arrive();
  assert.equal(state().json.text, '{"half');
  assert.ok(state().newer);
  work.takeTheirs();
  assert.equal(JSON.parse(state().json.text).properties.desired.A, 5);
});

test('a report that comes while the text cannot be read is shown when it can', async () => {
  const { arrive, hub, type, state } = await onDesk();
  const text = state().json.text;
  type(text.slice(0, -1));
  hub.report('success');
  await arrive();
  type(text);
  await Promise.resolve();
  assert.equal(JSON.parse(state().json.text).properties.reported.latest_state, 'success');
});

test('who is overtaken while saving is asked, and theirs can be taken', async () => {
  const { work, before, hub, state, desired, said } = await onDesk();
  work.setField('A', 7);
  before.push(() => hub.save({ properties: { desired: { A: 5 } } }));
  await work.save();
  assert.equal(state().choosing, true);
  assert.match(said.at(-1), /^failed: Not saved: somebody else/);
  work.takeTheirs();
  assert.equal(desired().A, 5);
  assert.equal(state().dirty, false);
});

test('a stale etag alone, or the same change by another, needs no question', async () => {
  const { work, before, hub, state } = await onDesk();
  work.setField('A', 7);
  before.push(() => { hub.etag++; });
  await work.save();
  assert.equal(hub.desired.A, 7);
  work.setField('A', 8);
  before.push(() => hub.save({ properties: { desired: { A: 8 } } }));
  await work.save();
  assert.equal(state().choosing, false);
  assert.equal(state().dirty, false);
});

test('the text becomes theirs with mine on top, unsaved, to be edited further', async () => {
  const { work, arrive, hub, desired, state } = await onDesk();
  work.setField('B', 1);
  hub.save({ tags: { t: 'x' }, properties: { desired: { A: null, C: 3 } } });
  await arrive();
  work.editMerged();
  assert.deepEqual(desired(), { B: 1, C: 3, $version: 2 });
  assert.equal(state().dirty, true);
  assert.deepEqual(hub.desired, { C: 3 });
});

test('while the hub is away saving is tried again; what was stored unheard counts as saved', async () => {
  const away = () => { throw new ApiError(0, 'NoAnswer', 'away'); };
  const { work, before, slept, hub, state } = await onDesk();
  work.setField('A', 7);
  before.push(away, () => { hub.save({ properties: { desired: { A: 7 } } }); away(); });
  await work.save();
  assert.deepEqual(slept, [500, 1000]);
  assert.equal(hub.desiredVersion, 2);
  assert.equal(state().dirty, false);
});

test('when the hub stays away the edits stay, and it is said', async () => {
  const { work, before, said, state } = await onDesk();
  work.setField('A', 7);
  before.push(...Array.from({ length: 9 }, () => () => { throw new ApiError(503, '', 'The hub is full.'); }));
  await work.save();
  assert.match(said.at(-1), /^failed: Not saved: The hub is full\. Your changes are kept/);
  assert.equal(state().dirty, true);
  assert.equal(state().saving, false);
});

test('news that come while saving wait, and are not taken for somebody else’s', async () => {
  const { work, after, hub, arrive, state, said } = await onDesk();
  work.setField('A', 7);
  after.push(async () => {
    work.setField('B', 2);
    await arrive();
    assert.equal(state().newer, undefined);
  });
  await work.save();
  assert.equal(state().newer, undefined);
  assert.doesNotMatch(said.join(' '), /Somebody/);
  hub.report('failed', { A: 'is 7; allowed is 1' });
  await arrive();
  assert.match(said.at(-1), /^failed: .*failed\. Invalid: A\./);
});

test('what is typed while saving is kept', async () => {
  const { work, before, hub, desired, state } = await onDesk();
  work.setField('A', 7);
  before.push(() => work.setField('B', 2));
  await work.save();
  assert.deepEqual(hub.desired, { A: 7 });
  assert.equal(desired().B, 2);
  assert.equal(state().dirty, true);
});

test('an old answer does not bring back an old twin, a twin made anew is taken', async () => {
  const { work, hub, state } = await onDesk();
  const old = hub.watch();
  work.setField('A', 7);
  await work.save();
  await work.arrive(old);
  assert.equal(state().base.properties.desired.A, 7);
  Object.assign(hub, { desired: {}, version: 1, desiredVersion: 1, etag: 0 });
  await work.arrive(hub.watch());
  assert.equal(state().base.version, 1);
});

test('restoring is refused when somebody saved meanwhile, and shown when it is done', async () => {
  const { work, hub, desired, said } = await onDesk();
  assert.equal(await work.restore(3), true);
  assert.equal(desired().A, 42);
  hub.save({ tags: { x: 1 } });
  assert.equal(await work.restore(3), false);
  assert.match(said.at(-1), /^failed: Not restored/);
});

test('silence is said once, and the state again when it ends', async () => {
  const { work, said } = await onDesk();
  const count = said.length;
  for (const ms of [500, 1000, 2000]) work.silent(ms);
  assert.equal(said.length, count + 1);
  work.silent(0);
  assert.match(said.at(-1), /Version 1/);
});

test('waiting says neither of the words that a verdict is known by', async () => {
  const { work, hub, arrive, said } = await onDesk();
  hub.report('success');
  await arrive();
  assert.match(said.at(-1), /success/);
  said.length = 0;
  work.setField('A', 7);
  await work.save();
  hub.delivered = 2;
  await arrive();
  hub.connectionState = 'Disconnected';
  await arrive();
  assert.ok(said.length >= 3);
  for (const sentence of said) assert.doesNotMatch(sentence.replace(/^\w+: /, ''), /success|failed/);
});

const situation = (part, { desired = 3, about = 3, state = 'success', fields = '' } = {}) => ({
  twin: { properties: { desired: { $version: desired, $metadata: { $lastUpdated: '2026-01-02T00:00:00Z' } },
    reported: { ...(state && { latest_state: state, latest_invalid_fields: fields }), ...(about && { latest_desired_version: about }), ...part.reported } } },
  judged: true, connectionState: 'Connected', connectionStateUpdatedTime: '2026-01-02T03:04:05.1234567Z', delivered: null, ...part,
});

test('the steps follow delivery and verdict', () => {
  const states = (...of) => progressOf(situation(...of)).steps.map(({ state }) => state).join(' ');
  assert.equal(states({}), 'done done done');
  assert.equal(states({}, { state: 'failed' }), 'done done failed');
  assert.equal(states({}, { about: 2 }), 'done waiting ahead');
  assert.equal(states({ delivered: 3 }, { about: 2 }), 'done done waiting');
  assert.equal(states({ connectionState: 'Disconnected' }, { about: 2 }), 'done waiting ahead');
  assert.equal(states({}, { state: '', about: 0 }), 'done waiting ahead');
  assert.equal(states({ judged: false, delivered: 3 }), 'done done');
});

test('a module that is away is told since when, one that never came as well', () => {
  assert.match(progressOf(situation({ connectionState: 'Disconnected' }, { about: 2 })).sentence, /Disconnected since 2 Jan 2026.*waits for it/);
  const never = { connectionState: 'Disconnected', connectionStateUpdatedTime: '0001-01-01T00:00:00Z' };
  assert.match(progressOf(situation(never, { about: 2 })).sentence, /Not connected so far/);
});

test('each bad field has its reason, named or not', () => {
  const reported = { latest_errors: { B: 'is 0', _left_out: 3, $x: 1 } };
  const { reasons, sentence } = progressOf(situation({ reported }, { state: 'failed', fields: 'A,B' }));
  assert.deepEqual([...reasons], [['A', ''], ['B', 'is 0']]);
  assert.match(sentence, /failed\. Invalid: A, B\./);
  assert.equal(progressOf(situation({ reported }, { state: 'failed', about: 2 })).reasons.size, 0);
});

test('without the version of a verdict its time decides', () => {
  const at = (when) => progressOf(situation({ reported: { $metadata: { latest_state: { $lastUpdated: when } } } }, { about: 0 })).outcome;
  assert.equal(at('2026-01-02T00:00:01Z'), 'success');
  assert.equal(at('2026-01-01T23:59:59Z'), 'waiting');
});

async function followed(answers, { stopAfter = answers.length } = {}) {
  const stop = new AbortController();
  const asked = [];
  const events = [];
  const slept = [];
  await follow({
    poll: async (...question) => {
      asked.push(question);
      const answer = answers[asked.length - 1];
      if (asked.length >= stopAfter) setTimeout(() => stop.abort());
      if (asked.length > answers.length) return new Promise((resolve) => stop.signal.addEventListener('abort', () => resolve(undefined)));
      if (answer instanceof Error) throw answer;
      return answer;
    },
    sleep: async (ms) => { slept.push(ms); },
    onNews: (news) => events.push(news.twin.version),
    onSilence: (ms) => events.push(`silence ${ms}`),
    onEnd: (error) => events.push(`end ${error.status}`),
  }, stop.signal);
  return { asked, events, slept };
}

const news = (version, { delivered = 1, connectionState = 'Connected', desired = 1 } = {}) =>
  ({ twin: { version, properties: { desired: { $version: desired } } }, connectionState, delivered });

test('each poll asks for what is newer than the last', async () => {
  const { asked, events } = await followed([news(4), undefined, news(5), undefined], { stopAfter: 5 });
  assert.deepEqual(asked, [[0, '', 0], [4, 'Connected', 25], [4, 'Connected', 25], [5, 'Connected', 25], [5, 'Connected', 25]]);
  assert.deepEqual(events, [4, 5]);
});

test('a hub that is away is asked ever later, and its return is told', async () => {
  const away = new ApiError(0, '', '');
  const { events, slept } = await followed([news(4), away, away, new ApiError(503, '', ''), news(6)], { stopAfter: 6 });
  assert.deepEqual(slept, [500, 1000, 2000]);
  assert.deepEqual(events, [4, 'silence 500', 'silence 1000', 'silence 2000', 'silence 0', 6]);
});

test('a twin that is gone or forbidden is asked for no more', async () => {
  for (const status of [404, 403]) assert.deepEqual((await followed([news(4), new ApiError(status, '', '')])).events, [4, `end ${status}`]);
});

test('while a delivery is awaited the twin is read in between, but not for ever', async () => {
  const pending = news(4, { desired: 2 });
  const answers = [pending, undefined, pending, undefined, news(4, { desired: 2, delivered: 2 }), undefined];
  const { asked } = await followed(answers, { stopAfter: 7 });
  assert.deepEqual(asked.slice(1, 5), [[4, 'Connected', 1], [0, '', 0], [4, 'Connected', 1], [0, '', 0]]);
  assert.deepEqual(asked[6], [4, 'Connected', 25]);
  const never = [pending, ...Array.from({ length: 15 }, () => [undefined, pending]).flat(), undefined];
  const long = await followed(never, { stopAfter: never.length + 1 });
  assert.deepEqual(long.asked.at(-1), [4, 'Connected', 25]);
});

test('a hub that answers at once with nothing new is not asked without a pause', async () => {
  const { slept } = await followed([news(4), news(4), news(4)], { stopAfter: 4 });
  assert.deepEqual(slept, [500, 500]);
});
