// SPDX-License-Identifier: Apache-2.0
// Asks before something that cannot be taken back.
import type { ComponentChildren } from 'preact';

import { useAction } from '../app/action';
import { FormDialog } from './dialog';

interface ConfirmProps {
  title: string;
  /** What the button says: the deed, not "OK". */
  deed: string;
  children: ComponentChildren;
  onConfirm: () => Promise<void>;
  onClose: () => void;
  /** What follows the deed, if it is not just closing. */
  onDone?: () => void;
}

export function Confirm({ title, deed, children, onConfirm, onClose, onDone = onClose }: ConfirmProps) {
  const action = useAction();
  const confirm = async () => {
    if (await action.run(onConfirm)) onDone();
  };
  return (
    <FormDialog title={title} submit={deed} danger panel={false} busy={action.busy}
      problem={action.problem} onSubmit={confirm} onClose={onClose}>
      {children}
    </FormDialog>
  );
}
