// SPDX-License-Identifier: Apache-2.0
import { useState } from 'preact/hooks';

import { createAccount, updateAccount } from '../../api/administration';
import type { Account } from '../../api/administration';
import { listHubs } from '../../api/hubs';
import { ROLES } from '../../api/session';
import type { Role } from '../../api/session';
import { useAction } from '../../app/action';
import { useLoad } from '../../app/load';
import { say } from '../../app/outcome';
import { FormDialog } from '../../parts/dialog';
import { ChoiceField, TextField } from '../../parts/field';
import { grantsOf, rolesOf } from './grants';
import type { Grants } from './grants';

const ROLE_CHOICES = ROLES.map((role) => [role, role] as const);

function RoleFields({ grants, onGrants }: { grants: Grants; onGrants: (grants: Grants) => void }) {
  const hubs = useLoad((signal) => listHubs('', { signal }), []);
  const names = (hubs.data ?? []).map((hub) => hub.name);
  const free = names.filter((name) => !grants.single.some((grant) => grant.hub === name));
  const change = (hub: string, role: Role | '') => onGrants({ ...grants,
    single: grants.single.flatMap((grant) => (grant.hub !== hub ? [grant] : role === '' ? [] : [{ hub, role }])) });
  return (
    <>
      <ChoiceField<Role | ''> label="Role on every hub" value={grants.everywhere}
        choices={[['', 'none'], ...ROLE_CHOICES]} onValue={(everywhere) => onGrants({ ...grants, everywhere })}
        hint="Readers see everything but keys. Operators change devices and twins. Administrators also manage hubs, policies and accounts." />
      {grants.single.map(({ hub, role }) => (
        <ChoiceField<Role | ''> key={hub} label={`Role on ${hub}`} value={role}
          choices={[['', 'none'], ...ROLE_CHOICES]} onValue={(chosen) => change(hub, chosen)} />
      ))}
      {free.length > 0 && (
        <ChoiceField label="Add a role on one hub" value="" choices={[['', 'Choose a hub'], ...free.map((name) => [name, name] as const)]}
          onValue={(hub) => hub !== '' && onGrants({ ...grants, single: [...grants.single, { hub, role: 'reader' }] })} />
      )}
    </>
  );
}

interface AddAccountProps {
  onClose: () => void;
  onAdded: (user: string, password: string) => void;
  onChanged: () => Promise<void>;
}

export function AddAccount({ onClose, onAdded, onChanged }: AddAccountProps) {
  const [user, setUser] = useState('');
  const [grants, setGrants] = useState<Grants>({ everywhere: 'reader', single: [] });
  const action = useAction();
  const submit = async () => {
    if (user === '') return action.refuse('An account needs a name.');
    let password = '';
    const done = await action.run(async () => {
      password = await createAccount(user, rolesOf(grants));
      await onChanged();
    });
    if (done) onAdded(user, password);
  };
  return (
    <FormDialog title="Add account" busy={action.busy} problem={action.problem} onSubmit={submit} onClose={onClose}>
      <TextField label="User" value={user} onValue={setUser} autoFocus autoComplete="off" />
      <RoleFields grants={grants} onGrants={setGrants} />
    </FormDialog>
  );
}

interface EditRolesProps {
  account: Account;
  onClose: () => void;
  onChanged: () => Promise<void>;
}

export function EditRoles({ account, onClose, onChanged }: EditRolesProps) {
  const [grants, setGrants] = useState(() => grantsOf(account.roles));
  const action = useAction();
  const submit = async () => {
    const done = await action.run(async () => {
      await updateAccount(account.user, rolesOf(grants), account.disabled);
      await onChanged();
    });
    if (!done) return;
    onClose();
    say(`The roles of ${account.user} are saved.`);
  };
  return (
    <FormDialog title={`Roles of ${account.user}`} busy={action.busy} problem={action.problem} onSubmit={submit}
      onClose={onClose}>
      <RoleFields grants={grants} onGrants={setGrants} />
    </FormDialog>
  );
}
