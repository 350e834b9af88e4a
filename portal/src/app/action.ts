// SPDX-License-Identifier: Apache-2.0
// An action that asks the hub to change something: busy while it runs, and the hub's sentence when
// it was refused.
import { useCallback, useState } from 'preact/hooks';

import { sentenceOf } from '../api/http';

export interface Action {
  busy: boolean;
  problem: string;
  /** Runs it; true when it was done. */
  run(work: () => Promise<void>): Promise<boolean>;
  refuse(sentence: string): void;
}

export function useAction(): Action {
  const [busy, setBusy] = useState(false);
  const [problem, refuse] = useState('');
  const run = useCallback(async (work: () => Promise<void>) => {
    setBusy(true);
    refuse('');
    try {
      await work();
      return true;
    } catch (error) {
      refuse(sentenceOf(error));
      return false;
    } finally {
      setBusy(false);
    }
  }, []);
  return { busy, problem, run, refuse };
}
