// SPDX-License-Identifier: Apache-2.0
// Every screen under axe-core, wide and narrow, light and dark; and none is wider than its window.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { accessibility, Browser, noBrowser, startHub } from './browser.mjs';

const MODULE = 'DefenderIotMicroAgent';
const LONG = 'x'.repeat(128);
const SCREENS = [
  ['the hubs', '/hubs', 'table'],
  ['a hub', '/hubs/demo', 'figure'],
  ['policies', '/hubs/demo/policies', 'table'],
  ['devices', '/hubs/demo/devices', 'table'],
  ['a device', '/hubs/demo/devices/cooler-7', 'table'],
  ['a device with a long id', `/hubs/demo/devices/${LONG}`, 'h1'],
  ['a module', `/hubs/demo/devices/cooler-7/modules/${MODULE}`, 'dl'],
  ['a module’s twin', `/hubs/demo/devices/cooler-7/modules/${MODULE}/twin`, '.settings-group'],
  ['a device’s twin', '/hubs/demo/devices/cooler-7/twin', '.cm-content'],
  ['accounts', '/administration/accounts', 'table'],
  ['the audit log', '/administration/audit', 'table'],
  ['one’s account', '/account', 'form'],
  ['nothing', '/hubs/demo/nothing', 'h1'],
];
const DIALOGS = [
  ['/hubs', 'Create hub'], ['/hubs/demo/devices', 'Add device'], ['/hubs/demo/devices/cooler-7', 'Add module identity'],
  ['/hubs/demo/policies', 'Show keys of service'], ['/administration/accounts', 'Add account'],
];
let hub;
let browser;

before(async () => {
  if (noBrowser) return;
  hub = await startHub({ hub: 'demo' });
  for (const id of ['cooler-7', LONG]) await hub.createDevice(id);
  await hub.createModule('cooler-7', MODULE);
  browser = await Browser.open(hub);
  await (await browser.signedIn()).context().close();
});
after(async () => {
  await browser?.close();
  await hub?.stop();
});

for (const [width, dark] of [[1440, false], [1440, true], [390, false], [390, true]]) {
  const how = `${width} pixels wide, ${dark ? 'dark' : 'light'}`;
  test(`no screen has a violation, ${how}`, { skip: noBrowser }, async () => {
    const page = await browser.page({ width, dark });
    await page.goto(browser.root);
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
    assert.deepEqual(await accessibility(page), [], 'signing in');
    await page.context().close();
    const signed = await browser.signedIn({ width, dark });
    for (const [what, address, there] of SCREENS) {
      await signed.goto(browser.root + address);
      await signed.locator(`main ${there}`).first().waitFor({ state: 'attached' });
      assert.deepEqual(await accessibility(signed), [], what);
    }
    for (const [address, button] of DIALOGS) {
      await signed.goto(browser.root + address);
      await signed.getByRole('button', { name: button }).click();
      await signed.getByRole('dialog').waitFor();
      assert.deepEqual(await accessibility(signed), [], button);
    }
    await signed.context().close();
  });
}

test('nothing broke the policy, threw, or asked another place', { skip: noBrowser }, () => {
  assert.deepEqual(browser.complaints, []);
});

test('the theme can be chosen, and the choice is remembered', { skip: noBrowser }, async () => {
  const page = await browser.signedIn();
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.getByLabel('Theme').selectOption('dark');
  assert.notEqual(await ground(), light);
  await page.reload();
  assert.notEqual(await ground(), light);
});
