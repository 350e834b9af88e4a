// SPDX-License-Identifier: Apache-2.0
// The programs whose cost the agent's is compared with, each with the least configuration that does
// its work: auditd with rules for started programs and one directory, collectd with a few plugins.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Program, until } from '../harness/programs.mjs';

export const auditctl = (...words) => execFileSync('auditctl', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

function auditStatus() {
  return Object.fromEntries(auditctl('-s').split('\n').map((line) => line.split(' ')).map(([k, v]) => [k, Number(v)]));
}

// Once it has been switched on, the kernel takes every system call of every later process the long way
// round, rules or not. This rule ends that for what starts under it, so that who is measured without
// auditd does not pay for it.
const UNWATCHED = ['-a', 'never,task'];

// Why auditd cannot be measured here; null: it can.
function auditdRefused() {
  try {
    const { pid } = auditStatus();
    if (pid !== 0) return 'another auditd runs here';
    const rules = auditctl('-l').trim();
    return rules === 'No rules' || rules === UNWATCHED.join(' ') ? null : 'the kernel has audit rules already';
  } catch (error) {
    return `the kernel gives no audit here: ${error.stderr || error.message}`.trim();
  }
}

export class Auditd {
  // Before what is measured without it starts. False: the kernel has no audit, or is another's.
  static kept(out) {
    if (auditdRefused()) return false;
    auditctl('-D');
    if (out) auditctl(...UNWATCHED);
    return true;
  }

  // Gives {refused: sentence} where it cannot run.
  static async started(folder, watched) {
    const refused = auditdRefused();
    if (refused) return { refused };
    const auditd = new Auditd();
    auditctl('-D');
    const dir = join(folder, 'audit');
    mkdirSync(join(dir, 'plugins.d'), { recursive: true, mode: 0o750 });
    auditd.log = join(dir, 'audit.log');
    // Debian's auditd.conf, with its own folders.
    writeFileSync(join(dir, 'auditd.conf'), ['local_events = yes', 'write_logs = yes', `log_file = ${auditd.log}`,
      'log_format = ENRICHED', 'flush = INCREMENTAL_ASYNC', 'freq = 50', 'max_log_file = 999', 'num_logs = 2',
      'priority_boost = 4', 'name_format = NONE', 'max_log_file_action = IGNORE', 'space_left = 75',
      'space_left_action = IGNORE', 'admin_space_left = 50', 'admin_space_left_action = IGNORE',
      'disk_full_action = IGNORE', 'disk_error_action = IGNORE', 'q_depth = 2000', 'overflow_action = IGNORE',
      `plugin_dir = ${join(dir, 'plugins.d')}`, ''].join('\n'), { mode: 0o640 });
    process.once('exit', auditd.quiet);
    auditd.program = new Program('auditd', ['-n', '-c', dir]);
    await until('auditd is the kernel\'s', () => auditStatus().pid === auditd.program.pid);
    auditd.lostBefore = auditStatus().lost;
    auditctl('-b', '8192');
    auditctl('-a', 'always,exit', '-F', 'arch=b64', '-S', 'execve', '-k', 'bench');
    auditctl('-w', watched, '-p', 'wa', '-k', 'bench');
    return auditd;
  }

  get pids() { return [this.program.pid]; }

  // What it has written down, once no more comes: starts of a program, and what it says that it lost.
  async counts(target) {
    const exe = `exe="${target}"`;
    let started = -1;
    await until('auditd has written all', () => {
      const lines = existsSync(this.log) ? readFileSync(this.log, 'latin1').split('\n') : [];
      const before = started;
      started = lines.filter((line) => line.startsWith('type=SYSCALL') && line.includes(exe)).length;
      return started === before;
    }, { everyMs: 500 });
    return { started, lost: auditStatus().lost - this.lostBefore };
  }

  quiet() {
    auditctl('-D');
    auditctl('-e', '0');
  }

  async stop() {
    process.off('exit', this.quiet);
    this.quiet();
    await this.program.stop();
  }
}

export class Collectd {
  static async started(folder) {
    const collectd = new Collectd();
    const dir = join(folder, 'collectd');
    mkdirSync(dir);
    const conf = join(dir, 'collectd.conf');
    const plugins = ['csv', 'processes', 'interface', 'memory', 'df'];
    writeFileSync(conf, ['Hostname "localhost"', 'FQDNLookup false', `BaseDir "${dir}"`, `PIDFile "${join(dir, 'pid')}"`,
      'Interval 10', ...plugins.map((name) => `LoadPlugin ${name}`), `<Plugin csv>\n DataDir "${join(dir, 'csv')}"\n</Plugin>`,
      ''].join('\n'));
    collectd.program = new Program('collectd', ['-f', '-C', conf]);
    await until('collectd has written values', () => existsSync(join(dir, 'csv')));
    return collectd;
  }

  get pids() { return [this.program.pid]; }

  async stop() { await this.program.stop(); }
}
