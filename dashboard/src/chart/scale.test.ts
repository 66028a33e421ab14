import { describe, expect, it } from 'vitest';
import { nearest, pathOf, roundUp } from './scale';

const same = (value: number): number => value;

describe('charts', () => {
  it.each([
    [0, 1],
    [0.3, 0.3],
    [1, 1],
    [1.1, 1.5],
    [23, 25],
    [99, 100],
    [1000, 1000],
  ])('roundUp(%s) is %s', (value, expected) => expect(roundUp(value)).toBeCloseTo(expected));

  it('bytes are rounded to powers of two', () => {
    expect(roundUp(5 * 1024 ** 3, 1024)).toBe(6 * 1024 ** 3);
    expect(roundUp(1024 ** 2, 1024)).toBe(1024 ** 2);
  });

  it('what is not known and what is missing are gaps', () => {
    const points = [
      { at: 0, value: 1 },
      { at: 1, value: 2 },
      { at: 2, value: null },
      { at: 3, value: 3 },
      { at: 9, value: 4 },
    ];
    expect(pathOf(points, 1, same, same)).toBe('M0.0 1.0h0L1.0 2.0M3.0 3.0h0M9.0 4.0h0');
  });

  it.each([
    [-5, 0],
    [0, 0],
    [14, 1],
    [16, 2],
    [99, 2],
  ])('nearest to %s is item %s', (at, expected) => expect(nearest([0, 10, 20], at)).toBe(expected));
});
