// SPDX-License-Identifier: Apache-2.0
// The audit log's search, with times as the browser's fields write them and as the hub reads them.
import type { AuditQuery } from '../../api/administration';

export const NOTHING_ASKED: AuditQuery = { search: '', user: '', hub: '', since: '', until: '' };

function utc(local: string): string {
  const date = new Date(local);
  return local === '' || Number.isNaN(date.getTime()) ? '' : date.toISOString();
}

/** `since` and `until` from local times without a zone to UTC. */
export function forHub(asked: AuditQuery): AuditQuery {
  return { ...asked, since: utc(asked.since), until: utc(asked.until) };
}

/** What an entry says besides its columns; "" if nothing. */
export function detailText(detail: unknown): string {
  if (detail === undefined || detail === null || detail === '') return '';
  const text = typeof detail === 'string' ? detail : JSON.stringify(detail);
  return text === '{}' ? '' : text;
}
