import { describe, expect, it, vi } from 'vitest';
import { Store } from './store';

function stepped<T>(value: T) {
  const frames: (() => void)[] = [];
  const store = new Store(value, (commit) => frames.push(commit));
  return { store, frames, frame: () => frames.splice(0).forEach((commit) => commit()) };
}

describe('a store', () => {
  it('tells of all changes of a frame at once', () => {
    const { store, frames, frame } = stepped(0);
    const heard = vi.fn();
    store.subscribe(heard);
    for (let i = 0; i < 1000; i += 1) store.update((value) => value + 1);
    expect([store.get(), heard.mock.calls.length, frames.length]).toEqual([0, 0, 1]);
    frame();
    expect([store.get(), heard.mock.calls.length]).toEqual([1000, 1]);
  });

  it('tells nothing when nothing changed', () => {
    const { store, frame } = stepped({ a: 1 });
    const heard = vi.fn();
    store.subscribe(heard);
    store.update((value) => value);
    frame();
    expect(heard).not.toHaveBeenCalled();
  });

  it('forgets who does not listen any more', () => {
    const { store, frame } = stepped(0);
    const heard = vi.fn();
    store.subscribe(heard)();
    store.update(() => 1);
    frame();
    expect(heard).not.toHaveBeenCalled();
  });
});
