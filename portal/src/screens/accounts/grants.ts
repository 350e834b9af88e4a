// SPDX-License-Identifier: Apache-2.0
// Roles in words, and as the form edits them: one role for every hub, and more for single hubs.
import type { Grant } from '../../api/administration';
import type { Role } from '../../api/session';

export const EVERY_HUB = '*';

export interface Grants {
  everywhere: Role | '';
  single: Grant[];
}

export function grantsOf(roles: readonly Grant[]): Grants {
  return {
    everywhere: roles.find((grant) => grant.hub === EVERY_HUB)?.role ?? '',
    single: roles.filter((grant) => grant.hub !== EVERY_HUB),
  };
}

export function rolesOf({ everywhere, single }: Grants): Grant[] {
  const named = single.filter((grant) => grant.hub !== '');
  return everywhere === '' ? named : [{ hub: EVERY_HUB, role: everywhere }, ...named];
}

export function describeRoles(roles: readonly Grant[]): string {
  if (roles.length === 0) return 'none';
  return roles.map(({ hub, role }) => `${role} of ${hub === EVERY_HUB ? 'every hub' : hub}`).join(', ');
}
