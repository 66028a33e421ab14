/** A stream of events that goes on over ends and failures: resumed where it was, with growing delays. */
import { authorization, checkAccess } from './client';
import { errorIn, messageOf } from './error';
import { type Frame, framesOf } from './sse';

export type LinkState =
  | { kind: 'connecting' }
  | { kind: 'open' }
  | { kind: 'waiting'; message: string; until: number }
  | { kind: 'refused'; message: string };

interface Followed {
  url: string;
  signal: AbortSignal;
  onFrame: (frame: Frame) => void;
  onState?: (state: LinkState) => void;
}

/** The server sends at least a comment every ten seconds. */
const SILENCE_MS = 35_000;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;

/** The delay before the attempt after `failures` failed ones in a row; `random` in 0..1 spreads it. */
export function delayMs(failures: number, random: number): number {
  const full = Math.min(FIRST_DELAY_MS * 2 ** Math.min(failures - 1, 10), LONGEST_DELAY_MS);
  return full * (0.5 + random / 2);
}

/** Calls `onFrame` until `signal` ends it or the server refuses it. */
export async function follow({ url, signal, onFrame, onState }: Followed): Promise<void> {
  let lastId = '';
  let failures = 0;
  while (!signal.aborted) {
    onState?.({ kind: 'connecting' });
    const watch = new Watch(signal);
    try {
      const response = await fetch(url, {
        signal: watch.signal,
        headers: { ...authorization(), ...(lastId && { 'last-event-id': lastId }) },
      });
      await checkAccess(response);
      if (!response.ok || !response.body) {
        const error = await errorIn(response);
        if (isForGood(response.status)) {
          onState?.({ kind: 'refused', message: error.message });
          return;
        }
        throw error;
      }
      onState?.({ kind: 'open' });
      for await (const frame of framesOf(response.body, watch.rest)) {
        failures = 0;
        lastId = frame.id;
        onFrame(frame);
      }
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      const delay = delayMs(failures, Math.random());
      onState?.({ kind: 'waiting', message: messageOf(error), until: Date.now() + delay });
      await pause(delay, signal);
      continue;
    } finally {
      watch.end();
    }
    // An end without an error: the gateway was replaced, and its successor is there already.
    await pause(FIRST_DELAY_MS / 5, signal);
  }
}

const isForGood = (status: number): boolean => status >= 400 && status < 500 && status !== 429;

/** Gives up a connection on which nothing at all comes for too long, or that is not wanted any more. */
class Watch {
  private readonly controller = new AbortController();
  private readonly stop = (): void => this.controller.abort();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly outer: AbortSignal) {
    outer.addEventListener('abort', this.stop);
    this.rest();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Something came: the time begins anew. */
  readonly rest = (): void => {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.stop, SILENCE_MS);
  };

  end(): void {
    clearTimeout(this.timer);
    this.outer.removeEventListener('abort', this.stop);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
