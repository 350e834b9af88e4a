// SPDX-License-Identifier: Apache-2.0
// Starts programs and makes sure that none outlives the test file: each is ended by its own process
// id, at the latest when this process ends.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const build = process.env.GEMEL_BUILD ?? join(root, 'build', 'asan');

export const programs = {
  hub: join(build, 'src/hub/gemel-hub'),
  agent: join(build, 'src/agent/gemel-agent'),
  cli: join(build, 'src/cli/gemel'),
};

const running = new Set();
const folders = new Set();

process.on('exit', () => {
  for (const program of running) program.child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(1));

// A folder that is gone when the test file is.
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'gemel-'));
  folders.add(folder);
  return folder;
}

export async function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// Waits until `probe` gives something truthy, and gives it back. A probe may throw until it is time.
export async function until(what, probe, { timeoutMs = 20_000, everyMs = 50 } = {}) {
  const end = Date.now() + timeoutMs;
  let last;
  for (;;) {
    try {
      last = undefined;
      const result = await probe();
      if (result) return result;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end)
      throw new Error(`not within ${timeoutMs} ms: ${what}${last ? `; last: ${last.message}` : ''}`);
    await sleep(everyMs);
  }
}

export class Program {
  constructor(command, args, options = {}) {
    this.name = options.name ?? command.split('/').pop();
    this.output = '';
    this.child = spawn(command, args, { stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      cwd: options.cwd, env: { ...process.env, ...options.env } });
    this.stdout = '';
    this.stderr = '';
    this.child.stdout.on('data', (data) => { this.stdout += data; this.output += data; });
    this.child.stderr.on('data', (data) => { this.stderr += data; this.output += data; });
    if (options.input !== undefined) this.child.stdin.end(options.input);
    running.add(this);
    this.ended = new Promise((resolve) => {
      this.child.on('error', (error) => { running.delete(this); this.output += error.message; resolve({ code: 127 }); });
      this.child.on('close', (code, signal) => { running.delete(this); resolve({ code, signal }); });
    });
  }

  get pid() { return this.child.pid; }

  get alive() { return running.has(this); }

  // Waits for a line of the output; a program that ended will not print it any more.
  async says(pattern, timeoutMs = 20_000) {
    return until(`${this.name} says ${pattern}`, () => {
      const match = pattern.exec(this.output);
      if (!match && !this.alive) throw Object.assign(new Error(`${this.name} ended:\n${this.output.slice(-3000)}`));
      return match;
    }, { timeoutMs }).catch((error) => {
      throw new Error(`${error.message}\n${this.name} said:\n${this.output.slice(-3000)}`);
    });
  }

  async kill9() {
    this.child.kill('SIGKILL');
    return this.ended;
  }

  // Ends it as a service manager would; a sanitizer's finding at the end is a failure too.
  async stop(timeoutMs = 20_000) {
    if (!this.alive) return this.ended;
    this.child.kill('SIGTERM');
    let timer;
    const late = new Promise((resolve) => { timer = setTimeout(() => resolve(null), timeoutMs); });
    const end = await Promise.race([this.ended, late]);
    clearTimeout(timer);
    if (end === null) {
      await this.kill9();
      throw new Error(`${this.name} did not end within ${timeoutMs} ms of SIGTERM:\n${this.output.slice(-3000)}`);
    }
    if (end.code !== 0) {
      // What the file's hook would have stopped next must not keep the process alive for ever.
      setTimeout(() => { for (const other of running) other.child.kill('SIGKILL'); }, 15_000).unref();
      throw new Error(`${this.name} ended with ${end.signal ?? end.code}:\n${this.output.slice(-6000)}`);
    }
    return end;
  }
}

// Runs a program to its end.
export async function runProgram(command, args, options = {}) {
  const program = new Program(command, args, options);
  const timer = setTimeout(() => program.child.kill('SIGKILL'), options.timeoutMs ?? 60_000);
  const { code, signal } = await program.ended;
  clearTimeout(timer);
  return { code: code ?? signal, stdout: program.stdout, stderr: program.stderr };
}
