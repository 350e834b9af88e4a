// SPDX-License-Identifier: Apache-2.0
import { CopyField } from '../../parts/copy';
import { Dialog } from '../../parts/dialog';

interface OneTimePasswordProps {
  user: string;
  password: string;
  onClose: () => void;
}

/** Shown once: the hub keeps only a hash. */
export function OneTimePassword({ user, password, onClose }: OneTimePasswordProps) {
  return (
    <Dialog title="One-time password" onClose={onClose}>
      <div class="dialog-body">
        <p>Hand this to <strong>{user}</strong>. It is shown only now, and must be changed at the first sign-in.</p>
        <CopyField name="One-time password" value={password} />
      </div>
      <div class="dialog-buttons">
        <button type="button" class="button primary" onClick={onClose}>Done</button>
      </div>
    </Dialog>
  );
}
