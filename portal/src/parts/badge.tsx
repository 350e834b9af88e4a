// SPDX-License-Identifier: Apache-2.0
// Small words that are recognised before they are read: states, and moments.
import { NEVER, agoText, fullText, parseMoment } from './moment';

const TONES: Record<string, string> = {
  success: 'good', Connected: 'good', enabled: 'good', done: 'good',
  failed: 'bad', disabled: 'bad', refused: 'bad',
};

const WORDS: Record<string, string> = { enabled: 'Enabled', disabled: 'Disabled', '': 'none yet' };

/** A state, in words and, for those who see it, in a colour and a shape. */
export function State({ value }: { value: string }) {
  const tone = TONES[value] ?? 'plain';
  return <span class={`state state-${tone}`}>{WORDS[value] ?? value}</span>;
}

export function Moment({ at, ago = false }: { at: string | null | undefined; ago?: boolean }) {
  const date = parseMoment(at);
  if (!date) return <span class="quiet">{NEVER}</span>;
  const full = fullText(date);
  return <time dateTime={date.toISOString()} title={full}>{ago ? agoText(date, new Date()) : full}</time>;
}
