import { describe, expect, it } from 'vitest';
import { ago, bytes, clock, count, duration, milliseconds, percent, whole } from './units';

describe('units', () => {
  it.each<[number | null, string]>([
    [null, '–'],
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [2_725_888, '2.6 MiB'],
    [16 * 1024 ** 3, '16 GiB'],
    [123_456_789_012, '115 GiB'],
    [-2048, '-2 KiB'],
  ])('bytes(%s)', (value, expected) => expect(bytes(value)).toBe(expected));

  it.each<[number | null, string]>([
    [null, '–'],
    [999, '999'],
    [2_600_000, '2.6M'],
    [7_000_000_000, '7B'],
    [100_000, '100K'],
  ])('count(%s)', (value, expected) => expect(count(value)).toBe(expected));

  it.each<[number | null, string]>([
    [null, '–'],
    [0, '0 s'],
    [59.6, '1 min'],
    [61, '1 min 1 s'],
    [3600, '1 h'],
    [86_400 * 3 + 3600 * 4 + 5, '3 d 4 h'],
    [-4, '0 s'],
  ])('duration(%s)', (value, expected) => expect(duration(value)).toBe(expected));

  it.each<[number, string]>([
    [8.123, '8.12 ms'],
    [40, '40 ms'],
    [1234, '1.23 s'],
    [90_000, '1 min 30 s'],
  ])('milliseconds(%s)', (value, expected) => expect(milliseconds(value)).toBe(expected));

  it('whole numbers have thin spaces', () => expect(whole(131_072)).toBe('131\u202F072'));
  it('ages', () => {
    expect(ago(1000, 2000)).toBe('just now');
    expect(ago(0, 120_000)).toBe('2 min ago');
  });
  it('other days have their date', () => {
    const noon = new Date(2026, 10, 22, 12, 3, 9).getTime();
    expect(clock(noon, noon)).toBe('12:03:09');
    expect(clock(noon, noon + 86_400_000)).toBe('2026-11-22 12:03:09');
  });
  it('percent of nothing', () => expect([percent(1, 0), percent(1, 4)]).toEqual(['–', '25 %']));
});
