// All tasks: those that may run, and those that ended with why.

import { html } from '../../app/lib.js';
import { Ago, mb, num, short, stateName } from '../../app/format.js';
import { route, setQuery, to } from '../../app/router.js';
import { useResource } from '../../app/store.js';
import { Empty, Loading, PageHead, State, Trouble } from '../../ui/basics.js';
import { Filter, Table } from '../../ui/table.js';
import { LIVE, tasks } from './data.js';

const reason = (task) => (task.reason || '').replace(/^REASON_/, '').toLowerCase().replace(/_/g, ' ');

const COLUMNS = [
  {
    key: 'id',
    title: 'Task',
    value: (t) => t.id,
    cell: (t) => html`<a href=${to(['tasks', t.framework_id, t.id])} title=${t.id}>${t.name || t.id}</a>
      ${t.name && t.name !== t.id && html`<span class="sub">${t.id}</span>`}`,
    search: (t) => `${t.id} ${t.name}`,
    style: 'main-cell',
  },
  {
    key: 'state',
    title: 'State',
    value: (t) => stateName(t.state),
    cell: (t) => html`<${State} is=${t.state} />
      ${t.healthy !== undefined && html` <${State} is=${t.healthy ? 'healthy' : 'unhealthy'} />`}`,
  },
  {
    key: 'message',
    title: 'Message',
    value: (t) => `${t.message || ''} ${reason(t)}`.trim(),
    cell: (t) => html`${t.message || ''}${t.reason && html`<span class="sub">${reason(t)}</span>`}`,
    style: 'text',
    wide: true,
  },
  {
    key: 'framework',
    title: 'Framework',
    value: (t) => t.framework,
    cell: (t) => html`<a href=${to(['frameworks', t.framework_id])} title=${t.framework_id}>${t.framework}</a>`,
  },
  {
    key: 'host',
    title: 'Agent',
    value: (t) => t.host || t.agent_id,
    cell: (t) => html`<a href=${to(['agents', t.agent_id])} title=${t.agent_id}>${t.host || short(t.agent_id)}</a>`,
  },
  { key: 'cpus', title: 'CPUs', value: (t) => t.cpus, cell: (t) => num(t.cpus), num: true, wide: true },
  { key: 'mem', title: 'Memory', value: (t) => t.mem, cell: (t) => mb(t.mem), num: true, wide: true },
  {
    key: 'changed',
    title: 'Changed',
    value: (t) => t.changed,
    cell: (t) => html`<${Ago} at=${t.changed} />`,
    num: true,
  },
  {
    key: 'logs',
    title: '',
    cell: (t) => html`<a class="button small" href=${to(['tasks', t.framework_id, t.id], { file: 'stdout' })}
      aria-label=${`Log of ${t.id}`}>Log</a>`,
    style: 'act',
  },
];

/** Tasks in a table; `without` leaves columns out. */
export function TaskTable({ id, rows, without = [], filter, empty }) {
  const columns = COLUMNS.filter((c) => !without.includes(c.key));
  return html`<${Table} id=${id} label="Tasks" columns=${columns} rows=${rows} filter=${filter} empty=${empty}
    rowKey=${(t) => `${t.framework_id} ${t.id} ${t.shelf} ${t.changed}`} order=${{ key: 'changed', down: true }} />`;
}

export function Tasks() {
  const { data, error, refresh } = useResource(tasks);
  if (!data) return error ? html`<${Trouble} error=${error} retry=${refresh} />` : html`<${Loading} what="tasks" />`;
  const { query } = route.value;
  const state = query.get('state') || 'active';
  const states = [...new Set(data.map((t) => t.state))].sort();
  const keep = {
    active: (t) => LIVE.includes(t.state),
    completed: (t) => !LIVE.includes(t.state),
    all: () => true,
  };
  const rows = data.filter(keep[state] || ((t) => t.state === state));
  const number = (id) => data.filter(keep[id]).length;
  const choose = (id, name) => html`<button class=${state === id ? 'pressed' : ''} aria-pressed=${state === id}
    onClick=${() => setQuery({ state: id })}>${name} <span class="muted">${num(number(id), 0)}</span></button>`;
  return html`<${PageHead} title="Tasks" />
    <${Trouble} error=${error} />
    <div class="toolbar">
      <div class="choice" role="group" aria-label="Which tasks">
        ${choose('active', 'Active')}${choose('completed', 'Completed')}${choose('all', 'All')}
      </div>
      <label class="inline">State
        <select value=${keep[state] ? '' : state} onChange=${(e) => setQuery({ state: e.currentTarget.value || 'active' })}>
          <option value="">any</option>
          ${states.map((s) => html`<option key=${s} value=${s} selected=${s === state}>${stateName(s).toLowerCase()}</option>`)}
        </select>
      </label>
      <${Filter} label="Filter tasks" />
    </div>
    <${TaskTable} id="tasks" rows=${rows} filter=${query.get('q') || ''} empty=${html`<${Empty} title=${
      state === 'active' ? 'No task runs.' : 'There is no such task.'
    } />`} />`;
}
