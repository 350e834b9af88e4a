// SPDX-License-Identifier: Apache-2.0
// Who changed the twin and when, the difference of any two documents, and going back to one.
import { useCallback, useEffect, useState } from 'preact/hooks';

import { isAbort, sentenceOf } from '../api/http';
import { listTwinHistory, readTwinHistory } from '../api/twins';
import type { TwinHistoryItem, TwinOf } from '../api/twins';
import { Moment } from '../parts/badge';
import { Dialog, FormDialog } from '../parts/dialog';
import { ChoiceField } from '../parts/field';
import { fullText, parseMoment } from '../parts/moment';
import { Empty, Loading, Problem } from '../parts/notice';
import type { Desk, TwinDesk } from './desk';
import { sectionsOfTwin, sectionsText } from './document';
import { DiffView } from './diff-view';

const CURRENT = 'current';
const KINDS: Record<TwinHistoryItem['kind'], string> = { create: 'Made', patch: 'Changed', replace: 'Replaced', revert: 'Restored' };
const PARTS: Record<TwinHistoryItem['changed'], string> = { desired: 'desired', tags: 'tags', both: 'desired and tags' };

function useHistory(of: TwinOf, etag: string) {
  const [items, setItems] = useState<TwinHistoryItem[]>();
  const [next, setNext] = useState<number | null>(null);
  const [error, setError] = useState('');
  const read = useCallback(async (before?: number, signal?: AbortSignal) => {
    try {
      const page = await listTwinHistory(of, before, 20, { signal });
      setItems((old) => (before === undefined ? page.items : [...(old ?? []), ...page.items]));
      setNext(page.next);
      setError('');
    } catch (cause) {
      if (!isAbort(cause)) setError(sentenceOf(cause));
    }
  }, [of.hub, of.deviceId, of.moduleId]);
  useEffect(() => {
    const mine = new AbortController();
    void read(undefined, mine.signal);
    return () => mine.abort();
  }, [read, etag]);
  return { items, next, error, read };
}

/** The text of a document of the history, or of what the hub has now. */
function useDocument(of: TwinOf, which: string, current: string): { text?: string; error: string } {
  const [loaded, setLoaded] = useState<{ which: string; text?: string; error: string }>({ which: '', error: '' });
  useEffect(() => {
    if (which === CURRENT || which === '') return undefined;
    const mine = new AbortController();
    readTwinHistory(of, Number(which), { signal: mine.signal }).then(
      (document) => setLoaded({ which, text: sectionsText(document), error: '' }),
      (cause) => { if (!isAbort(cause)) setLoaded({ which, error: sentenceOf(cause) }); });
    return () => mine.abort();
  }, [which]);
  if (which === CURRENT) return { text: current, error: '' };
  return loaded.which === which ? loaded : { error: '' };
}

function nameOf({ desiredVersion, author, time }: TwinHistoryItem): string {
  const date = parseMoment(time);
  return `Version ${desiredVersion}, ${author}, ${date ? fullText(date) : time}`;
}

interface CompareProps {
  of: TwinOf;
  items: readonly TwinHistoryItem[];
  current: string;
  chosen: readonly [string, string];
  onChoose: (chosen: readonly [string, string]) => void;
}

function Compare({ of, items, current, chosen: [older, newer], onChoose }: CompareProps) {
  const [before, after] = [useDocument(of, older, current), useDocument(of, newer, current)];
  const choices = [[CURRENT, 'The current document'] as const, ...items.map((item) => [String(item.id), nameOf(item)] as const)];
  const error = before.error || after.error;
  return (
    <section class="compare" aria-label="Compare">
      <div class="two">
        <ChoiceField label="Compare" value={older} choices={choices} onValue={(value) => onChoose([value, newer])} />
        <ChoiceField label="with" value={newer} choices={choices} onValue={(value) => onChoose([older, value])} />
      </div>
      {error !== '' && <Problem sentence={error} />}
      {before.text !== undefined && after.text !== undefined
        ? <DiffView label="Difference" before={before.text} after={after.text} />
        : error === '' && <Loading />}
    </section>
  );
}

interface RestoreProps {
  of: TwinOf;
  item: TwinHistoryItem;
  current: string;
  work: TwinDesk;
  onClose: () => void;
  onDone: () => void;
}

function Restore({ of, item, current, work, onClose, onDone }: RestoreProps) {
  const document = useDocument(of, String(item.id), current);
  const [busy, setBusy] = useState(false);
  const restore = async () => {
    setBusy(true);
    const done = await work.restore(item.id);
    setBusy(false);
    (done ? onDone : onClose)();
  };
  return (
    <FormDialog title={`Restore version ${item.desiredVersion}`} submit="Restore" panel={false} busy={busy}
      problem={document.error} onSubmit={restore} onClose={onClose}>
      <div class="choose">
        <p>Tags and desired become what they were at {nameOf(item)}. It is a new change with a new version; this is what it does:</p>
        {document.text !== undefined
          ? <DiffView label="What restoring changes" before={current} after={document.text} /> : <Loading />}
      </div>
    </FormDialog>
  );
}

interface EntryProps {
  item: TwinHistoryItem;
  onCompare: (() => void) | undefined;
  onRestore: (() => void) | undefined;
}

function Entry({ item, onCompare, onRestore }: EntryProps) {
  const { desiredVersion, author, from, address, kind, changed, time } = item;
  return (
    <li>
      <p>
        <strong>{author}</strong> <Moment at={time} /> <span class="quiet">(<Moment at={time} ago />)</span><br />
        {KINDS[kind] ?? kind}: {PARTS[changed] ?? changed}. Version {desiredVersion}, by {from}{address ? ` from ${address}` : ''}
      </p>
      <div class="row-buttons">
        {onCompare && <button type="button" class="button small" aria-label={`Show change of version ${desiredVersion} by ${author}`} onClick={onCompare}>Show change</button>}
        {onRestore && <button type="button" class="button small" aria-label={`Restore version ${desiredVersion} by ${author}`} onClick={onRestore}>Restore</button>}
      </div>
    </li>
  );
}

interface HistoryProps {
  of: TwinOf;
  desk: Desk;
  work: TwinDesk;
  mayChange: boolean;
  onClose: () => void;
}

export function History({ of, desk, work, mayChange, onClose }: HistoryProps) {
  const latest = desk.newer ?? desk.base;
  const { items, next, error, read } = useHistory(of, latest.etag);
  const [chosen, setChosen] = useState<readonly [string, string]>();
  const [restoring, setRestoring] = useState<TwinHistoryItem>();
  const current = sectionsText(sectionsOfTwin(latest));
  const first = items && items.length > 0 ? [String((items[1] ?? items[0]!).id), CURRENT] as const : undefined;
  const pair = chosen ?? first;
  return (
    <Dialog title="History" panel onClose={onClose}>
      <div class="dialog-body history">
        {error !== '' && <Problem sentence={error} onRetry={() => void read()} />}
        {!items && error === '' && <Loading />}
        {items?.length === 0 && <Empty>Nothing is kept of this twin yet.</Empty>}
        {items && pair && <Compare of={of} items={items} current={current} chosen={pair} onChoose={setChosen} />}
        {mayChange && desk.dirty && items && items.length > 0 &&
          <p class="quiet">Save or discard your changes before you restore an older document.</p>}
        <ol class="entries">
          {items?.map((item, i) => (
            <Entry key={item.id} item={item}
              onCompare={items[i + 1] && (() => setChosen([String(items[i + 1]!.id), String(item.id)]))}
              onRestore={mayChange && !desk.dirty && i > 0 ? () => setRestoring(item) : undefined} />
          ))}
        </ol>
        {next !== null && <button type="button" class="button" onClick={() => void read(next)}>Show older</button>}
      </div>
      {restoring && <Restore of={of} item={restoring} current={current} work={work}
        onClose={() => setRestoring(undefined)} onDone={onClose} />}
    </Dialog>
  );
}
