// SPDX-License-Identifier: Apache-2.0
// How a device or module proves who it is: its keys and connection strings, or its thumbprints.
// The hub leaves keys out for who may not see them.
import { useState } from 'preact/hooks';

import { connectionString } from '../api/connection-string';
import type { Authentication } from '../api/identity';
import { newKey } from '../api/new-key';
import { say } from '../app/outcome';
import { AUTHENTICATION_NAMES } from './authentication';
import { Confirm } from './confirm';
import { CopyField } from './copy';

interface IdentityKeysProps {
  hostName: string;
  deviceId: string;
  moduleId?: string;
  authentication: Authentication;
  /** Absent for who may not change it. */
  onChange?: (authentication: Authentication) => Promise<void>;
}

type Which = 'primary' | 'secondary';

function Regenerate({ authentication, onChange, of }: {
  authentication: Authentication; onChange: (authentication: Authentication) => Promise<void>; of: string;
}) {
  const [asking, setAsking] = useState<Which>();
  const regenerate = async (which: Which) => {
    const symmetricKey = { ...authentication.symmetricKey, [`${which}Key`]: newKey() };
    await onChange({ ...authentication, symmetricKey });
    say(`The ${which} key of ${of} is regenerated.`);
  };
  return (
    <div class="commands">
      <button type="button" class="button" onClick={() => setAsking('primary')}>Regenerate primary key</button>
      <button type="button" class="button" onClick={() => setAsking('secondary')}>Regenerate secondary key</button>
      {asking && (
        <Confirm title={`Regenerate ${asking} key`} deed="Regenerate" onConfirm={() => regenerate(asking)}
          onClose={() => setAsking(undefined)}>
          <p>What signs in as <strong>{of}</strong> with the present {asking} key is refused from then on.</p>
        </Confirm>
      )}
    </div>
  );
}

function SymmetricKeys({ hostName, deviceId, moduleId, authentication, onChange }: IdentityKeysProps) {
  const primary = authentication.symmetricKey?.primaryKey ?? '';
  const secondary = authentication.symmetricKey?.secondaryKey ?? '';
  if (primary === '' && secondary === '')
    return <p class="quiet">Keys and connection strings are shown to operators.</p>;
  const stringOf = (key: string) => connectionString({ hostName, deviceId, moduleId, key });
  return (
    <>
      <div class="copy-fields">
        <CopyField name="Primary key" value={primary} secret />
        <CopyField name="Secondary key" value={secondary} secret />
        <CopyField name="Connection string (primary key)" value={stringOf(primary)} secret />
        <CopyField name="Connection string (secondary key)" value={stringOf(secondary)} secret />
      </div>
      {onChange &&
        <Regenerate authentication={authentication} onChange={onChange} of={moduleId ?? deviceId} />}
    </>
  );
}

function Certificate({ hostName, deviceId, moduleId, authentication }: IdentityKeysProps) {
  const thumbprints = authentication.x509Thumbprint;
  return (
    <div class="copy-fields">
      {thumbprints?.primaryThumbprint && <CopyField name="Primary thumbprint" value={thumbprints.primaryThumbprint} />}
      {thumbprints?.secondaryThumbprint && <CopyField name="Secondary thumbprint" value={thumbprints.secondaryThumbprint} />}
      <CopyField name="Connection string" value={connectionString({ hostName, deviceId, moduleId })} />
    </div>
  );
}

export function IdentityKeys(props: IdentityKeysProps) {
  const type = props.authentication.type ?? 'sas';
  return (
    <section class="card" aria-labelledby="identity-keys">
      <h2 id="identity-keys">Keys and connection strings</h2>
      <p class="quiet">{AUTHENTICATION_NAMES[type] ?? type}</p>
      {type === 'sas' && <SymmetricKeys {...props} />}
      {(type === 'selfSigned' || type === 'certificateAuthority') && <Certificate {...props} />}
    </section>
  );
}
