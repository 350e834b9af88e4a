// SPDX-License-Identifier: Apache-2.0
// Somebody saved while there are edits here: what they changed, what is changed here, and the choice.
import { useEffect, useState } from 'preact/hooks';

import { listTwinHistory } from '../api/twins';
import type { TwinHistoryItem, TwinOf } from '../api/twins';
import { Moment } from '../parts/badge';
import { Dialog } from '../parts/dialog';
import type { Desk, TwinDesk } from './desk';
import { isProblem, patchBetween, patchedSections, sectionsOfTwin, sectionsText } from './document';
import { DiffView } from './diff-view';
import { clashes } from './patch';
import type { Clash } from './patch';
import { shownValue } from './settings-form';

const versionOf = (desired: Record<string, unknown>) => Number(desired.$version ?? 0);

function useTheirSaves(of: TwinOf, desk: Desk): TwinHistoryItem[] {
  const [items, setItems] = useState<TwinHistoryItem[]>([]);
  useEffect(() => {
    const mine = new AbortController();
    const seen = versionOf(desk.base.properties.desired);
    listTwinHistory(of, undefined, 10, { signal: mine.signal })
      .then(({ items: all }) => {
        const later = all.filter((item) => item.desiredVersion > seen);
        setItems(later.length > 0 ? later : all.slice(0, 1));
      }, () => {});
    return () => mine.abort();
  }, [desk.newer?.etag]);
  return items;
}

function Saves({ items }: { items: readonly TwinHistoryItem[] }) {
  if (items.length === 0) return <p>Somebody else saved this twin after you opened it.</p>;
  return (
    <ul class="few">
      {items.map(({ id, author, time, from, desiredVersion }) =>
        <li key={id}><strong>{author}</strong> saved version {desiredVersion} by {from}, <Moment at={time} /> (<Moment at={time} ago />)</li>)}
    </ul>
  );
}

function Both({ both }: { both: readonly Clash[] }) {
  if (both.length === 0) return <p>No field was changed by both.</p>;
  const said = (value: Clash['mine']) => (value === undefined ? 'taken out' : shownValue(value) || '(empty)');
  return (
    <>
      <p>Changed by both:</p>
      <ul class="few">
        {both.map(({ path, theirs, mine }) =>
          <li key={path.join('.')}><code>{path.join('.')}</code>: theirs {said(theirs)}, yours {said(mine)}</li>)}
      </ul>
    </>
  );
}

export function Choose({ of, desk, work, onEdit }: { of: TwinOf; desk: Desk; work: TwinDesk; onEdit: () => void }) {
  const items = useTheirSaves(of, desk);
  const { base, newer, patch } = desk;
  if (!newer) return null;
  const readable = !isProblem(desk.read);
  const theirs = patchBetween(base, sectionsOfTwin(newer));
  const both = [
    ...clashes(theirs?.tags ?? undefined, patch?.tags ?? undefined, ['tags']),
    ...clashes(theirs?.properties?.desired ?? undefined, patch?.properties?.desired ?? undefined),
  ];
  const before = sectionsText(sectionsOfTwin(base));
  return (
    <Dialog title="Somebody else saved meanwhile" onClose={() => work.choose(false)}>
      <div class="dialog-body choose">
        <Saves items={items} />
        <h3>What they changed</h3>
        <DiffView label="What they changed" before={before} after={sectionsText(sectionsOfTwin(newer))} />
        <h3>What you changed</h3>
        {readable
          ? <DiffView label="What you changed" before={before} after={sectionsText(patchedSections(base, patch ?? {}))} />
          : <p>Your text cannot be read yet: put it right first, or take theirs.</p>}
        {readable && <Both both={both} />}
      </div>
      <div class="dialog-buttons">
        {readable &&
          <button type="button" class="button primary" onClick={() => void work.keepMine()}>Keep mine on top and save</button>}
        <button type="button" class="button" onClick={() => work.takeTheirs()}>Take theirs</button>
        {readable &&
          <button type="button" class="button" onClick={() => { work.editMerged(); onEdit(); }}>Edit further</button>}
      </div>
    </Dialog>
  );
}
