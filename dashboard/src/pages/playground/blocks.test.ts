import { describe, expect, it } from 'vitest';
import { blocksOf } from './blocks';

const lines = 'some words of a line\n'.repeat(1000);
const oneLine = 'word '.repeat(8000);

describe('blocks of a text', () => {
  it('a short text is one', () => expect(blocksOf('a\nb')).toEqual(['a\nb']));

  it.each([
    ['lines', lines, '\n'],
    ['one line', oneLine, ' '],
  ])('%s: nothing is lost', (_, text, between) => {
    expect(blocksOf(text).join(between)).toBe(text);
    expect(Math.max(...blocksOf(text).map((block) => block.length))).toBeLessThan(7000);
  });

  it('blocks stay as they are while a text grows', () => {
    let before: string[] = [];
    for (let end = 0; end < lines.length; end += 997) {
      const now = blocksOf(lines.slice(0, end));
      expect(now.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
      before = now;
    }
  });
});
