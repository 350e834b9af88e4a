// SPDX-License-Identifier: Apache-2.0
// What someone tries who may not: calls without the token, from other places, with stolen cookies,
// above their role; and names that carry markup. The server refuses it, whatever the page shows.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { MODULE } from '../harness/agent.mjs';
import { Browser, noBrowser, PASSWORD, startHub } from './browser.mjs';

const OWN = 'a password of one’s own';
let hub;
let admin;

// A client with a cookie jar of one cookie, as little as a browser needs.
class Client {
  constructor() { this.cookie = ''; this.csrf = ''; }

  async call(method, path, body, headers = {}) {
    const answer = await hub.rest(method, `/gemel/v1/${path}`, { plain: true, token: null, body,
      host: `localhost:${hub.httpsPort}`, headers: { ...(this.cookie && { cookie: this.cookie }),
        ...(this.csrf && { 'x-gemel-csrf': this.csrf }), ...headers } });
    const [set] = answer.headers['set-cookie'] ?? [];
    if (set) this.cookie = set.split(';')[0];
    if (answer.json?.csrf) this.csrf = answer.json.csrf;
    return answer;
  }

  async status(...call) { return (await this.call(...call)).status; }

  async signIn(user, password) {
    this.csrf = '';
    this.cookie = '';
    return this.call('POST', 'session', { user, password });
  }

  // A copy that knows the cookie, and the token too if it was stolen with it.
  stolen({ csrf = '' } = {}) { return Object.assign(new Client(), { cookie: this.cookie, csrf }); }
}

async function account(user, roles) {
  const { password } = (await admin.call('POST', 'accounts', { user, roles })).json;
  const client = new Client();
  await client.signIn(user, password);
  assert.equal(await client.status('PUT', 'session/password', { old: password, new: OWN }), 204);
  assert.equal((await client.signIn(user, OWN)).status, 200);
  return client;
}

before(async () => {
  hub = await startHub({ hub: 'demo' });
  await hub.createDevice('cooler-7');
  await hub.createModule('cooler-7', MODULE);
  admin = new Client();
  await admin.signIn(hub.facts.admin.user, hub.facts.admin.password);
  await admin.call('PUT', 'session/password', { old: hub.facts.admin.password, new: PASSWORD });
  await admin.signIn(hub.facts.admin.user, PASSWORD);
});
after(async () => { await hub?.stop(); });

test('the cookie is for this host alone, and no script sees it', async () => {
  const { headers, json } = await new Client().signIn(hub.facts.admin.user, PASSWORD);
  assert.match(headers['set-cookie'][0], /^__Host-gemel=\S{32,}; /);
  for (const word of [/; Secure/i, /; HttpOnly/i, /; SameSite=Strict/i, /; Path=\/(;|$)/i]) assert.match(headers['set-cookie'][0], word);
  assert.doesNotMatch(headers['set-cookie'][0], /Domain/i);
  assert.ok(!headers['set-cookie'][0].includes(json.csrf));
});

test('the page and its files carry the headers that protect them', async () => {
  const page = await hub.rest('GET', '/hubs/demo', { plain: true, token: null, headers: { accept: 'text/html' } });
  assert.equal(page.status, 200);
  const policy = page.headers['content-security-policy'];
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*|https?:/);
  assert.equal(page.headers['x-content-type-options'], 'nosniff');
  assert.equal(page.headers['referrer-policy'], 'no-referrer');
  const script = /src="(\/assets\/[^"]+\.js)"/.exec(page.text)[1];
  const file = await hub.rest('GET', script, { plain: true, token: null });
  assert.match(file.headers['content-type'], /^text\/javascript/);
  assert.equal(file.headers['x-content-type-options'], 'nosniff');
});

test('no path leads out of the portal’s folder', async () => {
  for (const path of ['/../../../etc/passwd', '/assets/../../../../etc/passwd', '/assets/%2e%2e/%2e%2e/etc/passwd',
    '/assets/..%2f..%2fetc%2fpasswd', '//etc/passwd', '/assets/\\..\\..\\etc\\passwd', '/assets/']) {
    const { text } = await hub.rest('GET', path, { plain: true, token: null, headers: { accept: '*/*' } });
    assert.doesNotMatch(text, /root:/, path);
  }
});

test('a change without the token, or with another’s, is refused', async () => {
  const path = 'hubs/demo/iothub/devices/stolen';
  const body = { deviceId: 'stolen' };
  assert.equal(await admin.stolen().status('PUT', path, body), 403);
  assert.equal(await admin.stolen({ csrf: 'x'.repeat(64) }).status('PUT', path, body), 403);
  const other = new Client();
  await other.signIn(hub.facts.admin.user, PASSWORD);
  assert.equal(await admin.stolen({ csrf: other.csrf }).status('PUT', path, body), 403);
  assert.equal((await hub.rest('GET', '/devices/stolen')).status, 404);
});

test('a change that another site sends is refused, token or not', async () => {
  const body = { deviceId: 'foreign' };
  for (const origin of ['https://evil.example', 'null', `http://localhost:${hub.httpsPort}`, 'https://localhost:1', `https://localhost:${hub.httpsPort}.evil.example`])
    assert.equal(await admin.status('PUT', 'hubs/demo/iothub/devices/foreign', body, { origin }), 403, origin);
  assert.equal(await new Client().status('POST', 'session', { user: hub.facts.admin.user, password: PASSWORD }, { origin: 'https://evil.example' }), 403);
  assert.equal(await admin.status('PUT', 'hubs/demo/iothub/devices/own', { deviceId: 'own' }, { origin: `https://localhost:${hub.httpsPort}` }), 200);
});

test('a cookie opens nothing once its session has ended, by whatever way', async () => {
  const victim = await account('victim', [{ hub: 'demo', role: 'operator' }]);
  const read = (client) => client.status('GET', 'hubs/demo/iothub/devices/cooler-7');
  const kept = victim.stolen({ csrf: victim.csrf });
  assert.equal(await read(kept), 200);
  assert.equal(await victim.status('DELETE', 'session'), 204);
  assert.equal(await read(kept), 401);
  await victim.signIn('victim', OWN);
  const second = new Client();
  await second.signIn('victim', OWN);
  await victim.call('PUT', 'session/password', { old: OWN, new: `${OWN}!` });
  assert.equal(await read(second), 401, 'another session, after the password changed');
  await victim.signIn('victim', `${OWN}!`);
  await admin.call('PUT', 'accounts/victim', { roles: [{ hub: 'demo', role: 'reader' }], disabled: true });
  assert.equal(await read(victim), 401, 'after the account was disabled');
  assert.ok([401, 403].includes((await victim.signIn('victim', `${OWN}!`)).status));
});

test('a cookie of nobody, or cut, opens nothing', async () => {
  for (const cookie of ['__Host-gemel=', `__Host-gemel=${'0'.repeat(64)}`, admin.cookie.slice(0, -1), `${admin.cookie}0`, 'gemel=1'])
    assert.equal(await Object.assign(new Client(), { cookie }).status('GET', 'hubs'), 401, cookie);
});

test('what a role may not do is refused by the server', async () => {
  const reader = await account('reader', [{ hub: 'demo', role: 'reader' }]);
  const operator = await account('operator', [{ hub: 'demo', role: 'operator' }]);
  const stranger = await account('stranger', []);
  const iothub = 'hubs/demo/iothub/';
  const module = `cooler-7/modules/${MODULE}`;
  const operators = [
    ['PUT', `${iothub}devices/x`, { deviceId: 'x' }], ['DELETE', `${iothub}devices/cooler-7`],
    ['POST', `${iothub}devices`, [{ id: 'x', importMode: 'create' }]],
    ['PUT', `${iothub}devices/${module}`, { deviceId: 'cooler-7', moduleId: MODULE }],
    ['PATCH', `${iothub}twins/${module}`, { properties: { desired: { Process_Disabled: true } } }],
    ['PUT', `${iothub}twins/${module}`, { properties: { desired: {} } }],
    ['PATCH', `${iothub}twins/cooler-7`, { tags: { a: 1 } }],
    ['POST', `hubs/demo/twin-history/${module.replace('/modules', '')}/1/restore`],
  ];
  const administrators = [
    ['GET', 'hubs/demo/policies/service/keys'], ['POST', 'hubs/demo/policies/service/regenerate', { key: 'primary' }],
    ['GET', 'accounts'], ['POST', 'accounts', { user: 'eve', roles: [{ hub: '*', role: 'administrator' }] }],
    ['PUT', 'accounts/reader', { roles: [{ hub: '*', role: 'administrator' }], disabled: false }],
    ['POST', 'accounts/admin/reset'], ['DELETE', 'accounts/admin'],
    ['POST', 'hubs', { name: 'mine', hostNames: ['mine.example'] }], ['DELETE', 'hubs/demo'],
    ['GET', 'audit'], ['GET', 'audit/export'],
  ];
  for (const each of [...operators, ...administrators]) {
    assert.equal(await reader.status(...each), 403, `reader: ${each.join(' ')}`);
    assert.ok([403, 404].includes(await stranger.status(...each)), `stranger: ${each.join(' ')}`);
  }
  for (const each of administrators) assert.equal(await operator.status(...each), 403, `operator: ${each.join(' ')}`);
  const { json, text } = await reader.call('GET', `${iothub}devices/cooler-7`);
  assert.equal(json.deviceId, 'cooler-7');
  assert.doesNotMatch(text, /"(primaryKey|secondaryKey)":"[^"]/);
  assert.doesNotMatch((await reader.call('GET', `${iothub}devices/cooler-7/modules`)).text, /"primaryKey":"[^"]/);
  assert.deepEqual((await stranger.call('GET', 'hubs')).json, []);
  assert.deepEqual((await reader.call('GET', 'hubs')).json.map(({ name, role }) => [name, role]), [['demo', 'reader']]);
  assert.equal((await hub.twin('cooler-7')).tags?.a, undefined);
});

test('guessing is slowed down, and told when to try again', async () => {
  const guess = () => new Client().signIn('reader', 'wrong password');
  const answers = [];
  for (let i = 0; i < 12; i++) answers.push(await guess());
  const late = answers.find(({ status }) => status === 429);
  assert.ok(late, answers.map(({ status }) => status).join(' '));
  assert.ok(Number(late.headers['retry-after']) >= 1);
  assert.equal(answers[0].status, 401);
});

test('names that carry markup stay text on every screen', { skip: noBrowser }, async () => {
  const evil = "<img/src=x.onerror=alert(1)>".replace(/[<>/]/g, '!');
  const ids = [evil, "$it's(#?%,;*=@+:!_-.", '%3Cscript%3E'];
  for (const id of ids) await hub.createDevice(id);
  await hub.createModule(ids[1], '%3Cimg%20src=x%3E');
  await hub.must('PATCH', hub.twinPath(ids[0]), { body: { tags: { '<b>x</b>': '<script>alert(1)</script>' } } });
  const browser = await Browser.open(hub);
  hub.adminPassword = PASSWORD;
  const page = await browser.signedIn();
  for (const id of ids) {
    const address = `${browser.root}/hubs/demo/devices/${encodeURIComponent(id)}`;
    await page.goto(address);
    await page.getByRole('heading', { name: id, exact: true }).waitFor();
    assert.equal(await page.locator('h1').textContent(), id);
    await page.goto(`${address}/twin`);
    await page.getByRole('textbox', { name: 'Device twin' }).waitFor();
  }
  await page.goto(`${browser.root}/hubs/demo/devices?filter=${encodeURIComponent('<script>alert(1)</script>')}`);
  await page.getByText('No device matches.').waitFor();
  await page.goto(`${browser.root}/%3Cscript%3Ealert(1)%3C/script%3E`);
  await page.locator('h1').waitFor();
  await page.goto(`${browser.root}/administration/audit`);
  await page.getByRole('table', { name: 'Audit log' }).waitFor();
  assert.deepEqual(browser.complaints, []);
  await browser.close();
});
