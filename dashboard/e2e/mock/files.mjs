// The built page as the gateway serves it.
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';

const DIST = new URL('../../dist/', import.meta.url);
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
  "font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'";

export async function file(response, path) {
  const name = path === '/' ? 'index.html' : path.slice(1);
  const bytes = name.includes('..') ? null : await readFile(new URL(name, DIST)).catch(() => null);
  response.writeHead(bytes ? 200 : 404, {
    'content-type': TYPES[extname(name)] ?? 'application/octet-stream',
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
  });
  response.end(bytes ?? '');
}
