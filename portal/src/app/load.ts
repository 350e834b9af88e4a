// SPDX-License-Identifier: Apache-2.0
// Reading from the hub for a screen: what was read last stays while newer is on its way, and an
// answer that comes after a newer question is dropped.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

import { isAbort, sentenceOf } from '../api/http';

export interface Loaded<T> {
  data: T | undefined;
  error: string;
  /** The error itself, where a screen must tell one from another. */
  cause: unknown;
  loading: boolean;
  reload(): Promise<void>;
}

interface State<T> {
  data?: T;
  error: string;
  cause?: unknown;
  loading: boolean;
}

export function useLoad<T>(read: (signal: AbortSignal) => Promise<T>, inputs: readonly unknown[]): Loaded<T> {
  const [state, setState] = useState<State<T>>({ error: '', loading: true });
  const running = useRef<AbortController | undefined>(undefined);
  const latest = useRef(read);
  latest.current = read;

  const reload = useCallback(async () => {
    running.current?.abort();
    const mine = new AbortController();
    running.current = mine;
    setState((before) => ({ ...before, loading: true }));
    try {
      const data = await latest.current(mine.signal);
      if (!mine.signal.aborted) setState({ data, error: '', loading: false });
    } catch (cause) {
      if (mine.signal.aborted || isAbort(cause)) return;
      setState((before) => ({ ...before, error: sentenceOf(cause), cause, loading: false }));
    }
  }, []);

  useEffect(() => {
    void reload();
    return () => running.current?.abort();
  }, inputs);

  return { data: state.data, error: state.error, cause: state.cause, loading: state.loading, reload };
}
