// SPDX-License-Identifier: Apache-2.0
import { useEffect, useState } from 'preact/hooks';

import { auditExportUrl, searchAudit } from '../../api/administration';
import type { AuditEntry, AuditQuery } from '../../api/administration';
import { useAction } from '../../app/action';
import { useLoad } from '../../app/load';
import { Moment, State } from '../../parts/badge';
import { TextField } from '../../parts/field';
import { Heading } from '../../parts/heading';
import { Empty, Loading, Problem } from '../../parts/notice';
import { Search } from '../../parts/search';
import { Table } from '../../parts/table';
import type { Column } from '../../parts/table';
import { NOTHING_ASKED, detailText, forHub } from './asked';

const COLUMNS: readonly Column<AuditEntry>[] = [
  { title: 'Time', cell: (entry) => <Moment at={entry.time} /> },
  { title: 'Who', cell: (entry) => entry.user },
  { title: 'From', cell: (entry) => [entry.from, entry.address].filter(Boolean).join(', ') },
  { title: 'Hub', cell: (entry) => entry.hub },
  { title: 'Action', cell: (entry) => entry.action },
  { title: 'Target', cell: (entry) => entry.target },
  { title: 'Outcome', cell: (entry) => <State value={entry.outcome} /> },
  { title: 'Detail', cell: (entry) => <span class="detail">{detailText(entry.detail)}</span> },
];

interface FiltersProps {
  asked: AuditQuery;
  onAsk: (asked: AuditQuery) => void;
}

function Filters({ asked, onAsk }: FiltersProps) {
  const [typed, setTyped] = useState(asked);
  const field = (label: string, name: 'user' | 'hub' | 'since' | 'until', type: 'text' | 'datetime-local') => (
    <TextField label={label} type={type} value={typed[name]} onValue={(value) => setTyped({ ...typed, [name]: value })} />
  );
  const ask = (event: Event) => {
    event.preventDefault();
    onAsk({ ...typed, search: asked.search });
  };
  return (
    <form class="filters" onSubmit={ask}>
      <Search label="Search the audit log" value={asked.search} onSearch={(search) => onAsk({ ...asked, search })} />
      {field('User', 'user', 'text')}
      {field('Hub', 'hub', 'text')}
      {field('From', 'since', 'datetime-local')}
      {field('Until', 'until', 'datetime-local')}
      <button type="submit" class="button">Apply</button>
    </form>
  );
}

export function Audit() {
  const [asked, setAsked] = useState(NOTHING_ASKED);
  const [older, setOlder] = useState<AuditEntry[]>([]);
  const [next, setNext] = useState<number | null>(null);
  const question = forHub(asked);
  const first = useLoad((signal) => searchAudit(question, undefined, undefined, { signal }), [asked]);
  const more = useAction();
  useEffect(() => {
    setOlder([]);
    setNext(first.data?.next ?? null);
  }, [first.data]);
  const readOlder = () => void more.run(async () => {
    const page = await searchAudit(question, next ?? undefined);
    setOlder([...older, ...page.items]);
    setNext(page.next);
  });
  const entries = [...(first.data?.items ?? []), ...older];
  return (
    <>
      <Heading title="Audit log" of="Administration" />
      <div class="commands">
        <a class="button" href={auditExportUrl(question)} download="audit.jsonl">Export as JSON lines</a>
        <button type="button" class="button" onClick={first.reload}>Refresh</button>
      </div>
      <Filters asked={asked} onAsk={setAsked} />
      {first.error !== '' && <Problem sentence={first.error} onRetry={first.reload} />}
      {!first.data && first.loading && <Loading />}
      {first.data && entries.length === 0 && <Empty>No entry matches.</Empty>}
      {entries.length > 0 &&
        <Table label="Audit log" columns={COLUMNS} rows={entries} keyOf={(entry) => entry.id} busy={first.loading} />}
      {more.problem !== '' && <Problem sentence={more.problem} onRetry={readOlder} />}
      {next !== null &&
        <button type="button" class="button" aria-disabled={more.busy} onClick={readOlder}>Show older entries</button>}
    </>
  );
}
