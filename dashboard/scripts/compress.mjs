// Puts a gzip and a brotli form beside each file of dist/ that gets smaller by it; the gateway serves them as they are.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url).pathname;
const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };

for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !/\.(html|js|css|svg)$/.test(entry.name)) continue;
  const path = join(entry.parentPath, entry.name);
  const plain = await readFile(path);
  const forms = { gz: gzipSync(plain, { level: 9 }), br: brotliCompressSync(plain, quality) };
  for (const [suffix, bytes] of Object.entries(forms)) {
    if (bytes.length < plain.length) await writeFile(`${path}.${suffix}`, bytes);
  }
}
