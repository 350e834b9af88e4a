// SPDX-License-Identifier: Apache-2.0
// Values to be taken elsewhere. A secret is not in the page until it is asked for, but can be
// copied unseen.
import { useId, useState } from 'preact/hooks';

import { say } from '../app/outcome';

const HIDDEN = '•'.repeat(24);

/** "Primary key" in the middle of a sentence is "primary key". */
const lowered = (name: string) => name.charAt(0).toLowerCase() + name.slice(1);

async function copy(name: string, value: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(value);
    say(`${name}: copied.`);
  } catch {
    say(`The browser did not allow to copy the ${lowered(name)}. Show it and copy it by hand.`, 'failed');
  }
}

export function CopyButton({ name, value }: { name: string; value: string }) {
  return (
    <button type="button" class="icon-button" aria-label={`Copy ${lowered(name)}`} title={`Copy ${lowered(name)}`}
      onClick={() => void copy(name, value)}>
      <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M5.5 5.5h8v8h-8zM3 10.5H2.5v-8h8V3" /></svg>
    </button>
  );
}

function ShowButton({ name, shown, onShow }: { name: string; shown: boolean; onShow: (shown: boolean) => void }) {
  return (
    <button type="button" class="icon-button" aria-label={`Show ${lowered(name)}`} title={`Show ${lowered(name)}`}
      aria-pressed={shown} onClick={() => onShow(!shown)}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d="M1 8q3-5 7-5t7 5q-3 5-7 5t-7-5z" /><circle cx="8" cy="8" r="2" />
        {shown && <path d="M2 14L14 2" />}
      </svg>
    </button>
  );
}

interface CopyFieldProps {
  name: string;
  value: string;
  secret?: boolean;
}

export function CopyField({ name, value, secret = false }: CopyFieldProps) {
  const [shown, setShown] = useState(!secret);
  const id = useId();
  return (
    <div class="copy-field">
      <label for={id}>{name}</label>
      <div class="copy-row">
        <input id={id} type="text" readOnly value={shown ? value : HIDDEN} class={shown ? '' : 'hidden-value'}
          spellcheck={false} autoComplete="off" onFocus={(event) => event.currentTarget.select()} />
        {secret && <ShowButton name={name} shown={shown} onShow={setShown} />}
        <CopyButton name={name} value={value} />
      </div>
    </div>
  );
}
