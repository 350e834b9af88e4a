// SPDX-License-Identifier: Apache-2.0
// The screen of a route. Those that few people open, or that bring an editor, load on demand.
import type { Session } from '../api/session';
import { Heading } from '../parts/heading';
import { DeviceScreen } from '../screens/device/device';
import { Devices } from '../screens/devices/devices';
import { Hubs } from '../screens/hubs/list';
import { HubScreen } from '../screens/hubs/overview';
import { ModuleScreen } from '../screens/module/module';
import { Policies } from '../screens/policies/policies';
import { ChangePassword } from '../screens/sign-in/change-password';
import { lazy } from './lazy';
import type { Route } from './route';

const Twin = lazy(async () => (await import('../twin')).TwinPage);
const Accounts = lazy(async () => (await import('../screens/accounts/accounts')).Accounts);
const Audit = lazy(async () => (await import('../screens/audit/audit')).Audit);

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
    case 'hubs':
      return <Hubs />;
    case 'hub':
      return <HubScreen hub={hub} />;
    case 'policies':
      return <Policies hub={hub} />;
    case 'devices':
      return <Devices hub={hub} />;
    case 'device':
      return <DeviceScreen hub={hub} deviceId={device} />;
    case 'device-twin':
      return <Twin hub={hub} deviceId={device} />;
    case 'module':
      return <ModuleScreen hub={hub} deviceId={device} moduleId={module} />;
    case 'module-twin':
      return <Twin hub={hub} deviceId={device} moduleId={module} />;
    case 'accounts':
      return <Accounts />;
    case 'audit':
      return <Audit />;
    case 'account':
      return <ChangePassword session={session} />;
  }
}
