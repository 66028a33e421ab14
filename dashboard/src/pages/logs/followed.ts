/** Log lines as they come, as many as are worth keeping. */
import { useEffect, useRef, useState } from 'react';
import { follow, type LinkState } from '../../api/follow';
import type { LogLine } from '../../api/types';
import { appended } from '../../live/bounded';
import { Store, useStore } from '../../live/store';

export interface Asked {
  source: string;
  level: string;
  requestId: string;
}

const LINES = 2000;
const FIRST_LINES = 300;

const NONE: readonly LogLine[] = [];

function urlOf({ source, level, requestId }: Asked): string {
  const query = new URLSearchParams({ lines: String(FIRST_LINES) });
  if (source) query.set('source', source);
  if (level) query.set('level', level);
  if (requestId) query.set('request_id', requestId);
  return `/admin/logs/follow?${query.toString()}`;
}

export interface Followed {
  lines: readonly LogLine[];
  link: LinkState;
}

/** Follows what is asked for; while it is paused, nothing moves. */
export function useFollowed(asked: Asked, isPaused: boolean): Followed {
  const [store] = useState(
    () => new Store<Followed>({ lines: NONE, link: { kind: 'connecting' } }),
  );
  const url = urlOf(asked);
  useEffect(() => {
    const controller = new AbortController();
    store.update((value) => ({ ...value, lines: NONE }));
    void follow({
      url,
      signal: controller.signal,
      onFrame: ({ event, data }) => {
        if (event !== 'lines') return;
        const { lines } = JSON.parse(data) as { lines: LogLine[] };
        store.update((value) => ({ ...value, lines: appended(value.lines, lines, LINES) }));
      },
      onState: (link) => store.update((value) => ({ ...value, link })),
    });
    return () => controller.abort();
  }, [store, url]);

  const now = useStore(store, (value) => value);
  const held = useRef(now);
  if (!isPaused) held.current = now;
  return held.current;
}
