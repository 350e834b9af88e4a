// SPDX-License-Identifier: Apache-2.0
// The difference of two texts, line by line (Myers' greedy algorithm).

export interface DiffLine {
  kind: 'same' | 'removed' | 'added';
  text: string;
}

// Past so many different lines the shortest way is not worth its time.
const EDITS_LIMIT = 2000;

function trace(a: readonly string[], b: readonly string[]): Int32Array[] | undefined {
  const size = a.length + b.length;
  const reach = new Int32Array(2 * size + 3);
  const middle = size + 1;
  const steps: Int32Array[] = [];
  for (let edits = 0; edits <= Math.min(size, EDITS_LIMIT); edits++) {
    steps.push(reach.slice(middle - edits - 1, middle + edits + 2));
    for (let k = -edits; k <= edits; k += 2) {
      const down = k === -edits || (k !== edits && reach[middle + k - 1]! < reach[middle + k + 1]!);
      let x = down ? reach[middle + k + 1]! : reach[middle + k - 1]! + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      reach[middle + k] = x;
      if (x >= a.length && x - k >= b.length) return steps;
    }
  }
  return undefined;
}

function walkBack(a: readonly string[], b: readonly string[], steps: Int32Array[]): DiffLine[] {
  const lines: DiffLine[] = [];
  let [x, y] = [a.length, b.length];
  for (let edits = steps.length - 1; edits >= 0; edits--) {
    const reach = (k: number) => steps[edits]![k + edits + 1]!;
    const k = x - y;
    const down = k === -edits || (k !== edits && reach(k - 1) < reach(k + 1));
    const fromX = edits === 0 ? 0 : down ? reach(k + 1) : reach(k - 1) + 1;
    while (x > fromX) {
      lines.push({ kind: 'same', text: a[--x]! });
      y--;
    }
    if (edits === 0) break;
    if (down) lines.push({ kind: 'added', text: b[--y]! });
    else lines.push({ kind: 'removed', text: a[--x]! });
  }
  return lines.reverse();
}

export function diffLines(before: string, after: string): DiffLine[] {
  const [a, b] = [before.split('\n'), after.split('\n')];
  const steps = trace(a, b);
  if (steps) return walkBack(a, b, steps);
  return [...a.map((text) => ({ kind: 'removed' as const, text })), ...b.map((text) => ({ kind: 'added' as const, text }))];
}

export interface DiffPart {
  /** Equal lines that are left out; 0 for a part that is shown. */
  skipped: number;
  lines: DiffLine[];
}

/** Keeps `context` equal lines around what differs; the others are only counted. */
export function foldSame(lines: readonly DiffLine[], context = 3): DiffPart[] {
  const near = (i: number) => lines.slice(Math.max(0, i - context), i + context + 1).some(({ kind }) => kind !== 'same');
  const parts: DiffPart[] = [];
  for (const [i, line] of lines.entries()) {
    const shown = near(i);
    let last = parts.at(-1);
    if (!last || (last.skipped === 0) !== shown) parts.push(last = { skipped: 0, lines: [] });
    last.lines.push(line);
    if (!shown) last.skipped++;
  }
  return parts.map((part) => (part.skipped > 1 ? { ...part, lines: [] } : { ...part, skipped: 0 }));
}
