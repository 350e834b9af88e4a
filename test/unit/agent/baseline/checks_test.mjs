// SPDX-License-Identifier: Apache-2.0
// The check files are data that the agent trusts to be well formed. This test reads them as strictly
// as it can: a misspelt argument or a pattern that does not compile would show on devices only.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';

const [folder, schemaPath] = process.argv.slice(2);
const files = readdirSync(folder).filter((name) => name.endsWith('.json')).sort();
const documents = files.map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')));
const base = documents.find((d) => d.extends === null);
const settings = JSON.parse(readFileSync(schemaPath, 'utf8')).properties;

const groups = [
  'Access Authentication and Authorization', 'Additional Process Hardening',
  'Command Line Warning Banners', 'Configure AppArmor', 'Configure Data Retention', 'Configure Logging',
  'Configure PAM', 'Configure SELinux', 'Configure Software Updates', 'Configure System Accounting',
  'Configure cron', 'Configure journald', 'Configure rsyslog', 'Configure sudo',
  'DEFENDER_FOR_IOT_TEST_CHECKS', 'Disable Unused Filesystems', 'Filesystem Configuration', 'Filesystem Integrity Checking',
  'Firewall Configuration', 'Initial Setup', 'Logging and Auditing', 'Mandatory Access Control',
  'Network Configuration', 'Network Parameters Host', 'Network Parameters Host and Router',
  'SSH Server Configuration', 'Secure Boot Settings', 'Service Clients',
  'Set Shadow Password Suite Parameters', 'Special Purpose Services', 'System File Permissions',
  'TCP Wrappers', 'Time Synchronization', 'Uncommon Network Protocols',
  'User Accounts and Environment', 'User and Group Settings', 'Warning Banners', 'inetd Services',
];

// ---- the shapes of the probes -------------------------------------------------------------------

const is = {
  text: (v) => typeof v === 'string',
  word: (v) => typeof v === 'string' && /^[!-~]+$/.test(v),
  words: (v) => Array.isArray(v) && v.length > 0 && v.every(is.word),
  names: (v) => is.word(v) || is.words(v),
  bool: (v) => typeof v === 'boolean',
  yes: (v) => v === true,
  count: (v) => Number.isInteger(v) && v >= 0,
  path: (v) => is.word(v) && v.startsWith('/') && !/[*?[]/.test(v),
  globs: (v) => Array.isArray(v) && v.length > 0 && v.every((p) => is.word(p) && p.startsWith('/')),
  mode: (v) => /^0[0-7]{3}$/.test(v),
  pattern: (v) => is.text(v) && v.length > 0 && v.length <= 512,
  among: (...all) => (v) => all.includes(v),
  argument: (v) => fits(v, { name: is.word }, { equals: is.word, at_most: is.count, at_least: is.count, present: is.bool })
    && Object.keys(v).length >= 2,
};

// Says what is wrong with the members of an object, or nothing.
function misfit(value, needed, optional = {}) {
  for (const [key, check] of Object.entries(needed))
    if (!Object.hasOwn(value, key)) return `lacks ${key}`;
    else if (!check(value[key])) return `has a wrong ${key}: ${JSON.stringify(value[key])}`;
  for (const [key, content] of Object.entries(value)) {
    if (Object.hasOwn(needed, key)) continue;
    if (!Object.hasOwn(optional, key)) return `has the unknown member ${key}`;
    if (!optional[key](content)) return `has a wrong ${key}: ${JSON.stringify(content)}`;
  }
  return null;
}
const fits = (...all) => misfit(...all) === null;

// Per probe: what it needs, what it may have, and of which members exactly one must be there.
const probes = {
  file: [{}, { path: is.path, paths: is.globs, exists: is.bool, mode_at_most: is.mode, owner: is.names, group: is.names,
    type: is.among('file', 'directory'), missing: is.among('pass', 'fail', 'skip') }, ['path', 'paths']],
  mount: [{ path: is.path }, { option: is.word }],
  sysctl: [{ key: is.word }, { equals: is.word, one_of: is.words, configured: is.bool }, ['equals', 'one_of']],
  kernel_module: [{ module: is.word, state: is.among('disabled') }],
  package: [{ installed: is.bool }, { name: is.word, names: is.words }, ['name', 'names']],
  service: [{ enabled: is.bool }, { name: is.word, names: is.words }, ['name', 'names']],
  sshd: [{ keyword: is.word, default: is.text }, { one_of: is.words, at_most: is.count, at_least: is.count,
    matches: is.pattern, none_of_words: is.words }],
  pam: [{ services: is.words, type: is.among('auth', 'account', 'password', 'session'), module: is.word }, { argument: is.argument }],
  login_defs: [{ key: is.word }, { at_most: is.count, at_least: is.count, equals: is.word }],
  line: [{ paths: is.globs, pattern: is.pattern, present: is.bool },
    { at_most: is.count, at_least: is.count, ignore_comments: is.bool }],
  port: [{ protocol: is.among('tcp', 'udp'), port: is.count, beyond_loopback: is.bool }],
  accounts: [{ rule: is.among('empty_password', 'uid0_only_root', 'unique_uid', 'unique_gid', 'unique_user',
    'unique_group', 'groups_exist', 'home_exists', 'home_owned', 'home_mode', 'dotfiles_mode', 'no_rhosts', 'no_netrc',
    'no_forward', 'shadow_group_empty', 'root_path', 'system_nologin', 'root_gid0', 'no_legacy_plus',
    'password_max_days', 'password_min_days', 'password_warn_days', 'inactive_days', 'last_change_past',
    'default_umask', 'shell_timeout') }, { at_most: is.count, at_least: is.count }],
  tree: [{ find: is.among('world_writable_files', 'unowned', 'ungrouped', 'world_writable_dirs_without_sticky', 'suid', 'sgid') }],
};

function judgeRule(rule, where) {
  if (Object.hasOwn(rule, 'probe')) {
    assert.ok(Object.hasOwn(probes, rule.probe), `${where}: there is no probe ${rule.probe}`);
    const [needed, optional, exactlyOne] = probes[rule.probe];
    const { probe, ...members } = rule;
    assert.equal(misfit(members, needed, optional), null, `${where}: ${JSON.stringify(rule)}`);
    if (exactlyOne)
      assert.equal(exactlyOne.filter((key) => Object.hasOwn(members, key)).length, 1, `${where}: ${probe}: one of ${exactlyOne}`);
    return;
  }
  const [kind, ...more] = Object.keys(rule);
  assert.deepEqual(more, [], `${where}: a rule has one member`);
  if (kind === 'not') return judgeRule(rule.not, where);
  assert.ok(['all', 'any'].includes(kind), `${where}: there is no rule ${kind}`);
  assert.ok(rule[kind].length >= 2, `${where}: ${kind} of fewer than two`);
  rule[kind].forEach((inner) => judgeRule(inner, where));
}

function* probesOf(rule) {
  if (Object.hasOwn(rule, 'probe')) yield rule;
  else for (const inner of rule.not ? [rule.not] : rule.all ?? rule.any) yield* probesOf(inner);
}
const allProbes = documents.flatMap((d) => d.checks.flatMap((c) =>
  [...probesOf(c.pass), ...(c.when ? probesOf(c.when) : [])].map((probe) => ({ probe, where: `${d.name} ${c.id}` }))));

// ---- the tests ----------------------------------------------------------------------------------

test('the files are there and each names itself', () => {
  assert.deepEqual(files, ['debian-12.json', 'debian-13.json', 'dil-2.0.0.json']);
  documents.forEach((d, at) => {
    assert.equal(`${d.name}.json`, files[at]);
    assert.equal(misfit(d, { format: (v) => v === 1, name: is.word, title: is.text, extends: (v) => v === null || v === base.name,
      checks: Array.isArray }, { applies: (v) => fits(v, { id: is.word }, { version: is.word }), remove: Array.isArray }), null, d.name);
    assert.equal(d === base, !Object.hasOwn(d, 'applies'), `${d.name}: the overlays say where they apply`);
  });
});

test('the benchmark has the greater part of its checks', () => {
  assert.ok(base.checks.length >= 200, `${base.checks.length} checks`);
});

test('each check has all its fields and no others', () => {
  for (const d of documents)
    for (const check of d.checks) {
      const where = `${d.name} ${check.id}`;
      assert.equal(misfit(check, { id: (v) => /^\d+(\.\d+)+$/.test(v), group: (v) => groups.includes(v),
        severity: is.among('CRITICAL', 'IMPORTANT', 'WARNING', 'INFORMATIONAL'), level: is.among(1, 2),
        description: is.text, remediation: is.text, pass: (v) => typeof v === 'object' },
      { when: (v) => typeof v === 'object' }), null, where);
      judgeRule(check.pass, where);
      if (check.when) judgeRule(check.when, where);
    }
});

test('texts are plain sentences of a sensible length', () => {
  for (const d of documents)
    for (const { id, description, remediation } of d.checks) {
      assert.match(description, /^[A-Z][ -~]{39,249}\.$/, `${d.name} ${id}`);
      assert.match(description, /^.{15,160}?[.:] |^[^.]+\.$/, `${d.name} ${id}: what is checked comes first, by itself`);
      assert.match(remediation, /^[A-Z][ -~]{14,299}$/, `${d.name} ${id}`);
      assert.doesNotMatch(description + remediation, /  | -- /, `${d.name} ${id}`);
    }
});

test('ids are unique and in order', () => {
  for (const d of documents) {
    const ids = d.checks.map((c) => c.id);
    assert.equal(new Set(ids).size, ids.length, d.name);
    assert.deepEqual(ids, [...ids].sort((a, b) => {
      const [x, y] = [a, b].map((id) => id.split('.').map(Number));
      const at = x.findIndex((n, i) => n !== y[i]);
      return at < 0 ? x.length - y.length : x[at] - (y[at] ?? -1);
    }), d.name);
  }
});

test('a check keeps its group in every file, and what is removed exists', () => {
  const known = new Map(base.checks.map((c) => [c.id, c]));
  for (const d of documents.filter((each) => each !== base)) {
    for (const check of d.checks)
      if (known.has(check.id)) {
        assert.equal(check.group, known.get(check.id).group, `${d.name} ${check.id}`);
        assert.notDeepEqual(check, known.get(check.id), `${d.name} ${check.id} replaces the check by the same`);
      }
    for (const id of d.remove) {
      assert.ok(known.has(id), `${d.name}: ${id}`);
      assert.ok(!d.checks.some((c) => c.id === id), `${d.name}: ${id} is both removed and there`);
    }
  }
});

test('no object names a member twice', () => {
  for (const name of files) {
    const text = readFileSync(join(folder, name), 'utf8');
    const strings = (value) => (typeof value !== 'object' || value === null ? 0
      : Object.values(value).reduce((sum, inner) => sum + strings(inner), Array.isArray(value) ? 0 : Object.keys(value).length));
    const withoutTexts = text.replace(/"(?:[^"\\]|\\.)*"(\s*:)?/g, (_, colon) => (colon ? 'K:' : 'S'));
    assert.equal(withoutTexts.match(/K:/g).length, strings(JSON.parse(text)), name);
  }
});

test('every pattern is a POSIX extended regular expression', () => {
  const patterns = allProbes.flatMap(({ probe, where }) => [probe.pattern, probe.matches]
    .filter((p) => p !== undefined).map((pattern) => ({ pattern, where, counts: probe.probe === 'line' && ('at_most' in probe || 'at_least' in probe) })));
  const tried = new Set();
  for (const { pattern, where, counts } of patterns) {
    assert.doesNotMatch(pattern, /\\[A-Za-z0-9<>`']/, `${where}: an escape that POSIX does not know: ${pattern}`);
    assert.doesNotMatch(pattern, /\(\?/, `${where}: no POSIX group: ${pattern}`);
    if (counts) assert.match(pattern, /\(\[0-9\]\+\)/, `${where}: a number is compared, but none is captured`);
    if (tried.has(pattern)) continue;
    tried.add(pattern);
    const { status, stderr } = spawnSync('grep', ['-E', '-q', '-e', pattern, '/dev/null'], { encoding: 'utf8' });
    assert.equal(status, 1, `${where}: ${pattern}: ${stderr}`);
    assert.equal(stderr, '', `${where}: ${pattern}`);
  }
  assert.ok(tried.size > 150);
});

test('no pattern takes a comment for a setting', () => {
  for (const { probe, where } of allProbes.filter((each) => each.probe.probe === 'line'))
    assert.ok(probe.pattern.startsWith('^') || 'ignore_comments' in probe
      || probe.paths.every((path) => /^\/(proc|sys)\//.test(path)), `${where}: ${probe.pattern}`);
});

// What a pattern must find and must leave alone; the id tells which.
const examples = [
  ['dil-2.0.0', '1.1.18', ['/dev/sr0 /media/cdrom0 udf,iso9660 noauto,ro 0 0', '/dev/sdb1 /media/usb vfat defaults', '/dev/sr0 /media/x udf,iso9660 ro,nodiratime,usrquota'],
    ['/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0', '/dev/sdb1\t/media/usb\tvfat\tdefaults,nodev 0 0', '/dev/sda1 / ext4 defaults 0 1']],
  ['dil-2.0.0', '1.1.20', ['/dev/sr0 /media/cdrom0 udf owner,noauto 0 0', 'LABEL=x /media/usb vfat noexe,owner'], ['LABEL=x /media/usb vfat ro,noexec']],
  ['dil-2.0.0', '5.2.22', ['10:30:60', '10', '3:50:20'], ['10:30:100', '100:30:60', '11', '0']],
  ['dil-2.0.0', '5.2.17', ['60', '1m', '30s', '1'], ['0', '120', '2m', '61']],
  ['dil-2.0.0', '5.2.16', ['300', '5m', '15', '299s'], ['0', '301', '6m', '1h']],
  ['dil-2.0.0', '1.4.3', ['root:$y$j9T$abc:19000:0:99999:7:::', 'root:$6$abc$def:1::::::'], ['root:*:19000::::::', 'root:!:1::::::', 'root::1::::::']],
  ['dil-2.0.0', '3.3.3', ['ALL: ALL', 'ALL : ALL EXCEPT localhost'], ['sshd: ALL', '# ALL: ALL']],
  ['dil-2.0.0', '4.1.18', ['-a always,exit -F arch=b64 -S init_module,delete_module -k m', '-a exit,always -F arch=b64 -S finit_module -S init_module'],
    ['-a always,exit -F arch=b64 -S finit_module -k m', '# -a always,exit -S init_module', '-a never,exit -S init_module']],
  ['dil-2.0.0', '6.2.2', ['+::::::', '+user::0:0:::'], ['root:x:0:0:root:/root:/bin/bash', 'a+b:x:1::::']],
  ['debian-12', '1.2.1', ['deb http://security.debian.org/debian-security bookworm-security main', 'deb http://m/debian-security x-security/main a'],
    ['deb http://deb.debian.org/debian bookworm main', '# deb http://security.debian.org/ bookworm-security main']],
  ['debian-12', '5.3.5', ['auth [success=1 default=ignore] pam_unix.so nullok', 'password required pam_unix.so obscure nullok yescrypt'],
    ['auth [success=1 default=ignore] pam_unix.so try_first_pass', 'auth required pam_unix.so nullokay']],
  ['debian-12', '5.7.4', ['%sudo ALL=(ALL) NOPASSWD: ALL'], ['# %sudo ALL=(ALL) NOPASSWD: ALL', '%sudo ALL=(ALL:ALL) ALL']],
  ['debian-12', '5.7.6', ['Defaults timestamp_timeout=-1', 'Defaults env_reset,timestamp_timeout = 60', 'Defaults timestamp_timeout=16'],
    ['Defaults timestamp_timeout=15', 'Defaults timestamp_timeout=0', 'Defaults timestamp_timeout=5']],
  ['debian-12', '6.2.21', ['bob:$6$x$y:1000:1000::/:/bin/sh', 'bob:abcdefghijklm:1:1:::', 'bob:xx:1:1:::'], ['bob:x:1:1:::', 'bob:*:1:1:::', 'bob:!:1:1:::']],
];

test('the first pattern of a check finds what it should and no more', () => {
  for (const [name, id, found, left] of examples) {
    const check = documents.find((d) => d.name === name).checks.find((c) => c.id === id);
    const first = [...probesOf(check.pass)].find((p) => p.pattern ?? p.matches);
    const finds = (line) => spawnSync('grep', ['-E', '-q', '-e', first.pattern ?? first.matches], { input: `${line}\n` }).status === 0;
    for (const line of found) assert.ok(finds(line), `${name} ${id} must find: ${line}`);
    for (const line of left) assert.ok(!finds(line), `${name} ${id} must leave: ${line}`);
  }
});

test('the twin can switch off every check and every group', () => {
  const every = documents.flatMap((d) => d.checks);
  for (const [setting, field] of [['Baseline_ChecksDisabled', 'id'], ['Baseline_GroupsDisabled', 'group']]) {
    const text = [...new Set(every.map((c) => c[field]))].join(', ');
    const { maxLength, pattern } = settings[setting];
    assert.ok(text.length <= maxLength, `${setting}: ${text.length} of ${maxLength} bytes`);
    assert.match(text, new RegExp(pattern, 'u'), setting);
  }
});
