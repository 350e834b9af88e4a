// SPDX-License-Identifier: Apache-2.0
// How far the last change has come, for the eye; the page's live region speaks the same.
import { Moment, State } from '../parts/badge';
import { TwinDesk } from './desk';
import type { Desk } from './desk';
import type { Step, StepState } from './progress';

const SHAPES: Record<StepState, string> = {
  done: 'M3 8.5l3.5 3.5L13 4.5', failed: 'M4 4l8 8M12 4l-8 8', waiting: 'M8 4v4l3 2', ahead: 'M8 8h.01',
};

const WORDS: Record<StepState, string> = { done: 'done', failed: 'not accepted', waiting: 'waiting', ahead: 'not yet' };

function StepItem({ step }: { step: Step }) {
  return (
    <li class={`step step-${step.state}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true"><path d={SHAPES[step.state]} /></svg>
      <span class="step-title">{step.title}</span>
      <span class="unseen"> ({WORDS[step.state]}): </span>
      <span class="step-note">{step.note}</span>
    </li>
  );
}

export function Stepper({ desk }: { desk: Desk }) {
  const { steps, reasons } = TwinDesk.progress(desk);
  const { connectionState, connectionStateUpdatedTime, lastActivityTime } = desk.connection;
  return (
    <section class="card stepper" aria-label="State of the last change">
      <ol>{steps.map((step) => <StepItem key={step.title} step={step} />)}</ol>
      {reasons.size > 0 && (
        <ul class="stepper-reasons" tabIndex={0} aria-label="Why the module refused it">
          {[...reasons].map(([name, sentence]) => <li key={name}><code>{name}</code> {sentence}</li>)}
        </ul>
      )}
      <p class="stepper-line">
        <State value={connectionState} />
        {' '}since <Moment at={connectionStateUpdatedTime} />, last activity <Moment at={lastActivityTime} />
      </p>
      {desk.silence > 0 &&
        <p class="stepper-silence">The hub does not answer; it is asked again within {Math.ceil(desk.silence / 1000)} s. What is shown may be old.</p>}
    </section>
  );
}
