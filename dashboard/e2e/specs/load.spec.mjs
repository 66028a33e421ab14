// Sixteen answers at once, on the playground and in the overview's numbers. IMPETUS_LOAD_S: for how long, 10 s if not said.
import { expect, test } from 'vitest';
import { open, useBrowser } from '../context.mjs';

useBrowser();

const SECONDS = Number(process.env.IMPETUS_LOAD_S ?? 10);
const MIB = 1024 ** 2;

test(`${SECONDS} s of 16 streams`, { timeout: (SECONDS + 90) * 1000 }, async () => {
  const page = await open('playground');
  for (let i = 1; i < 16; i += 1) {
    await page.getByRole('combobox', { name: 'Add a model' }).click();
    await page.getByTitle('impetus-tiny', { exact: true }).last().click();
  }
  await page.getByRole('textbox', { name: 'Message' }).fill('count to 50000');
  await page.keyboard.press('Enter');
  await page
    .getByText(/1 2 3 4/)
    .first()
    .waitFor();
  const slowest = page.evaluate(async (ms) => {
    const end = performance.now() + ms;
    let last = performance.now();
    const gaps = [];
    while (performance.now() < end) {
      await new Promise(requestAnimationFrame);
      gaps.push(performance.now() - last);
      last = performance.now();
    }
    gaps.sort((a, b) => a - b);
    return { p50: gaps[gaps.length >> 1], p99: gaps[Math.floor(gaps.length * 0.99)] };
  }, SECONDS * 1000);
  const frames = await slowest;
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  console.log(
    `heap ${(usedSize / MIB).toFixed(1)} MiB, frames p50 ${frames.p50.toFixed(0)} ms, p99 ${frames.p99.toFixed(0)} ms`,
  );
  expect(usedSize).toBeLessThan(100 * MIB);
  expect(frames.p99).toBeLessThan(500);
  await page.getByRole('button', { name: 'Stop' }).click();
});
