// Accessibility, as axe sees it, in a page that is open.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds against WCAG 2.2 A and AA: one line for each rule, with the places. */
export async function violationsOf(page) {
  // Evaluated by the debugger, which the page's Content-Security-Policy does not bind.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const { violations } = await window.axe.run(document, { runOnly: tags });
    return violations.map(({ id, help, nodes }) => {
      const places = nodes.map(({ target, any }) => `${target.join(' ')} ${any[0]?.message ?? ''}`);
      return `${id}: ${help}\n    ${places.slice(0, 4).join('\n    ')}`;
    });
  });
}
