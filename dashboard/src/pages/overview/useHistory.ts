import { useEffect, useMemo, useState } from 'react';
import { api, dataOf } from '../../api/client';
import type { Sample } from '../../api/types';
import { useLive } from '../../live/feed';

export interface Range {
  name: '5min' | '10min' | '1h' | '6h' | '24h';
  /** Seconds. */
  span: number;
  /** Seconds of a sample. */
  step: 1 | 60;
}

export const RANGES = [
  { name: '5min', span: 300, step: 1 },
  { name: '10min', span: 600, step: 1 },
  { name: '1h', span: 3600, step: 60 },
  { name: '6h', span: 21_600, step: 60 },
  { name: '24h', span: 86_400, step: 60 },
] as const satisfies readonly Range[];

const NONE: readonly Sample[] = [];

/** The samples of a range: seconds as the stream brings them, minutes asked for each minute. */
export function useHistory({ span, step }: Range): readonly Sample[] {
  const seconds = useLive((live) => (step === 1 ? live.seconds : NONE));
  const [minutes, setMinutes] = useState<readonly Sample[]>(NONE);

  useEffect(() => {
    if (step === 1) return undefined;
    const controller = new AbortController();
    const { signal } = controller;
    const ask = async (): Promise<void> => {
      const query = { since_s: span, step_s: step };
      const asked = dataOf(api.GET('/admin/history', { params: { query }, signal }));
      // What is shown stays when one question fails; the next minute asks again.
      const history = await asked.catch(() => null);
      if (history && !signal.aborted) setMinutes(history.samples);
    };
    void ask();
    const timer = setInterval(() => void ask(), 60_000);
    return () => {
      clearInterval(timer);
      controller.abort();
    };
  }, [span, step]);

  return useMemo(() => {
    const samples = step === 1 ? seconds : minutes;
    const from = (samples.at(-1)?.unix_s ?? 0) - span;
    return samples.filter(({ unix_s, step_s }) => unix_s >= from && step_s === step);
  }, [seconds, minutes, span, step]);
}
