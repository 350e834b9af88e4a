// SPDX-License-Identifier: Apache-2.0
// A real hub in a data directory of its own, and what a client needs to reach it.
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';

import { judgeAnswer } from './sdk-rules.mjs';
import { freePort, Program, programs, runProgram, temporaryFolder } from './programs.mjs';

export const API = 'api-version=2021-04-12';

export function parseConnectionString(text) {
  return Object.fromEntries(text.split(';').map((part) => {
    const at = part.indexOf('=');
    return [part.slice(0, at), part.slice(at + 1)];
  }));
}

// A shared access signature; `seconds` may be negative to make one that is over.
export function sas(resource, key, policy, seconds = 3600) {
  const sr = encodeURIComponent(resource);
  const se = Math.floor(Date.now() / 1000) + seconds;
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(`${sr}\n${se}`).digest('base64');
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(signature)}&se=${se}${policy ? `&skn=${policy}` : ''}`;
}

export class Hub {
  // options: {hub, hostNames: ["localhost"], address: "127.0.0.1", mqttPort, httpsPort,
  // set: ["section.key=value"]}
  static async make(options = {}) {
    const hub = new Hub();
    hub.options = options;
    hub.address = options.address ?? '127.0.0.1';
    hub.dataDir = join(temporaryFolder(), 'hub');
    hub.mqttPort = options.mqttPort ?? await freePort();
    hub.httpsPort = options.httpsPort ?? await freePort();
    const args = ['init', '--data-dir', hub.dataDir, '--output', 'json'];
    if (options.hub) args.push('--hub', options.hub);
    for (const name of options.hostNames ?? []) args.push('--host-name', name);
    const { code, stdout, stderr } = await runProgram(programs.hub, args);
    if (code !== 0) throw new Error(`gemel-hub init: ${stderr}`);
    hub.facts = JSON.parse(stdout);
    hub.hostName = hub.facts.hostName;
    hub.owner = parseConnectionString(hub.facts.connectionString);
    hub.ca = readFileSync(hub.facts.caFile, 'utf8');
    return hub;
  }

  static async started(options = {}) {
    const hub = await Hub.make(options);
    await hub.start();
    return hub;
  }

  async start() {
    const sets = (this.options.set ?? []).flatMap((s) => ['--set', s]);
    this.program = new Program(programs.hub, ['serve', '--data-dir', this.dataDir, '--listen', this.address,
      '--mqtt-port', String(this.mqttPort), '--https-port', String(this.httpsPort), ...sets]);
    await this.program.says(/^ready\b.*$/m);
  }

  async stop() { await this.program?.stop(); }

  async kill9() { await this.program.kill9(); }

  token(policyConnectionString = this.owner, seconds = 3600) {
    const { SharedAccessKeyName, SharedAccessKey } = policyConnectionString;
    return sas(this.hostName, SharedAccessKey, SharedAccessKeyName, seconds);
  }

  // One REST call; the answer with its JSON, if it has one. Options: {headers, body, token, host,
  // raw: send the body as it is}.
  rest(method, path, options = {}) {
    const body = options.body === undefined ? undefined
      : options.raw ? options.body : JSON.stringify(options.body);
    const full = path.includes('api-version') || options.plain ? path
      : `${path}${path.includes('?') ? '&' : '?'}${API}`;
    const headers = { host: options.host ?? this.hostName,
      ...(options.token === null ? {} : { authorization: options.token ?? this.token() }),
      ...(body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) }),
      ...options.headers };
    return new Promise((resolve, reject) => {
      const request = httpsRequest({ host: this.address, port: this.httpsPort, servername: 'localhost', ca: this.ca,
        method, path: full, headers, agent: options.agent ?? false, timeout: 30_000 }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const isJson = /json/.test(response.headers['content-type'] ?? '');
          const answer = { status: response.statusCode, headers: response.headers, text,
            json: isJson && text !== '' ? JSON.parse(text) : undefined };
          try {
            judgeAnswer(method, full, answer);
            resolve(answer);
          } catch (error) {
            reject(error);
          }
        });
        response.on('error', reject);
      });
      request.on('timeout', () => request.destroy(new Error(`${method} ${path}: no answer in 30 s`)));
      request.on('error', reject);
      request.end(body);
    });
  }

  // Like rest(), but anything other than success is an error.
  async must(method, path, options) {
    const answer = await this.rest(method, path, options);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.json;
  }

  // The administration of the server itself, by its administrator's account.
  administer(method, path, body) {
    const { user, password } = this.facts.admin;
    return this.must(method, path, { body, plain: true,
      token: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` });
  }

  // One more hub in this server: {name, hostName, policies, …}, and a view of it that can be used
  // like this object.
  async addHub(name, hostName) {
    const made = await this.administer('POST', '/gemel/v1/hubs', { name, hostNames: [hostName] });
    const hub = Object.create(this);
    hub.hostName = hostName;
    hub.owner = parseConnectionString(made.policies.find((p) => p.name === 'iothubowner').connectionString);
    return hub;
  }

  // The policies of the first hub: {iothubowner, service, device, registryRead, registryReadWrite}.
  async policies() {
    const { policies } = await this.administer('GET', `/gemel/v1/hubs/${this.facts.hub}`);
    return Object.fromEntries(policies.map((p) => [p.name, parseConnectionString(p.connectionString)]));
  }

  // Every event of the log from a sequence number (or "earliest") on, to its present end.
  async events({ deviceId, moduleId, from = 'earliest' } = {}) {
    const found = [];
    const who = `${deviceId ? `&device=${encodeURIComponent(deviceId)}` : ''}${moduleId ? `&module=${encodeURIComponent(moduleId)}` : ''}`;
    for (;;) {
      const page = await this.must('GET', `/gemel/v1/events?from=${from}&limit=1000${who}`, { plain: true });
      if (page.events.length === 0) return found;
      found.push(...page.events);
      from = page.next;
    }
  }

  async createDevice(deviceId) {
    return this.must('PUT', `/devices/${encodeURIComponent(deviceId)}`, { body: { deviceId } });
  }

  async createModule(deviceId, moduleId) {
    return this.must('PUT', `/devices/${encodeURIComponent(deviceId)}/modules/${encodeURIComponent(moduleId)}`,
      { body: { deviceId, moduleId } });
  }

  // With the port, so that a client reaches this very server; SDKs that know only the usual ports
  // get it without.
  connectionString({ deviceId, moduleId, authentication }, { withPort = true } = {}) {
    const host = withPort ? `${this.hostName}:${this.mqttPort}` : this.hostName;
    return `HostName=${host};DeviceId=${deviceId};${moduleId ? `ModuleId=${moduleId};` : ''}`
      + `SharedAccessKey=${authentication.symmetricKey.primaryKey}`;
  }

  twinPath(deviceId, moduleId) {
    const module = moduleId ? `/modules/${encodeURIComponent(moduleId)}` : '';
    return `/twins/${encodeURIComponent(deviceId)}${module}`;
  }

  twin(deviceId, moduleId) { return this.must('GET', this.twinPath(deviceId, moduleId)); }

  patchDesired(deviceId, moduleId, desired) {
    return this.must('PATCH', this.twinPath(deviceId, moduleId), { body: { properties: { desired } } });
  }
}
