// SPDX-License-Identifier: Apache-2.0
// The frame around every screen: header, navigation at the left (above, where there is no width for
// it), breadcrumb, and the bar that tells the outcome of the last action.
import type { Session } from '../api/session';
import { Breadcrumb } from './breadcrumb';
import { Link, usePlace } from './location';
import { Navigation } from './navigation';
import { OutcomeBar } from './outcome';
import { parseRoute, pathOf } from './route';
import { ScreenOf } from './screen-of';
import { signOut } from './session';
import { ThemeChoice } from './theme';

function skipToContent(event: MouseEvent) {
  event.preventDefault();
  document.getElementById('content')?.focus();
}

function Brand() {
  return (
    <span class="brand">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <circle cx="11.5" cy="16" r="7.5" /><circle cx="20.5" cy="16" r="7.5" />
      </svg>
      Gemel
    </span>
  );
}

export function Layout({ session }: { session: Session }) {
  const { pathname } = usePlace();
  const route = parseRoute(pathname);
  return (
    <div class="frame">
      <a class="skip" href="#content" onClick={skipToContent}>Skip to content</a>
      <header class="top">
        <Brand />
        <ThemeChoice />
        <Link to={pathOf('account')} class="top-link" label={`Account of ${session.user}`}>{session.user}</Link>
        <button type="button" class="top-link" onClick={signOut}>Sign out</button>
      </header>
      <Navigation route={route} session={session} />
      <main id="content" tabIndex={-1}>
        <Breadcrumb route={route} />
        <OutcomeBar />
        <ScreenOf key={pathname} route={route} session={session} />
      </main>
    </div>
  );
}
