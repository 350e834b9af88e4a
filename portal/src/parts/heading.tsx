// SPDX-License-Identifier: Apache-2.0
// The heading of a screen. It names the browser's tab, and after a move inside the portal it takes
// the focus, so that a screen reader says where one has come.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { moveCount } from '../app/location';

interface HeadingProps {
  title: string;
  /** What the title is about, as the hub's name; shown small, and in the tab. */
  of?: string;
  children?: ComponentChildren;
}

let lastFocused = 0;

export function Heading({ title, of, children }: HeadingProps) {
  const ref = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = [title, of, 'Gemel'].filter(Boolean).join(' – ');
  }, [title, of]);
  useEffect(() => {
    if (moveCount() === lastFocused) return;
    lastFocused = moveCount();
    ref.current?.focus({ preventScroll: true });
  }, []);
  return (
    <div class="heading">
      <h1 ref={ref} tabIndex={-1}>{title}</h1>
      {of && <p class="heading-of">{of}</p>}
      {children}
    </div>
  );
}
