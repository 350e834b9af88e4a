// SPDX-License-Identifier: Apache-2.0
// The module identity twin with a real agent behind it: a change and its verdict on the open page,
// an agent that is away, a hub that restarts, two people at once, history.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Agent, MODULE } from '../harness/agent.mjs';
import { accessibility, Browser, noBrowser, startHub, status } from './browser.mjs';

const DEVICE = "rack#7?c%d+e'1";
let hub;
let browser;
let agent;
let page;

const editor = (on = page) => on.getByRole('textbox', { name: 'Module identity twin', exact: true });
const save = (on = page) => on.getByRole('button', { name: 'Save', exact: true });
const tells = (words, on = page) => status(on).filter({ hasText: words }).waitFor();
const desired = async () => (await hub.twin(DEVICE, MODULE)).properties.desired;

async function open(on = page) {
  await on.goto(`${browser.root}/hubs/demo/devices/${encodeURIComponent(DEVICE)}/modules/${MODULE}/twin`);
  await editor(on).waitFor();
}

// Writes a document over the whole of the editor's, as someone with a keyboard does.
async function write(change, on = page) {
  const twin = await hub.twin(DEVICE, MODULE);
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined) delete twin.properties.desired[name];
    else twin.properties.desired[name] = value;
  }
  await editor(on).fill(JSON.stringify(twin, null, 2));
}

before(async () => {
  if (noBrowser) return;
  hub = await startHub({ hub: 'demo' });
  agent = await Agent.started(hub, { deviceId: DEVICE });
  browser = await Browser.open(hub);
  page = await browser.signedIn();
  await open();
});
after(async () => {
  await agent?.stop();
  await browser?.close();
  await hub?.stop();
});

test('a change in the text is stored, delivered and put in force, told without reloading', { skip: noBrowser }, async () => {
  await write({ Process_MessageFrequency: 'High' });
  await save().click();
  await tells(/success/);
  assert.equal((await agent.reported()).Process_MessageFrequency, 'High');
  const steps = page.getByRole('region', { name: 'State of the last change' });
  assert.match(await steps.textContent(), /Stored.*Version 2.*Delivered.*Version 2.*success.*about version 2/);
});

test('a wrong value is marked while it is written, and refused by the module with its reason', { skip: noBrowser }, async () => {
  await write({ Process_CacheSize: 0, Process_Mod: 2 });
  const problems = page.getByRole('region', { name: 'Problems in the text' });
  await problems.getByText('Process_CacheSize', { exact: true }).waitFor();
  assert.match(await problems.textContent(), /Process_Mode/); // the nearest known name
  await page.locator('.cm-lintRange-error').first().waitFor();
  await save().click();
  await tells(/failed.*Process_CacheSize.*Process_Mod/);
  const size = page.getByRole('textbox', { name: /Process_CacheSize/ });
  assert.equal(await size.getAttribute('aria-invalid'), 'true');
  assert.equal((await agent.reported()).latest_invalid_fields, 'Process_CacheSize,Process_Mod');
  assert.deepEqual(await accessibility(page), []);
});

test('the form writes into the text, and takes out of it', { skip: noBrowser }, async () => {
  await page.getByRole('button', { name: 'Take Process_Mod out of desired' }).click();
  await page.getByRole('textbox', { name: /Process_CacheSize/ }).fill('400');
  await page.getByLabel(/Heartbeat_Disabled/).selectOption({ label: 'On' }).catch(() =>
    page.getByLabel(/Heartbeat_Disabled/).selectOption('true'));
  assert.match(await editor().textContent(), /"Process_CacheSize": 400/);
  await save().click();
  await tells(/success/);
  const now = await desired();
  assert.deepEqual([now.Process_CacheSize, now.Heartbeat_Disabled, now.Process_Mod], [400, true, undefined]);
});

test('an agent that is away is told of, and the change waits for it', { skip: noBrowser }, async () => {
  await agent.stop();
  await page.getByText('Disconnected', { exact: true }).waitFor();
  await write({ Process_CacheSize: 500 });
  await save().click();
  await tells(/Disconnected since .*waits for it/);
  agent.start();
  await tells(/success/);
  assert.equal((await agent.reported()).Process_CacheSize, 500);
});

test('a hub that restarts is waited for, and what was typed is saved afterwards', { skip: noBrowser }, async () => {
  await write({ Process_CacheSize: 600 });
  await hub.stop();
  await page.getByText(/The hub does not answer/).first().waitFor();
  await hub.start();
  await page.getByText(/The hub does not answer/).first().waitFor({ state: 'detached', timeout: 30_000 });
  await save().click();
  await status(page).filter({ hasText: 'success' }).waitFor({ timeout: 40_000 });
  assert.equal((await desired()).Process_CacheSize, 600);
});

test('of two who save at once none overwrites the other in silence', { skip: noBrowser }, async () => {
  const other = await browser.signedIn();
  await open(other);
  await write({ Process_CacheSize: 700 });
  await write({ Process_CacheSize: 800, Heartbeat_Disabled: undefined }, other);
  const answers = [];
  for (const each of [page, other])
    each.on('response', (answer) => { if (answer.request().method() === 'PATCH') answers.push(answer.status()); });
  await Promise.all([save().click(), save(other).click()]);
  const late = await Promise.race([page, other].map(async (each) => {
    await each.getByText(/omebody else saved/).first().waitFor();
    return each;
  }));
  const first = (await desired()).Process_CacheSize;
  assert.ok(first === 700 || first === 800);
  if (!await late.getByRole('dialog').isVisible()) await save(late).click();
  const dialog = late.getByRole('dialog', { name: 'Somebody else saved meanwhile' });
  await dialog.getByText('Changed by both:').waitFor();
  assert.deepEqual(await accessibility(late), []);
  await dialog.getByRole('button', { name: 'Keep mine on top and save' }).click();
  await tells(/success/, late);
  assert.equal((await desired()).Process_CacheSize, 1500 - first);
  await other.context().close();
});

test('history tells who changed what, compares, and restores', { skip: noBrowser }, async () => {
  await page.getByRole('button', { name: 'History' }).click();
  const dialog = page.getByRole('dialog', { name: 'History' });
  await dialog.getByText(/by portal/).first().waitFor();
  assert.ok(await dialog.getByText(hub.facts.admin.user, { exact: true }).count() > 3);
  await dialog.getByRole('button', { name: /^Show change of version 3/ }).click();
  await dialog.getByRole('region', { name: 'Compare' }).getByText(/Process_Mod/).first().waitFor();
  assert.deepEqual(await accessibility(page), []);
  await dialog.getByRole('button', { name: /^Restore version 2/ }).click();
  await page.getByRole('dialog', { name: 'Restore version 2' }).getByRole('button', { name: 'Restore', exact: true }).click();
  await tells(/success/);
  const now = await desired();
  assert.deepEqual([now.Process_MessageFrequency, now.Process_CacheSize], ['High', undefined]);
});

test('markup in a twin stays text', { skip: noBrowser }, async () => {
  const evil = '</script><img src=x onerror=alert(1)>';
  await hub.must('PATCH', hub.twinPath(DEVICE, MODULE), { body: { tags: { evil }, properties: { desired: { Evil: evil } } } });
  await tells(/failed.*Evil/);
  await page.getByText(evil).first().waitFor();
  await hub.must('PATCH', hub.twinPath(DEVICE, MODULE), { body: { properties: { desired: { Evil: null } } } });
  await tells(/success/);
  assert.deepEqual(browser.complaints, []);
});

test('another module has a plain editor', { skip: noBrowser }, async () => {
  await hub.createModule(DEVICE, 'another');
  await page.goto(`${browser.root}/hubs/demo/devices/${encodeURIComponent(DEVICE)}/modules/another/twin`);
  await editor().waitFor();
  assert.equal(await page.getByRole('region', { name: 'Settings' }).count(), 0);
  const twin = await hub.twin(DEVICE, 'another');
  twin.properties.desired.anything = { at: [1] };
  await editor().fill(JSON.stringify(twin));
  await save().click();
  await tells(/stored/);
  assert.deepEqual((await hub.twin(DEVICE, 'another')).properties.desired.anything, { at: [1] });
});
