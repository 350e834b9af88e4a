// SPDX-License-Identifier: Apache-2.0
// What is saved, what is ignored, what others changed, and how two documents differ.
import assert from 'node:assert/strict';
import test from 'node:test';

import { twinModules } from './twin-modules.mjs';

const {
  applyChanges, applyPatch, clashes, diffLines, foldSame, hubChanges, ignoredMembers, isProblem, mergePatch, ownMembers, patchBetween,
  readJson, readSections, sameSections, sectionsText, theirChanges, twinText, withoutNulls,
} = await twinModules('twin/patch', 'twin/document', 'twin/diff', 'twin/json-edit', 'twin/json-text');

const plain = (value) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));
const inSequence = (text, changes) => changes.reduce((whole, change) => applyChanges(whole, [change]), text);

function twin({ desired = {}, tags = {}, reported = {}, version = 2, desiredVersion = 1, etag = 'AAAAAAAAAAE=' } = {}) {
  return {
    deviceId: 'd', moduleId: 'm', etag, version, tags,
    properties: {
      desired: { ...desired, $metadata: { $lastUpdated: `at ${desiredVersion}` }, $version: desiredVersion },
      reported: { ...reported, $version: version },
    },
  };
}

test('a merge patch makes one section of the other', () => {
  const rows = [
    [{}, {}, undefined],
    [{ a: 1 }, { a: 1 }, undefined],
    [{ a: 1 }, {}, { a: null }],
    [{}, { a: { b: 1 } }, { a: { b: 1 } }],
    [{ a: { b: 1, c: 2 } }, { a: { b: 1, c: 3 } }, { a: { c: 3 } }],
    [{ a: { b: 1 } }, { a: {} }, { a: { b: null } }],
    [{ a: { b: 1 } }, { a: 'x' }, { a: 'x' }],
    [{ a: [1, 2] }, { a: [2] }, { a: [2] }],
    [{ a: 1 }, { a: null }, { a: null }],
    [{}, { a: null }, undefined],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, undefined],
    [{ a: 0 }, { a: false }, { a: false }],
    [{ a: 1 }, { a: '1' }, { a: '1' }],
  ];
  for (const [before, after, expected] of rows) {
    const patch = mergePatch(before, after);
    assert.deepEqual(plain(patch), expected, JSON.stringify([before, after]));
    if (patch) assert.deepEqual(plain(applyPatch(before, patch)), plain(ownMembers(after)));
  }
});

test('names that objects have by birth are names like any other', () => {
  const after = JSON.parse('{"__proto__": {"x": 1}, "constructor": 2, "toString": 3}');
  const patch = mergePatch({}, after);
  assert.equal(JSON.stringify(patch), JSON.stringify(after));
  assert.equal(JSON.stringify(mergePatch(after, {})), '{"__proto__":null,"constructor":null,"toString":null}');
  assert.equal(mergePatch(after, after), undefined);
});

test('only members that both changed, to different values, clash', () => {
  const found = clashes({ a: 1, b: { c: 1, d: 2 }, e: 5, f: null }, { a: 2, b: { c: 1, x: 1 }, e: 5, f: 3 });
  assert.deepEqual(found.map(({ path, theirs, mine }) => [path.join('.'), theirs, mine]), [['a', 1, 2], ['f', undefined, 3]]);
});

test('saving sends what differs of tags and desired and nothing else', () => {
  const base = twin({ desired: { A: 1, B: { c: 2 } }, tags: { t: 'x' } });
  const sections = (change) => {
    const document = JSON.parse(twinText(base));
    change(document);
    return readSections(readJson(JSON.stringify(document)));
  };
  assert.equal(patchBetween(base, sections(() => {})), undefined);
  assert.equal(patchBetween(base, sections((doc) => { doc.etag = 'x'; doc.properties.reported = {}; delete doc.properties.desired.$metadata; })), undefined);
  assert.deepEqual(plain(patchBetween(base, sections((doc) => { delete doc.properties.desired.A; doc.tags.t = 'y'; }))),
    { tags: { t: 'y' }, properties: { desired: { A: null } } });
  assert.deepEqual(plain(patchBetween(base, sections((doc) => { doc.properties.desired.A = null; }))), { properties: { desired: { A: null } } });
  assert.deepEqual(plain(patchBetween(base, sections((doc) => { doc.tags = null; }))), { tags: { t: null } });
});

test('a section that the text does not have stays as it is', () => {
  const base = twin({ desired: { A: 1 }, tags: { t: 'x' } });
  assert.deepEqual(plain(patchBetween(base, readSections(readJson('{"properties": {"desired": {"A": 2}}}')))), { properties: { desired: { A: 2 } } });
  assert.equal(patchBetween(base, readSections(readJson('{"tags": {"t": "x"}}'))), undefined);
});

test('a document of the wrong shape is not saved', () => {
  for (const text of ['[]', '1', '{"properties": 1}', '{"properties": {"desired": []}}', '{"tags": "x"}', '{"a"'])
    assert.ok(isProblem(readSections(readJson(text))), text);
});

test('changes of what is not the person’s are pointed out as not saved', () => {
  const base = twin({ reported: { a: 1 } });
  const document = JSON.parse(twinText(base));
  assert.deepEqual(ignoredMembers(readJson(twinText(base)), base), []);
  document.etag = 'other';
  document.properties.reported.a = 2;
  document.properties.desired.$version = 9;
  document.extra = 1;
  delete document.version;
  assert.deepEqual(ignoredMembers(readJson(JSON.stringify(document)), base).map(({ path }) => path.join('.')),
    ['etag', 'extra', 'properties.reported', 'properties.desired.$version']);
});

test('the hub’s parts follow in the text while the person’s stay as written', () => {
  const before = twin({ desired: { A: 1 }, reported: { r: 1, gone: 1 } });
  const text = twinText(before).replace('"A": 1', '"A":    2, "mine": [ 1,2 ]').replace('"m"', '"edited"');
  const after = { ...twin({ desired: { A: 1 }, reported: { r: 2 }, version: 3 }), connectionState: 'Connected', moduleId: 'm2' };
  const result = inSequence(text, hubChanges(text, before, after));
  assert.match(result, /"A": {4}2, "mine": \[ 1,2 \]/);
  assert.match(result, /"moduleId": "edited"/);
  const { properties, version, connectionState } = JSON.parse(result);
  assert.deepEqual([version, connectionState, properties.reported], [3, 'Connected', { r: 2, $version: 3 }]);
});

test('an untouched text becomes the newer twin’s', () => {
  const before = twin({ reported: { r: 1 } });
  const after = twin({ reported: { r: { deep: [] }, s: 'ü' }, version: 5 });
  assert.equal(inSequence(twinText(before), hubChanges(twinText(before), before, after)), twinText(after));
  assert.deepEqual(hubChanges('{"broken', before, after), []);
});

test('members that are null leave the text when they are saved', () => {
  const text = '{\n  "tags": {\n    "a": null\n  },\n  "properties": {\n    "desired": {\n      "x": null,\n      "y": {\n        "z": null,\n        "k": 1\n      }\n    }\n  }\n}';
  assert.deepEqual(JSON.parse(inSequence(text, withoutNulls(text))), { tags: {}, properties: { desired: { y: { k: 1 } } } });
});

test('what they changed comes into the text, but for what is changed here as well', () => {
  const base = twin({ desired: { A: 1, B: 1, C: 1, D: { x: 1, y: 1 } }, tags: { t: 'old' } });
  const newer = twin({ desired: { A: 2, B: 2, D: { x: 2, y: 1 }, N: true }, tags: { t: 'new' }, desiredVersion: 2 });
  const text = twinText(base).replace('"B": 1', '"B": 7').replace('"y": 1', '"y": 7');
  const mine = patchBetween(base, readSections(readJson(text)));
  const merged = readSections(readJson(inSequence(text, theirChanges(text, base, newer, mine))));
  assert.deepEqual(plain(merged.desired), { A: 2, B: 7, D: { x: 2, y: 7 }, N: true });
  assert.deepEqual(plain(merged.tags), { t: 'new' });
  assert.deepEqual(plain(patchBetween(newer, merged)), { properties: { desired: { B: 7, D: { y: 7 } } } });
});

test('what is compared does not depend on the order of names', () => {
  assert.equal(sectionsText({ tags: { b: 1, a: { d: 1, c: 2 } } }), sectionsText({ tags: { a: { c: 2, d: 1 }, b: 1 }, desired: {} }));
  assert.ok(sameSections(twin({ desired: { a: 1, b: 2 } }), twin({ desired: { b: 2, a: 1 }, desiredVersion: 9, version: 7 })));
  assert.ok(!sameSections(twin({ desired: { a: 1 } }), twin({ desired: { a: 2 } })));
});

test('a difference turns one text into the other with the fewest lines', () => {
  const rows = [['', ''], ['a', 'b'], ['a\nb\nc', 'a\nx\nc'], ['a\nb', 'b\na'], ['', 'a\nb'], ['a\nb\nc\nd', 'd'], ['1\n2\n3\n4\n5', '2\n3\n9\n5\n6']];
  for (const [a, b] of rows) {
    const lines = diffLines(a, b);
    assert.equal(lines.filter(({ kind }) => kind !== 'added').map(({ text }) => text).join('\n'), a);
    assert.equal(lines.filter(({ kind }) => kind !== 'removed').map(({ text }) => text).join('\n'), b);
  }
  assert.deepEqual(diffLines('a\nb\nc', 'a\nx\nc').map(({ kind }) => kind), ['same', 'removed', 'added', 'same']);
  const far = (letter) => Array.from({ length: 3000 }, (_, i) => `${letter}${i}`).join('\n');
  assert.equal(diffLines(far('a'), far('b')).length, 6000);
});

test('equal lines far from a difference are only counted', () => {
  const before = Array.from({ length: 20 }, (_, i) => `line ${i}`);
  const after = [...before.slice(0, 10), 'new', ...before.slice(10)];
  const parts = foldSame(diffLines(before.join('\n'), after.join('\n')), 2);
  assert.deepEqual(parts.map(({ skipped, lines }) => skipped || lines.length), [8, 5, 8]);
  assert.deepEqual(foldSame(diffLines('a\nb', 'a\nb')).map(({ skipped }) => skipped), [2]);
});
