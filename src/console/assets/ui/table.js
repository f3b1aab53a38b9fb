// Tables: sorted by a click on a head, filtered by a box whose text is in the address, in pages of
// a hundred rows so that thousands cost no more than a hundred.

import { html, useEffect, useRef, useState } from '../app/lib.js';
import { num } from '../app/format.js';
import { route, setQuery } from '../app/router.js';
import { Empty } from './basics.js';

const PAGE_ROWS = 100;

// How each table is sorted, for as long as the page lives.
const sorted = new Map();

function compare(a, b) {
  if (a === b) return 0;
  if (a === undefined || a === null || a === '') return 1;
  if (b === undefined || b === null || b === '') return -1;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

function Head({ column, order, sort }) {
  const active = order.key === column.key;
  const direction = active ? (order.down ? 'descending' : 'ascending') : undefined;
  const style = `${column.num ? 'num' : ''} ${column.wide ? 'wide-only' : ''}`;
  if (!column.value) {
    return html`<th class=${style} scope="col">${column.title || html`<span class="sr">Actions</span>`}</th>`;
  }
  return html`<th class=${style} scope="col" aria-sort=${direction}>
    <button class="sort" onClick=${() => sort(column)}>
      ${column.title}<span class="arrow" aria-hidden="true">${active ? (order.down ? '▾' : '▴') : ''}</span>
    </button>
  </th>`;
}

function Pager({ page, pages, total, turn }) {
  if (pages < 2) return null;
  const first = page * PAGE_ROWS + 1;
  const last = Math.min(total, first + PAGE_ROWS - 1);
  return html`<div class="pager">
    <button disabled=${page === 0} onClick=${() => turn(page - 1)}>Previous</button>
    <span>${num(first, 0)}–${num(last, 0)} of ${num(total, 0)}</span>
    <button disabled=${page >= pages - 1} onClick=${() => turn(page + 1)}>Next</button>
  </div>`;
}

/** The box that filters; `/` goes to it. Its text is the parameter `q` of the address. */
export function Filter({ name = 'q', label }) {
  const box = useRef(null);
  const text = route.value.query.get(name) || '';
  const clear = (event) => {
    if (event.key !== 'Escape') return;
    setQuery({ [name]: '' });
    box.current.blur();
  };
  return html`<input
    ref=${box}
    type="search"
    class="filter"
    data-filter
    placeholder=${`${label} ( / )`}
    aria-label=${label}
    value=${text}
    onInput=${(e) => setQuery({ [name]: e.currentTarget.value })}
    onKeyDown=${clear}
  />`;
}

/**
 * A table. Columns: `{key, title, value(row), cell(row), num, wide}`; `value` sorts and is what the
 * filter looks into, `cell` shows, `wide` ones are left out on narrow screens. `selected` and
 * `select(ids)` put boxes before the rows.
 */
export function Table({ id, label, columns, rows, rowKey, filter = '', order: first, empty, selected, select }) {
  const [order, setOrder] = useState(sorted.get(id) || first || { key: columns[0].key, down: false });
  const [page, setPage] = useState(0);
  useEffect(() => setPage(0), [filter]);

  const sort = (column) => {
    const down = order.key === column.key ? !order.down : Boolean(column.num);
    const next = { key: column.key, down };
    sorted.set(id, next);
    setOrder(next);
  };
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (row) =>
    columns.map((c) => (c.search ? c.search(row) : c.value ? c.value(row) : '')).join(' ').toLowerCase();
  const kept = words.length
    ? rows.filter((row) => {
        const all = text(row);
        return words.every((word) => all.includes(word));
      })
    : rows;
  const by = columns.find((c) => c.key === order.key && c.value);
  const list = by
    ? [...kept].sort((a, b) => (order.down ? -1 : 1) * compare(by.value(a), by.value(b)))
    : kept;
  const pages = Math.max(1, Math.ceil(list.length / PAGE_ROWS));
  const at = Math.min(page, pages - 1);
  const shown = list.slice(at * PAGE_ROWS, (at + 1) * PAGE_ROWS);

  if (rows.length === 0 && empty) return empty;
  if (list.length === 0) {
    return html`<${Empty} title="Nothing matches the filter.">
      <button onClick=${() => setQuery({ q: '', state: '' })}>Show all</button>
    </${Empty}>`;
  }
  const all = shown.length > 0 && selected && shown.every((row) => selected.has(rowKey(row)));
  const flip = (key) => {
    const next = new Set(selected);
    if (!next.delete(key)) next.add(key);
    select(next);
  };
  return html`<div class="table-box">
    <table class="table" aria-label=${label} data-table=${id}>
      <thead>
        <tr>
          ${selected &&
          html`<th class="pick" scope="col">
            <input type="checkbox" aria-label="Select all" checked=${all}
              onChange=${() => select(all ? new Set() : new Set(shown.map(rowKey)))} />
          </th>`}
          ${columns.map((column) => html`<${Head} key=${column.key} ...${{ column, order, sort }} />`)}
        </tr>
      </thead>
      <tbody>
        ${shown.map((row) => {
          const key = rowKey(row);
          return html`<tr key=${key} data-row=${key}>
            ${selected &&
            html`<td class="pick">
              <input type="checkbox" aria-label=${`Select ${key}`} checked=${selected.has(key)} onChange=${() => flip(key)} />
            </td>`}
            ${columns.map(
              (column) => html`<td
                key=${column.key}
                data-title=${column.title || undefined}
                class=${`${column.num ? 'num' : ''} ${column.wide ? 'wide-only' : ''} ${column.style || ''}`}
              >
                ${column.cell ? column.cell(row) : column.value(row)}
              </td>`,
            )}
          </tr>`;
        })}
      </tbody>
    </table>
    <${Pager} page=${at} pages=${pages} total=${list.length} turn=${setPage} />
  </div>`;
}
