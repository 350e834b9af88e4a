// SPDX-License-Identifier: Apache-2.0
// Points in time as the hub writes them, for people. IoT Hub writes the year 1 for "never".

export const NEVER = 'Never';

/** The moment; undefined if the hub says "never" or nothing. */
export function parseMoment(text: string | null | undefined): Date | undefined {
  if (!text || text.startsWith('0001-')) return undefined;
  // Seven digits of a second are more than every browser reads.
  const date = new Date(text.replace(/(\.\d{3})\d+/, '$1'));
  return Number.isNaN(date.getTime()) ? undefined : date;
}

const UNITS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1],
];

/** "3 minutes ago", as seen from `now`. */
export function agoText(date: Date, now: Date, language = 'en'): string {
  const seconds = (date.getTime() - now.getTime()) / 1000;
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each) ?? ['second', 1];
  return format.format(Math.round(seconds / size), unit);
}

export function fullText(date: Date): string {
  return date.toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
}
