// Measures what a browser fetches: first what the overview needs, then each other page. Fails above the budget.
import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';

const BUDGET_BYTES = 500 * 1024;
const FIRST_PAGE = 'src/pages/overview/OverviewPage.tsx';
const dist = new URL('../dist/', import.meta.url);

const manifest = JSON.parse(await readFile(new URL('.vite/manifest.json', dist), 'utf8'));
const gzipped = async (file) => gzipSync(await readFile(new URL(file, dist)), { level: 9 }).length;

/** The files of an entry with all that it imports at once. */
function filesOf(key, seen = new Set()) {
  if (seen.has(key)) return [];
  seen.add(key);
  const entry = manifest[key];
  const imported = (entry.imports ?? []).flatMap((next) => filesOf(next, seen));
  return [entry.file, ...(entry.css ?? []), ...imported];
}

async function total(files) {
  const sizes = await Promise.all([...new Set(files)].map(gzipped));
  return sizes.reduce((sum, size) => sum + size, 0);
}

const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
const first = ['index.html', ...filesOf('index.html'), ...filesOf(FIRST_PAGE)];
const firstBytes = await total(first);
console.log(`first load: ${kib(firstBytes)} gzip of ${kib(BUDGET_BYTES)}`);

const loaded = new Set(first);
for (const [key, entry] of Object.entries(manifest)) {
  if (!entry.isDynamicEntry || key === FIRST_PAGE) continue;
  const more = filesOf(key).filter((file) => !loaded.has(file));
  console.log(`  then ${key}: ${kib(await total(more))}`);
}
if (firstBytes > BUDGET_BYTES) {
  console.error('the first load is above its budget');
  process.exit(1);
}
