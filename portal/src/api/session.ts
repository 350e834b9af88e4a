// SPDX-License-Identifier: Apache-2.0
// Signing in and out. Roles are ordered: who may more, may also what is less.
import { ApiError, sendPlain, send } from './http';

export type Role = 'reader' | 'operator' | 'administrator';
export const ROLES: readonly Role[] = ['reader', 'operator', 'administrator'];

export interface Session {
  user: string;
  /** The server-wide role; "" if there are only roles for single hubs. */
  role: Role | '';
  mustChange: boolean;
  csrf: string;
  hubs?: { name: string; role: Role }[];
}

const rank = (role: Role | '' | undefined) => (role ? ROLES.indexOf(role) : -1);

/** Whether the session's role, server-wide or for this hub, is at least `needed`. */
export function may(session: Session, needed: Role, hub?: string): boolean {
  const own = session.hubs?.find((entry) => entry.name === hub)?.role;
  return Math.max(rank(session.role), rank(own)) >= rank(needed);
}

/** The present session; undefined if there is none. */
export async function readSession(): Promise<Session | undefined> {
  try {
    return (await (await sendPlain('session')).json()) as Session;
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return undefined;
    throw error;
  }
}

export async function signIn(user: string, password: string): Promise<Session> {
  await sendPlain('session', { method: 'POST', body: { user, password } });
  const session = await readSession();
  if (!session) throw new ApiError(401, '', 'The browser did not keep the session. Are cookies allowed?');
  return session;
}

export async function signOut(): Promise<void> {
  await send('session', { method: 'DELETE' }, [401]);
}

/** A refusal is about the old password, never a reason to sign in again. */
export async function changePassword(old: string, fresh: string): Promise<void> {
  await sendPlain('session/password', { method: 'PUT', body: { old, new: fresh } });
}
