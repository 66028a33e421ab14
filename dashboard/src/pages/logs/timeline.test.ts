import { describe, expect, it } from 'vitest';
import type { Span } from '../../api/types';
import { placed } from './timeline';

const span = (name: string, parent: number | null, start_ms: number): Span => ({
  process: 'gateway',
  name,
  parent,
  start_ms,
  took_ms: 1,
  error: null,
  attributes: {},
  events: [],
});

const shown = (spans: Span[]): string[] =>
  placed(spans).map(({ span: { name }, depth }) => `${'  '.repeat(depth)}${name}`);

describe('a timeline', () => {
  it('has each span below its parent, by time', () => {
    const spans = [span('all', null, 0), span('b', 0, 5), span('a', 0, 1), span('in b', 1, 6)];
    expect(shown(spans)).toEqual(['all', '  a', '  b', '    in b']);
  });

  it('has every span, whatever its parent says', () => {
    expect(shown([span('a', 0, 0), span('b', 9, 1), span('c', 2, 2)])).toEqual(['a', 'b', 'c']);
  });
});
