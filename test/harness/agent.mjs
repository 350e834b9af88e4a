// SPDX-License-Identifier: Apache-2.0
// A real agent with its configuration and state folders, for a module of a hub.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Program, programs, runProgram, temporaryFolder, until } from './programs.mjs';

// Paho's threads leave OpenSSL's memory behind when the process ends under them.
export const leakOptions = process.env.LSAN_OPTIONS === undefined ? {}
  : { LSAN_OPTIONS: process.env.LSAN_OPTIONS.replace(/lsan\.supp/, 'lsan-agent.supp') };

export const MODULE = 'DefenderIotMicroAgent';

export class Agent {
  // Creates device and module at the hub and writes the folders. options: {deviceId, conf, args}
  static async make(hub, options = {}) {
    const agent = new Agent();
    agent.hub = hub;
    agent.options = options;
    agent.deviceId = options.deviceId ?? 'cooler-7';
    const folder = temporaryFolder();
    agent.configDir = join(folder, 'config');
    agent.stateDir = join(folder, 'state');
    mkdirSync(agent.configDir);
    mkdirSync(agent.stateDir);
    await hub.createDevice(agent.deviceId);
    agent.module = await hub.createModule(agent.deviceId, MODULE);
    agent.write('connection_string.txt', hub.connectionString(agent.module));
    agent.write('ca.pem', hub.ca);
    if (options.conf) agent.write('conf.json', JSON.stringify(options.conf));
    return agent;
  }

  static async started(hub, options = {}) {
    const agent = await Agent.make(hub, options);
    agent.start();
    await agent.verdict(1);
    return agent;
  }

  write(name, text) { writeFileSync(join(this.configDir, name), text, { mode: 0o600 }); }

  state(name) { return readFileSync(join(this.stateDir, name), 'utf8'); }

  start() {
    this.program = new Program(programs.agent, ['run', '--config-dir', this.configDir, '--state-dir', this.stateDir,
      ...(this.options.args ?? [])], { env: { ...leakOptions, ...this.options.env } });
  }

  async stop() { await this.program?.stop(); }

  async kill9() { await this.program.kill9(); }

  twin() { return this.hub.twin(this.deviceId, MODULE); }

  async reported() { return (await this.twin()).properties.reported; }

  // Changes desired and gives its new $version.
  async desire(desired) {
    return (await this.hub.patchDesired(this.deviceId, MODULE, desired)).properties.desired.$version;
  }

  // Waits for the verdict on a version of desired, or a later one, and gives the reported section.
  async verdict(version, timeoutMs = 30_000) {
    return until(`a verdict on version ${version}`, async () => {
      const reported = await this.reported();
      return reported.latest_desired_version >= version && reported;
    }, { timeoutMs }).catch((error) => {
      throw new Error(`${error.message}\nthe agent said:\n${this.program?.output.slice(-4000)}`);
    });
  }

  async judge(desired) { return this.verdict(await this.desire(desired)); }

  async status() {
    const { code, stdout, stderr } = await runProgram(programs.agent,
      ['status', '--json', '--state-dir', this.stateDir]);
    if (code !== 0) throw new Error(`gemel-agent status: ${stderr}`);
    return JSON.parse(stdout);
  }
}
