/** The one stream of the page, and the store that it feeds. */
import { api, dataOf } from '../api/client';
import { follow } from '../api/follow';
import { keyState, onKeyChange } from '../api/key';
import { after, type Live, NOTHING, SECONDS, withSeconds } from './state';
import { Store, useStore } from './store';

const live = new Store<Live>(NOTHING);

/** A part of what is known of the server, as it changes. */
export function useLive<S>(select: (live: Live) => S, isEqual?: (a: S, b: S) => boolean): S {
  return useStore(live, select, isEqual);
}

/** Follows the server until it is ended; another key begins anew. */
export function feed(): () => void {
  let running = new AbortController();
  const start = (): void => {
    running.abort();
    running = new AbortController();
    if (keyState().wanted === null) run(running.signal);
  };
  start();
  const forget = onKeyChange(start);
  return () => {
    forget();
    running.abort();
  };
}

function run(signal: AbortSignal): void {
  void follow({
    url: '/admin/events',
    signal,
    onFrame: ({ event, data }) => {
      const parsed: unknown = JSON.parse(data);
      live.update((value) => after(value, event, parsed));
    },
    onState: (link) => {
      live.update((value) => ({ ...value, link }));
      // What the charts missed meanwhile; the stream goes on from now.
      if (link.kind === 'open') void fill(signal);
    },
  });
}

async function fill(signal: AbortSignal): Promise<void> {
  try {
    const query = { since_s: SECONDS, step_s: 1 };
    const { samples } = await dataOf(api.GET('/admin/history', { params: { query }, signal }));
    live.update((value) => withSeconds(value, samples));
  } catch {
    // The charts begin with what the stream brings.
  }
}
