// SPDX-License-Identifier: Apache-2.0
// Pages by cursor: the hub says where the next one begins, and the way back is remembered here.
import { useEffect, useState } from 'preact/hooks';

const SIZES = [25, 50, 100, 200, 500];
const USUAL_SIZE = 50;

export interface Pages {
  after: string;
  size: number;
  /** How many devices stand before this page. */
  before: number;
  forward: (cursor: string) => void;
  back: () => void;
  resize: (size: number) => void;
}

/** Begins anew whenever `question` changes. */
export function usePages(question: string): Pages {
  const [size, setSize] = useState(USUAL_SIZE);
  const [state, setState] = useState<{ question: string; cursors: string[] }>({ question, cursors: [] });
  const cursors = state.question === question ? state.cursors : [];
  useEffect(() => setState({ question, cursors: [] }), [question]);
  return {
    after: cursors.at(-1) ?? '',
    size,
    before: cursors.length * size,
    forward: (cursor) => setState({ question, cursors: [...cursors, cursor] }),
    back: () => setState({ question, cursors: cursors.slice(0, -1) }),
    resize: (wanted) => {
      setSize(wanted);
      setState({ question, cursors: [] });
    },
  };
}

interface PagerProps {
  pages: Pages;
  total: number;
  shown: number;
  next: string | null;
}

export function Pager({ pages, total, shown, next }: PagerProps) {
  const range = shown === 0 ? '0' : `${(pages.before + 1).toLocaleString('en-GB')} – ${(pages.before + shown).toLocaleString('en-GB')}`;
  return (
    <div class="pager">
      <p aria-live="polite">{range} of {total.toLocaleString('en-GB')}</p>
      <button type="button" class="button" aria-disabled={pages.before === 0}
        onClick={() => pages.before > 0 && pages.back()}>Previous page</button>
      <button type="button" class="button" aria-disabled={next === null}
        onClick={() => next !== null && pages.forward(next)}>Next page</button>
      <label>
        <span>Rows</span>
        <select value={String(pages.size)} onChange={(event) => pages.resize(Number(event.currentTarget.value))}>
          {SIZES.map((size) => <option key={size} value={String(size)}>{size}</option>)}
        </select>
      </label>
    </div>
  );
}
