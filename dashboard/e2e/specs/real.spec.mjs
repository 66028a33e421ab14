// The same page before a real server with the bundled models: IMPETUS_URL=http://127.0.0.1:8080 says where it is. It has to
// run on this machine, without keys: a worker of it is killed, and its first key made and revoked.
import { describe, expect, test } from 'vitest';
import { violationsOf } from '../a11y.mjs';
import { context, open, useBrowser } from '../context.mjs';
import { front } from '../front.mjs';

const { IMPETUS_URL } = process.env;
const MODEL = 'impetus-tiny';

describe.skipIf(!IMPETUS_URL)('a real server', () => {
  useBrowser({ start: () => front(IMPETUS_URL) });

  const statusOf = async () => (await fetch(`${IMPETUS_URL}/admin/status`)).json();
  const workerOf = async () =>
    (await statusOf()).workers.find(({ model, state }) => model === MODEL && state === 'ready');
  const say = async (page, text) => {
    await page.getByRole('textbox', { name: 'Message' }).fill(text);
    await page.keyboard.press('Enter');
  };
  const answer = (page) => page.getByRole('log').locator('p + div');

  test('a model is unloaded and loaded', async () => {
    const page = await open('models');
    await page.getByRole('button', { name: new RegExp(`^(Unl|L)oad ${MODEL}$`) }).waitFor();
    if (await workerOf()) {
      await page.getByRole('button', { name: `Unload ${MODEL}`, exact: true }).click();
    }
    await page.getByRole('button', { name: `Load ${MODEL}`, exact: true }).click();
    await page.getByText(`${MODEL} serves.`).waitFor();
    expect(await workerOf()).toBeTruthy();
  });

  test('a chat streams', async () => {
    const page = await open(`playground/${MODEL}`);
    await say(page, 'count from 1 to 20');
    await answer(page)
      .getByText(/1, 2, 3.*19, 20/)
      .waitFor();
    await page.getByText(/first token/).waitFor();
  });

  test('an alias moves to another model under a running chat', async () => {
    const params = { method: 'POST', headers: { 'content-type': 'application/json' } };
    const swapped = await fetch(`${IMPETUS_URL}/admin/aliases/page-test`, {
      ...params,
      body: JSON.stringify({ model: MODEL }),
    });
    expect(swapped.status).toBe(200);
    const page = await open('playground/page-test');
    await say(page, 'count from 1 to 200');
    await answer(page)
      .getByText(/1, 2, 3/)
      .waitFor();
    const other = await context.tab.newPage();
    await other.goto(`${context.url}/#/models/${MODEL}-safetensors`);
    await other.getByRole('textbox', { name: 'Alias' }).fill('page-test');
    await other.getByRole('button', { name: 'Point it here' }).click();
    await other.getByText(`page-test now means ${MODEL}-safetensors.`).waitFor();
    await page.getByText(/tokens\/s/).waitFor();
    expect(await page.getByRole('log').getByText('stopped').count()).toBe(0);
  });

  test('a worker is killed: the stream goes on, and its card tells why', async () => {
    const page = await open(`playground/${MODEL}`);
    await say(page, 'count from 1 to 200');
    await answer(page)
      .getByText(/1, 2, 3/)
      .waitFor();
    process.kill((await workerOf()).pid, 'SIGKILL');
    await page.getByText(/tokens\/s/).waitFor();
    const text = await answer(page).first().textContent();
    expect(text).toMatch(/1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15/);
    const other = await context.tab.newPage();
    await other.goto(`${context.url}/#/overview`);
    await other
      .getByText(/Last exit: .*SIGKILL/)
      .first()
      .waitFor();
  });

  test.each(['overview', 'models', 'logs/lines', 'logs/requests', 'settings/configuration'])(
    'axe finds nothing in %s',
    async (hash) => {
      const page = await open(hash);
      await page.getByText('Live').waitFor();
      await page.waitForTimeout(1000);
      expect(await violationsOf(page)).toEqual([]);
    },
  );

  test('a key is made, used and revoked', async () => {
    const page = await open('settings/keys');
    await page.getByRole('button', { name: 'Make a key' }).click();
    await page.getByRole('textbox', { name: 'Name' }).fill('page-test');
    await page.getByRole('button', { name: 'Make it' }).click();
    const secret = await page.getByRole('dialog').locator('code').textContent();
    await page.getByRole('button', { name: 'I have it' }).click();
    await expect.poll(async () => (await fetch(`${IMPETUS_URL}/admin/status`)).status).toBe(401);
    const headers = { authorization: `Bearer ${secret}` };
    expect((await fetch(`${IMPETUS_URL}/admin/status`, { headers })).status).toBe(200);
    await page.getByText('Live').waitFor();
    await page.getByRole('button', { name: 'Revoke page-test' }).click();
    await page.getByRole('tooltip').getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('page-test is revoked.').waitFor();
  });
});
