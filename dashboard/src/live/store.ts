/** A value that changes often and is shown at most once a frame. */
import { useRef, useSyncExternalStore } from 'react';

type Listener = () => void;
type Schedule = (commit: () => void) => void;

/** By the next frame, or soon where the page is hidden and has no frames. */
export const byFrame: Schedule = (commit) => {
  if (document.hidden) setTimeout(commit, 500);
  else requestAnimationFrame(commit);
};

export class Store<T> {
  private shown: T;
  private isScheduled = false;
  private readonly listeners = new Set<Listener>();

  constructor(
    private latest: T,
    private readonly schedule: Schedule = byFrame,
  ) {
    this.shown = latest;
  }

  /** What listeners were told of last. */
  readonly get = (): T => this.shown;

  readonly subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Changes the value; listeners hear of all changes of a frame at once. */
  update(change: (value: T) => T): void {
    this.latest = change(this.latest);
    if (this.isScheduled) return;
    this.isScheduled = true;
    this.schedule(() => {
      this.isScheduled = false;
      if (this.shown === this.latest) return;
      this.shown = this.latest;
      for (const listener of this.listeners) listener();
    });
  }
}

/** The part of a store that a component shows; it renders again only when that part is another one. */
export function useStore<T, S>(
  store: Store<T>,
  select: (value: T) => S,
  isEqual: (a: S, b: S) => boolean = Object.is,
): S {
  const last = useRef<{ selected: S } | null>(null);
  const snapshot = (): S => {
    const selected = select(store.get());
    if (last.current && isEqual(last.current.selected, selected)) return last.current.selected;
    last.current = { selected };
    return selected;
  };
  return useSyncExternalStore(store.subscribe, snapshot);
}
