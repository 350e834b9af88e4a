// SPDX-License-Identifier: Apache-2.0
// The way down to where one is. "IoT hubs" and "Devices" stand in the navigation at every depth and
// are not said twice.
import { Link } from './location';
import { pathOf } from './route';
import type { Route } from './route';

interface Crumb {
  text: string;
  to: string;
}

function crumbs({ screen, ...ids }: Route): Crumb[] {
  if (ids.device === '') return [];
  const way: Crumb[] = [{ text: ids.hub, to: pathOf('hub', ids) }];
  if (screen !== 'device') way.push({ text: ids.device, to: pathOf('device', ids) });
  if (screen === 'module-twin') way.push({ text: ids.module, to: pathOf('module', ids) });
  return way;
}

function last({ screen, device, module }: Route): string {
  if (screen === 'device-twin') return 'Device Twin';
  if (screen === 'module-twin') return 'Module Identity Twin';
  return screen === 'module' ? module : device;
}

export function Breadcrumb({ route }: { route: Route | undefined }) {
  const way = route ? crumbs(route) : [];
  if (!route || way.length === 0) return null;
  return (
    <nav class="breadcrumb" aria-label="Breadcrumb">
      <ol>
        {way.map(({ text, to }) => <li key={to}><Link to={to}>{text}</Link></li>)}
        <li><span aria-current="page">{last(route)}</span></li>
      </ol>
    </nav>
  );
}
