// SPDX-License-Identifier: Apache-2.0
import { may } from '../api/session';
import type { Session } from '../api/session';
import { Link } from './location';
import { pathOf } from './route';
import type { Route, Screen } from './route';

interface Entry {
  text: string;
  screen: Screen;
  /** The screens during which the entry counts as the current one. */
  within: readonly Screen[];
}

const HUBS: readonly Entry[] = [{ text: 'IoT hubs', screen: 'hubs', within: ['hubs'] }];

const OF_HUB: readonly Entry[] = [
  { text: 'Overview', screen: 'hub', within: ['hub'] },
  { text: 'Devices', screen: 'devices',
    within: ['devices', 'device', 'device-twin', 'module', 'module-twin'] },
  { text: 'Shared access policies', screen: 'policies', within: ['policies'] },
];

const ADMINISTRATION: readonly Entry[] = [
  { text: 'Accounts', screen: 'accounts', within: ['accounts'] },
  { text: 'Audit log', screen: 'audit', within: ['audit'] },
];

interface GroupProps {
  title?: string;
  entries: readonly Entry[];
  route: Route | undefined;
}

function Group({ title, entries, route }: GroupProps) {
  return (
    <div class="nav-group">
      {title && <p class="nav-title" title={title}>{title}</p>}
      <ul>
        {entries.map(({ text, screen, within }) => (
          <li key={screen}>
            <Link to={pathOf(screen, { hub: route?.hub })}
              current={route !== undefined && within.includes(route.screen)}>{text}</Link>
          </li>
        ))}
      </ul>
    </div>
  );
}

export function Navigation({ route, session }: { route: Route | undefined; session: Session }) {
  return (
    <nav class="side" aria-label="Portal">
      <Group entries={HUBS} route={route} />
      {route?.hub && <Group title={route.hub} entries={OF_HUB} route={route} />}
      {may(session, 'administrator') &&
        <Group title="Administration" entries={ADMINISTRATION} route={route} />}
    </nav>
  );
}
