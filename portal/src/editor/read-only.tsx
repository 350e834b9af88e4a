// SPDX-License-Identifier: Apache-2.0
// A JSON document in CodeMirror that cannot be changed.
import { json } from '@codemirror/lang-json';
import { EditorState } from '@codemirror/state';
import { EditorView, lineNumbers } from '@codemirror/view';
import { useEffect, useRef } from 'preact/hooks';

import { highlighting } from './highlight';
import { adoptEditorStyles } from './styles';

export function ReadOnlyJson({ label, text }: { label: string; text: string }) {
  const holder = useRef<HTMLDivElement>(null);
  useEffect(() => {
    adoptEditorStyles();
    const view = new EditorView({
      parent: holder.current!,
      doc: text,
      extensions: [
        json(),
        lineNumbers(),
        highlighting,
        EditorView.lineWrapping,
        EditorState.readOnly.of(true),
        EditorView.contentAttributes.of({ 'aria-label': label }),
      ],
    });
    return () => view.destroy();
  }, [label, text]);
  return <div ref={holder} class="editor" />;
}
