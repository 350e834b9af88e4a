// SPDX-License-Identifier: Apache-2.0
// Changing many devices: in portions that the hub takes, with an outcome for every single one.
// A portion that fails as a whole stops nothing: its devices have that failure as their outcome.
import type { ItemOutcome } from '../../api/devices';

export interface ChangeProgress {
  total: number;
  outcomes: ItemOutcome[];
}

type ChangePortion = (ids: string[]) => Promise<ItemOutcome[]>;

export interface ChangeRun {
  ids: readonly string[];
  portion: number;
  change: ChangePortion;
  sentenceOf: (error: unknown) => string;
  stopped: () => boolean;
  onProgress: (progress: ChangeProgress) => void;
}

/** Resolves to the outcomes of all that was tried; after a stop, the rest was not. */
export async function runChange(run: ChangeRun): Promise<ItemOutcome[]> {
  const outcomes: ItemOutcome[] = [];
  for (let at = 0; at < run.ids.length && !run.stopped(); at += run.portion) {
    const ids = run.ids.slice(at, at + run.portion);
    try {
      outcomes.push(...await run.change(ids));
    } catch (error) {
      const sentence = run.sentenceOf(error);
      outcomes.push(...ids.map((deviceId) => ({ deviceId, error: sentence })));
    }
    run.onProgress({ total: run.ids.length, outcomes: [...outcomes] });
  }
  return outcomes;
}

const count = (n: number) => `${n.toLocaleString('en-GB')} ${n === 1 ? 'device' : 'devices'}`;

/** "3 devices deleted, 1 failed." */
export function summary(past: string, outcomes: readonly ItemOutcome[], total: number): string {
  const failed = outcomes.filter((outcome) => outcome.error !== '').length;
  const parts = [`${count(outcomes.length - failed)} ${past}`];
  if (failed > 0) parts.push(`${failed.toLocaleString('en-GB')} failed`);
  if (outcomes.length < total) parts.push(`${(total - outcomes.length).toLocaleString('en-GB')} not tried`);
  return `${parts.join(', ')}.`;
}
