// SPDX-License-Identifier: Apache-2.0
// A real browser in front of a real hub's portal. It watches what no page of the portal may do:
// break its Content-Security-Policy, throw, or ask anything of another place than the hub.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { chromium } from 'playwright-core';

import { Hub } from '../harness/hub.mjs';

const CHROMIUM = process.env.GEMEL_CHROMIUM ?? '/usr/bin/chromium';
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
export const PASSWORD = 'correct horse battery';
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const noBrowser = existsSync(CHROMIUM) ? false : `there is no ${CHROMIUM}`;

// The hub finds the portal of its own build.
export const startHub = (options = {}) => Hub.started(options);

export class Browser {
  static async open(hub) {
    const browser = new Browser();
    browser.hub = hub;
    browser.root = `https://localhost:${hub.httpsPort}`;
    browser.chromium = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
    browser.complaints = [];
    return browser;
  }

  // A page in a context of its own: other cookies, other storage.
  async page({ width = 1440, height = 900, dark = false } = {}) {
    const context = await this.chromium.newContext({ ignoreHTTPSErrors: true, viewport: { width, height },
      colorScheme: dark ? 'dark' : 'light', acceptDownloads: true });
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: this.root });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) this.complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.complaints.push(error.stack));
    page.on('request', (request) => {
      if (!request.url().startsWith(`${this.root}/`) && !request.url().startsWith('data:'))
        this.complaints.push(`asked for ${request.url()}`);
    });
    page.on('dialog', (dialog) => {
      if (dialog.type() === 'beforeunload') return dialog.accept();
      this.complaints.push(`a script opened a window: ${dialog.message()}`);
      return dialog.dismiss();
    });
    return page;
  }

  async close() { await this.chromium.close(); }

  // A page where the administrator is signed in, with the one-time password changed if it still is.
  async signedIn(options) {
    const page = await this.page(options);
    await page.goto(this.root);
    await signIn(page, this.hub.facts.admin.user, this.hub.adminPassword ?? this.hub.facts.admin.password);
    if (this.hub.adminPassword === undefined) {
      await changePassword(page, this.hub.facts.admin.password, PASSWORD);
      this.hub.adminPassword = PASSWORD;
    }
    await page.getByRole('heading', { name: 'IoT hubs' }).waitFor();
    return page;
  }
}

export async function signIn(page, user, password) {
  await page.getByRole('textbox', { name: 'User' }).fill(user);
  await page.getByRole('textbox', { name: 'Password' }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

export async function changePassword(page, old, fresh) {
  await page.getByLabel('Current password').fill(old);
  await page.getByLabel('New password', { exact: true }).fill(fresh);
  await page.getByLabel('Repeat new password').fill(fresh);
  await page.getByRole('button', { name: 'Change password' }).click();
}

// What axe-core finds on the page as it is now, one line each; and whether it is wider than the window.
export async function accessibility(page) {
  // A text is evaluated past the page's Content-Security-Policy, which forbids eval().
  if (!await page.evaluate(() => Boolean(window.axe))) await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const { violations } = await window.axe.run({ runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`);
  });
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  return wider > 0 ? [...found, `the page is ${wider} pixels wider than the window`] : found;
}

// The row of a table, or of the only table of a page, in which this text stands.
export const row = (scope, name) => scope.getByRole('row').filter({ hasText: name });

export const status = (page) => page.getByRole('status');
