import { expect, test } from 'vitest';
import { open, useBrowser } from '../context.mjs';

useBrowser();

const say = async (page, text) => {
  await page.getByRole('textbox', { name: 'Message' }).fill(text);
  await page.keyboard.press('Enter');
};

test('an answer streams, and the next message knows it', async () => {
  const page = await open('playground');
  await say(page, 'hello');
  await page.getByText('You said: hello.').waitFor();
  await page.getByText(/first token \d+ ms/).waitFor();
  await say(page, 'again');
  await page.getByText('You said: again.').waitFor();
});

test('two models side by side, one of which thinks', async () => {
  const page = await open('playground');
  await page.getByRole('combobox', { name: 'Add a model' }).click();
  await page.getByTitle('qwen3-8b-instruct', { exact: true }).click();
  await say(page, 'hello');
  await expect.poll(() => page.getByText('You said: hello.').count()).toBe(2);
  await page.getByText('Thought').waitFor();
});

test('an answer is stopped', async () => {
  const page = await open('playground');
  await say(page, 'count to 5000');
  await page.getByText(/1 2 3 4/).waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText('stopped').waitFor();
});

test('a tool is called, and the person answers for it', async () => {
  const page = await open('playground');
  await page.getByRole('button', { name: 'Example of Tools (JSON)' }).click();
  await say(page, 'weather?');
  await page.getByText('"city": "Bern"').waitFor();
  await page.getByRole('textbox', { name: 'Result of get_weather' }).fill('sunny');
  await page.getByRole('button', { name: 'Send results' }).click();
  await page.getByText('You said: sunny.').waitFor();
});

test('what else a token could have been', async () => {
  const page = await open('playground');
  await page.getByRole('switch', { name: 'Token probabilities' }).click();
  await say(page, 'hello');
  await page.getByText(/first token/).waitFor();
  await page
    .getByRole('group', { name: /^Tokens/ })
    .locator('[data-index="1"]')
    .hover();
  await page.getByText('␣other').waitFor();
});

test('the request as code', async () => {
  const page = await open('playground');
  await page.getByRole('textbox', { name: 'Message' }).fill("it's");
  await page.getByRole('button', { name: 'Code' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('curl -N').waitFor();
  await dialog.getByText('Python', { exact: true }).click();
  await dialog.getByText('from openai import OpenAI').waitFor();
  expect(await dialog.getByText('"content": "it\'s"').count()).toBe(1);
});
