// `node e2e/shots.mjs [URL]`: pictures of every page, in both themes and on a phone, into e2e/screenshots.
import { mkdir } from 'node:fs/promises';
import { chromium } from 'playwright-core';
import { BROWSER } from './browser.mjs';
import { serve } from './mock/server.mjs';

const folder = new URL('./screenshots/', import.meta.url).pathname;
const PAGES = [
  ['overview', '#/overview'],
  ['models', '#/models'],
  ['details', '#/models/qwen3-8b-instruct'],
  ['playground', '#/playground'],
  ['lines', '#/logs/lines'],
  ['events', '#/logs/events'],
  ['requests', '#/logs/requests'],
  ['request', '#/logs/requests/req-0011'],
  ['crash', '#/logs/crashes/crash-1'],
  ['keys', '#/settings/keys'],
  ['profiles', '#/settings/profiles'],
  ['configuration', '#/settings/configuration'],
];
const SIZES = { wide: { width: 1360, height: 900 }, phone: { width: 390, height: 844 } };

const mock = process.argv[2] ? null : await serve();
const url = process.argv[2] ?? mock.url;
await mkdir(folder, { recursive: true });
const browser = await chromium.launch(BROWSER);
for (const colorScheme of ['light', 'dark']) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    const context = await browser.newContext({ viewport, colorScheme });
    const page = await context.newPage();
    for (const [name, hash] of PAGES) {
      await page.goto(`${url}/${hash}`);
      await page.waitForTimeout(1200);
      if (name === 'playground') {
        await page.getByRole('textbox', { name: 'Message' }).fill('Tell me something');
        await page.getByRole('button', { name: 'Send' }).click();
        await page.waitForTimeout(1500);
      }
      const fullPage = !['details', 'request', 'crash'].includes(name);
      await page.screenshot({ path: `${folder}${name}-${colorScheme}-${size}.png`, fullPage });
    }
    await context.close();
  }
}
await browser.close();
mock?.close();
