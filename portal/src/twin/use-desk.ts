// SPDX-License-Identifier: Apache-2.0
// Puts a twin on the desk and follows it on the hub while its screen is open.
import { useEffect, useMemo, useState } from 'preact/hooks';

import { ApiError } from '../api/http';
import { patchTwin, restoreTwin, watchTwin } from '../api/twins';
import type { TwinOf, TwinWatch } from '../api/twins';
import { say } from '../app/outcome';
import { useStore } from '../app/store';
import { TwinDesk } from './desk';
import type { Desk } from './desk';
import { follow } from './watch';

/** A connection may die without a word; a poll that takes this much longer than asked is given up. */
const GRACE_MS = 15_000;

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

async function poll(of: TwinOf, since: number, connection: string, waitSeconds: number, signal: AbortSignal) {
  const mine = new AbortController();
  const give = () => mine.abort();
  signal.addEventListener('abort', give, { once: true });
  const timer = setTimeout(give, waitSeconds * 1000 + GRACE_MS);
  try {
    return await watchTwin(of, since, connection, waitSeconds, { signal: mine.signal });
  } catch (error) {
    if (mine.signal.aborted && !signal.aborted) throw new ApiError(0, 'NoAnswer', 'The hub does not answer.');
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', give);
  }
}

export interface AtDesk {
  work: TwinDesk;
  desk: Desk | undefined;
  /** Why the twin cannot be followed (any more). */
  ended: string;
  retry: () => void;
}

export function useDesk(of: TwinOf, judged: boolean): AtDesk {
  const { hub, deviceId, moduleId } = of;
  const [tries, setTries] = useState(0);
  const [ended, setEnded] = useState('');
  const leaving = useMemo(() => new AbortController(), [hub, deviceId, moduleId]);
  const work = useMemo(() => new TwinDesk({
    load: async () => (await poll(of, 0, '', 0, leaving.signal)) as TwinWatch,
    save: (patch, etag) => patchTwin(of, patch, etag),
    restore: (id, etag) => restoreTwin(of, id, etag),
    sleep: (ms) => pause(ms, leaving.signal),
    say: (sentence, kind) => { if (!leaving.signal.aborted) say(sentence, kind); },
  }, judged), [leaving]);
  useEffect(() => () => leaving.abort(), [leaving]);
  useEffect(() => {
    const mine = new AbortController();
    setEnded('');
    void follow({
      poll: (since, connection, waitSeconds) => poll(of, since, connection, waitSeconds, mine.signal),
      sleep: (ms) => pause(ms, mine.signal),
      onNews: (news) => void work.arrive(news),
      onSilence: (ms) => {
        work.silent(ms);
        if (!work.state.get()) setEnded(ms > 0 ? 'The hub does not answer. It is asked again.' : '');
      },
      onEnd: (error) => setEnded(error.message),
    }, mine.signal);
    return () => mine.abort();
  }, [work, tries]);
  return { work, desk: useStore(work.state), ended, retry: () => setTries((n) => n + 1) };
}
