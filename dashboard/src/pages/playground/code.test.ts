import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { codeOf, pythonOf, shellQuoted } from './code';

const TEXTS = ["it's", 'a "b" $HOME `id` \\n', "'; rm -rf / #", 'two\nlines', 'ü€ "\\"'];

describe('code of a request', () => {
  it.each(TEXTS)('a shell takes %j as it is', (text) => {
    const printed = execFileSync('sh', ['-c', `printf %s ${shellQuoted(text)}`]).toString();
    expect(printed).toBe(text);
  });

  it.each<[unknown, string]>([
    [null, 'None'],
    [true, 'True'],
    [[], '[]'],
    [{}, '{}'],
    [1.5, '1.5'],
    [{ a: [false] }, '{\n    "a": [\n        False,\n    ],\n}'],
    ['it\'s "so"', '"it\'s \\"so\\""'],
  ])('%j in Python', (value, expected) => expect(pythonOf(value)).toBe(expected));

  const body = {
    model: 'm',
    messages: [{ role: 'user', content: "it's" }],
    top_k: 4,
    stream: true,
  };

  it('curl', () => {
    expect(codeOf('curl', body, 'http://h')).toContain(`"content": "it'\\''s"`);
  });

  it('Python has what its library does not know as extra_body', () => {
    const code = codeOf('python', body, 'http://h');
    expect(code).toContain('base_url="http://h/v1"');
    expect(code).toContain('    extra_body={\n        "top_k": 4,\n    },\n');
    expect(code).not.toContain('    top_k=');
  });

  it('JavaScript', () => expect(codeOf('javascript', body, 'http://h')).toContain('"top_k": 4'));
});
