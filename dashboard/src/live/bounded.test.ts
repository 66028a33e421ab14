import { describe, expect, it } from 'vitest';
import { appended, merged } from './bounded';

const self = (n: number): number => n;

describe('bounded lists', () => {
  it.each<[number[], number[], number[]]>([
    [[1, 2], [3], [1, 2, 3]],
    [
      [1, 2, 3],
      [4, 5],
      [3, 4, 5],
    ],
    [[1], [], [1]],
  ])('appended %j %j', (list, items, expected) => {
    expect(appended(list, items, 3)).toEqual(expected);
  });

  it.each<[number[], number[], number[]]>([
    [[], [1], [1]],
    [[1, 2], [3], [1, 2, 3]],
    [[2, 3], [1], [1, 2, 3]],
    [
      [1, 3],
      [2, 3],
      [1, 2, 3],
    ],
    [
      [4, 5, 6],
      [1, 2, 3, 4],
      [4, 5, 6],
    ],
    [[], [3, 1, 2], [1, 2, 3]],
  ])('merged %j %j', (list, items, expected) => {
    expect(merged(list, items, self, 3)).toEqual(expected);
  });
});
