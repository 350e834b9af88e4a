// SPDX-License-Identifier: Apache-2.0
// The sign-in form, on its own screen and in the dialog after a session has ended. While the hub
// makes an account wait after failed attempts, the button counts down.
import { useEffect, useState } from 'preact/hooks';

import { ApiError, sentenceOf } from '../../api/http';
import { signIn } from '../../app/session';
import { TextField } from '../../parts/field';

function useCountdown(): [number, (seconds: number) => void] {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    if (left <= 0) return undefined;
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left]);
  return [left, setLeft];
}

export function SignInForm({ user: known = '' }: { user?: string }) {
  const [user, setUser] = useState(known);
  const [password, setPassword] = useState('');
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const [wait, setWait] = useCountdown();

  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy || wait > 0) return;
    setBusy(true);
    setProblem('');
    try {
      await signIn(user, password);
    } catch (error) {
      setPassword('');
      setProblem(sentenceOf(error));
      if (error instanceof ApiError && error.status === 429) setWait(Math.max(1, error.retryAfterSeconds));
    } finally {
      setBusy(false);
    }
  };

  return (
    <form class="sign-in-form" onSubmit={submit}>
      <div role="alert">{problem !== '' && <p class="field-error">{problem}</p>}</div>
      <TextField label="User" value={user} onValue={setUser} required autoComplete="username"
        autoFocus={known === ''} />
      <TextField label="Password" type="password" value={password} onValue={setPassword} required
        autoComplete="current-password" autoFocus={known !== ''} />
      <button type="submit" class="button primary" aria-disabled={busy || wait > 0}>Sign in</button>
      {wait > 0 && <p class="field-hint">Wait {wait} s before the next attempt.</p>}
    </form>
  );
}
