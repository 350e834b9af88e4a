// SPDX-License-Identifier: Apache-2.0
// ./dev screenshots: the pictures of docs/guide/portal.md, taken of a real hub with a real agent.
//
//   node screenshots.mjs BUILD-DIRECTORY [FOLDER]
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = process.argv[3] ?? join(root, 'docs/guide/portal');
process.env.GEMEL_BUILD = process.argv[2];
const { Agent, MODULE } = await import('../test/harness/agent.mjs');
const { Browser, startHub, status } = await import('../test/portal/browser.mjs');
const { until } = await import('../test/harness/programs.mjs');

const DEVICE = 'cooler-7';
const twin = `/hubs/plant/devices/${DEVICE}/modules/${MODULE}/twin`;

async function save(page, desired, verdict) {
  const document = await page.evaluate(async (path) => (await fetch(path)).json(),
    `/gemel/v1/hubs/plant/iothub/twins/${DEVICE}/modules/${MODULE}`);
  Object.assign(document.properties.desired, desired);
  await page.getByRole('textbox', { name: 'Module identity twin', exact: true }).fill(JSON.stringify(document, null, 2));
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await status(page).filter({ hasText: verdict }).waitFor();
}

async function fillHub(hub) {
  const ids = ['boiler-1', 'boiler-2', 'cooler-8', 'gate-north', 'gate-south', 'lift-1', 'lift-2', 'meter-0417', 'meter-0418'];
  await hub.must('POST', '/devices', { body: ids.map((id, i) => ({ id, importMode: 'create', status: i === 5 ? 'disabled' : 'enabled' })) });
  for (const id of ids.slice(0, 6)) await hub.createModule(id, MODULE);
  await hub.must('PATCH', hub.twinPath(DEVICE), { body: { tags: { site: 'Kiel', floor: 3 } } });
}

// [file, address, a text or selector that must be there, {width, dark, before}]
const shots = [
  ['hubs', '/hubs', 'table'],
  ['overview', '/hubs/plant', 'figure'],
  ['devices', '/hubs/plant/devices', 'table'],
  ['device', `/hubs/plant/devices/${DEVICE}`, 'table'],
  ['module', `/hubs/plant/devices/${DEVICE}/modules/${MODULE}`, 'dl'],
  ['twin', twin, '.settings-group', { before: (page) => save(page, { Process_MessageFrequency: 'High' }, /success/) }],
  ['failed', twin, '.settings-group', { before: (page) => save(page, { Process_CacheSize: 0, Process_Mod: 2 }, /failed/) }],
  ['history', twin, '.settings-group', { before: async (page) => {
    await page.getByRole('button', { name: 'History' }).click();
    await page.locator('.entries li').first().waitFor();
  } }],
  ['narrow', twin, '.cm-content', { width: 390, dark: true }],
  ['audit', '/administration/audit', 'table'],
];

async function shoot(browser, [name, address, there, { width = 1280, dark = false, before } = {}]) {
  const page = await browser.signedIn({ width, height: width < 500 ? 844 : 820, dark });
  await page.goto(browser.root + address);
  await page.locator(`main ${there}`).first().waitFor({ state: 'attached' });
  await page.waitForLoadState('networkidle', { timeout: 2000 }).catch(() => {}); // a twin is always being watched
  await before?.(page);
  await page.waitForTimeout(700); // whatever moves has come to rest
  await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled', caret: 'hide' });
  await page.context().close();
  console.log(`screenshots: ${name}.png`);
}

mkdirSync(folder, { recursive: true });
const hub = await startHub({ hub: 'plant' });
const agent = await Agent.started(hub, { deviceId: DEVICE, args: ['--first-delay', '0'] });
await fillHub(hub);
await until('an event', async () => (await hub.events()).length > 0, { timeoutMs: 20_000 }).catch(() => {});
const browser = await Browser.open(hub);
try {
  for (const shot of shots) await shoot(browser, shot);
} finally {
  await browser.close();
  await agent.stop();
  await hub.stop();
}
