// SPDX-License-Identifier: Apache-2.0
// What the chart of events a minute says in words.

const clock = (at: Date) => at.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });

/** The minute that each count is about; the last is the minute of `now`. */
export function minutesOf(counts: readonly number[], now: Date): Date[] {
  const last = Math.floor(now.getTime() / 60_000);
  return counts.map((_, i) => new Date((last - (counts.length - 1 - i)) * 60_000));
}

export function describeEvents(counts: readonly number[], now: Date): string {
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (total === 0) return `No events in the last ${counts.length} minutes.`;
  const most = Math.max(...counts);
  const when = clock(minutesOf(counts, now)[counts.indexOf(most)]!);
  return `${total.toLocaleString('en-GB')} events in the last ${counts.length} minutes, at most ` +
    `${most.toLocaleString('en-GB')} in a minute, at ${when}.`;
}
