// SPDX-License-Identifier: Apache-2.0
// The screen of a route. Those that few people open, or that bring an editor, load on demand.
import type { Session } from '../api/session';
import { Heading } from '../parts/heading';
import { ChangePassword } from '../screens/sign-in/change-password';
import { lazy } from './lazy';
import type { Route } from './route';

const Twin = lazy(async () => (await import('../twin')).TwinPage);

function NotFound() {
  return (
    <>
      <Heading title="Nothing is here" />
      <p>This address leads to no screen. The navigation has all that there are.</p>
    </>
  );
}

export function ScreenOf({ route, session }: { route: Route | undefined; session: Session }) {
  if (!route) return <NotFound />;
  const { hub, device, module } = route;
  switch (route.screen) {
    case 'device-twin':
      return <Twin hub={hub} deviceId={device} />;
    case 'module-twin':
      return <Twin hub={hub} deviceId={device} moduleId={module} />;
    case 'account':
      return <ChangePassword session={session} />;
    default:
      return <NotFound />;
  }
}
