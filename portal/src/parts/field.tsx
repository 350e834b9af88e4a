// SPDX-License-Identifier: Apache-2.0
// Form fields: a label, the control, a hint, and what is wrong with the value, tied together for
// people who hear the page instead of seeing it.
import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';

interface Frame {
  label: string;
  hint?: string;
  error?: string;
}

interface Ties {
  id: string;
  'aria-describedby': string | undefined;
  'aria-invalid': boolean | undefined;
}

function useTies({ hint, error }: Frame): Ties {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ');
  return { id, 'aria-describedby': described || undefined, 'aria-invalid': error ? true : undefined };
}

function Framed({ frame, ties, children }: { frame: Frame; ties: Ties; children: ComponentChildren }) {
  return (
    <div class="field">
      <label for={ties.id}>{frame.label}</label>
      {children}
      {frame.hint && <p class="field-hint" id={`${ties.id}-hint`}>{frame.hint}</p>}
      {frame.error && <p class="field-error" id={`${ties.id}-error`}>{frame.error}</p>}
    </div>
  );
}

interface TextFieldProps extends Frame {
  value: string;
  onValue: (value: string) => void;
  type?: 'text' | 'password' | 'datetime-local';
  required?: boolean;
  autoFocus?: boolean;
  autoComplete?: string;
  maxLength?: number;
  disabled?: boolean;
}

export function TextField(props: TextFieldProps) {
  const { label, hint, error, onValue, type = 'text', autoFocus, ...rest } = props;
  const ties = useTies(props);
  const input = useRef<HTMLInputElement>(null);
  // In a dialog that is about to open nothing can be focused yet: showModal() looks for the attribute.
  useLayoutEffect(() => {
    if (autoFocus) input.current?.focus();
  }, []);
  return (
    <Framed frame={{ label, hint, error }} ties={ties}>
      <input {...ties} {...rest} ref={input} type={type as 'text'} spellcheck={false} autocapitalize="off"
        autofocus={autoFocus} onInput={(event) => onValue(event.currentTarget.value)} />
    </Framed>
  );
}

interface ChoiceFieldProps<T extends string> extends Frame {
  value: T;
  choices: readonly (readonly [T, string])[];
  onValue: (value: T) => void;
  disabled?: boolean;
}

export function ChoiceField<T extends string>(props: ChoiceFieldProps<T>) {
  const { label, hint, error, value, choices, onValue, disabled } = props;
  const ties = useTies(props);
  return (
    <Framed frame={{ label, hint, error }} ties={ties}>
      <select {...ties} value={value} disabled={disabled}
        onChange={(event) => onValue(event.currentTarget.value as T)}>
        {choices.map(([each, text]) => <option key={each} value={each}>{text}</option>)}
      </select>
    </Framed>
  );
}

interface CheckFieldProps {
  label: string;
  checked: boolean;
  onChecked: (checked: boolean) => void;
  disabled?: boolean;
}

export function CheckField({ label, checked, onChecked, disabled }: CheckFieldProps) {
  return (
    <label class="check-field">
      <input type="checkbox" checked={checked} disabled={disabled}
        onChange={(event) => onChecked(event.currentTarget.checked)} />
      <span>{label}</span>
    </label>
  );
}
