// SPDX-License-Identifier: Apache-2.0
// What stands where content is not there yet, could not be read, or is empty.
import type { ComponentChildren } from 'preact';

export function Loading({ what = 'Loading' }: { what?: string }) {
  return <p class="loading" aria-busy="true">{what} …</p>;
}

interface ProblemProps {
  sentence: string;
  onRetry?: () => void;
}

/** An error of the screen itself, spoken at once. */
export function Problem({ sentence, onRetry }: ProblemProps) {
  return (
    <div class="problem" role="alert">
      <p>{sentence}</p>
      {onRetry && <button type="button" class="button" onClick={onRetry}>Try again</button>}
    </div>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}
