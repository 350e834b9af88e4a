// SPDX-License-Identifier: Apache-2.0
// The devices' table: filtering, sorting and paging by the hub, changing many at once with an
// outcome for each; and ids made of every character that is allowed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser, noBrowser, row, startHub, status } from './browser.mjs';

const COUNT = 1200;
const ODD = ["a#b?c%d+e", "$it's(odd),=@!*;", '%2F', '..', 'twin', '-:._'];
let hub;
let browser;
let page;

async function fill() {
  const ids = Array.from({ length: COUNT }, (_, i) => `pump-${String(i).padStart(4, '0')}`).concat(ODD.filter((id) => id !== '..'));
  for (let at = 0; at < ids.length; at += 100)
    await hub.must('POST', '/devices', { body: ids.slice(at, at + 100).map((id) => ({ id, importMode: 'create' })) });
}

before(async () => {
  if (noBrowser) return;
  hub = await startHub({ hub: 'demo' });
  await fill();
  browser = await Browser.open(hub);
  page = await browser.signedIn();
  await page.goto(`${browser.root}/hubs/demo/devices`);
  await page.getByRole('table', { name: 'Devices' }).waitFor();
});
after(async () => {
  await browser?.close();
  await hub?.stop();
});

const names = () => page.getByRole('table', { name: 'Devices' }).getByRole('rowheader').allTextContents();
const shows = (text) => page.getByText(text, { exact: true }).waitFor();

test('a page of the table is there in 300 ms', { skip: noBrowser }, async () => {
  const ms = await page.evaluate(async () => {
    const begin = performance.now();
    await (await fetch('/gemel/v1/hubs/demo/device-table?limit=50&sort=lastActivityTime')).json();
    return performance.now() - begin;
  });
  assert.ok(ms < 300, `${ms} ms`);
});

test('typing filters, and the address remembers it', { skip: noBrowser }, async () => {
  const box = page.getByRole('searchbox', { name: 'Filter by part of the id' });
  await box.pressSequentially('PUMP-119', { delay: 15 });
  await shows('1 – 10 of 10');
  assert.deepEqual(await names(), Array.from({ length: 10 }, (_, i) => `pump-119${i}`));
  await page.reload();
  await shows('1 – 10 of 10');
  assert.equal(await box.inputValue(), 'PUMP-119');
});

test('a heading sorts, says so, and turns round', { skip: noBrowser }, async () => {
  const heading = page.getByRole('columnheader', { name: 'Device ID' });
  assert.equal(await heading.getAttribute('aria-sort'), 'ascending');
  await heading.getByRole('button').click();
  await page.waitForFunction(() => document.querySelector('tbody th')?.textContent === 'pump-1199');
  assert.equal(await heading.getAttribute('aria-sort'), 'descending');
  await heading.getByRole('button').click();
});

test('pages follow each other without a gap, forth and back', { skip: noBrowser }, async () => {
  await page.getByRole('searchbox').fill('pump-');
  await shows(`1 – 50 of ${COUNT.toLocaleString('en-GB')}`);
  await page.getByRole('button', { name: 'Next page' }).click();
  await page.getByRole('link', { name: 'pump-0050', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Next page' }).click();
  await page.getByRole('link', { name: 'pump-0149', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Previous page' }).click();
  await page.getByRole('link', { name: 'pump-0050', exact: true }).waitFor();
});

test('many are disabled at once, on all pages', { skip: noBrowser }, async () => {
  await page.getByRole('searchbox').fill('pump-00');
  await shows('1 – 50 of 100');
  await page.getByRole('checkbox', { name: 'Select all on this page' }).check();
  await page.getByRole('button', { name: /^Select all 100/ }).click();
  await page.getByText('100 selected').waitFor();
  await page.getByRole('button', { name: 'Disable', exact: true }).click();
  await page.getByRole('button', { name: 'Disable 100 devices' }).click();
  await status(page).filter({ hasText: '100 devices disabled.' }).waitFor();
  assert.equal((await hub.must('GET', '/devices/pump-0099')).status, 'disabled');
  assert.equal((await hub.must('GET', '/devices/pump-0100')).status, 'enabled');
});

test('one that fails does not keep the others, and is told by its name', { skip: noBrowser }, async () => {
  await page.getByRole('searchbox').fill('pump-111');
  await shows('1 – 10 of 10');
  await page.getByRole('checkbox', { name: 'Select all on this page' }).check();
  await hub.rest('DELETE', '/devices/pump-1113', { headers: { 'if-match': '"*"' } });
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByRole('button', { name: 'Delete 10 devices' }).click();
  const outcomes = page.getByRole('table', { name: 'Outcome of each device' });
  await outcomes.waitFor();
  assert.doesNotMatch(await row(outcomes, 'pump-1113').textContent(), /deleted$/);
  assert.match(await row(outcomes, 'pump-1112').textContent(), /deleted$/);
  await page.getByRole('button', { name: 'Done' }).click();
  await status(page).filter({ hasText: '9 devices deleted, 1 failed.' }).waitFor();
  await page.getByText('No device matches.').waitFor();
});

test('devices with every allowed character are found, opened and changed', { skip: noBrowser }, async () => {
  for (const id of ODD.filter((each) => each !== '..')) {
    await page.goto(`${browser.root}/hubs/demo/devices`);
    await page.getByRole('searchbox').fill(id);
    await page.getByRole('link', { name: id, exact: true }).click();
    await page.getByRole('heading', { name: id, exact: true }).waitFor();
    await page.reload();
    await page.getByRole('button', { name: 'Disable' }).click();
    await status(page).filter({ hasText: 'is disabled' }).waitFor();
    assert.equal((await hub.must('GET', `/devices/${encodeURIComponent(id)}`)).status, 'disabled');
  }
});

test('tags with markup are shown as they are written, and edited', { skip: noBrowser }, async () => {
  const evil = '<img src=x onerror=alert(1)><script>alert(2)</script>';
  await hub.must('PATCH', '/twins/pump-0500', { body: { tags: { site: evil, floor: 3, at: { row: 1 } } } });
  await page.goto(`${browser.root}/hubs/demo/devices/pump-0500`);
  await page.getByRole('tab', { name: 'Tags' }).click();
  await page.getByText(evil, { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Edit tags' }).click();
  await page.getByRole('textbox', { name: 'Value of site' }).fill('Kiel');
  await page.getByRole('button', { name: 'Remove floor' }).click();
  await page.getByRole('button', { name: 'Save' }).click();
  await status(page).filter({ hasText: 'are saved' }).waitFor();
  assert.deepEqual((await hub.twin('pump-0500')).tags, { site: 'Kiel', at: { row: 1 } });
});

test('tags that somebody changed meanwhile are not overwritten', { skip: noBrowser }, async () => {
  await page.getByRole('button', { name: 'Edit tags' }).click();
  await page.getByRole('textbox', { name: 'Value of site' }).fill('Bremen');
  await hub.must('PATCH', '/twins/pump-0500', { body: { tags: { site: 'Husum' } } });
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Somebody changed this twin meanwhile').waitFor();
  assert.equal((await hub.twin('pump-0500')).tags.site, 'Husum');
  await page.keyboard.press('Escape');
  await page.getByText('Husum', { exact: true }).waitFor();
  assert.deepEqual(browser.complaints, []);
});
