// SPDX-License-Identifier: Apache-2.0
// A table. Where there is no width for columns, each row is laid out as a card; the roles are
// written out because browsers forget them when a table is not laid out as one.
import type { ComponentChildren } from 'preact';

export interface Column<T> {
  title: string;
  cell: (row: T) => ComponentChildren;
  /** The name under which the column can be sorted. */
  sort?: string;
  align?: 'end';
}

export interface Sorting {
  by: string;
  order: 'asc' | 'desc';
  onSort: (by: string) => void;
}

export interface Selection<T> {
  has: (row: T) => boolean;
  toggle: (row: T, selected: boolean) => void;
  toggleAll: (selected: boolean) => void;
  nameOf: (row: T) => string;
}

interface TableProps<T> {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  keyOf: (row: T) => string | number;
  sorting?: Sorting;
  selection?: Selection<T>;
  busy?: boolean;
}

function Head<T>({ column, sorting }: { column: Column<T>; sorting?: Sorting }) {
  const { title, sort, align } = column;
  if (!sort || !sorting)
    return <th scope="col" role="columnheader" class={align}>{title}</th>;
  const active = sorting.by === sort;
  const direction = sorting.order === 'asc' ? 'ascending' : 'descending';
  return (
    <th scope="col" role="columnheader" class={`sortable ${align ?? ''}`}
      aria-sort={active ? direction : 'none'}>
      <button type="button" onClick={() => sorting.onSort(sort)}>
        {title}
        <svg viewBox="0 0 10 14" aria-hidden="true" class={active ? direction : ''}>
          <path class="up" d="M1 6l4-4 4 4" /><path class="down" d="M1 8l4 4 4-4" />
        </svg>
      </button>
    </th>
  );
}

function SelectAll<T>({ rows, selection }: { rows: readonly T[]; selection: Selection<T> }) {
  const chosen = rows.filter(selection.has).length;
  return (
    <th scope="col" role="columnheader" class="check">
      <input type="checkbox" aria-label="Select all on this page" disabled={rows.length === 0}
        checked={rows.length > 0 && chosen === rows.length}
        ref={(box) => { if (box) box.indeterminate = chosen > 0 && chosen < rows.length; }}
        onChange={(event) => selection.toggleAll(event.currentTarget.checked)} />
    </th>
  );
}

function Row<T>({ row, columns, selection }: { row: T; columns: readonly Column<T>[]; selection?: Selection<T> }) {
  const selected = selection?.has(row) ?? false;
  return (
    <tr role="row" class={selected ? 'selected' : ''}>
      {selection && (
        <td role="cell" class="check">
          <input type="checkbox" aria-label={`Select ${selection.nameOf(row)}`} checked={selected}
            onChange={(event) => selection.toggle(row, event.currentTarget.checked)} />
        </td>
      )}
      {columns.map(({ title, cell, align }, i) => i === 0
        ? <th key={title} scope="row" role="rowheader" class={align}>{cell(row)}</th>
        : <td key={title} role="cell" class={align} data-title={title}>{cell(row)}</td>)}
    </tr>
  );
}

export function Table<T>({ label, columns, rows, keyOf, sorting, selection, busy }: TableProps<T>) {
  return (
    <table role="table" class="table" aria-label={label} aria-busy={busy}>
      <thead role="rowgroup">
        <tr role="row">
          {selection && <SelectAll rows={rows} selection={selection} />}
          {columns.map((column) => <Head key={column.title} column={column} sorting={sorting} />)}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => <Row key={keyOf(row)} row={row} columns={columns} selection={selection} />)}
      </tbody>
    </table>
  );
}
