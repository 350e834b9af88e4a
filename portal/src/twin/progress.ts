// SPDX-License-Identifier: Apache-2.0
// How far the last change has come: stored on the hub, delivered to the module, judged by it.
//
//     stored --> delivered --> success | failed
//
// A verdict counts when it is about the present desired version. A module other than the micro
// agent gives none.
import type { Json, Twin } from '../api/twins';
import { fullText, parseMoment } from '../parts/moment';
import { isObject } from './patch';

export type StepState = 'done' | 'failed' | 'waiting' | 'ahead';

export interface Step {
  title: string;
  state: StepState;
  note: string;
}

export interface Progress {
  desiredVersion: number;
  outcome: 'success' | 'failed' | 'waiting' | 'delivered';
  steps: Step[];
  /** Field → the module's sentence; "" when it gave none. */
  reasons: Map<string, string>;
  /** For the live region. */
  sentence: string;
}

export interface Situation {
  twin: Twin;
  /** Whether the module reports verdicts as the micro agent does. */
  judged: boolean;
  connectionState: string;
  connectionStateUpdatedTime: string;
  delivered: number | null;
}

const numberOf = (value: Json | undefined) => (typeof value === 'number' ? value : undefined);
const textOf = (value: Json | undefined) => (typeof value === 'string' ? value : '');

function lastUpdated(section: Json | undefined, name?: string): number {
  let metadata = isObject(section) ? section.$metadata : undefined;
  if (name !== undefined) metadata = isObject(metadata) ? metadata[name] : undefined;
  return parseMoment(isObject(metadata) ? textOf(metadata.$lastUpdated) : '')?.getTime() ?? 0;
}

// The original's agent does not say which version a verdict is about; then the time must do.
function isAboutPresent({ properties: { desired, reported } }: Twin): boolean {
  const about = numberOf(reported.latest_desired_version);
  if (about !== undefined) return about >= (numberOf(desired.$version) ?? 1);
  return lastUpdated(reported, 'latest_state') >= lastUpdated(desired);
}

export function reasonsOf({ properties: { reported } }: Twin): Map<string, string> {
  const reasons = new Map<string, string>();
  for (const name of textOf(reported.latest_invalid_fields).split(','))
    if (name.trim() !== '') reasons.set(name.trim(), '');
  if (isObject(reported.latest_errors))
    for (const [name, sentence] of Object.entries(reported.latest_errors))
      if (!name.startsWith('$') && name !== '_left_out') reasons.set(name, textOf(sentence));
  return reasons;
}

function since({ connectionStateUpdatedTime }: Situation): string {
  const date = parseMoment(connectionStateUpdatedTime);
  return date ? `Disconnected since ${fullText(date)}` : 'Not connected so far';
}

function deliveredStep(situation: Situation, version: number, judged: boolean): Step {
  const title = 'Delivered';
  if (judged || (situation.delivered ?? 0) >= version) return { title, state: 'done', note: `Version ${version}` };
  if (situation.connectionState === 'Connected') return { title, state: 'waiting', note: situation.judged ? 'On its way' : 'Not taken so far' };
  return { title, state: 'waiting', note: `${since(situation)}; the change waits for it` };
}

function verdictStep(situation: Situation, state: string, present: boolean, delivered: boolean): Step {
  const { reported } = situation.twin.properties;
  const about = numberOf(reported.latest_desired_version);
  const note = about === undefined ? 'Of the module' : `Verdict about version ${about}`;
  if (present) return { title: state, state: state === 'failed' ? 'failed' : 'done', note };
  const before = state === '' ? 'No verdict so far' : `The last verdict, ${state}, was about ${about === undefined ? 'an older version' : `version ${about}`}`;
  return { title: 'Verdict', state: delivered ? 'waiting' : 'ahead', note: before };
}

function sentenceFor(situation: Situation, version: number, outcome: Progress['outcome'], reasons: Map<string, string>): string {
  const what = `Version ${version} of the desired properties`;
  if (outcome === 'success') return `${what}: success. The module has put it in force.`;
  if (outcome === 'delivered') return `${what} is stored and delivered.`;
  if (outcome === 'failed') {
    const names = [...reasons.keys()].join(', ');
    return `${what}: failed. ${names === '' ? '' : `Invalid: ${names}. `}What was in force before stays in force.`;
  }
  if ((situation.delivered ?? 0) >= version) return `${what} is delivered. The module's verdict is awaited.`;
  if (situation.connectionState === 'Connected') return `${what} is stored and on its way to the ${situation.twin.moduleId === undefined ? 'device' : 'module'}.`;
  return `${what} is stored. ${since(situation)}; the change waits for it.`;
}

export function progressOf(situation: Situation): Progress {
  const { twin, judged } = situation;
  const version = numberOf(twin.properties.desired.$version) ?? 1;
  const state = judged ? textOf(twin.properties.reported.latest_state) : '';
  const present = (state === 'success' || state === 'failed') && isAboutPresent(twin);
  const delivered = deliveredStep(situation, version, present);
  const steps: Step[] = [{ title: 'Stored', state: 'done', note: `Version ${version}` }, delivered];
  if (judged) steps.push(verdictStep(situation, state, present, delivered.state === 'done'));
  const outcome = present ? (state as 'success' | 'failed')
    : !judged && delivered.state === 'done' ? 'delivered' : 'waiting';
  const reasons = outcome === 'failed' ? reasonsOf(twin) : new Map<string, string>();
  return { desiredVersion: version, outcome, steps, reasons, sentence: sentenceFor(situation, version, outcome, reasons) };
}
