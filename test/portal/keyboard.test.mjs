// SPDX-License-Identifier: Apache-2.0
// The way from the sign-in to a module's twin without a mouse: everything is reached with Tab and the
// arrows, opened with Enter, and left with Escape; the focus is never lost.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser, changePassword, noBrowser, PASSWORD, startHub, status } from './browser.mjs';

const MODULE = 'DefenderIotMicroAgent';
let hub;
let browser;
let page;

before(async () => {
  if (noBrowser) return;
  hub = await startHub({ hub: 'demo' });
  browser = await Browser.open(hub);
  page = await browser.page();
});
after(async () => {
  await browser?.close();
  await hub?.stop();
});

const focused = () => page.evaluate(() => {
  const element = document.activeElement;
  return { tag: element.tagName, name: element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent };
});

// Presses Tab until what has the focus is so called.
async function tabTo(name, key = 'Tab') {
  const seen = [];
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press(key);
    const now = await focused();
    if (now.name === name) return;
    seen.push(`${now.tag} ${now.name.slice(0, 40)}`);
  }
  assert.fail(`Tab never came to "${name}" but to: ${seen.join(', ')}`);
}

// Waits, as a person would, until the focus is on what is so called.
async function focusOn(name) {
  for (let i = 0; i < 100 && (await focused()).name !== name; i++) await page.waitForTimeout(50);
  assert.equal((await focused()).name, name);
}

async function heading(name) {
  await page.getByRole('heading', { name, level: 1 }).waitFor();
  await focusOn(name);
  assert.equal((await focused()).tag, 'H1');
}

test('signing in needs no mouse', { skip: noBrowser }, async () => {
  await page.goto(browser.root);
  await page.getByRole('textbox', { name: 'User' }).waitFor();
  await focusOn('User');
  await page.keyboard.type(hub.facts.admin.user);
  await tabTo('Password');
  await page.keyboard.type(hub.facts.admin.password);
  await page.keyboard.press('Enter');
  await page.getByLabel('Current password').waitFor();
  await changePassword(page, hub.facts.admin.password, PASSWORD);
  await page.getByRole('heading', { name: 'IoT hubs' }).waitFor();
});

test('the first stop leads past the navigation', { skip: noBrowser }, async () => {
  await page.reload();
  await page.getByRole('link', { name: 'demo', exact: true }).waitFor();
  await page.keyboard.press('Tab');
  await focusOn('Skip to content');
  await page.keyboard.press('Enter');
  assert.equal((await focused()).tag, 'MAIN');
  await tabTo('demo');
  await page.keyboard.press('Enter');
  await heading('demo');
});

test('a device is added from the keyboard, and Escape leaves a dialog to where one was', { skip: noBrowser }, async () => {
  await tabTo('Devices', 'Shift+Tab');
  await page.keyboard.press('Enter');
  await heading('Devices');
  await tabTo('Add device');
  await page.keyboard.press('Enter');
  await focusOn('Device ID');
  await page.keyboard.press('Escape');
  await focusOn('Add device');
  await page.keyboard.press('Enter');
  await focusOn('Device ID');
  await page.keyboard.type('cooler-7');
  await page.keyboard.press('Enter');
  await status(page).filter({ hasText: 'cooler-7 is added' }).waitFor();
  await focusOn('Add device');
  await tabTo('cooler-7');
  await page.keyboard.press('Enter');
  await heading('cooler-7');
});

test('the focus stays inside an open dialog', { skip: noBrowser }, async () => {
  await tabTo('Add module identity');
  await page.keyboard.press('Enter');
  for (let i = 0; i < 15; i++) {
    await page.keyboard.press('Tab');
    assert.ok(await page.evaluate(() => document.activeElement === document.body
      || document.querySelector('dialog').contains(document.activeElement)));
  }
  await tabTo('Module Identity Name');
  await page.keyboard.type(MODULE);
  await page.keyboard.press('Enter');
  await status(page).filter({ hasText: 'is added' }).waitFor();
});

test('tabs are one stop, and the arrows go between them', { skip: noBrowser }, async () => {
  await tabTo('Module Identities', 'Shift+Tab');
  await page.keyboard.press('ArrowRight');
  await focusOn('Tags');
  assert.equal(await page.getByRole('tab', { selected: true }).textContent(), 'Tags');
  await page.keyboard.press('ArrowRight');
  await focusOn('Module Identities');
});

test('the module’s twin is reached', { skip: noBrowser }, async () => {
  await tabTo(MODULE);
  await page.keyboard.press('Enter');
  await heading('Module Identity Details');
  await tabTo('Module Identity Twin');
  await page.keyboard.press('Enter');
  await page.getByRole('textbox', { name: 'Module identity twin' }).waitFor();
});

test('the twin is changed, and left again with Tab', { skip: noBrowser }, async () => {
  await tabTo('Module identity twin');
  await page.keyboard.press('Control+Home');
  for (let line = 0; !/^\s*"desired": \{$/.test(await page.locator('.cm-activeLine').first().textContent()); line++) {
    assert.ok(line < 60, 'the arrows never came to desired');
    await page.keyboard.press('ArrowDown');
  }
  await page.keyboard.press('End');
  await page.keyboard.insertText('"Process_CacheSize": 300,');
  await page.keyboard.press('Tab');
  assert.notEqual((await focused()).name, 'Module identity twin');
  await tabTo('Save', 'Shift+Tab');
  await page.keyboard.press('Enter');
  await status(page).filter({ hasText: 'the change waits for it' }).waitFor();
  assert.equal((await hub.twin('cooler-7', MODULE)).properties.desired.Process_CacheSize, 300);
  await focusOn('Save');
  assert.deepEqual(browser.complaints, []);
});
