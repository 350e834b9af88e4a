// SPDX-License-Identifier: Apache-2.0
// Sessions as a person meets them: wrong passwords, sessions that end in the middle of work, a hub
// that restarts, roles that may not, accounts and the audit log.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { Browser, changePassword, noBrowser, row, signIn, startHub, status } from './browser.mjs';

let hub;
let browser;
let page;
let oneTime;

before(async () => {
  if (noBrowser) return;
  hub = await startHub({ hub: 'demo' });
  await hub.createDevice('cooler-7');
  browser = await Browser.open(hub);
  page = await browser.signedIn();
});
after(async () => {
  await browser?.close();
  await hub?.stop();
});

test('a wrong password is told, and opens nothing', { skip: noBrowser }, async () => {
  const other = await browser.page();
  await other.goto(browser.root);
  await signIn(other, hub.facts.admin.user, 'not the password');
  await other.getByRole('alert').getByText(/./).waitFor();
  assert.equal(await other.getByRole('textbox', { name: 'Password' }).inputValue(), '');
  assert.equal(await other.getByRole('navigation').count(), 0);
  await other.context().close();
});

test('when a session ends, one signs in again and goes on where one was', { skip: noBrowser }, async () => {
  await page.goto(`${browser.root}/hubs/demo/devices`);
  await page.getByRole('button', { name: 'Add device' }).click();
  await page.getByRole('textbox', { name: 'Device ID' }).fill('cooler-8');
  const cookies = await page.context().cookies();
  await page.context().clearCookies();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('heading', { name: 'Your session has ended' }).waitFor();
  await page.getByRole('textbox', { name: 'Password' }).fill(hub.adminPassword);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await status(page).filter({ hasText: 'Device cooler-8 is added.' }).waitFor();
  assert.equal((await hub.must('GET', '/devices/cooler-8')).deviceId, 'cooler-8');
  assert.ok(cookies.every((cookie) => cookie.httpOnly && cookie.secure && cookie.sameSite === 'Strict'));
});

test('a hub that restarts is told of, and the session outlives it', { skip: noBrowser }, async () => {
  await hub.stop();
  await page.getByRole('button', { name: 'Refresh' }).click();
  await page.getByText('The hub does not answer').waitFor();
  await hub.start();
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('The hub does not answer').waitFor({ state: 'detached' });
  await page.getByRole('link', { name: 'cooler-8' }).waitFor();
});

test('an account is added with a role on one hub, its password shown once', { skip: noBrowser }, async () => {
  await page.getByRole('link', { name: 'Accounts' }).click();
  await page.getByRole('button', { name: 'Add account' }).click();
  await page.getByRole('textbox', { name: 'User' }).fill('erika');
  await page.getByLabel('Role on every hub').selectOption('');
  await page.getByLabel('Add a role on one hub').selectOption('demo');
  await page.getByRole('button', { name: 'Save' }).click();
  oneTime = await page.getByRole('textbox', { name: 'One-time password' }).inputValue();
  assert.ok(oneTime.length >= 12);
  await page.getByRole('button', { name: 'Done' }).click();
  assert.match(await row(page, 'erika').textContent(), /reader of demo/);
});

test('a reader reads, and neither sees keys nor finds anything to change', { skip: noBrowser }, async () => {
  const reader = await browser.page();
  await reader.goto(`${browser.root}/hubs/demo/devices/cooler-7`);
  await signIn(reader, 'erika', oneTime);
  await reader.getByRole('heading', { name: 'Choose your own password' }).waitFor();
  await changePassword(reader, oneTime, 'a reader’s password');
  await reader.getByRole('heading', { name: 'cooler-7' }).waitFor();
  await reader.getByText('Keys and connection strings are shown to operators.').waitFor();
  for (const name of ['Disable', 'Delete device', 'Add module identity', 'Show primary key', 'Copy primary key'])
    assert.equal(await reader.getByRole('button', { name }).count(), 0, name);
  assert.equal(await reader.getByRole('link', { name: 'Accounts' }).count(), 0);
  await reader.goto(`${browser.root}/administration/accounts`);
  await reader.getByRole('alert').waitFor();
  await reader.context().close();
});

test('the audit log tells what was done, by whom, and leaves as JSON lines', { skip: noBrowser }, async () => {
  await page.getByRole('link', { name: 'Audit log' }).click();
  const log = page.getByRole('table', { name: 'Audit log' });
  await log.waitFor();
  await page.getByRole('searchbox', { name: 'Search the audit log' }).fill('cooler-8');
  await page.waitForFunction(() => [...document.querySelectorAll('tbody tr')].every((each) => each.textContent.includes('cooler-8')));
  assert.match(await log.textContent(), new RegExp(hub.facts.admin.user));
  const [download] = await Promise.all([page.waitForEvent('download'),
    page.getByRole('link', { name: 'Export as JSON lines' }).click()]);
  const text = readFileSync(await download.path(), 'utf8');
  const lines = text.trim().split('\n').map((line) => JSON.parse(line));
  assert.ok(lines.length > 0 && lines.every((line) => line.action && line.time));
  assert.ok(!text.includes(hub.adminPassword) && !text.includes(oneTime));
});

test('a policy’s keys are shown when asked for, and another key after regenerating', { skip: noBrowser }, async () => {
  await page.goto(`${browser.root}/hubs/demo/policies`);
  await page.getByRole('button', { name: 'Show keys of service' }).click();
  await page.getByRole('button', { name: 'Show primary key' }).click();
  const field = page.getByLabel('Primary key', { exact: true });
  const old = await field.inputValue();
  await page.getByRole('button', { name: 'Regenerate primary key' }).click();
  await page.getByRole('button', { name: 'Regenerate', exact: true }).click();
  await page.getByText('The primary key of service is regenerated.').first().waitFor();
  assert.notEqual(await field.inputValue(), old);
});

test('signing out ends the session for whoever kept its cookie', { skip: noBrowser }, async () => {
  const kept = await page.context().cookies();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('textbox', { name: 'User' }).waitFor();
  await page.context().addCookies(kept);
  await page.goto(`${browser.root}/hubs`);
  await page.getByRole('textbox', { name: 'User' }).waitFor();
  assert.deepEqual(browser.complaints, []);
});
