/** Where things stand in a chart. */

export interface Point {
  /** Seconds since 1970. */
  at: number;
  value: number | null;
}

const STEPS = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
const BINARY_STEPS = [
  1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024,
];

/** A round number that is not less, of which the half is round, too. */
export function roundUp(value: number, base = 10): number {
  if (value <= 0) return 1;
  const power = base ** Math.floor(Math.log(value) / Math.log(base) + 1e-9);
  const steps = base === 10 ? STEPS : BINARY_STEPS;
  return (steps.find((step) => step * power >= value - 1e-9) ?? base) * power;
}

/** Lines of an SVG path through the points; a gap where nothing is known, or where more than `step` seconds lie between. */
export function pathOf(
  points: readonly Point[],
  step: number,
  x: (at: number) => number,
  y: (value: number) => number,
): string {
  let path = '';
  let last: number | null = null;
  for (const { at, value } of points) {
    if (value === null) {
      last = null;
      continue;
    }
    const isJoined = last !== null && at - last <= step * 1.5;
    const place = `${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    // Of no length, so that one that stands alone is a dot.
    path += isJoined ? `L${place}` : `M${place}h0`;
    last = at;
  }
  return path;
}

/** The time among `times` (ascending) that is nearest to `at`. */
export function nearest(times: readonly number[], at: number): number {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  const before = times[low - 1];
  const here = times[low] ?? 0;
  return low > 0 && before !== undefined && at - before < here - at ? low - 1 : low;
}
