// SPDX-License-Identifier: Apache-2.0
// The keys of one policy, read from the hub only when this panel is opened.
import { useEffect, useState } from 'preact/hooks';

import { sentenceOf } from '../../api/http';
import { readPolicyKeys, regeneratePolicyKey } from '../../api/hubs';
import type { PolicyKeys } from '../../api/hubs';
import { say } from '../../app/outcome';
import { useMay } from '../../app/session';
import { Confirm } from '../../parts/confirm';
import { CopyField } from '../../parts/copy';
import { Dialog } from '../../parts/dialog';
import { Loading, Problem } from '../../parts/notice';

type Which = 'primary' | 'secondary';

interface PanelProps {
  hub: string;
  policy: string;
  onClose: () => void;
}

export function PolicyKeysPanel({ hub, policy, onClose }: PanelProps) {
  const [keys, setKeys] = useState<PolicyKeys>();
  const [problem, setProblem] = useState('');
  const [asking, setAsking] = useState<Which>();
  const mayRegenerate = useMay('administrator', hub);
  useEffect(() => {
    readPolicyKeys(hub, policy).then(setKeys, (error) => setProblem(sentenceOf(error)));
  }, [hub, policy]);
  const regenerate = async (which: Which) => {
    setKeys(await regeneratePolicyKey(hub, policy, which));
    say(`The ${which} key of ${policy} is regenerated.`);
  };
  return (
    <Dialog title={`Keys of ${policy}`} panel onClose={onClose}>
      <div class="dialog-body">
        {problem !== '' && <Problem sentence={problem} />}
        {!keys && problem === '' && <Loading />}
        {keys && (
          <>
            <CopyField name="Primary key" value={keys.primaryKey} secret />
            <CopyField name="Secondary key" value={keys.secondaryKey} secret />
            <CopyField name="Connection string (primary key)" value={keys.primaryConnectionString} secret />
            <CopyField name="Connection string (secondary key)" value={keys.secondaryConnectionString} secret />
          </>
        )}
        {keys && mayRegenerate && (
          <div class="commands">
            <button type="button" class="button" onClick={() => setAsking('primary')}>Regenerate primary key</button>
            <button type="button" class="button" onClick={() => setAsking('secondary')}>Regenerate secondary key</button>
          </div>
        )}
      </div>
      {asking && (
        <Confirm title={`Regenerate ${asking} key`} deed="Regenerate" onClose={() => setAsking(undefined)}
          onConfirm={() => regenerate(asking)}>
          <p>Whatever signs in with the present {asking} key of <strong>{policy}</strong> is refused from then on.</p>
        </Confirm>
      )}
    </Dialog>
  );
}
