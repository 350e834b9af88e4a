// SPDX-License-Identifier: Apache-2.0
// The settings as a form beside the text: for each its default, what is desired, what the module
// reports, and what is wrong with it. What is chosen here is written into the text at its place.
import { useId, useMemo, useState } from 'preact/hooks';

import type { Json, JsonObject } from '../api/twins';
import { Search } from '../parts/search';
import { isShown, shownValue, strangers, typedValue } from './settings-form';
import type { FormField, FormGroup } from './settings-form';

export interface FormPorts {
  set(name: string, value: Json): void;
  remove(name: string): void;
}

interface SettingsFormProps extends FormPorts {
  groups: readonly FormGroup[];
  desired: JsonObject;
  reported: JsonObject;
  reasons: ReadonlyMap<string, string>;
  /** Why nothing can be changed here now; "" when it can. */
  rest: string;
  readOnly: boolean;
}

interface ControlProps {
  field: FormField;
  value: Json | undefined;
  disabled: boolean;
  onSet: (value: Json) => void;
  onRemove: () => void;
  ties: { id: string; 'aria-describedby': string; 'aria-invalid': boolean | undefined };
}

const defaultWord = (field: FormField) =>
  field.default === undefined ? 'none' : field.choices.find(({ value }) => value === field.default)?.word ?? shownValue(field.default);

function Choice({ field, value, disabled, onSet, onRemove, ties }: ControlProps) {
  const now = value === undefined ? '' : JSON.stringify(value);
  const choices = field.choices.map((choice) => [JSON.stringify(choice.value), choice.word]);
  if (now !== '' && !choices.some(([each]) => each === now)) choices.push([now, now]);
  return (
    <select {...ties} value={now} disabled={disabled}
      onChange={({ currentTarget: { value: chosen } }) => (chosen === '' ? onRemove() : onSet(JSON.parse(chosen) as Json))}>
      <option value="">Default ({defaultWord(field)})</option>
      {choices.map(([each, word]) => <option key={each} value={each}>{word}</option>)}
    </select>
  );
}

// A number that is being retyped is empty for a moment; only when it stays so it is taken out.
function Typed({ field, value, disabled, onSet, onRemove, ties }: ControlProps) {
  const [emptied, setEmptied] = useState(false);
  const number = field.control === 'number';
  const onInput = (typed: string) => {
    setEmptied(number && typed === '');
    if (!number || typed !== '') onSet(typedValue(field, typed));
  };
  const onBlur = () => {
    if (emptied) onRemove();
    setEmptied(false);
  };
  return (
    <input {...ties} type="text" inputMode={number ? 'numeric' : undefined} spellcheck={false} autocapitalize="off"
      autocomplete="off" disabled={disabled} value={emptied ? '' : shownValue(value)}
      placeholder={value === undefined ? `Default (${defaultWord(field) || 'empty'})` : ''}
      onInput={(event) => onInput(event.currentTarget.value)} onBlur={onBlur} />
  );
}

interface RowProps {
  field: FormField;
  props: SettingsFormProps;
}

function Row({ field, props }: RowProps) {
  const id = useId();
  const { name } = field;
  const value = Object.hasOwn(props.desired, name) ? props.desired[name] : undefined;
  const reported = props.reported[field.aliasOf || name];
  const reason = props.reasons.get(name);
  const disabled = props.readOnly || props.rest !== '';
  const Control = field.control === 'choice' ? Choice : Typed;
  const unit = field.unit === '' ? '' : ` ${field.unit}`;
  return (
    <div class={`setting ${value === undefined ? '' : 'setting-given'}`}>
      <label for={id}>{field.title}{unit !== '' && ` (${field.unit})`} <code>{name}</code></label>
      <div class="setting-control">
        <Control field={field} value={value} disabled={disabled} onSet={(next) => props.set(name, next)}
          onRemove={() => props.remove(name)}
          ties={{ id, 'aria-describedby': `${id}-facts ${id}-error ${id}-help`, 'aria-invalid': reason === undefined ? undefined : true }} />
        {value !== undefined && !disabled && (
          <button type="button" class="icon-button" aria-label={`Take ${name} out of desired`} title="Take out of desired"
            onClick={() => { props.remove(name); document.getElementById(id)?.focus(); }}>
            <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 4l8 8M12 4l-8 8" /></svg>
          </button>
        )}
      </div>
      <p class="setting-error" id={`${id}-error`}>{reason === undefined ? '' : reason || 'The module refused this value.'}</p>
      <dl class="setting-facts" id={`${id}-facts`}>
        <div><dt>Default</dt><dd>{defaultWord(field) || '(empty)'}</dd></div>
        <div><dt>Desired</dt><dd>{value === undefined ? '–' : shownValue(value) || '(empty)'}</dd></div>
        <div><dt>Reported</dt><dd>{reported === undefined ? '–' : shownValue(reported) || '(empty)'}</dd></div>
      </dl>
      <p class="setting-text" id={`${id}-help`}>{field.help}</p>
    </div>
  );
}

function Strangers({ names, props }: { names: string[]; props: SettingsFormProps }) {
  return (
    <fieldset class="settings-group">
      <legend>No settings of the micro agent</legend>
      {names.map((name) => (
        <div key={name} class="setting setting-given">
          <p class="setting-name"><code>{name}</code>: {JSON.stringify(props.desired[name])}</p>
          {!props.readOnly && props.rest === '' &&
            <button type="button" class="button small" onClick={() => props.remove(name)}>Take {name} out of desired</button>}
          <p class="setting-error">{props.reasons.get(name) ?? ''}</p>
        </div>
      ))}
    </fieldset>
  );
}

function useFilter(groups: readonly FormGroup[], props: SettingsFormProps, sought: string, onlyGiven: boolean): FormGroup[] {
  const { desired, reasons } = props;
  return useMemo(() => {
    const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
    return groups.map((group) => ({
      ...group,
      fields: group.fields.filter((field) => {
        const text = `${group.title} ${field.title} ${field.name} ${field.help}`.toLowerCase();
        return isShown(field, desired) && words.every((word) => text.includes(word)) &&
          (!onlyGiven || Object.hasOwn(desired, field.name) || reasons.has(field.name));
      }),
    })).filter(({ fields }) => fields.length > 0);
  }, [groups, desired, reasons, sought, onlyGiven]);
}

export function SettingsForm(props: SettingsFormProps) {
  const [sought, setSought] = useState('');
  const [onlyGiven, setOnlyGiven] = useState(false);
  const shown = useFilter(props.groups, props, sought, onlyGiven);
  const unknown = strangers(props.groups, props.desired);
  return (
    <div class="settings-form">
      <div class="settings-filter">
        <Search label="Find a setting" value={sought} onSearch={setSought} />
        <label class="check-field">
          <input type="checkbox" checked={onlyGiven} onChange={(event) => setOnlyGiven(event.currentTarget.checked)} />
          <span>Only what is desired</span>
        </label>
      </div>
      {props.rest !== '' && <p class="settings-rest">{props.rest}</p>}
      {unknown.length > 0 && <Strangers names={unknown} props={props} />}
      {shown.map((group) => (
        <fieldset key={group.name} class="settings-group">
          <legend>{group.title}</legend>
          {group.fields.map((field) => <Row key={field.name} field={field} props={props} />)}
        </fieldset>
      ))}
      {shown.length === 0 && <p class="empty">No setting is like this.</p>}
    </div>
  );
}
