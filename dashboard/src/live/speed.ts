/** How fast workers are, by what they counted between two states of the server. */
import type { Status } from '../api/types';

export interface Speed {
  prompt: number;
  completion: number;
}

const STILL: Speed = { prompt: 0, completion: 0 };
/** Differences over less say little. */
const SHORTEST_MS = 200;

export function speedsOf(
  before: Status | null,
  now: Status,
  known: ReadonlyMap<string, Speed>,
): ReadonlyMap<string, Speed> {
  const ms = now.unix_ms - (before?.unix_ms ?? now.unix_ms);
  if (!before || ms <= 0) return new Map(now.workers.map(({ id }) => [id, STILL]));
  if (ms < SHORTEST_MS) return known;
  const former = new Map(before.workers.map((worker) => [worker.id, worker]));
  return new Map(
    now.workers.map((worker) => {
      const then = former.get(worker.id);
      // Counters begin anew with a process.
      if (!then || then.pid !== worker.pid) return [worker.id, STILL];
      const perSecond = (a: number, b: number): number => Math.max(0, ((b - a) * 1000) / ms);
      return [
        worker.id,
        {
          prompt: perSecond(then.prompt_tokens, worker.prompt_tokens),
          completion: perSecond(then.completion_tokens, worker.completion_tokens),
        },
      ];
    }),
  );
}
