import { expect, test } from 'vitest';
import { context, open, useBrowser } from '../context.mjs';

useBrowser();

async function makeKey(page, name) {
  await page.getByRole('button', { name: 'Make a key' }).click();
  await page.getByRole('textbox', { name: 'Name' }).fill(name);
  await page.getByRole('button', { name: 'Make it' }).click();
  const secret = await page.getByRole('dialog').locator('code').textContent();
  await page.getByRole('button', { name: 'I have it' }).click();
  return secret;
}

test('the first key is made, the page goes on with it, and another tab asks for it', async () => {
  const page = await open('settings/keys');
  const secret = await makeKey(page, 'mine');
  await page.getByRole('cell', { name: /^mine/ }).waitFor();
  await page.getByText('Live').waitFor();

  const other = await (await context.browser.newContext()).newPage();
  await other.goto(`${context.url}/`);
  const prompt = other.getByRole('dialog', { name: 'This server asks for a key' });
  await prompt.getByLabel('Key', { exact: true }).fill('sk-wrong');
  await prompt.getByRole('button', { name: 'Use this key' }).click();
  await prompt.getByText('This key is not known here.').waitFor();
  await prompt.getByLabel('Key', { exact: true }).fill(secret);
  await prompt.getByRole('button', { name: 'Use this key' }).click();
  await other.getByText('Live').waitFor();
  expect(await other.evaluate(() => [localStorage.length, sessionStorage.length])).toEqual([0, 1]);
  await other.context().close();
});

test('a key is revoked', async () => {
  const page = await open('settings/keys');
  await makeKey(page, 'mine');
  await makeKey(page, 'theirs');
  await page.getByRole('button', { name: 'Revoke theirs' }).click();
  await page.getByRole('tooltip').getByRole('button', { name: 'Revoke' }).click();
  await page.getByText('theirs is revoked.').waitFor();
});

test('a setting is changed: refused as the server says it, then checked and applied', async () => {
  const page = await open('settings/configuration');
  const field = page.getByRole('textbox', { name: 'gateway.max_queue' });
  await field.fill('many');
  await page.getByRole('button', { name: 'Check and apply' }).click();
  await page.getByText('gateway.max_queue: expected a whole number, found “many”').waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await field.fill('512');
  await page.getByRole('button', { name: 'Check and apply' }).click();
  await page.getByText('+gateway.max_queue = 512').waitFor();
  await page.getByRole('button', { name: 'Apply', exact: true }).click();
  await page.getByText('Applied.').waitFor();
  await page.getByText('from /etc/impetus/config.toml:30').waitFor();
});

test('what the environment sets cannot be edited here', async () => {
  const page = await open('settings/configuration');
  expect(await page.getByRole('textbox', { name: 'log.level' }).isDisabled()).toBe(true);
});

test('a profile shows what it changes', async () => {
  const page = await open('settings/profiles');
  await page.getByRole('button', { name: 'Use “quiet”' }).click();
  await page.getByText('+workers.gguf.threads = 2').waitFor();
});
