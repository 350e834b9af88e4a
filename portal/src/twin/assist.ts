// SPDX-License-Identifier: Apache-2.0
// Help while writing: completion of the settings' names and values, and what a setting means.
import type { Completion, CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import type { EditorView, Tooltip } from '@codemirror/view';

import { contextAt } from './context';
import type { Context } from './context';
import { DESIRED } from './document';
import type { FormField } from './settings-form';

export type Fields = ReadonlyMap<string, FormField>;

const inDesired = ({ path }: Context) => path.length === 2 && path.every((name, i) => name === DESIRED[i]);

/** The setting at a place of the text. */
export function fieldAt(fields: Fields, text: string, place: number): { field: FormField; context: Context } | undefined {
  const context = contextAt(text, place);
  const field = inDesired(context) && context.at !== 'elsewhere' ? fields.get(context.name) : undefined;
  return field && { field, context };
}

/** The facts about a setting, one line each. */
export function factsOf(field: FormField): string[] {
  const unit = field.unit === '' ? '' : ` ${field.unit}`;
  return [
    `Allowed: ${field.allowed}${unit}.`,
    field.default === undefined ? 'Not set by default.' : `Default: ${JSON.stringify(field.default)}${unit}.`,
  ];
}

function helpElement(field: FormField): HTMLElement {
  const box = document.createElement('div');
  box.className = 'setting-help';
  const title = document.createElement('strong');
  title.textContent = `${field.name} – ${field.title}`;
  box.append(title, ...[field.help, ...factsOf(field)].map((sentence) => {
    const line = document.createElement('p');
    line.textContent = sentence;
    return line;
  }));
  return box;
}

const startOf = (field: FormField) => JSON.stringify(field.default ?? '');

function nameOption(field: FormField, text: string, context: Context): Completion {
  const apply = (view: EditorView, _option: Completion, from: number) => {
    const rest = text.slice(context.to);
    const valued = /^\s*:/.test(rest);
    const name = JSON.stringify(field.name);
    const insert = valued ? name : `${name}: ${startOf(field)}${/^\s*"/.test(rest) ? ',' : ''}`;
    const comma = context.commaAt < 0 ? [] : [{ from: context.commaAt, insert: ',' }];
    const head = from + comma.length + name.length + (valued ? 0 : 2);
    view.dispatch({
      changes: [...comma, { from, to: context.to, insert }],
      selection: { anchor: head, head: valued ? head : head + startOf(field).length },
      userEvent: 'input.complete',
    });
  };
  return { label: `"${field.name}"`, displayLabel: field.name, detail: field.title, type: 'property', apply, info: () => helpElement(field) };
}

function valueOption(word: string, value: unknown): Completion {
  const text = JSON.stringify(value);
  return { label: text, displayLabel: word, type: 'constant' };
}

export function completions(fields: () => Fields) {
  return (completion: CompletionContext): CompletionResult | null => {
    const text = completion.state.doc.toString();
    const context = contextAt(text, completion.pos);
    if (!inDesired(context) || context.at === 'elsewhere') return null;
    if (context.from === context.to && !completion.explicit) return null;
    const options = context.at === 'name'
      ? [...fields().values()].filter(({ name, aliasOf }) => aliasOf === '' && !context.others.has(name))
        .map((field) => nameOption(field, text, context))
      : (fields().get(context.name)?.choices ?? []).map(({ value, word }) => valueOption(word, value));
    return options.length === 0 ? null : { from: context.from, to: context.to, options, filter: true };
  };
}

export function hoverHelp(fields: () => Fields) {
  return (view: EditorView, place: number): Tooltip | null => {
    const found = fieldAt(fields(), view.state.doc.toString(), place);
    if (!found || found.context.from === found.context.to) return null;
    const { field, context: { from, to } } = found;
    return { pos: from, end: to, above: true, create: () => ({ dom: helpElement(field) }) };
  };
}
