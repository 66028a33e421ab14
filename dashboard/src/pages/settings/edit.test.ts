import { describe, expect, it } from 'vitest';
import type { Setting } from '../../api/types';
import { found, isLimit, shapeOf, textOf, valueOf, withChange } from './edit';

const setting = (key: string, value: unknown, kind: Setting['kind'] = 'integer'): Setting => ({
  key,
  section: key.split('.')[0] ?? '',
  value,
  default: value,
  origin: { kind: 'default', text: '' },
  is_default: true,
  editable: true,
  applies: 'reload',
  description: null,
  kind,
});

describe('settings', () => {
  it.each<[Setting['kind'], string, unknown]>([
    ['integer', '512', 512],
    ['number', '0.5', 0.5],
    ['integer', 'many', 'many'],
    ['integer or `auto`', '4', 4],
    ['integer or `auto`', 'auto', 'auto'],
    ['list of texts', 'a', ['a']],
    ['integer', '', ''],
    ['text', '5', '5'],
    ['size', '8 GiB', '8 GiB'],
    ['size', '1024', 1024],
    ['list', '["a"]', ['a']],
    ['list', 'a, b', ['a', 'b']],
    ['table', '{"a":1}', { a: 1 }],
    ['table', '{', '{'],
  ])('%s %j', (kind, text, expected) => expect(valueOf(kind, text)).toEqual(expected));

  it.each<[unknown, string]>([
    [null, ''],
    ['a', 'a'],
    [['a'], '["a"]'],
    [true, 'true'],
  ])('text of %j', (value, expected) => expect(textOf(value)).toBe(expected));

  it.each([
    ['`true` or `false`', 'boolean'],
    ['size or `auto`', 'size'],
    ['table of texts', 'table'],
    ['text', 'text'],
  ])('%s is a %s', (kind, expected) => expect(shapeOf(kind)).toBe(expected));

  it('a change back is none', () => {
    const one = setting('gateway.max_queue', 256);
    const changes = withChange({}, one, 512);
    expect(changes).toEqual({ 'gateway.max_queue': 512 });
    expect(withChange(changes, one, 256)).toEqual({});
  });

  it('are found by words', () => {
    const all = [setting('gateway.max_queue', 256), setting('log.level', 'info')];
    expect(found(all, 'log info').map(({ key }) => key)).toEqual(['log.level']);
  });

  it.each([
    ['gateway.max_queue', true],
    ['workers.gguf.slots', true],
    ['memory.limit', true],
    ['log.level', false],
    ['model[max].ttl', false],
  ])('%s bounds something: %s', (key, expected) => expect(isLimit(setting(key, 1))).toBe(expected));
});
