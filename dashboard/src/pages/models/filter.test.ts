import { describe, expect, it } from 'vitest';
import type { Model } from '../../api/types';
import { ANY, type Filter, matching, valuesOf } from './filter';

const model = (name: string, more: Partial<Model> = {}): Model => ({
  name,
  format: 'gguf',
  state: 'available',
  path: `/${name}`,
  size_bytes: 1,
  detail: null,
  aliases: [],
  architecture: null,
  quantization: null,
  parameters: null,
  context_tokens: null,
  trained_context_tokens: null,
  chat_template: true,
  modified_unix_s: null,
  default: false,
  description: null,
  task: 'generate',
  ...more,
});

const models = [
  model('tiny', { aliases: ['gpt-4o'], quantization: 'Q8_0', state: 'ready' }),
  model('bge', { format: 'onnx', task: 'embed' }),
  model('broken', { format: null, task: null, state: 'broken' }),
];

describe('filtering models', () => {
  it.each<[string, Partial<Filter>, string[]]>([
    ['nothing', {}, ['tiny', 'bge', 'broken']],
    ['a part of a name', { text: 'IN' }, ['tiny']],
    ['an alias and a quantization', { text: 'gpt q8' }, ['tiny']],
    ['a word too many', { text: 'gpt q4' }, []],
    ['a format', { formats: ['onnx'] }, ['bge']],
    ['two states', { states: ['ready', 'broken'] }, ['tiny', 'broken']],
    ['a task', { tasks: ['embed'], text: 'b' }, ['bge']],
  ])('by %s', (_, filter, expected) => {
    expect(matching(models, { ...ANY, ...filter }).map(({ name }) => name)).toEqual(expected);
  });

  it('offers each value once', () => {
    expect(valuesOf(models, ({ format }) => format)).toEqual(['gguf', 'onnx']);
  });
});
