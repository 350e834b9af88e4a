// SPDX-License-Identifier: Apache-2.0
// How a new device or module proves who it is.
import type { Authentication, AuthenticationType } from '../api/identity';
import { CheckField, ChoiceField, TextField } from './field';

export interface AuthenticationForm {
  type: AuthenticationType;
  generate: boolean;
  primary: string;
  secondary: string;
}

export const freshAuthentication = (): AuthenticationForm =>
  ({ type: 'sas', generate: true, primary: '', secondary: '' });

export const AUTHENTICATION_NAMES: Record<AuthenticationType, string> = {
  sas: 'Symmetric key',
  selfSigned: 'X.509 self-signed certificate',
  certificateAuthority: 'X.509 certificate of an authority',
  none: 'None',
};

/** The identity's member as IoT Hub's REST API has it. */
export function authenticationOf({ type, generate, primary, secondary }: AuthenticationForm): Authentication {
  if (type === 'selfSigned')
    return { type, x509Thumbprint: { primaryThumbprint: primary.trim(), secondaryThumbprint: secondary.trim() } };
  if (type !== 'sas' || generate) return { type };
  return { type, symmetricKey: { primaryKey: primary.trim(), secondaryKey: secondary.trim() } };
}

interface AuthenticationFieldsProps {
  value: AuthenticationForm;
  types: readonly AuthenticationType[];
  onValue: (value: AuthenticationForm) => void;
}

export function AuthenticationFields({ value, types, onValue }: AuthenticationFieldsProps) {
  const change = (part: Partial<AuthenticationForm>) => onValue({ ...value, ...part });
  const typed = value.type === 'selfSigned' || (value.type === 'sas' && !value.generate);
  const what = value.type === 'sas' ? 'key' : 'thumbprint';
  const hint = value.type === 'sas' ? '16 to 64 bytes, in Base64.' : '40 or 64 hexadecimal digits.';
  return (
    <>
      <ChoiceField label="Authentication type" value={value.type}
        choices={types.map((type) => [type, AUTHENTICATION_NAMES[type]] as const)}
        onValue={(type) => change({ type, primary: '', secondary: '' })} />
      {value.type === 'sas' &&
        <CheckField label="Generate the keys" checked={value.generate} onChecked={(generate) => change({ generate })} />}
      {typed && (
        <>
          <TextField label={`Primary ${what}`} value={value.primary} hint={hint} onValue={(primary) => change({ primary })} />
          <TextField label={`Secondary ${what}`} value={value.secondary} onValue={(secondary) => change({ secondary })} />
        </>
      )}
    </>
  );
}
