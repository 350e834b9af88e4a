// SPDX-License-Identifier: Apache-2.0
// The twin's text in CodeMirror. The lines that can be changed carry a bar at their left.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { json } from '@codemirror/lang-json';
import { bracketMatching, foldGutter, foldKeymap, indentUnit } from '@codemirror/language';
import { lintGutter, lintKeymap, setDiagnostics } from '@codemirror/lint';
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search';
import { EditorState, StateField, Transaction } from '@codemirror/state';
import type { Extension, Text } from '@codemirror/state';
import {
  Decoration, EditorView, highlightActiveLine, highlightSpecialChars, hoverTooltip, keymap, lineNumbers,
} from '@codemirror/view';
import type { DecorationSet } from '@codemirror/view';
import { useEffect, useId, useRef, useState } from 'preact/hooks';

import { highlighting } from '../editor/highlight';
import { adoptEditorStyles } from '../editor/styles';
import { completions, fieldAt, hoverHelp } from './assist';
import type { Fields } from './assist';
import type { TwinDesk } from './desk';
import { DESIRED } from './document';
import { memberAt, readJson } from './json-text';
import type { JsonMember } from './json-text';
import type { Mark } from './marks';
import type { FormField } from './settings-form';

interface TwinEditorProps {
  desk: TwinDesk;
  label: string;
  readOnly: boolean;
  fields: Fields;
  marks: readonly Mark[];
}

// An opening bracket that closes itself is in the way of who types the closing one on its own line.
const onlyQuotesClose = EditorState.languageData.of(() => [{ closeBrackets: { brackets: ['"'] } }]);

const own = Decoration.line({ class: 'twin-own' });

function ownLines(doc: Text): DecorationSet | undefined {
  const { root } = readJson(doc.toString());
  if (!root) return undefined;
  const starts = new Set<number>();
  const each = ({ from, value }: JsonMember, act: (start: number) => void) => {
    for (let n = doc.lineAt(from).number; n <= doc.lineAt(value.to).number; n++) act(doc.line(n).from);
  };
  for (const member of [memberAt(root, ['tags']), memberAt(root, DESIRED)]) {
    if (!member) continue;
    each(member, (start) => starts.add(start));
    for (const hubs of member.value.members)
      if (/^\$(metadata|version)$/.test(hubs.name)) each(hubs, (start) => starts.delete(start));
  }
  return Decoration.set([...starts].map((at) => own.range(at)), true);
}

const ownMarks = StateField.define<DecorationSet>({
  create: ({ doc }) => ownLines(doc) ?? Decoration.none,
  update(marks, transaction) {
    if (!transaction.docChanged) return marks;
    return ownLines(transaction.state.doc) ?? marks.map(transaction.changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

// The editor hears of a selection a moment after the page has it, so both are asked.
function allSelected(view: EditorView): boolean {
  const { state, contentDOM } = view;
  if (state.selection.main.from === 0 && state.selection.main.to === state.doc.length) return true;
  const selection = document.getSelection();
  const range = selection && selection.rangeCount > 0 ? selection.getRangeAt(0) : undefined;
  return range !== undefined && range.isPointInRange(contentDOM, 0) && range.isPointInRange(contentDOM, contentDOM.childNodes.length);
}

// Only the lines in sight are in the page, so a tool that selects "everything" and types does not
// reach the others: the browser's own editing would. Typing over the whole text is done here.
const typeOverAll = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { inputType, data } = event as InputEvent;
    const { state } = view;
    if (state.readOnly || state.doc.length === 0 || inputType !== 'insertText' || data === null || !allSelected(view)) return false;
    event.preventDefault();
    const insert = state.toText(data);
    view.dispatch({ changes: { from: 0, to: state.doc.length, insert }, selection: { anchor: insert.length }, userEvent: 'input.type' });
    return true;
  },
});

function extensions(props: TwinEditorProps, hintId: string, fields: () => Fields, onCursor: (place: number) => void): Extension[] {
  return [
    lineNumbers(), foldGutter(), lintGutter(), highlightSpecialChars(), history(), bracketMatching(), onlyQuotesClose, closeBrackets(),
    highlightActiveLine(), highlightSelectionMatches(), search({ top: true }), json(), highlighting, indentUnit.of('  '),
    ownMarks, typeOverAll, EditorView.lineWrapping,
    autocompletion({ override: [completions(fields)], icons: false }),
    hoverTooltip(hoverHelp(fields)),
    keymap.of([...closeBracketsKeymap, ...completionKeymap, ...lintKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...defaultKeymap]),
    EditorState.readOnly.of(props.readOnly),
    EditorView.contentAttributes.of({
      tabindex: '0', 'aria-label': props.label, 'aria-describedby': hintId, ...(props.readOnly && { 'aria-readonly': 'true' }),
    }),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) props.desk.edited(update.state.doc.toString());
      if (update.docChanged || update.selectionSet) onCursor(update.state.selection.main.head);
    }),
  ];
}

function attach(desk: TwinDesk, view: EditorView): () => void {
  return desk.attach({
    change(changes, by) {
      for (const change of changes)
        view.dispatch({ changes: change, annotations: Transaction.addToHistory.of(by === 'person') });
    },
    show(at) {
      view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: 'center' }) });
      view.focus();
    },
  });
}

export function TwinEditor(props: TwinEditorProps) {
  const { desk, label, readOnly, marks } = props;
  const holder = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | undefined>(undefined);
  const fields = useRef(props.fields);
  const [here, setHere] = useState<FormField>();
  const hintId = useId();
  fields.current = props.fields;

  useEffect(() => {
    adoptEditorStyles();
    const onCursor = (place: number) =>
      setHere(fieldAt(fields.current, view.current!.state.doc.toString(), place)?.field);
    const made = view.current = new EditorView({
      parent: holder.current!,
      doc: desk.state.get()!.json.text,
      extensions: extensions(props, hintId, () => fields.current, onCursor),
    });
    const detach = attach(desk, made);
    return () => {
      detach();
      made.destroy();
    };
  }, [desk, label, readOnly]);

  useEffect(() => {
    const { state } = view.current!;
    const length = state.doc.length;
    view.current!.dispatch(setDiagnostics(state, marks.map(({ from, to, severity, sentence }) =>
      ({ from: Math.min(from, length), to: Math.min(to, length), severity, message: sentence }))));
  }, [marks]);

  return (
    <>
      <div ref={holder} class="editor twin-editor" />
      <p class="editor-hint" id={hintId}>
        Tab leaves the editor. {!readOnly && 'Ctrl+Space completes, '}F8 goes to the next problem, Ctrl+F searches{!readOnly && ', Ctrl+S saves'}.
        {' '}Lines with a bar can be changed.
      </p>
      {here && <p class="editor-here"><strong>{here.name}</strong> {here.help}</p>}
    </>
  );
}
