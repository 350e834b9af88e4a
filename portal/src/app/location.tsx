// SPDX-License-Identifier: Apache-2.0
// Where the person is, kept in the browser's history. A screen with unsaved changes sets a guard,
// which is asked before the place is left.
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';

import { forgetOutcome } from './outcome';
import { store, useStore } from './store';

export interface Place {
  pathname: string;
  search: string;
}

/** Resolves to whether the place may be left. */
export type Guard = () => Promise<boolean>;

const here = (): Place => ({ pathname: location.pathname, search: location.search });
const place = store<Place>(here());
let guard: Guard | undefined;
let position = 0;
let moves = 0;

/** How often the place changed since the page was loaded; signing in counts too. */
export const moveCount = () => moves;
export const countMove = () => { moves++; };
export const usePlace = () => useStore(place);

function arrive(): void {
  const before = place.get();
  const now = here();
  if (now.pathname !== before.pathname) {
    moves++;
    forgetOutcome();
  }
  place.set(now);
}

/** Goes to a path of the portal. */
export async function go(path: string, { replace = false } = {}): Promise<void> {
  const target = new URL(path, location.href);
  const leaves = target.pathname !== place.get().pathname;
  if (leaves && guard && !(await guard())) return;
  if (leaves) guard = undefined;
  if (replace) {
    history.replaceState({ position }, '', path);
  } else {
    history.pushState({ position: ++position }, '', path);
    if (leaves) scrollTo(0, 0);
  }
  arrive();
}

// Back and forward: the browser has moved already, so a refusal moves back.
async function onPopState(event: PopStateEvent): Promise<void> {
  const to = (event.state as { position?: number } | null)?.position ?? 0;
  const from = position;
  position = to;
  if (guard && location.pathname !== place.get().pathname) {
    const asked = guard;
    history.go(from - to);
    await new Promise((done) => addEventListener('popstate', done, { once: true }));
    position = from;
    if (!(await asked())) return;
    guard = undefined;
    history.go(to - from);
    return;
  }
  arrive();
}

let returning = false;

/** Begins to follow the browser's history. */
export function followHistory(): void {
  history.replaceState({ position }, '');
  addEventListener('popstate', (event) => {
    if (returning) return;
    const guarded = guard !== undefined && location.pathname !== place.get().pathname;
    returning = guarded;
    void onPopState(event).finally(() => { returning = false; });
  });
}

/** While `unsaved`, leaving this screen asks `ask` first; closing the tab asks the browser's way. */
export function useGuard(unsaved: boolean, ask: Guard): void {
  useEffect(() => {
    if (!unsaved) return undefined;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    guard = ask;
    addEventListener('beforeunload', warn);
    return () => {
      if (guard === ask) guard = undefined;
      removeEventListener('beforeunload', warn);
    };
  }, [unsaved, ask]);
}

interface LinkProps {
  to: string;
  class?: string;
  label?: string;
  current?: boolean;
  children: ComponentChildren;
}

/** A link inside the portal. */
export function Link({ to, label, current, children, ...rest }: LinkProps) {
  const onClick = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    void go(to);
  };
  return (
    <a href={to} onClick={onClick} aria-label={label} aria-current={current ? 'page' : undefined} {...rest}>
      {children}
    </a>
  );
}
