// SPDX-License-Identifier: Apache-2.0
// Asks, changes the selected devices, shows how far it is, and then what became of each.
import { useRef, useState } from 'preact/hooks';

import { CHANGE_LIMIT, changeDevices } from '../../api/devices';
import type { DeviceChange, ItemOutcome } from '../../api/devices';
import { sentenceOf } from '../../api/http';
import { say } from '../../app/outcome';
import { Dialog } from '../../parts/dialog';
import { Table } from '../../parts/table';
import { runChange, summary } from './change';

const WORDS: Record<DeviceChange, { deed: string; past: string; note: string }> = {
  enable: { deed: 'Enable', past: 'enabled', note: 'They may connect again.' },
  disable: { deed: 'Disable', past: 'disabled',
    note: 'They are disconnected and cannot connect until they are enabled. Their twins stay.' },
  delete: { deed: 'Delete', past: 'deleted',
    note: 'Their modules, twins and keys go with them. This cannot be undone.' },
};

const FEW = 5;
const SHOWN_OUTCOMES = 200;

function Ask({ ids, note }: { ids: readonly string[]; note: string }) {
  return (
    <>
      <ul class="few">
        {ids.slice(0, FEW).map((id) => <li key={id}>{id}</li>)}
        {ids.length > FEW && <li class="quiet">and {(ids.length - FEW).toLocaleString('en-GB')} more</li>}
      </ul>
      <p>{note}</p>
    </>
  );
}

function Outcomes({ outcomes, past }: { outcomes: readonly ItemOutcome[]; past: string }) {
  const failed = outcomes.filter((outcome) => outcome.error !== '');
  const done = outcomes.filter((outcome) => outcome.error === '');
  const shown = [...failed, ...done].slice(0, SHOWN_OUTCOMES);
  return (
    <>
      <Table label="Outcome of each device" rows={shown} keyOf={(outcome) => outcome.deviceId} columns={[
        { title: 'Device', cell: (outcome) => outcome.deviceId },
        { title: 'Outcome', cell: ({ error }) => error === '' ? past : <span class="bad-text">{error}</span> },
      ]} />
      {outcomes.length > shown.length &&
        <p class="quiet">and {(outcomes.length - shown.length).toLocaleString('en-GB')} more</p>}
    </>
  );
}

interface ChangeDialogProps {
  hub: string;
  change: DeviceChange;
  ids: readonly string[];
  /** `changed`: whether anything was tried. */
  onClose: (changed: boolean) => void;
}

export function ChangeDialog({ hub, change, ids, onClose }: ChangeDialogProps) {
  const { deed, past, note } = WORDS[change];
  const [step, setStep] = useState<'ask' | 'run' | 'done'>('ask');
  const [outcomes, setOutcomes] = useState<ItemOutcome[]>([]);
  const stop = useRef(false);
  const many = ids.length === 1 ? 'device' : `${ids.length.toLocaleString('en-GB')} devices`;

  const start = async () => {
    setStep('run');
    const all = await runChange({
      ids, portion: CHANGE_LIMIT, change: (portion) => changeDevices(hub, change, portion), sentenceOf,
      stopped: () => stop.current, onProgress: (progress) => setOutcomes(progress.outcomes),
    });
    setOutcomes(all);
    setStep('done');
    const clean = all.length === ids.length && all.every((outcome) => outcome.error === '');
    say(summary(past, all, ids.length), clean ? 'done' : 'failed');
    if (clean) onClose(true);
  };

  return (
    <Dialog title={`${deed} ${many}`} locked={step === 'run'} onClose={() => onClose(step === 'done')}>
      <div class="dialog-body">
        {step === 'ask' && <Ask ids={ids} note={note} />}
        {step === 'run' && (
          <p>
            <progress max={ids.length} value={outcomes.length} aria-label="Progress" />
            <span>{outcomes.length.toLocaleString('en-GB')} of {ids.length.toLocaleString('en-GB')}</span>
          </p>
        )}
        {step === 'done' && <Outcomes outcomes={outcomes} past={past} />}
      </div>
      <div class="dialog-buttons">
        {step === 'ask' && (
          <button type="button" class={change === 'delete' ? 'button danger' : 'button primary'} onClick={start}>
            {deed} {many}
          </button>
        )}
        {step === 'run' && <button type="button" class="button" onClick={() => { stop.current = true; }}>Stop</button>}
        {step === 'ask' && <button type="button" class="button" onClick={() => onClose(false)}>Cancel</button>}
        {step === 'done' && <button type="button" class="button primary" onClick={() => onClose(true)}>Done</button>}
      </div>
    </Dialog>
  );
}
