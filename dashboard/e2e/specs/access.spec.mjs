// What axe finds on every page, in both themes; keyboards and narrow screens.
import { describe, expect, test } from 'vitest';
import { violationsOf } from '../a11y.mjs';
import { context, open, useBrowser } from '../context.mjs';

useBrowser();

const PAGES = [
  'overview',
  'models',
  'models/qwen3-8b-instruct',
  'playground',
  'logs/lines',
  'logs/events',
  'logs/requests',
  'logs/requests/req-0011',
  'logs/crashes/crash-1',
  'settings/keys',
  'settings/profiles',
  'settings/configuration',
];

describe.each(['light', 'dark'])('%s', (colorScheme) => {
  test.each(PAGES)('%s', async (hash) => {
    await context.page.emulateMedia({ colorScheme });
    const page = await open(hash);
    await page.getByText('Live').waitFor();
    await page.waitForTimeout(700);
    expect(await violationsOf(page)).toEqual([]);
  });
});

test.each(PAGES)('%s has room on a phone', async (hash) => {
  await context.page.setViewportSize({ width: 360, height: 740 });
  const page = await open(hash);
  await page.waitForTimeout(900);
  expect(await page.evaluate(() => document.scrollingElement.scrollWidth)).toBe(360);
});

test('by keyboard alone: past the navigation, to a page, its theme', async () => {
  const page = await open('overview');
  await page.getByText('Live').waitFor();
  await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement.textContent)).toBe('Skip to the page');
  await page.keyboard.press('Enter');
  expect(await page.evaluate(() => document.activeElement.id)).toBe('main');
  await page.getByRole('link', { name: 'Models' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Models', level: 1 }).waitFor();
  expect(await page.evaluate(() => document.activeElement.id)).toBe('main');
  await page.getByRole('button', { name: /^Theme/ }).focus();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe('dark');
});
