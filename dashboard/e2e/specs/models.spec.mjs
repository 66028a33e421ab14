import { expect, test } from 'vitest';
import { XSS } from '../mock/world.mjs';
import { open, useBrowser } from '../context.mjs';

useBrowser();

test('found by a word, loaded, unloaded', async () => {
  const page = await open('models');
  await page.getByRole('textbox', { name: 'Search models' }).fill('llama 70');
  await expect.poll(() => page.getByRole('row').count()).toBe(2);
  await page.getByRole('button', { name: 'Load llama-3.1-70b' }).click();
  await page.getByText('llama-3.1-70b serves.').waitFor();
  await page.getByRole('button', { name: 'Unload llama-3.1-70b' }).click();
  await page.getByText('llama-3.1-70b is unloaded.').waitFor();
});

test('details, and an alias that moves over', async () => {
  const page = await open('models');
  await page.getByRole('link', { name: 'qwen3-8b-instruct' }).click();
  const drawer = page.getByRole('dialog');
  await drawer.getByText('Fits now').waitFor();
  await drawer.getByRole('textbox', { name: 'Alias' }).fill('gpt-4o');
  await drawer.getByRole('button', { name: 'Point it here' }).click();
  await page.getByText('gpt-4o now means qwen3-8b-instruct.').waitFor();
});

test('pulled: searched, looked at, fetched with progress', async () => {
  const page = await open('models');
  await page.getByRole('button', { name: 'Pull' }).click();
  await page
    .getByRole('searchbox', { name: 'Search the hub' })
    .or(page.getByLabel('Search the hub'))
    .first()
    .fill('mini');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: /^owner0\/mini-GGUF/ }).click();
  await page.getByText('Fits now').waitFor();
  await page.getByRole('button', { name: 'Pull 4.6 GiB' }).click();
  await page.getByRole('progressbar', { name: 'Progress of mini-gguf' }).waitFor();
  await page.getByText(/210 MiB\/s/).waitFor();
  await page.getByRole('link', { name: 'mini-gguf' }).waitFor({ timeout: 30_000 });
});

test('a pull that names nothing says what is wrong, and one is stopped', async () => {
  const page = await open('models');
  await page.getByRole('button', { name: 'Pull' }).click();
  await page.getByRole('textbox', { name: 'Model', exact: true }).fill('nonsense');
  await page.getByRole('button', { name: 'Look it up' }).click();
  await page.getByText('“nonsense” names no model').waitFor();
  await page.getByRole('textbox', { name: 'Model', exact: true }).fill('owner/name');
  await page.getByRole('button', { name: 'Look it up' }).click();
  await page.getByRole('button', { name: 'Pull 4.6 GiB' }).click();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByRole('button', { name: 'Go on' }).waitFor();
});

test('uploaded from this computer', async () => {
  const page = await open('models');
  await page.getByRole('button', { name: 'Upload' }).click();
  const file = {
    name: 'my-model.gguf',
    mimeType: 'application/octet-stream',
    buffer: Buffer.alloc(3_000_000),
  };
  await page.locator('input[type=file]').setInputFiles(file);
  await page.getByText('my-model.gguf · 2.86 MiB').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Upload' }).click();
  await page.getByText('my-model is there.').waitFor();
  await page.getByRole('link', { name: 'my-model' }).waitFor();
});

test('a name that would be markup is text', async () => {
  const page = await open('models');
  await page.getByRole('link', { name: `evil ${XSS}` }).click();
  await page.getByRole('dialog').getByText(XSS).first().waitFor();
  expect(await page.locator('img[src="x"]').count()).toBe(0);
});
