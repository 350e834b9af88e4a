// SPDX-License-Identifier: Apache-2.0
// The form that is drawn from the settings' schema, and the marks in the text.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { twinModules } from './twin-modules.mjs';

const { fieldOf, groupsOf, isShown, lineOf, marksOf, readJson, shownValue, strangers, typedValue, unitsOfBytes } =
  await twinModules('twin/settings-form', 'twin/marks', 'twin/json-text');

const schema = JSON.parse(readFileSync(new URL('../../docs/reference/settings.schema.json', import.meta.url), 'utf8'));
const groups = groupsOf(schema);
const fields = new Map(groups.flatMap((group) => group.fields.map((field) => [field.name, field])));

test('every setting of the schema has its place in the form, in a titled group', () => {
  assert.deepEqual([...fields.keys()].sort(), Object.keys(schema.properties).sort());
  assert.deepEqual(groups.map(({ name }) => name), schema['x-groups'].map(({ name }) => name));
  for (const { title, fields: members } of groups) {
    assert.notEqual(title, '');
    for (const field of members) assert.ok(field.title !== '' && field.help !== '' && field.allowed !== '', field.name);
  }
});

test('a setting is chosen where it has choices, else typed', () => {
  assert.deepEqual(fields.get('Process_Mode').choices.map(({ value, word }) => [value, word]), [[1, '1 – Auto'], [2, '2 – Netlink'], [3, '3 – Polling']]);
  assert.deepEqual(fields.get('Login_UsePAM').choices.map(({ value }) => value), [false, true]);
  assert.deepEqual(fields.get('Process_MessageFrequency').choices.map(({ value }) => value), ['Low', 'Medium', 'High']);
  assert.equal(fields.get('Process_CacheSize').control, 'number');
  assert.equal(fields.get('FileSystem_Paths').control, 'text');
});

test('other names of a setting are shown only where they are used', () => {
  const alias = fields.get('Statistics_CacheSize');
  assert.equal(isShown(alias, {}), false);
  assert.equal(isShown(alias, { Statistics_CacheSize: 1 }), true);
  assert.equal(isShown(fields.get('Process_Mode'), {}), true);
});

test('members that are no settings are not lost', () => {
  assert.deepEqual(strangers(groups, { Process_Mode: 1, Proces_Mode: 2, toString: 3 }), ['Proces_Mode', 'toString']);
});

test('a schema without groups, and settings of later versions, still make a form', () => {
  const made = groupsOf({ properties: { X_New: { type: 'object' }, Y: { type: 'integer', minimum: 1, maximum: 2, 'x-group': 'Z' } } });
  assert.deepEqual(made.map(({ title, fields: members }) => [title, members.length]), [['Other', 1], ['Z', 1]]);
  assert.equal(fieldOf('X', {}).control, 'text');
});

test('an integer is typed as one; what is none stays text, for the judge to tell', () => {
  const number = fields.get('Process_CacheSize');
  const rows = [['12', 12], [' -3 ', -3], ['1.5', '1.5'], ['abc', 'abc'], ['99999999999999999999', '99999999999999999999']];
  for (const [typed, value] of rows) assert.equal(typedValue(number, typed), value);
  assert.equal(typedValue(fields.get('FileSystem_Paths'), '12'), '12');
  assert.equal(shownValue('x'), 'x');
  assert.equal(shownValue({ a: 1 }), '{"a":1}');
});

test('bytes of the judge become places in the browser’s text', () => {
  const text = 'aé€😀z';
  assert.deepEqual(unitsOfBytes(text, [0, 1, 3, 6, 10, 11, 99]), [0, 1, 2, 3, 5, 6, 6]);
  assert.deepEqual(unitsOfBytes(text, [10, 0]), [5, 0]);
});

const shown = { deviceId: 'd', etag: 'e', version: 2, properties: { desired: { $version: 1 }, reported: {} } };

test('marks are errors of the judge, reasons of the module and what is not saved', () => {
  const text = '{"tags": {"ü": 1}, "etag": "x", "properties": {"desired": {"A": 0, "B": 1}}}';
  const offset = Buffer.byteLength(text.slice(0, text.indexOf('"A"')));
  const verdict = { json: { ok: true }, errors: [{ field: 'A', sentence: 'is 0', offset, length: 6 }] };
  const marks = marksOf({ json: readJson(text), shown, verdict, reasons: new Map([['A', 'old'], ['B', 'cannot be'], ['C', 'x']]) });
  assert.deepEqual(marks.map(({ from, to, severity, field }) => [text.slice(from, to), severity, field]),
    [['"etag"', 'warning', ''], ['"A": 0', 'error', 'A'], ['"B": 1', 'error', 'B']]);
  assert.match(marks[2].sentence, /The module refused it: cannot be/);
});

test('a text that cannot be read has one mark, there', () => {
  const marks = marksOf({ json: readJson('{\n"a": 1,\n}'), shown });
  assert.equal(marks.length, 1);
  assert.equal(lineOf('{\n"a": 1,\n}', marks[0].from), 2);
});
