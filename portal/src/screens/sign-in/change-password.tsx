// SPDX-License-Identifier: Apache-2.0
// Changing one's own password: by choice, or forced while it is the one-time password. A changed
// password ends the session, so the person signs in with the new one at once.
import { useState } from 'preact/hooks';

import { sentenceOf } from '../../api/http';
import { changePassword } from '../../api/session';
import type { Session } from '../../api/session';
import { say } from '../../app/outcome';
import { signIn, signOut } from '../../app/session';
import { TextField } from '../../parts/field';
import { Heading } from '../../parts/heading';

const SHORTEST = 12;

/** What is wrong with the new password as typed; "" if nothing. */
export function judgePassword(old: string, fresh: string, again: string): string {
  if ([...fresh].length < SHORTEST) return `A password has at least ${SHORTEST} characters.`;
  if (fresh === old) return 'The new password must differ from the old one.';
  return fresh === again ? '' : 'The two entries of the new password differ.';
}

function PasswordForm({ user }: { user: string }) {
  const [old, setOld] = useState('');
  const [fresh, setFresh] = useState('');
  const [again, setAgain] = useState('');
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);

  const submit = async (event: Event) => {
    event.preventDefault();
    const wrong = judgePassword(old, fresh, again);
    setProblem(wrong);
    if (wrong !== '' || busy) return;
    setBusy(true);
    try {
      await changePassword(old, fresh);
      await signIn(user, fresh);
      setOld('');
      setFresh('');
      setAgain('');
      say('The password is changed.');
    } catch (error) {
      setProblem(sentenceOf(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <form class="password-form" onSubmit={submit}>
      <div role="alert">{problem !== '' && <p class="field-error">{problem}</p>}</div>
      <input class="hidden-user" type="text" value={user} autoComplete="username" readOnly hidden />
      <TextField label="Current password" type="password" value={old} onValue={setOld} required
        autoComplete="current-password" />
      <TextField label="New password" type="password" value={fresh} onValue={setFresh} required
        autoComplete="new-password" hint={`At least ${SHORTEST} characters.`} />
      <TextField label="Repeat new password" type="password" value={again} onValue={setAgain} required
        autoComplete="new-password" />
      <button type="submit" class="button primary" aria-disabled={busy}>Change password</button>
    </form>
  );
}

export function ChangePassword({ session, forced = false }: { session: Session; forced?: boolean }) {
  if (!forced)
    return (
      <>
        <Heading title="Account" of={session.user} />
        <section class="card narrow"><h2>Password</h2><PasswordForm user={session.user} /></section>
      </>
    );
  return (
    <main class="alone">
      <div class="card sign-in">
        <p class="sign-in-brand">Gemel</p>
        <Heading title="Choose your own password" />
        <p>You signed in with a one-time password. It opens nothing but this page.</p>
        <PasswordForm user={session.user} />
        <button type="button" class="button plain" onClick={signOut}>Sign out</button>
      </div>
    </main>
  );
}
