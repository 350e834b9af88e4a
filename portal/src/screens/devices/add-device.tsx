// SPDX-License-Identifier: Apache-2.0
import { useState } from 'preact/hooks';

import { createDevice } from '../../api/identity';
import type { AuthenticationType } from '../../api/identity';
import { useAction } from '../../app/action';
import { say } from '../../app/outcome';
import { judgeId } from '../../api/id';
import { AuthenticationFields, authenticationOf, freshAuthentication } from '../../parts/authentication';
import { FormDialog } from '../../parts/dialog';
import { CheckField, TextField } from '../../parts/field';

const TYPES: readonly AuthenticationType[] = ['sas', 'selfSigned', 'certificateAuthority'];

interface AddDeviceProps {
  hub: string;
  onClose: () => void;
  onAdded: () => Promise<void>;
}

export function AddDevice({ hub, onClose, onAdded }: AddDeviceProps) {
  const [id, setId] = useState('');
  const [wrong, setWrong] = useState('');
  const [authentication, setAuthentication] = useState(freshAuthentication);
  const [enabled, setEnabled] = useState(true);
  const action = useAction();
  const submit = async () => {
    const complaint = judgeId(id);
    setWrong(complaint);
    if (complaint !== '') return;
    const done = await action.run(async () => {
      await createDevice(hub, { deviceId: id, status: enabled ? 'enabled' : 'disabled',
        authentication: authenticationOf(authentication) });
      await onAdded();
    });
    if (!done) return;
    onClose();
    say(`Device ${id} is added.`);
  };
  return (
    <FormDialog title="Add device" busy={action.busy} problem={action.problem} onSubmit={submit} onClose={onClose}>
      <TextField label="Device ID" value={id} onValue={setId} error={wrong} autoFocus maxLength={128}
        hint="Up to 128 letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ '. Upper and lower case differ." />
      <AuthenticationFields value={authentication} types={TYPES} onValue={setAuthentication} />
      <CheckField label="The device may connect" checked={enabled} onChecked={setEnabled} />
    </FormDialog>
  );
}
