// SPDX-License-Identifier: Apache-2.0
// The twin's text: reading it with places, changing it at exact places, knowing where one is in it.
import assert from 'node:assert/strict';
import test from 'node:test';

import { twinModules } from './twin-modules.mjs';

const { applyChanges, changeBetween, contextAt, memberAt, readJson, removeMember, setMember, valueOf } =
  await twinModules('twin/json-text', 'twin/json-edit', 'twin/context');

const set = (text, path, value) => applyChanges(text, setMember(readJson(text), path, value));
const remove = (text, path) => applyChanges(text, removeMember(readJson(text), path));

test('a text is read with the place of every member', () => {
  const json = readJson(' {"a": [1, {"b": "x\\"y"}], "c":null}\n');
  assert.equal(json.problem, undefined);
  assert.deepEqual(valueOf(json, json.root), { a: [1, { b: 'x"y' }], c: null });
  const { from, nameTo, value } = memberAt(json.root, ['c']);
  assert.equal(json.text.slice(from, nameTo), '"c"');
  assert.equal(json.text.slice(value.from, value.to), 'null');
  assert.equal(memberAt(json.root, ['a', 'b']), undefined);
});

test('what is read agrees with what every reader of JSON reads', () => {
  for (const text of ['0', '-0.5e+10', '""', '"\\u00e9\\n\\\\"', '[]', '{}', '[[],{}]', '{"__proto__":{"a":1}}', 'true', '{"":1}', '"Köln 😀"'])
    assert.deepEqual(valueOf(readJson(text), readJson(text).root), JSON.parse(text), text);
  for (const text of ['', ' ', '{', '[1', '{"a"}', '{"a":}', '{"a":1,}', '[1,]', '{a:1}', "{'a':1}", '01', '1.', '.5', '+1', '1e', 'nul', '"a', '"\\x"',
    '"a\nb"', '{"a":1 "b":2}', '{"a":1}}', 'True', 'NaN', '-', '[1 2]', '//', '{"a":1;}']) {
    assert.throws(() => JSON.parse(text), undefined, text);
    const { problem } = readJson(text);
    assert.ok(problem, text);
    assert.ok(problem.from >= 0 && problem.from <= problem.to && problem.to <= text.length, text);
  }
});

test('the first thing that is wrong is told where it stands, in words that say what to type', () => {
  const rows = [
    ['{"a": 1\n "b": 2}', '"', /comma is missing before/],
    ['{"a": 1,}', ',', /comma is one too many/],
    ['{"a": True}', 'True', /small letters/],
    ["{'a': 1}", "'a'", /double quotes/],
    ['{"a": 1, "a": 2}', '"a"', /twice/],
    ['{"a": 12345678901234567890}', '12345678901234567890', /too large/],
    ['{"a": 1', '1', /ends too early.*} is missing/],
    ['{"a": "x\n}', '"x', /closing quote/],
    ['{"a" 1}', '1', /colon/],
  ];
  for (const [text, marked, sentence] of rows) {
    const { from, to, sentence: told } = readJson(text).problem;
    assert.equal(text.slice(from, to), marked, text);
    assert.match(told, sentence, text);
  }
  assert.match(readJson(`${'['.repeat(5000)}`).problem.sentence, /nested/);
});

test('setting a value keeps order, indentation and everything around it', () => {
  const text = '{\n    "z": 1,\n    "properties": {\n        "desired": {\n            "B": "x",\n            "$version": 3\n        }\n    }\n}\n';
  assert.equal(set(text, ['properties', 'desired', 'B'], 'yy'), text.replace('"x"', '"yy"'));
  assert.equal(set(text, ['properties', 'desired', 'A'], 7), text.replace('"x",\n', '"x",\n            "A": 7,\n'));
  assert.deepEqual(setMember(readJson(text), ['properties', 'desired', 'B'], 'x'), []);
  assert.deepEqual(setMember(readJson(text), ['z', 'a'], 1), []);
});

test('a member is put into any kind of object, in its way of writing', () => {
  const rows = [
    ['{}', ['a'], 1, '{\n  "a": 1\n}'],
    ['{"b": 2}', ['a'], 1, '{"b": 2, "a": 1}'],
    ['{"$version": 2}', ['a'], 1, '{"a": 1, "$version": 2}'],
    ['{\n\t"$version": 2\n}', ['a'], 1, '{\n\t"a": 1,\n\t"$version": 2\n}'],
    ['{\n  "properties": {}\n}', ['properties', 'desired', 'a'], true, '{\n  "properties": {\n    "desired": {\n      "a": true\n    }\n  }\n}'],
    ['{\n  "a": {}\n}', ['a'], { b: [1] }, '{\n  "a": {\n    "b": [\n      1\n    ]\n  }\n}'],
  ];
  for (const [text, path, value, expected] of rows) assert.equal(set(text, path, value), expected);
});

test('taking a member out takes its comma and its line', () => {
  const text = '{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}';
  assert.equal(remove(text, ['a']), '{\n  "b": 2,\n  "c": 3\n}');
  assert.equal(remove(text, ['b']), '{\n  "a": 1,\n  "c": 3\n}');
  assert.equal(remove(text, ['c']), '{\n  "a": 1,\n  "b": 2\n}');
  assert.equal(remove('{ "x": { "a": 1 } }', ['x', 'a']), '{ "x": {} }');
  assert.equal(remove(text, ['d']), text);
});

test('what is put in and taken out again leaves the text as it was', () => {
  for (const text of ['{"b": 2}', '{\n  "b": 2,\n  "$version": 1\n}', '{\n\t"b": {\n\t\t"c": []\n\t}\n}'])
    assert.equal(remove(set(text, ['new'], { deep: ['x'] }), ['new']), text);
});

test('between two texts lies one smallest change', () => {
  for (const [a, b] of [['abc', 'abc'], ['abc', 'axc'], ['', 'x'], ['aaa', 'aa'], ['aa', 'aaa'], ['x', '']]) {
    const change = changeBetween(a, b);
    assert.equal(change ? applyChanges(a, [change]) : a, b);
  }
  assert.deepEqual(changeBetween('abcd', 'abXd'), { from: 2, to: 3, insert: 'X' });
});

test('the place in an unfinished text is known', () => {
  const at = (marked) => contextAt(marked.replace('|', ''), marked.indexOf('|'));
  const name = at('{"properties": {"desired": {"A": 1, "Pro|"}}}');
  assert.deepEqual([name.at, name.name, name.path, [...name.others]], ['name', 'Pro', ['properties', 'desired'], ['A']]);
  const value = at('{"properties": {"desired": {"A": "Hi|"');
  assert.deepEqual([value.at, value.name, value.path], ['value', 'A', ['properties', 'desired']]);
  assert.equal(at('{"a": tr|}').at, 'value');
  assert.equal(at('{"a": [tr|]}').at, 'elsewhere');
  const blank = at('{"properties": {"desired": {"A": 1\n |\n"B": 2}}}');
  assert.deepEqual([blank.at, blank.from === blank.to, blank.others.size], ['name', true, 2]);
  assert.equal('{"properties": {"desired": {"A": 1\n \n"B": 2}}}'.slice(0, blank.commaAt), '{"properties": {"desired": {"A": 1');
  assert.equal(at('{"a": 1, |').commaAt, -1);
  assert.equal(at('|').at, 'elsewhere');
  assert.equal(at('}}}]|').at, 'elsewhere');
  assert.deepEqual(at('{"a": {"b": {}}, "c|"}').path, []);
});
