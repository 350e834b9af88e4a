// SPDX-License-Identifier: Apache-2.0
// The journey in the portal, by mouse: sign in with the one-time password, hub, Devices, a device,
// its module, and a real agent that connects with the connection string copied from the page.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Program, programs, temporaryFolder, until } from '../harness/programs.mjs';
import { Browser, changePassword, noBrowser, PASSWORD, signIn, startHub, status } from './browser.mjs';

const MODULE = 'DefenderIotMicroAgent';
let hub;
let browser;
let page;
let agent;

before(async () => {
  if (noBrowser) return;
  hub = await startHub({ hub: 'demo' });
  browser = await Browser.open(hub);
  page = await browser.page();
});
after(async () => {
  await agent?.stop();
  await browser?.close();
  await hub?.stop();
});

test('the one-time password opens nothing but its own change', { skip: noBrowser }, async () => {
  const { user, password } = hub.facts.admin;
  await page.goto(`${browser.root}/hubs/demo/devices`);
  await signIn(page, user, password);
  await page.getByRole('heading', { name: 'Choose your own password' }).waitFor();
  assert.equal(await page.getByRole('navigation').count(), 0);
  assert.equal((await page.evaluate(() => fetch('/gemel/v1/hubs').then((answer) => answer.status))), 403);
  await changePassword(page, password, 'short');
  await page.getByText('A password has at least 12 characters.').waitFor();
  await changePassword(page, password, PASSWORD);
  await page.getByRole('heading', { name: 'Devices' }).waitFor();
});

test('the way leads from the hubs to the device', { skip: noBrowser }, async () => {
  await page.getByRole('link', { name: 'IoT hubs' }).click();
  await page.getByRole('link', { name: 'demo', exact: true }).click();
  await page.getByText('Registered devices').waitFor();
  await page.getByRole('link', { name: 'Devices', exact: true }).click();
  await page.getByRole('button', { name: 'Add device' }).click();
  await page.getByRole('textbox', { name: 'Device ID' }).fill('cooler-7');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('link', { name: 'cooler-7', exact: true }).click();
  await page.getByRole('heading', { name: 'cooler-7' }).waitFor();
  assert.equal(new URL(page.url()).pathname, '/hubs/demo/devices/cooler-7');
});

test('the micro agent’s module is offered, added and opened', { skip: noBrowser }, async () => {
  await page.getByRole('tab', { name: 'Module Identities' }).click();
  await page.getByRole('button', { name: 'Add module identity' }).click();
  await page.getByRole('button', { name: `Use ${MODULE}` }).click();
  assert.equal(await page.getByRole('textbox', { name: 'Module Identity Name' }).inputValue(), MODULE);
  await page.getByRole('button', { name: 'Save' }).click();
  await status(page).filter({ hasText: `Module identity ${MODULE} is added` }).waitFor();
  await page.getByRole('link', { name: MODULE }).click();
  await page.getByRole('heading', { name: 'Module Identity Details' }).waitFor();
});

test('an agent connects with what the copy button gives', { skip: noBrowser }, async () => {
  await page.getByRole('button', { name: 'Copy connection string (primary key)' }).click();
  await status(page).filter({ hasText: 'copied' }).waitFor();
  const text = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(text, /^HostName=[^;]+;DeviceId=cooler-7;ModuleId=DefenderIotMicroAgent;SharedAccessKey=.+$/);
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'config'));
  mkdirSync(join(folder, 'state'));
  writeFileSync(join(folder, 'config', 'connection_string.txt'), text, { mode: 0o600 });
  writeFileSync(join(folder, 'config', 'ca.pem'), hub.ca);
  agent = new Program(programs.agent, ['run', '--config-dir', join(folder, 'config'), '--state-dir', join(folder, 'state')]);
  await until('the page shows the module connected', async () => {
    await page.getByRole('button', { name: 'Refresh' }).click();
    return page.getByText('Connected', { exact: true }).isVisible();
  }, { everyMs: 500 });
});

test('the key is in the page only when it was asked for', { skip: noBrowser }, async () => {
  const { authentication } = await hub.must('GET', `/devices/cooler-7/modules/${MODULE}`);
  const key = authentication.symmetricKey.primaryKey;
  const field = page.getByLabel('Primary key', { exact: true });
  assert.notEqual(await field.inputValue(), key);
  await page.getByRole('button', { name: 'Show primary key' }).click();
  assert.equal(await field.inputValue(), key);
});

test('a regenerated key is another one, and asked about first', { skip: noBrowser }, async () => {
  const path = `/devices/cooler-7/modules/${MODULE}`;
  const first = await hub.must('GET', path);
  await page.getByRole('button', { name: 'Regenerate secondary key' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Regenerate' }).click();
  await status(page).filter({ hasText: 'secondary key' }).waitFor();
  const now = await hub.must('GET', path);
  assert.notEqual(now.authentication.symmetricKey.secondaryKey, first.authentication.symmetricKey.secondaryKey);
  assert.equal(now.authentication.symmetricKey.primaryKey, first.authentication.symmetricKey.primaryKey);
});

test('the module identity twin opens, and its address leads there again', { skip: noBrowser }, async () => {
  await page.getByRole('link', { name: 'Module Identity Twin' }).click();
  await page.getByRole('textbox', { name: 'Module identity twin' }).waitFor();
  await page.reload();
  await page.getByRole('textbox', { name: 'Module identity twin' }).waitFor();
  await page.getByRole('link', { name: 'cooler-7', exact: true }).click();
  await page.goBack();
  await page.getByRole('textbox', { name: 'Module identity twin' }).waitFor();
});

test('the overview counts, and shows the events of the last hour in words too', { skip: noBrowser }, async () => {
  await page.getByRole('link', { name: 'Overview' }).click();
  await page.getByRole('img', { name: /^Chart: .* in the last 60 minutes/ }).waitFor();
  assert.deepEqual(browser.complaints, []);
});
