import { expect, test } from 'vitest';
import { context, open, useBrowser } from '../context.mjs';
import { say, XSS } from '../mock/world.mjs';

useBrowser();

test('lines are followed, by level and by request', async () => {
  const page = await open('logs');
  const log = page.getByRole('log', { name: 'Log lines' });
  await log.getByText('answered').first().waitFor();
  say(context.world, 'gguf-1', 'error', 'something broke', { request_id: 'req-77' });
  await log.getByText('something broke').waitFor();
  await page.getByTitle('All levels').click();
  await page.getByTitle('error', { exact: true }).click();
  await expect.poll(() => log.getByText('answered').count()).toBe(0);
  await log.getByText('something broke').waitFor();
});

test('paused, nothing moves', async () => {
  const page = await open('logs');
  await page.getByRole('log').getByText('req-live-').first().waitFor();
  await page.getByRole('button', { name: 'Pause' }).click();
  say(context.world, 'gguf-1', 'info', 'while paused');
  await page.waitForTimeout(800);
  expect(await page.getByText('while paused').count()).toBe(0);
  await page.getByRole('button', { name: 'Follow' }).click();
  await page.getByText('while paused').waitFor();
});

test('an event leads to its crash report', async () => {
  const page = await open('logs/events');
  await page.getByRole('link', { name: 'Crash report' }).click();
  const drawer = page.getByRole('dialog');
  await drawer.getByText('signal 11').waitFor();
  await drawer.getByText(XSS).waitFor();
});

test('a request’s way through the processes', async () => {
  const page = await open('logs/requests');
  await page.getByRole('row').nth(1).getByRole('link').click();
  const drawer = page.getByRole('dialog');
  await drawer.getByText('prefill').waitFor();
  await drawer.getByText('Supervisor/Acquire').waitFor();
});
