// SPDX-License-Identifier: Apache-2.0
// Checks that hand the files to a program: formatter, analysers, compilers, shells. Each takes the
// folder that holds the files and their paths, and returns findings; a first finding that begins
// with "skipped:" says why the program could not judge.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { basename, join, normalize } from 'node:path';

const FORMAT_MAJOR = 14;
const processors = availableParallelism?.() ?? cpus().length;

export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    child.stdout.on('data', (data) => { out += data; });
    child.stderr.on('data', (data) => { out += data; });
    child.on('error', (error) => resolve({ status: 127, out: error.message }));
    child.on('close', (status) => resolve({ status, out }));
  });
}

const lines = (out) => out.split('\n').filter((l) => l.trim() !== '');

async function inParallel(items, work) {
  const results = [];
  const queue = [...items];
  await Promise.all(Array.from({ length: processors }, async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift())
      results.push(...await work(item));
  }));
  return results;
}

const isC = (path) => /\.(c|h)$/.test(path);

export async function checkFormat(root, paths) {
  const version = (await run('clang-format', ['--version'])).out;
  const major = Number(/version (\d+)/.exec(version)?.[1]);
  if (major !== FORMAT_MAJOR)
    return [`skipped: the format is that of clang-format ${FORMAT_MAJOR}; here is ${version.trim()}`];
  const { status, out } = await run('clang-format',
    ['--dry-run', '-Werror', '--style=file', ...paths.filter(isC)], { cwd: root });
  return status === 0 ? [] : lines(out).filter((l) => l.includes('error:'));
}

export async function checkShell(root, paths) {
  const scripts = paths.filter((p) => /(^dev|\.sh|^\.ci\/run)$/.test(p));
  const syntax = await inParallel(scripts, async (path) => {
    const shell = path === '.ci/run' ? 'bash' : 'sh';
    const { status, out } = await run(shell, ['-n', path], { cwd: root });
    return status === 0 ? [] : lines(out);
  });
  const { status, out } = await run('shellcheck', ['-f', 'gcc', ...scripts], { cwd: root });
  return [...syntax, ...(status === 0 ? [] : lines(out))];
}

export async function checkNode(root, paths) {
  return inParallel(paths.filter((p) => p.endsWith('.mjs')), async (path) => {
    const { status, out } = await run(process.execPath, ['--check', path], { cwd: root });
    return status === 0 ? [] : [`${path}: ${lines(out)[0]}`, ...lines(out).slice(1, 5)];
  });
}

export async function checkTypes(root, paths, project) {
  if (!paths.some((p) => p.startsWith('portal/src/'))) return [];
  const { status, out } = await run(join(project, 'portal/node_modules/.bin/tsc'), ['-p', 'portal', '--pretty', 'false'], { cwd: root });
  return status === 0 ? [] : lines(out);
}

const suppressions = [
  'missingIncludeSystem', // its own idea of the C library is enough
  'unusedFunction', // whole-program view: a library's door looks unused
  'uninitStructMember', // does not follow "written on success only"; gcc does
  'uninitvar', // likewise
  'unmatchedSuppression',
  'checkersReport',
  'normalCheckLevelMaxBranches',
];

export async function checkCppcheck(root, paths) {
  const sources = paths.filter((p) => p.endsWith('.c') && p.startsWith('src/'));
  if (sources.length === 0) return [];
  const folders = [...new Set(paths.filter(isC).filter((p) => p.startsWith('src/'))
    .map((p) => p.slice(0, p.lastIndexOf('/'))))];
  const cache = join(root, 'build', 'cppcheck');
  mkdirSync(cache, { recursive: true });
  const { status, out } = await run('cppcheck', ['--enable=warning,performance,portability',
    '--inline-suppr', `--cppcheck-build-dir=${cache}`, '--error-exitcode=2', '--quiet', '--std=c11', '-D_GNU_SOURCE', '-D__linux__',
    `-j${processors}`, '--template={file}:{line}: {severity}: {message} [{id}]',
    ...suppressions.map((s) => `--suppress=${s}`), ...folders.map((f) => `-I${f}`), ...sources],
  { cwd: root });
  return status === 0 ? [] : lines(out).filter((l) => /^\S+:\d+: /.test(l));
}

// Compiles everything with warnings as errors, in a build folder of its own.
async function compileAll(root, cc, folder) {
  const build = join(root, 'build', folder);
  if (!existsSync(join(build, 'build.ninja'))) {
    const { status, out } = await run('meson', ['setup', build, root, '--buildtype=debug',
      '-Doptimization=1', '-Dwerror=true'], { env: { ...process.env, CC: cc } });
    if (status !== 0) return lines(out).slice(-20);
  }
  const { status, out } = await run('ninja', ['-C', build, '-k', '0', '-j', String(processors)]);
  return status === 0 ? [] : lines(out).filter((l) => /error|warning|FAILED/.test(l));
}

// One file outside the build, with the flags that the build gives to src/base.
async function compileOne(root, cc, folder, path) {
  const commands = JSON.parse(readFileSync(join(folder, 'compile_commands.json'), 'utf8'));
  const { command } = commands.find((c) => c.file.endsWith('src/base/span.c'));
  const args = command.split(/\s+/).slice(1).filter((a) => !/^-(M|o|c$)/.test(a))
    .filter((a) => !/\.(c|o|d)$/.test(a));
  const { status, out } = await run(cc, [...args, '-fsyntax-only', join(root, path)], { cwd: folder });
  return status === 0 ? [] : lines(out);
}

// What no meson.build names is judged by nobody.
function forgotten(root, folder, paths) {
  const build = join(root, 'build', folder);
  const rows = JSON.parse(readFileSync(join(build, 'compile_commands.json'), 'utf8'));
  const compiled = new Set(rows.map(({ file }) => normalize(join(build, file))));
  return paths.filter((p) => p.startsWith('src/') && p.endsWith('.c') && !compiled.has(join(root, p)))
    .map((p) => `${p}:1: no meson.build compiles it`);
}

export const compiler = (cc, folder) => async (root, paths, project) => {
  if (root === project)
    return [...await compileAll(root, cc, folder), ...forgotten(root, folder, paths)];
  return inParallel(paths.filter((p) => p.endsWith('.c')),
    (path) => compileOne(root, cc, join(project, 'build', folder), path));
};

// A quarter of what the analyser would spend on a function: three times as fast, for what it finds
// at the end of very long paths.
const TIDY_BUDGET = ['-Xclang', '-analyzer-config', '-Xclang', 'max-nodes=55000'];

// clang-tidy is slow, and most files did not change since the last run: its verdict on a file is
// kept under a name made from everything that it read.
async function tidyOne(root, path, flags, cache) {
  const seen = await run('clang', [...flags, '-D__clang_analyzer__', '-E', path], { cwd: root });
  const config = readFileSync(join(root, '.clang-tidy'), 'utf8');
  const key = createHash('sha256').update(config).update(seen.out).digest('hex');
  const kept = join(cache, `${basename(path)}-${key}`);
  if (existsSync(kept)) return lines(readFileSync(kept, 'utf8'));
  const { status, out } = await run('clang-tidy', ['--quiet', path, '--', ...flags,
    ...TIDY_BUDGET], { cwd: root });
  const findings = status === 0 ? [] : lines(out).filter((l) => /(warning|error):/.test(l));
  writeFileSync(kept, findings.join('\n'));
  return findings;
}

// The flags of the clang build; a file that it does not have (an example) gets those of src/base.
function flagsOf(project) {
  const build = join(project, 'build', 'clang');
  const rows = JSON.parse(readFileSync(join(build, 'compile_commands.json'), 'utf8'));
  const flags = new Map(rows.map(({ file, command }) => [normalize(join(build, file)),
    command.split(/\s+/).map((f) => f.replace(/^'(.*)'$/, '$1'))
      .filter((f) => /^-(std|D|I|isystem)/.test(f))
      .map((f) => (/^-I[^/]/.test(f) ? `-I${join(build, f.slice(2))}` : f))]));
  const usual = flags.get(join(project, 'src/base/span.c'));
  return (path) => flags.get(path) ?? usual;
}

export async function checkTidy(root, paths, project) {
  if (root === project) await run('ninja', ['-C', join(project, 'build', 'clang'), 'build.ninja']);
  const flags = flagsOf(project);
  const cache = join(project, 'build', 'tidy');
  mkdirSync(cache, { recursive: true });
  if (root !== project)
    writeFileSync(join(root, '.clang-tidy'), readFileSync(join(project, '.clang-tidy')));
  return inParallel(paths.filter((p) => p.endsWith('.c') && p.startsWith('src/')),
    (path) => tidyOne(root, path, flags(join(root, path)), cache));
}
