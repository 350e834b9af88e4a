// SPDX-License-Identifier: Apache-2.0
// The form of the micro agent's settings, drawn from their JSON Schema: what fields there are, in
// which group, and how a value is chosen or typed.
import type { SettingSchema, SettingsSchema } from '../api/settings';
import type { Json, JsonObject } from '../api/twins';

export interface FormField {
  name: string;
  title: string;
  help: string;
  unit: string;
  control: 'choice' | 'number' | 'text';
  /** Of a choice: the values with their words. */
  choices: { value: Json; word: string }[];
  /** undefined: the setting has none and is then not set at all. */
  default: Json | undefined;
  allowed: string;
  /** The field whose other name this is. */
  aliasOf: string;
}

export interface FormGroup {
  name: string;
  title: string;
  fields: FormField[];
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const textOf = (value: unknown) => (typeof value === 'string' ? value : '');

function choicesOf(schema: SettingSchema): FormField['choices'] {
  if (schema.type === 'boolean') return [false, true].map((value) => ({ value, word: String(value) }));
  if (schema.enum) return schema.enum.map((value) => ({ value, word: String(value) }));
  return listOf(schema['x-labels']).map((label, i) =>
    ({ value: (schema.minimum ?? 0) + i, word: `${(schema.minimum ?? 0) + i} – ${label}` }));
}

function allowedOf(schema: SettingSchema, choices: FormField['choices']): string {
  if (choices.length > 0) return choices.map(({ word }) => word).join(', ');
  if (schema.type === 'integer') return `an integer from ${schema.minimum} to ${schema.maximum}`;
  return schema.maxLength === undefined ? 'a text' : `a text of at most ${schema.maxLength} bytes`;
}

export function fieldOf(name: string, schema: SettingSchema): FormField {
  const choices = choicesOf(schema);
  return {
    name, choices,
    title: schema.title ?? name,
    help: schema.description ?? '',
    unit: textOf(schema['x-unit']),
    control: choices.length > 0 ? 'choice' : schema.type === 'integer' ? 'number' : 'text',
    default: schema.default,
    allowed: allowedOf(schema, choices),
    aliasOf: textOf(schema['x-alias-of']),
  };
}

/** The groups in the schema's order; settings without a known group come last, under their own. */
export function groupsOf(schema: SettingsSchema): FormGroup[] {
  const groups: FormGroup[] = listOf(schema['x-groups']).map((each) => {
    const { name, title } = each as { name: string; title?: string };
    return { name, title: title ?? name, fields: [] };
  });
  for (const [name, setting] of Object.entries(schema.properties)) {
    const of = textOf(setting['x-group']);
    let group = groups.find((each) => each.name === of);
    if (!group) groups.push(group = { name: of, title: of || 'Other', fields: [] });
    group.fields.push(fieldOf(name, setting));
  }
  return groups.filter((group) => group.fields.length > 0);
}

/** Another name of a field is shown only where it is used. */
export const isShown = (field: FormField, desired: JsonObject) => field.aliasOf === '' || Object.hasOwn(desired, field.name);

/** Members of desired that are no setting. */
export function strangers(groups: readonly FormGroup[], desired: JsonObject): string[] {
  const known = new Set(groups.flatMap((group) => group.fields.map((field) => field.name)));
  return Object.keys(desired).filter((name) => !known.has(name));
}

/** How a value is written for people: as it is, but a text without quotes. */
export function shownValue(value: Json | undefined): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** What was typed, as a value: an integer where one is asked for, else the text as it is. */
export function typedValue(field: FormField, typed: string): Json {
  const number = Number(typed);
  if (field.control === 'number' && /^\s*-?\d+\s*$/.test(typed) && Number.isSafeInteger(number)) return number;
  return typed;
}
