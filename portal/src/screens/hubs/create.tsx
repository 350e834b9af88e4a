// SPDX-License-Identifier: Apache-2.0
import { useState } from 'preact/hooks';

import { createHub } from '../../api/hubs';
import { useAction } from '../../app/action';
import { say } from '../../app/outcome';
import { FormDialog } from '../../parts/dialog';
import { TextField } from '../../parts/field';

export function CreateHub({ onClose, onCreated }: { onClose: () => void; onCreated: () => Promise<void> }) {
  const [name, setName] = useState('');
  const [hosts, setHosts] = useState('');
  const action = useAction();
  const submit = async () => {
    const hostNames = hosts.split(/[\s,]+/).filter(Boolean);
    if (name === '' || hostNames.length === 0) {
      action.refuse('A hub needs a name and at least one host name.');
      return;
    }
    const done = await action.run(async () => {
      await createHub(name, hostNames);
      await onCreated();
    });
    if (!done) return;
    say(`Hub ${name} is created.`);
    onClose();
  };
  return (
    <FormDialog title="Create hub" busy={action.busy} problem={action.problem} onSubmit={submit} onClose={onClose}>
      <TextField label="Hub name" value={name} onValue={setName} autoFocus />
      <TextField label="Host names" value={hosts} onValue={setHosts}
        hint="The names under which devices reach this hub, separated by commas. The server’s certificate must hold them." />
    </FormDialog>
  );
}
