// SPDX-License-Identifier: Apache-2.0
// The device's tags: seen at once, edited as rows. They are saved with the etag they were read
// with, so that nobody's change is overwritten unseen.
import { useState } from 'preact/hooks';

import { ApiError } from '../../api/http';
import { patchTwin } from '../../api/twins';
import type { Twin } from '../../api/twins';
import { useAction } from '../../app/action';
import type { Loaded } from '../../app/load';
import { say } from '../../app/outcome';
import { FormDialog } from '../../parts/dialog';
import { Empty, Loading, Problem } from '../../parts/notice';
import { Table } from '../../parts/table';
import { judgeRows, patchOf, rowsOf } from './tag-rows';
import type { TagRow } from './tag-rows';

interface TagsProps {
  hub: string;
  deviceId: string;
  twin: Loaded<Twin>;
  mayChange: boolean;
}

function RowFields({ row, onRow, onRemove }: { row: TagRow; onRow: (row: TagRow) => void; onRemove: () => void }) {
  const called = row.name || 'new tag';
  return (
    <div class="tag-row" role="group" aria-label={`Tag ${called}`}>
      <input type="text" aria-label={`Name of ${called}`} value={row.name} placeholder="Name" spellcheck={false}
        onInput={(event) => onRow({ ...row, name: event.currentTarget.value })} />
      <input type="text" aria-label={`Value of ${called}`} value={row.text} placeholder="Value" spellcheck={false}
        readOnly={row.other !== undefined} title={row.other === undefined ? undefined : 'No text: edit it in the device twin'}
        onInput={(event) => onRow({ ...row, text: event.currentTarget.value })} />
      <button type="button" class="icon-button" aria-label={`Remove ${called}`} onClick={onRemove}>
        <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 4l8 8M12 4l-8 8" /></svg>
      </button>
    </div>
  );
}

interface EditTagsProps {
  hub: string;
  deviceId: string;
  twin: Twin;
  onClose: () => void;
  onSaved: () => Promise<void>;
}

function EditTags({ hub, deviceId, twin, onClose, onSaved }: EditTagsProps) {
  const [rows, setRows] = useState(() => rowsOf(twin.tags ?? {}));
  const action = useAction();
  const save = async () => {
    const wrong = judgeRows(rows);
    if (wrong !== '') return action.refuse(wrong);
    const tags = patchOf(twin.tags ?? {}, rows);
    if (!tags) return onClose();
    const done = await action.run(async () => {
      try {
        await patchTwin({ hub, deviceId }, { tags }, twin.etag);
      } catch (error) {
        if (error instanceof ApiError && error.status === 412)
          throw new Error('Somebody changed this twin meanwhile. Close this, look at the tags as they are now, and edit them again.');
        throw error;
      } finally {
        await onSaved();
      }
    });
    if (!done) return;
    onClose();
    say(`The tags of ${deviceId} are saved.`);
  };
  const add = () => setRows([...rows, { id: Math.max(-1, ...rows.map((row) => row.id)) + 1, name: '', text: '' }]);
  return (
    <FormDialog title="Edit tags" busy={action.busy} problem={action.problem} onSubmit={save} onClose={onClose}>
      {rows.map((row) => (
        <RowFields key={row.id} row={row} onRemove={() => setRows(rows.filter((each) => each.id !== row.id))}
          onRow={(changed) => setRows(rows.map((each) => (each.id === row.id ? changed : each)))} />
      ))}
      <button type="button" class="button small" onClick={add}>Add tag</button>
    </FormDialog>
  );
}

export function Tags({ hub, deviceId, twin, mayChange }: TagsProps) {
  const [editing, setEditing] = useState<Twin>();
  const rows = rowsOf(twin.data?.tags ?? {});
  return (
    <>
      {mayChange && twin.data && (
        <div class="commands">
          <button type="button" class="button" onClick={() => setEditing(twin.data)}>Edit tags</button>
        </div>
      )}
      {twin.error !== '' && <Problem sentence={twin.error} onRetry={twin.reload} />}
      {!twin.data && twin.loading && <Loading />}
      {twin.data && rows.length === 0 && <Empty>This device has no tags.</Empty>}
      {rows.length > 0 && (
        <Table label="Tags" rows={rows} keyOf={(row) => row.id} columns={[
          { title: 'Name', cell: (row) => row.name },
          { title: 'Value', cell: (row) => row.text },
        ]} />
      )}
      {editing && <EditTags hub={hub} deviceId={deviceId} twin={editing} onClose={() => setEditing(undefined)}
        onSaved={twin.reload} />}
    </>
  );
}
