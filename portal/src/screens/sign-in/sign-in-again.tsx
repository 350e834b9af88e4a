// SPDX-License-Identifier: Apache-2.0
// Covers the page when the session has ended, so that nothing on it can be read; what was being
// done goes on after the sign-in.
import { useLayoutEffect, useRef } from 'preact/hooks';

import { SignInForm } from './form';

export function SignInAgain({ user }: { user: string }) {
  const ref = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const dialog = ref.current!;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  return (
    <dialog ref={ref} class="dialog cover" aria-labelledby="sign-in-again"
      onCancel={(event) => event.preventDefault()}>
      <h2 id="sign-in-again">Your session has ended</h2>
      <p>Sign in again to go on where you are.</p>
      <SignInForm user={user} />
    </dialog>
  );
}
