// SPDX-License-Identifier: Apache-2.0
// Who is signed in. When a session ends while someone works, requests wait for the sign-in that
// covers the page; after it the same person goes on where they were, and another person's work
// begins with a fresh page.
import { setGate } from '../api/http';
import { may as sessionMay, readSession, signIn as apiSignIn, signOut as apiSignOut } from '../api/session';
import type { Role, Session } from '../api/session';
import { countMove } from './location';
import { store, useStore } from './store';

export type SignedState =
  | { is: 'unknown' }
  | { is: 'unreachable' }
  | { is: 'out' }
  | { is: 'in'; session: Session }
  | { is: 'ended'; session: Session };

const state = store<SignedState>({ is: 'unknown' });
export const useSigned = () => useStore(state);
let waiting: (() => void)[] = [];

function current(): Session | undefined {
  const now = state.get();
  return now.is === 'in' || now.is === 'ended' ? now.session : undefined;
}

setGate({
  csrf: () => current()?.csrf ?? '',
  signedInAgain() {
    const session = current();
    state.set(session ? { is: 'ended', session } : { is: 'out' });
    return new Promise((resume) => waiting.push(resume));
  },
  async csrfChanged() {
    const before = current();
    const now = await readSession();
    if (!before || !now || now.csrf === before.csrf) return false;
    if (now.user !== before.user) location.reload();
    state.set({ is: 'in', session: now });
    return true;
  },
  mustChangePassword() {
    const session = current();
    if (session) state.set({ is: 'in', session: { ...session, mustChange: true } });
  },
});

/** Finds out, when the page was loaded, whether there is a session. */
export async function openSession(): Promise<void> {
  try {
    const session = await readSession();
    state.set(session ? { is: 'in', session } : { is: 'out' });
  } catch {
    state.set({ is: 'unreachable' });
  }
}

export async function signIn(user: string, password: string): Promise<void> {
  const before = current();
  const session = await apiSignIn(user, password);
  if (before && before.user !== session.user) {
    location.reload();
    return;
  }
  if (!before) countMove();
  state.set({ is: 'in', session });
  const resumed = waiting;
  waiting = [];
  for (const resume of resumed) resume();
}

export async function signOut(): Promise<void> {
  await apiSignOut();
  location.assign('/');
}

/** Reads roles and the password's state anew. */
export async function refreshSession(): Promise<void> {
  const session = await readSession();
  state.set(session ? { is: 'in', session } : { is: 'out' });
}

/** Whether the person may do what needs this role, on this hub or on the whole server. */
export function useMay(needed: Role, hub?: string): boolean {
  const now = useSigned();
  return (now.is === 'in' || now.is === 'ended') && sessionMay(now.session, needed, hub);
}
