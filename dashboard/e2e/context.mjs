// A browser before the mock server, which every test has for itself, and what has to hold whatever a test does.
import { chromium } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { BROWSER } from './browser.mjs';
import { serve } from './mock/server.mjs';

/** What tests use: `page`, `url` and the mock's `world`. */
export const context = {};

export function useBrowser({ start = serve, viewport = { width: 1360, height: 900 } } = {}) {
  beforeAll(async () => {
    context.browser = await chromium.launch(BROWSER);
  });
  afterAll(() => context.browser.close());

  beforeEach(async () => {
    context.server = await start();
    context.url = context.server.url;
    context.world = context.server.world;
    context.tab = await context.browser.newContext({ viewport });
    context.page = await context.tab.newPage();
    context.problems = watch(context.page, context.url);
  });

  afterEach(async () => {
    const hacked = await context.page.evaluate(() => window.hacked);
    await context.tab.close();
    context.server.close();
    expect(hacked, 'what a name or an output says became code').toBeUndefined();
    expect(context.problems).toEqual([]);
  });
}

/** Requests that leave the machine, errors of the page, and what its policy forbids. */
function watch(page, url) {
  const problems = [];
  page.on('request', (request) => {
    const to = request.url();
    if (!to.startsWith(url) && !to.startsWith('data:') && !to.startsWith('blob:'))
      problems.push(`asked ${to}`);
  });
  page.on('pageerror', (error) => problems.push(`failed: ${error.message}`));
  page.on('console', (message) => {
    const text = message.text();
    // A refused request is said in the console, too; tests look at what the page says of it.
    if (message.type() === 'error' && !text.startsWith('Failed to load resource'))
      problems.push(text);
  });
  return problems;
}

export async function open(hash) {
  await context.page.goto(`${context.url}/#/${hash}`);
  return context.page;
}
