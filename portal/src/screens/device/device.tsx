// SPDX-License-Identifier: Apache-2.0
import { useState } from 'preact/hooks';

import { readHostName } from '../../api/hubs';
import { deleteDevice, listModules, readDevice, updateDevice } from '../../api/identity';
import type { Device } from '../../api/identity';
import { readTwin } from '../../api/twins';
import { useAction } from '../../app/action';
import { Link, go } from '../../app/location';
import { useLoad } from '../../app/load';
import { say } from '../../app/outcome';
import { pathOf } from '../../app/route';
import { useMay } from '../../app/session';
import { Moment, State } from '../../parts/badge';
import { Confirm } from '../../parts/confirm';
import { CopyButton } from '../../parts/copy';
import { Facts } from '../../parts/facts';
import { Heading } from '../../parts/heading';
import { IdentityKeys } from '../../parts/identity-keys';
import { Loading, Problem } from '../../parts/notice';
import { Tabs } from '../../parts/tabs';
import { ModuleIdentities } from './modules';
import { Tags } from './tags';

function Essentials({ device }: { device: Device }) {
  return (
    <section class="card" aria-label="Essentials">
      <Facts facts={[
        ['Device ID', <span class="with-copy">{device.deviceId} <CopyButton name="Device ID" value={device.deviceId} /></span>],
        ['Status', <State value={device.status} />],
        ['Connection', <State value={device.connectionState ?? ''} />],
        ['Connection changed', <Moment at={device.connectionStateUpdatedTime} />],
        ['Last activity', <Moment at={device.lastActivityTime} />],
        ...(device.statusReason ? [['Reason of the status', device.statusReason] as const] : []),
      ]} />
    </section>
  );
}

interface CommandsProps {
  hub: string;
  device: Device;
  mayChange: boolean;
  onRefresh: () => void;
  onDelete: () => void;
}

function Commands({ hub, device, mayChange, onRefresh, onDelete }: CommandsProps) {
  const action = useAction();
  const enabled = device.status === 'enabled';
  const turn = async () => {
    const done = await action.run(async () => {
      await updateDevice(hub, { ...device, status: enabled ? 'disabled' : 'enabled' });
      onRefresh();
    });
    if (done) say(`Device ${device.deviceId} is ${enabled ? 'disabled' : 'enabled'}.`);
  };
  return (
    <>
      <div class="commands">
        <Link to={pathOf('device-twin', { hub, device: device.deviceId })} class="button">Device Twin</Link>
        {mayChange && (
          <>
            <button type="button" class="button" aria-disabled={action.busy} onClick={turn}>
              {enabled ? 'Disable' : 'Enable'}
            </button>
            <button type="button" class="button" onClick={onDelete}>Delete device</button>
          </>
        )}
        <button type="button" class="button" onClick={onRefresh}>Refresh</button>
      </div>
      {action.problem !== '' && <Problem sentence={action.problem} />}
    </>
  );
}

export function DeviceScreen({ hub, deviceId }: { hub: string; deviceId: string }) {
  const device = useLoad((signal) => readDevice(hub, deviceId, { signal }), [hub, deviceId]);
  const twin = useLoad((signal) => readTwin({ hub, deviceId }, { signal }), [hub, deviceId]);
  const modules = useLoad((signal) => listModules(hub, deviceId, { signal }), [hub, deviceId]);
  const hostName = useLoad((signal) => readHostName(hub, { signal }), [hub]);
  const [deleting, setDeleting] = useState(false);
  const mayChange = useMay('operator', hub);
  const refresh = () => void Promise.all([device.reload(), twin.reload(), modules.reload()]);

  const remove = async () => {
    await deleteDevice(hub, deviceId);
    await go(pathOf('devices', { hub }));
    say(`Device ${deviceId} is deleted.`);
  };
  const { data } = device;
  return (
    <>
      <Heading title={deviceId} of="Device" />
      {device.error !== '' && <Problem sentence={device.error} onRetry={refresh} />}
      {!data && device.loading && <Loading />}
      {data && (
        <>
          <Commands hub={hub} device={data} mayChange={mayChange} onRefresh={refresh} onDelete={() => setDeleting(true)} />
          <Essentials device={data} />
          <Tabs label="Parts of the device" tabs={[
            { title: 'Module Identities',
              content: () => <ModuleIdentities hub={hub} deviceId={deviceId} modules={modules} mayChange={mayChange} /> },
            { title: 'Tags', content: () => <Tags hub={hub} deviceId={deviceId} twin={twin} mayChange={mayChange} /> },
          ]} />
          <IdentityKeys hostName={hostName.data ?? ''} deviceId={deviceId} authentication={data.authentication ?? {}}
            onChange={mayChange ? async (authentication) => {
              await updateDevice(hub, { ...data, authentication });
              await device.reload();
            } : undefined} />
        </>
      )}
      {deleting && (
        <Confirm title="Delete device" deed="Delete" onConfirm={remove} onClose={() => setDeleting(false)}>
          <p>Delete <strong>{deviceId}</strong> with its modules, twins and keys? This cannot be undone.</p>
        </Confirm>
      )}
    </>
  );
}
