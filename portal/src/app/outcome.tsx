// SPDX-License-Identifier: Apache-2.0
// The outcome of the last action, in the page's only element of role "status": screen readers speak
// it, and it stands above the screen until it is closed, replaced, or the place is left. A modal
// dialog hides the page from assistive technology, so it repeats what is said while it is open.
import { useState } from 'preact/hooks';

import { store, useStore } from './store';

export type OutcomeKind = 'done' | 'failed' | 'busy';

interface Outcome {
  kind: OutcomeKind;
  sentence: string;
}

const outcome = store<Outcome | undefined>(undefined);

export const say = (sentence: string, kind: OutcomeKind = 'done') => outcome.set({ kind, sentence });
export const forgetOutcome = () => outcome.set(undefined);

export function OutcomeBar() {
  const last = useStore(outcome);
  return (
    <div class={`outcome ${last ? `outcome-${last.kind}` : 'outcome-none'}`}>
      <div role="status">{last?.sentence}</div>
      {last && last.kind !== 'busy' && (
        <button type="button" class="icon-button" aria-label="Dismiss message" onClick={forgetOutcome}>
          <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 4l8 8M12 4l-8 8" /></svg>
        </button>
      )}
    </div>
  );
}

/** For dialogs: what was said since this was first drawn. */
export function OutcomeLine() {
  const last = useStore(outcome);
  const [before] = useState(last);
  return <p class="outcome-line" aria-live="polite">{last === before ? '' : last?.sentence}</p>;
}
