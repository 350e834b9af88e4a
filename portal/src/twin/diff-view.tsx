// SPDX-License-Identifier: Apache-2.0
// The difference of two texts. What is added or removed says so by sign and word, not by colour alone.
import { diffLines, foldSame } from './diff';
import type { DiffLine } from './diff';

const SIGNS: Record<DiffLine['kind'], readonly [sign: string, word: string]> = {
  same: [' ', ''], removed: ['−', 'removed: '], added: ['+', 'added: '],
};

function Line({ kind, text }: DiffLine) {
  const [sign, word] = SIGNS[kind];
  return (
    <div class={`diff-${kind}`}>
      <span aria-hidden="true">{sign} </span>
      {word !== '' && <span class="unseen">{word}</span>}
      {text}
    </div>
  );
}

export function DiffView({ label, before, after }: { label: string; before: string; after: string }) {
  const parts = foldSame(diffLines(before, after));
  const different = parts.some(({ lines }) => lines.length > 0);
  return (
    <div class="diff" role="region" aria-label={label} tabIndex={0}>
      {!different && <p>No difference.</p>}
      {different && parts.map(({ skipped, lines }) => skipped > 0
        ? <div class="diff-skipped">{skipped} equal {skipped === 1 ? 'line' : 'lines'}</div>
        : lines.map((line) => <Line {...line} />))}
    </div>
  );
}
