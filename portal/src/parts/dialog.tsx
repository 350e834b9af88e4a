// SPDX-License-Identifier: Apache-2.0
// A modal dialog: the browser keeps the focus inside, closes it with Escape, and gives the focus
// back to where it was. As a panel it stands at the right edge and leaves the page in sight.
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useLayoutEffect, useRef } from 'preact/hooks';

import { OutcomeLine } from '../app/outcome';

interface DialogProps {
  title: string;
  panel?: boolean;
  /** While true, Escape and the close button do nothing: something is under way. */
  locked?: boolean;
  onClose: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, panel = false, locked = false, onClose, children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const dialog = ref.current!;
    const opener = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      const back = opener instanceof HTMLElement && opener.isConnected ? opener : document.querySelector('h1');
      back?.focus();
    };
  }, []);
  // A browser lets Escape close a dialog the second time even if the first was refused.
  useEffect(() => {
    const dialog = ref.current!;
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== 'Escape') return;
      event.preventDefault();
      event.stopPropagation();
      if (!locked) onClose();
    };
    dialog.addEventListener('keydown', onKey);
    return () => dialog.removeEventListener('keydown', onKey);
  }, [locked, onClose]);
  return (
    <dialog ref={ref} class={panel ? 'dialog panel' : 'dialog'} aria-labelledby={id}
      onCancel={(event) => { event.preventDefault(); if (!locked) onClose(); }}>
      <div class="dialog-top">
        <h2 id={id}>{title}</h2>
        <button type="button" class="icon-button" aria-label="Close" disabled={locked} onClick={onClose}>
          <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 4l8 8M12 4l-8 8" /></svg>
        </button>
      </div>
      {children}
      <OutcomeLine />
    </dialog>
  );
}

interface FormDialogProps {
  title: string;
  submit?: string;
  onSubmit: () => Promise<void>;
  onClose: () => void;
  busy: boolean;
  problem: string;
  danger?: boolean;
  panel?: boolean;
  children?: ComponentChildren;
}

/** A dialog that is a form, with its button, Cancel, and the place where a refusal is told. */
export function FormDialog(props: FormDialogProps) {
  const { title, submit = 'Save', onSubmit, onClose, busy, problem, danger, panel = true, children } = props;
  const send = (event: Event) => {
    event.preventDefault();
    if (!busy) void onSubmit();
  };
  return (
    <Dialog title={title} panel={panel} locked={busy} onClose={onClose}>
      <form class="dialog-form" onSubmit={send} noValidate>
        <div class="dialog-body">{children}</div>
        <div role="alert">{problem !== '' && <p class="problem-line">{problem}</p>}</div>
        <div class="dialog-buttons">
          <button type="submit" class={danger ? 'button danger' : 'button primary'} aria-disabled={busy}>
            {submit}
          </button>
          <button type="button" class="button" disabled={busy} onClick={onClose}>Cancel</button>
        </div>
      </form>
    </Dialog>
  );
}
