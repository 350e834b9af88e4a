// SPDX-License-Identifier: Apache-2.0
import { useState } from 'preact/hooks';

import { judgeId } from '../../api/id';
import { createModule } from '../../api/identity';
import type { AuthenticationType, ModuleIdentity } from '../../api/identity';
import { useAction } from '../../app/action';
import { say } from '../../app/outcome';
import { AuthenticationFields, authenticationOf, freshAuthentication } from '../../parts/authentication';
import { FormDialog } from '../../parts/dialog';
import { TextField } from '../../parts/field';

const MICRO_AGENT = 'DefenderIotMicroAgent';
const TYPES: readonly AuthenticationType[] = ['sas', 'selfSigned', 'certificateAuthority'];

interface AddModuleProps {
  hub: string;
  deviceId: string;
  taken: readonly ModuleIdentity[];
  onClose: () => void;
  onAdded: () => Promise<void>;
}

export function AddModule({ hub, deviceId, taken, onClose, onAdded }: AddModuleProps) {
  const [name, setName] = useState('');
  const [wrong, setWrong] = useState('');
  const [authentication, setAuthentication] = useState(freshAuthentication);
  const action = useAction();
  const submit = async () => {
    const complaint = judgeId(name);
    setWrong(complaint);
    if (complaint !== '') return;
    const done = await action.run(async () => {
      await createModule(hub, deviceId, name, authenticationOf(authentication));
      await onAdded();
    });
    if (!done) return;
    onClose();
    say(`Module identity ${name} is added.`);
  };
  const offered = name !== MICRO_AGENT && !taken.some((module) => module.moduleId === MICRO_AGENT);
  return (
    <FormDialog title="Add module identity" busy={action.busy} problem={action.problem} onSubmit={submit}
      onClose={onClose}>
      <TextField label="Module Identity Name" value={name} onValue={setName} error={wrong} autoFocus maxLength={128}
        hint={`The micro agent’s module is named ${MICRO_AGENT}.`} />
      {offered && (
        <button type="button" class="button small offer" onClick={() => setName(MICRO_AGENT)}>
          Use {MICRO_AGENT}
        </button>
      )}
      <AuthenticationFields value={authentication} types={TYPES} onValue={setAuthentication} />
    </FormDialog>
  );
}
