// SPDX-License-Identifier: Apache-2.0
// Accounts with their roles, and the audit log.
import { getJson, send } from './http';
import type { Call } from './http';
import { path, query } from './path';
import type { Role } from './session';

/** hub "*" is every hub, those to come included. */
export interface Grant {
  hub: string;
  role: Role;
}

export interface Account {
  user: string;
  roles: Grant[];
  mustChange: boolean;
  disabled: boolean;
}

export const listAccounts = (call?: Call) => getJson<Account[]>('accounts', call);

/** The answer is the one-time password. */
export async function createAccount(user: string, roles: Grant[]): Promise<string> {
  const made = await getJson<{ password: string }>('accounts', { method: 'POST', body: { user, roles } });
  return made.password;
}

export async function updateAccount(user: string, roles: Grant[], disabled: boolean): Promise<void> {
  await send(path`accounts/${user}`, { method: 'PUT', body: { roles, disabled } });
}

/** The answer is the new one-time password. */
export async function resetAccount(user: string): Promise<string> {
  const made = await getJson<{ password: string }>(path`accounts/${user}/reset`, { method: 'POST' });
  return made.password;
}

export async function deleteAccount(user: string): Promise<void> {
  await send(path`accounts/${user}`, { method: 'DELETE' });
}

export interface AuditEntry {
  id: number;
  time: string;
  user: string;
  from: string;
  address: string;
  hub: string;
  action: string;
  target: string;
  outcome: string;
  detail: unknown;
}

export interface AuditQuery {
  search: string;
  user: string;
  hub: string;
  since: string;
  until: string;
}

export const searchAudit = (asked: AuditQuery, before?: number, limit = 100, call?: Call) =>
  getJson<{ items: AuditEntry[]; next: number | null }>(
    `audit${query({ ...asked, before, limit })}`, call);

/** The address from which the browser downloads the same selection as JSON lines. */
export const auditExportUrl = (asked: AuditQuery) => `/gemel/v1/audit/export${query({ ...asked })}`;
