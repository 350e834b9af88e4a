// SPDX-License-Identifier: Apache-2.0
// Asks the hub to judge the text as the agent will, when there was a short pause in the typing. An
// answer about a text that is no longer there is dropped.
import { useEffect, useState } from 'preact/hooks';

import { isAbort } from '../api/http';
import { checkSettings } from '../api/settings';
import type { SettingsVerdict } from '../api/settings';
import { DESIRED } from './document';

const PAUSE_MS = 200;

export interface Checked {
  text: string;
  /** undefined: the hub did not answer. */
  verdict: SettingsVerdict | undefined;
}

/** The last verdict, with the text that it is about. */
export function useCheck(text: string, wanted: boolean, silent: boolean): Checked | undefined {
  const [checked, setChecked] = useState<Checked>();
  useEffect(() => {
    if (!wanted) return undefined;
    const mine = new AbortController();
    const timer = setTimeout(() => {
      checkSettings(text, [...DESIRED], { signal: mine.signal }).then(
        (verdict) => setChecked({ text, verdict }),
        (error) => { if (!isAbort(error)) setChecked({ text, verdict: undefined }); });
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      mine.abort();
    };
  }, [text, wanted, silent]);
  return checked;
}
