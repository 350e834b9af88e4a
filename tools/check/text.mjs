// SPDX-License-Identifier: Apache-2.0
// Checks that need nothing but the text of the files. Each takes [{path, text}] and returns
// findings "path:line: sentence".
import { dirname, join, normalize } from 'node:path';

const MAX_FILE_LINES = 700;
const MAX_TEST_FILE_LINES = 1000; // tables
const MAX_FUNCTION_LINES = 80;

const source = (path) => /(\.(c|h|def|mjs|sh|ts|tsx|css)|^dev|^\.ci\/run|meson\.build|meson_options\.txt)$/.test(path);
const each = (files, find) => files.flatMap(({ path, text }) => find(path, text) ?? []);

export function checkSpdx(files) {
  return each(files.filter((f) => source(f.path) && !/meson/.test(f.path)), (path, text) =>
    text.split('\n').slice(0, 2).some((l) => l.includes('SPDX-License-Identifier: Apache-2.0')) ? []
      : [`${path}:1: the first lines must hold "SPDX-License-Identifier: Apache-2.0"`]);
}

// A function begins with '{' in the first column and ends with '}' there: clang-format sees to it.
// "long: REASON" in the comment above it says why it may be longer.
function longFunctions(path, text) {
  const findings = [];
  const lines = text.split('\n');
  let begin = -1;
  lines.forEach((line, at) => {
    if (line === '{') begin = at;
    if (line !== '}' || begin < 0) return;
    const excused = lines.slice(Math.max(0, begin - 8), begin).some((l) => /\blong: \S/.test(l));
    if (at - begin - 1 > MAX_FUNCTION_LINES && !excused)
      findings.push(`${path}:${begin + 1}: ${at - begin - 1} lines in one function (${MAX_FUNCTION_LINES}):`
        + ' a table or a function is missing');
    begin = -1;
  });
  return findings;
}

export function checkSizes(files) {
  return each(files.filter((f) => !f.path.endsWith('.def')), (path, text) => {
    const count = text.split('\n').length - 1;
    const test = path.startsWith('test/');
    const max = test ? MAX_TEST_FILE_LINES : MAX_FILE_LINES;
    return [...(count > max ? [`${path}:1: ${count} lines (${max}): a module is missing`] : []),
      ...(test ? [] : longFunctions(path, text))];
  });
}

const machinePath = /(^|[\s"'`=(:])(\/work\/|\/home\/[a-z]|\/root\/|\/Users\/|\/mnt\/)/;

// The baseline's checks, and the machines that its tests make up, have homes.
const namesPaths = /^(tools\/check|src\/agent\/baseline\/checks|test\/unit\/agent\/baseline)\//;

export function checkPaths(files) {
  return each(files.filter((f) => !namesPaths.test(f.path)), (path, text) =>
    text.split('\n').flatMap((line, at) => (machinePath.test(line)
      ? [`${path}:${at + 1}: a path of one machine: ${line.trim().slice(0, 80)}`] : [])));
}

export function checkNames(files) {
  return each(files, (path) => (/(^|\/)(utils?|common|helpers?|misc)(\/|[._-]|$)/i.test(path)
    ? [`${path}:1: a name that says nothing: name what it is for`] : []));
}

// Relative links of Markdown files must lead to a file of the repository.
export function checkLinks(files) {
  const known = new Set(files.map((f) => f.path));
  const exists = (path) => known.has(path) || [...known].some((k) => k.startsWith(`${path.replace(/\/$/, '')}/`));
  return each(files.filter((f) => f.path.endsWith('.md')), (path, text) =>
    text.split('\n').flatMap((line, at) => [...line.matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)]
      .filter(([, target]) => !/^[a-z]+:/i.test(target) && !exists(normalize(join(dirname(path), target))))
      .map(([, target]) => `${path}:${at + 1}: leads nowhere: ${target}`)));
}

export function checkWhitespace(files) {
  return each(files.filter((f) => source(f.path) || /\.(md|list|ya?ml|json)$/.test(f.path)), (path, text) => {
    const bad = text.split('\n').findIndex((l) => /[ \t\r]$/.test(l));
    const findings = bad >= 0 ? [`${path}:${bad + 1}: blanks at the end of the line`] : [];
    if (text !== '' && !text.endsWith('\n')) findings.push(`${path}:1: no line end at the file's end`);
    return findings;
  });
}
