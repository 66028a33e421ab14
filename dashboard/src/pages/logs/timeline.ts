/** The order and depth in which a request's spans are shown: each below its parent, by when it began. */
import type { Span } from '../../api/types';

export interface Placed {
  span: Span;
  depth: number;
}

export function placed(spans: readonly Span[]): Placed[] {
  const children = new Map<number | null, number[]>();
  spans.forEach((span, i) => {
    // A span cannot be below itself or something that is not there.
    const parent =
      span.parent != null && spans[span.parent] && span.parent < i ? span.parent : null;
    children.set(parent, [...(children.get(parent) ?? []), i]);
  });
  const walk = (parent: number | null, depth: number): Placed[] => {
    const below = [...(children.get(parent) ?? [])];
    below.sort((a, b) => (spans[a]?.start_ms ?? 0) - (spans[b]?.start_ms ?? 0));
    return below.flatMap((i) => {
      const span = spans[i];
      return span ? [{ span, depth }, ...walk(i, depth + 1)] : [];
    });
  };
  return walk(null, 0);
}
