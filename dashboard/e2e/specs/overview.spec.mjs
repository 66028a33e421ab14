import { expect, test } from 'vitest';
import { context, open, useBrowser } from '../context.mjs';

useBrowser();

const card = (page, name) =>
  page.getByRole('listitem').filter({ has: page.getByRole('heading', { name }) });

test('workers, with why the last one ended', async () => {
  const page = await open('overview');
  await card(page, 'qwen3-8b-instruct').getByText('Last exit: killed by SIGSEGV').waitFor();
  await card(page, 'qwen3-8b-instruct').getByText('3 of 4 busy').waitFor();
  await page.getByText('Live').waitFor();
});

test('a model is unloaded and its card goes', async () => {
  const page = await open('overview');
  await page.getByRole('button', { name: 'Unload impetus-tiny' }).click();
  await page.getByText('impetus-tiny is unloaded.').waitFor();
  await card(page, 'impetus-tiny').waitFor({ state: 'detached' });
});

test('what happens to a worker is seen as it happens', async () => {
  const page = await open('overview');
  await card(page, 'impetus-tiny').getByText('Ready').waitFor();
  Object.assign(context.world.workers[0], {
    state: 'backoff',
    detail: 'starts again in 2 s',
    last_exit: 'ran out of memory',
  });
  await card(page, 'impetus-tiny').getByText('Restarts soon').waitFor();
  await card(page, 'impetus-tiny').getByText('Last exit: ran out of memory').waitFor();
});

test('charts of minutes and of hours', async () => {
  const page = await open('overview');
  const chart = page.getByRole('img', { name: /^Tokens per second, latest: generated/ });
  await chart.waitFor();
  await page.getByText('6 h', { exact: true }).click();
  await expect
    .poll(() =>
      chart
        .locator('path')
        .first()
        .getAttribute('d')
        .then((d) => d.length),
    )
    .toBeGreaterThan(1000);
});

test('the stream is taken up again where it broke', async () => {
  const page = await open('overview');
  await page.getByText('Live').waitFor();
  await page.context().setOffline(true);
  context.server.dropStreams();
  await page.getByText('Reconnecting…').waitFor();
  await page.context().setOffline(false);
  await page.getByText('Live').waitFor();
  expect(context.server.resumed()).toMatch(/^e\d+$/);
});
