/** The lines of each chart. */
import { useMemo } from 'react';
import type { Sample } from '../../api/types';
import type { Line } from '../../chart/TimeChart';
import { texts } from '../../texts';

type Value = (sample: Sample) => number | null | undefined;

const line = (
  samples: readonly Sample[],
  name: string,
  color: string,
  value: Value,
  dashed = false,
): Line => ({ name, color, dashed, values: samples.map((sample) => value(sample) ?? null) });

export function seriesOf(samples: readonly Sample[]) {
  const words = texts.overview.lines;
  const of = (name: string, color: string, value: Value): Line => line(samples, name, color, value);
  return {
    times: samples.map(({ unix_s }) => unix_s),
    throughput: [
      of(words.completion, 'c1', (one) => one.completion_tokens_per_s),
      of(words.prompt, 'c2', (one) => one.prompt_tokens_per_s),
    ],
    firstToken: [
      of('p50', 'c1', (one) => one.first_token_ms?.p50),
      of('p99', 'c3', (one) => one.first_token_ms?.p99),
    ],
    interToken: [
      of('p50', 'c1', (one) => one.inter_token_ms?.p50),
      of('p99', 'c3', (one) => one.inter_token_ms?.p99),
    ],
    queue: [
      of(words.running, 'c1', (one) => one.running),
      of(words.waiting, 'c3', (one) => one.waiting),
      line(samples, words.slots, 'foreign', (one) => one.slots, true),
    ],
    requests: [
      of(words.requests, 'c1', (one) => one.requests_per_s),
      of(words.errors, 'c4', (one) => one.errors_per_s),
    ],
  };
}

export function useSeries(samples: readonly Sample[]): ReturnType<typeof seriesOf> {
  return useMemo(() => seriesOf(samples), [samples]);
}

export function memoryLinesOf(samples: readonly Sample[]): { pool: string; lines: Line[] }[] {
  const words = texts.overview.lines;
  const names = samples.at(-1)?.pools.map(({ name }) => name) ?? [];
  return names.map((pool) => {
    const poolOf = (sample: Sample) => sample.pools.find(({ name }) => name === pool);
    return {
      pool,
      lines: [
        line(samples, words.placed, 'c1', (one) => poolOf(one)?.placed_bytes),
        line(samples, words.measured, 'c2', (one) => poolOf(one)?.measured_bytes),
        line(samples, words.limit, 'foreign', (one) => poolOf(one)?.limit_bytes, true),
      ],
    };
  });
}

export function useMemoryLines(samples: readonly Sample[]): ReturnType<typeof memoryLinesOf> {
  return useMemo(() => memoryLinesOf(samples), [samples]);
}
