// SPDX-License-Identifier: Apache-2.0
// Asks before something that cannot be taken back.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';

import { useAction } from '../app/action';
import { FormDialog } from './dialog';
import { TextField } from './field';

interface ConfirmProps {
  title: string;
  /** What the button says: the deed, not "OK". */
  deed: string;
  children: ComponentChildren;
  /** A word that must be typed first, where much is lost. */
  typed?: string;
  onConfirm: () => Promise<void>;
  onClose: () => void;
  /** What follows the deed, if it is not just closing. */
  onDone?: () => void;
}

export function Confirm({ title, deed, children, typed = '', onConfirm, onClose, onDone = onClose }: ConfirmProps) {
  const action = useAction();
  const [entered, setEntered] = useState('');
  const confirm = async () => {
    if (entered !== typed) return action.refuse(`Type “${typed}” to go on.`);
    if (await action.run(onConfirm)) onDone();
  };
  return (
    <FormDialog title={title} submit={deed} danger panel={false} busy={action.busy}
      problem={action.problem} onSubmit={confirm} onClose={onClose}>
      {children}
      {typed !== '' && <TextField label={`Type “${typed}” to confirm`} value={entered} onValue={setEntered} />}
    </FormDialog>
  );
}
