// SPDX-License-Identifier: Apache-2.0
// A hub at a glance, read anew while it is looked at.
import { useEffect, useState } from 'preact/hooks';

import { deleteHub, readOverview } from '../../api/hubs';
import type { HubOverview } from '../../api/hubs';
import { lazy } from '../../app/lazy';
import { go } from '../../app/location';
import { useLoad } from '../../app/load';
import { say } from '../../app/outcome';
import { pathOf } from '../../app/route';
import { useMay } from '../../app/session';
import { Confirm } from '../../parts/confirm';
import { Facts } from '../../parts/facts';
import { Heading } from '../../parts/heading';
import { Loading, Problem } from '../../parts/notice';

const EventsChart = lazy(async () => (await import('./events-chart')).EventsChart);
const READ_AGAIN_MS = 30_000;

const number = (value: number) => value.toLocaleString('en-GB');

function Tile({ name, value, note }: { name: string; value: number; note?: string }) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd>{number(value)}{note && <span class="tile-note">{note}</span>}</dd>
    </div>
  );
}

function ModuleStates({ modules }: { modules: HubOverview['modules'] }) {
  const all = modules.success + modules.failed + modules.none;
  const rows = [
    ['success', modules.success, 'Their last settings are in force'],
    ['failed', modules.failed, 'Their last settings were refused'],
    ['none', modules.none, 'No verdict yet'],
  ] as const;
  return (
    <section class="card" aria-labelledby="module-states">
      <h2 id="module-states">Modules by latest_state</h2>
      <dl class="bars">
        {rows.map(([name, count, meaning]) => (
          <div key={name}>
            <dt>{name}<span class="quiet">{meaning}</span></dt>
            <dd>
              <span class="bar"><span class={`bar-${name}`} style={{ width: `${(100 * count) / Math.max(1, all)}%` }} /></span>
              {number(count)}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Overview({ overview }: { overview: HubOverview }) {
  const disabled = overview.devices - overview.enabledDevices;
  return (
    <>
      <dl class="tiles">
        <Tile name="Registered devices" value={overview.devices}
          note={disabled > 0 ? `${number(disabled)} disabled` : 'all enabled'} />
        <Tile name="Connected devices" value={overview.connectedDevices} />
        <Tile name="Events in the last hour" value={overview.eventsPerMinute.reduce((sum, n) => sum + n, 0)} />
      </dl>
      <div class="two">
        <ModuleStates modules={overview.modules} />
        <section class="card" aria-labelledby="events-a-minute">
          <h2 id="events-a-minute">Events a minute</h2>
          <EventsChart counts={overview.eventsPerMinute} />
        </section>
      </div>
      <section class="card" aria-labelledby="addresses">
        <h2 id="addresses">Addresses</h2>
        <Facts facts={[
          ['Host name', overview.hostName],
          ['MQTT', `port ${overview.mqttPort}, TLS`],
          ['HTTPS and MQTT over WebSocket', `port ${overview.httpsPort}`],
        ]} />
      </section>
    </>
  );
}

export function HubScreen({ hub }: { hub: string }) {
  const overview = useLoad((signal) => readOverview(hub, { signal }), [hub]);
  const [deleting, setDeleting] = useState(false);
  const mayDelete = useMay('administrator');
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) void overview.reload();
    }, READ_AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
  const remove = async () => {
    await deleteHub(hub);
    await go(pathOf('hubs'));
    say(`Hub ${hub} is deleted.`);
  };
  return (
    <>
      <Heading title={hub} of="IoT hub" />
      <div class="commands">
        <button type="button" class="button" onClick={overview.reload}>Refresh</button>
        {mayDelete &&
          <button type="button" class="button" onClick={() => setDeleting(true)}>Delete hub</button>}
      </div>
      {overview.error !== '' && <Problem sentence={overview.error} onRetry={overview.reload} />}
      {!overview.data && overview.loading && <Loading />}
      {overview.data && <Overview overview={overview.data} />}
      {deleting && (
        <Confirm title="Delete hub" deed="Delete" typed={hub} onConfirm={remove} onClose={() => setDeleting(false)}>
          <p>Delete the hub <strong>{hub}</strong> with all its devices, twins and events? This cannot be undone.</p>
        </Confirm>
      )}
    </>
  );
}
