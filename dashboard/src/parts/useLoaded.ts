import { useCallback, useEffect, useState } from 'react';
import { isAbort, messageOf } from '../api/error';
import { keyState, onKeyChange } from '../api/key';

export interface Loaded<T> {
  data: T | null;
  error: string | null;
  loading: boolean;
  reload: () => void;
}

/** What the server answers, asked for again when `load` is another function, the key is another one, or on request. */
export function useLoaded<T>(load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<Omit<Loaded<T>, 'reload'>>({
    data: null,
    error: null,
    loading: true,
  });
  const [turn, setTurn] = useState(0);
  const reload = useCallback(() => setTurn((value) => value + 1), []);

  useEffect(
    () =>
      onKeyChange(() => {
        if (keyState().wanted === null) reload();
      }),
    [reload],
  );

  useEffect(() => {
    const controller = new AbortController();
    setState((value) => ({ ...value, loading: true }));
    load(controller.signal).then(
      (data) => {
        if (!controller.signal.aborted) setState({ data, error: null, loading: false });
      },
      (error: unknown) => {
        if (controller.signal.aborted || isAbort(error)) return;
        setState((value) => ({ ...value, error: messageOf(error), loading: false }));
      },
    );
    return () => controller.abort();
  }, [load, turn]);

  return { ...state, reload };
}
