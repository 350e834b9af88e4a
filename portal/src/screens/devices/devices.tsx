// SPDX-License-Identifier: Apache-2.0
// The devices of a hub. The hub filters, sorts and cuts; the page holds only what it shows and the
// ids that are selected.
import { useEffect, useState } from 'preact/hooks';

import { listDevices } from '../../api/devices';
import type { DeviceChange, DeviceQuery } from '../../api/devices';
import { sentenceOf } from '../../api/http';
import { go, usePlace } from '../../app/location';
import { useLoad } from '../../app/load';
import { say } from '../../app/outcome';
import { pathOf } from '../../app/route';
import { useMay } from '../../app/session';
import { Heading } from '../../parts/heading';
import { Empty, Loading, Problem } from '../../parts/notice';
import { AddDevice } from './add-device';
import { askedFrom, searchOf, sortedBy } from './asked';
import { ChangeDialog } from './change-dialog';
import { collectIds } from './collect';
import { Filters } from './filters';
import { Pager, usePages } from './pager';
import { DeviceTable } from './table';

interface CommandsProps {
  count: number;
  onAdd: () => void;
  onChange: (change: DeviceChange) => void;
}

function Commands({ count, onAdd, onChange }: CommandsProps) {
  return (
    <>
      <button type="button" class="button primary" onClick={onAdd}>Add device</button>
      <button type="button" class="button" disabled={count === 0} onClick={() => onChange('enable')}>Enable</button>
      <button type="button" class="button" disabled={count === 0} onClick={() => onChange('disable')}>Disable</button>
      <button type="button" class="button" disabled={count === 0} onClick={() => onChange('delete')}>Delete</button>
    </>
  );
}

interface SelectionLineProps {
  count: number;
  total: number;
  onAll: () => void;
  onNone: () => void;
}

function SelectionLine({ count, total, onAll, onNone }: SelectionLineProps) {
  if (count === 0) return null;
  return (
    <p class="selection-line">
      <span aria-live="polite">{count.toLocaleString('en-GB')} selected</span>
      {count < total &&
        <button type="button" class="button plain" onClick={onAll}>Select all {total.toLocaleString('en-GB')} that match</button>}
      <button type="button" class="button plain" onClick={onNone}>Select none</button>
    </p>
  );
}

export function Devices({ hub }: { hub: string }) {
  const { search } = usePlace();
  const asked = askedFrom(search);
  const pages = usePages(search);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [adding, setAdding] = useState(false);
  const [change, setChange] = useState<DeviceChange>();
  const mayChange = useMay('operator', hub);
  const page = useLoad((signal) => listDevices(hub, asked, pages.after, pages.size, { signal }),
    [hub, search, pages.after, pages.size]);
  useEffect(() => setSelected(new Set()), [hub, asked.filter, asked.status, asked.connection]);

  const ask = (next: DeviceQuery) => void go(pathOf('devices', { hub }) + searchOf(next), { replace: true });
  const selectAll = async () => {
    try {
      const ids = await collectIds(hub, asked, (n) => say(`Selecting: ${n.toLocaleString('en-GB')} …`, 'busy'));
      setSelected(new Set(ids));
      say(`${ids.length.toLocaleString('en-GB')} devices are selected.`);
    } catch (error) {
      say(sentenceOf(error), 'failed');
    }
  };
  const closeChange = (changed: boolean) => {
    setChange(undefined);
    if (!changed) return;
    setSelected(new Set());
    void page.reload();
  };

  const { data } = page;
  const filtered = asked.filter !== '' || asked.status !== '' || asked.connection !== '';
  return (
    <>
      <Heading title="Devices" of={hub} />
      <div class="commands">
        {mayChange && <Commands count={selected.size} onAdd={() => setAdding(true)} onChange={setChange} />}
        <button type="button" class="button" onClick={page.reload}>Refresh</button>
      </div>
      <Filters asked={asked} onAsk={ask} />
      {page.error !== '' && <Problem sentence={page.error} onRetry={page.reload} />}
      {!data && page.loading && <Loading />}
      {data && (
        <>
          <SelectionLine count={selected.size} total={data.total} onAll={selectAll} onNone={() => setSelected(new Set())} />
          {data.items.length === 0
            ? <Empty>{filtered ? 'No device matches.' : 'This hub has no devices yet.'}</Empty>
            : <DeviceTable hub={hub} rows={data.items} asked={asked} busy={page.loading} selected={selected}
                onSort={(by) => ask(sortedBy(asked, by))} onSelect={mayChange ? setSelected : undefined} />}
          <Pager pages={pages} total={data.total} shown={data.items.length} next={data.next} />
        </>
      )}
      {adding && <AddDevice hub={hub} onClose={() => setAdding(false)} onAdded={page.reload} />}
      {change && <ChangeDialog hub={hub} change={change} ids={[...selected]} onClose={closeChange} />}
    </>
  );
}
