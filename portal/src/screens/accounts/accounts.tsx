// SPDX-License-Identifier: Apache-2.0
import { useState } from 'preact/hooks';

import { deleteAccount, listAccounts, resetAccount, updateAccount } from '../../api/administration';
import type { Account } from '../../api/administration';
import { useLoad } from '../../app/load';
import { say } from '../../app/outcome';
import { State } from '../../parts/badge';
import { Confirm } from '../../parts/confirm';
import { Heading } from '../../parts/heading';
import { Loading, Problem } from '../../parts/notice';
import { Table } from '../../parts/table';
import type { Column } from '../../parts/table';
import { AddAccount, EditRoles } from './edit';
import { describeRoles } from './grants';
import { OneTimePassword } from './one-time-password';

type Open =
  | { is: 'add' }
  | { is: 'roles' | 'reset' | 'turn' | 'delete'; account: Account }
  | { is: 'password'; user: string; password: string };

const columnsOf = (open: (what: Open) => void): Column<Account>[] => [
  { title: 'Account', cell: (account) => account.user },
  { title: 'Roles', cell: (account) => describeRoles(account.roles) },
  { title: 'State', cell: ({ disabled, mustChange }) => (
    <span>
      <State value={disabled ? 'disabled' : 'enabled'} />
      {mustChange && <span class="quiet"> one-time password</span>}
    </span>
  ) },
  { title: 'Actions', cell: (account) => {
    const { user, disabled } = account;
    const turn = disabled ? 'Enable' : 'Disable';
    return (
      <div class="row-buttons">
        <button type="button" class="button small" aria-label={`Edit roles of ${user}`}
          onClick={() => open({ is: 'roles', account })}>Edit roles</button>
        <button type="button" class="button small" aria-label={`Reset password of ${user}`}
          onClick={() => open({ is: 'reset', account })}>Reset password</button>
        <button type="button" class="button small" aria-label={`${turn} ${user}`}
          onClick={() => open({ is: 'turn', account })}>{turn}</button>
        <button type="button" class="button small" aria-label={`Delete ${user}`}
          onClick={() => open({ is: 'delete', account })}>Delete</button>
      </div>
    );
  } },
];

interface OpenedProps {
  opened: Open;
  open: (what: Open | undefined) => void;
  reload: () => Promise<void>;
}

function Opened({ opened, open, reload }: OpenedProps) {
  const close = () => open(undefined);
  if (opened.is === 'password')
    return <OneTimePassword user={opened.user} password={opened.password} onClose={close} />;
  const showPassword = (user: string, password: string) => open({ is: 'password', user, password });
  if (opened.is === 'add') return <AddAccount onClose={close} onAdded={showPassword} onChanged={reload} />;
  const { account } = opened;
  const { user, disabled } = account;
  switch (opened.is) {
    case 'roles':
      return <EditRoles account={account} onClose={close} onChanged={reload} />;
    case 'reset':
      return (
        <Confirm title="Reset password" deed="Reset password" onClose={close} onDone={() => undefined}
          onConfirm={async () => {
            const password = await resetAccount(user);
            await reload();
            showPassword(user, password);
          }}>
          <p><strong>{user}</strong> is signed out everywhere and gets a one-time password.</p>
        </Confirm>
      );
    case 'turn':
      return (
        <Confirm title={disabled ? 'Enable account' : 'Disable account'} deed={disabled ? 'Enable' : 'Disable'}
          onClose={close} onConfirm={async () => {
            await updateAccount(user, account.roles, !disabled);
            await reload();
            say(`Account ${user} is ${disabled ? 'enabled' : 'disabled'}.`);
          }}>
          <p>{disabled ? <><strong>{user}</strong> may sign in again.</>
            : <><strong>{user}</strong> is signed out everywhere and cannot sign in.</>}</p>
        </Confirm>
      );
    case 'delete':
      return (
        <Confirm title="Delete account" deed="Delete" onClose={close} onConfirm={async () => {
          await deleteAccount(user);
          await reload();
          say(`Account ${user} is deleted.`);
        }}>
          <p>Delete the account <strong>{user}</strong>? What it did stays in the audit log.</p>
        </Confirm>
      );
  }
}

export function Accounts() {
  const accounts = useLoad((signal) => listAccounts({ signal }), []);
  const [opened, open] = useState<Open>();
  return (
    <>
      <Heading title="Accounts" of="Administration" />
      <div class="commands">
        <button type="button" class="button primary" onClick={() => open({ is: 'add' })}>Add account</button>
        <button type="button" class="button" onClick={accounts.reload}>Refresh</button>
      </div>
      {accounts.error !== '' && <Problem sentence={accounts.error} onRetry={accounts.reload} />}
      {!accounts.data && accounts.loading && <Loading />}
      {accounts.data &&
        <Table label="Accounts" columns={columnsOf(open)} rows={accounts.data} keyOf={(account) => account.user}
          busy={accounts.loading} />}
      {opened && <Opened opened={opened} open={open} reload={accounts.reload} />}
    </>
  );
}
