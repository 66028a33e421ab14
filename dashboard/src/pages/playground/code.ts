/** A request as code that can be pasted somewhere else. The key is never in it. */
import type { Body } from './setup';

export type Language = 'curl' | 'python' | 'javascript';

const KEY = 'IMPETUS_API_KEY';

/** What OpenAI's Python library takes only as `extra_body`. */
const EXTRA = ['top_k', 'min_p', 'repetition_penalty'];

/** `text` as one word of a POSIX shell. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A JSON value as Python writes it. */
export function pythonOf(value: unknown, indent = ''): string {
  const deeper = `${indent}    `;
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    return `[\n${value.map((item) => `${deeper}${pythonOf(item, deeper)},\n`).join('')}${indent}]`;
  }
  if (typeof value === 'object') {
    const entries = Object.entries(value);
    if (entries.length === 0) return '{}';
    const rows = entries.map(
      ([key, item]) => `${deeper}${JSON.stringify(key)}: ${pythonOf(item, deeper)},\n`,
    );
    return `{\n${rows.join('')}${indent}}`;
  }
  // JSON strings and numbers are written alike in Python.
  return JSON.stringify(value);
}

function curl(body: Body, origin: string): string {
  return [
    `curl -N ${origin}/v1/chat/completions`,
    `  -H 'Content-Type: application/json'`,
    `  -H "Authorization: Bearer $${KEY}"`,
    `  -d ${shellQuoted(JSON.stringify(body, null, 2))}`,
  ].join(' \\\n');
}

function python(body: Body, origin: string): string {
  const own = Object.entries(body).filter(([name]) => !EXTRA.includes(name));
  const extra = Object.fromEntries(Object.entries(body).filter(([name]) => EXTRA.includes(name)));
  const rows = own.map(([name, value]) => `    ${name}=${pythonOf(value, '    ')},\n`);
  if (Object.keys(extra).length > 0) rows.push(`    extra_body=${pythonOf(extra, '    ')},\n`);
  return `import os
from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key=os.environ.get("${KEY}", "none"))
stream = client.chat.completions.create(
${rows.join('')})
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
`;
}

function javascript(body: Body, origin: string): string {
  return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${origin}/v1", apiKey: process.env.${KEY} ?? "none" });
const stream = await client.chat.completions.create(${JSON.stringify(body, null, 2)});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}
`;
}

const WRITERS: Record<Language, (body: Body, origin: string) => string> = {
  curl,
  python,
  javascript,
};

export function codeOf(language: Language, body: Body, origin: string): string {
  return WRITERS[language](body, origin);
}
