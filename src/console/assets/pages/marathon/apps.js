// Applications, group by group; a filter looks into all groups at once.

import { html } from '../../app/lib.js';
import { mb, num } from '../../app/format.js';
import { route, setQuery, to } from '../../app/router.js';
import { useResource } from '../../app/store.js';
import { Empty, GoButton, Loading, PageHead, Pills, State, Trouble } from '../../ui/basics.js';
import { Menu } from '../../ui/menu.js';
import { Filter, Table } from '../../ui/table.js';
import { destroy, destroyGroup, resetDelay, restart, scale, scaleGroup, suspend, suspendGroup } from './actions.js';
import { apps, children, healthOf, leaf, queue, statusOf } from './data.js';
import { HealthBar } from './health.js';

const STATUSES = ['Running', 'Deploying', 'Suspended', 'Delayed', 'Waiting'];
const HEALTHS = ['healthy', 'unhealthy', 'unknown'];

const Folder = () => html`<svg class="glyph" viewBox="0 0 24 24" aria-hidden="true"><path d="M3 6h7l2 3h9v10H3z" /></svg>`;
const App = () => html`<svg class="glyph" viewBox="0 0 24 24" aria-hidden="true"><path d="M4 4h16v16H4zM4 9h16" /></svg>`;

const menuOf = (row) => row.isGroup
  ? [
      { says: 'Scale By', action: () => scaleGroup(row) },
      { says: 'Suspend', action: () => suspendGroup(row) },
      { says: 'Destroy', action: () => destroyGroup(row), danger: true },
    ]
  : [
      { says: 'Scale', action: () => scale(row) },
      { says: 'Restart', action: () => restart(row) },
      { says: 'Suspend', action: () => suspend(row) },
      row.status === 'Delayed' && { says: 'Reset Delay', action: () => resetDelay(row) },
      { says: 'Destroy', action: () => destroy(row), danger: true },
    ];

const columns = (flat) => [
  {
    key: 'name',
    title: 'Name',
    value: (r) => `${r.isGroup ? 0 : 1}${r.id}`,
    search: (r) => `${r.id} ${Object.entries(r.labels || {}).flat().join(' ')} ${r.cmd || ''}`,
    cell: (r) => html`<a class="folder" href=${r.isGroup ? to(['group', r.id]) : to(['apps', r.id])}>
        <${r.isGroup ? Folder : App} /><span>${flat ? r.id : leaf(r.id)}</span></a>
      <div><${Pills} of=${r.labels} /></div>`,
    style: 'main-cell',
  },
  { key: 'cpus', title: 'CPUs', value: (r) => (r.isGroup ? r.cpus : r.cpus * r.instances), cell: (r) => num(r.isGroup ? r.cpus : r.cpus * r.instances), num: true, wide: true },
  { key: 'mem', title: 'Memory', value: (r) => (r.isGroup ? r.mem : r.mem * r.instances), cell: (r) => mb(r.isGroup ? r.mem : r.mem * r.instances), num: true, wide: true },
  {
    key: 'status',
    title: 'Status',
    value: (r) => r.status || '',
    cell: (r) => r.status && (['Waiting', 'Delayed'].includes(r.status)
      ? html`<a href=${to(['apps', r.id, 'debug'])} title="See why"><${State} is=${r.status} /></a>`
      : html`<${State} is=${r.status} />`),
  },
  {
    key: 'instances',
    title: 'Running Instances',
    value: (r) => r.tasksRunning || 0,
    cell: (r) => html`${num(r.tasksRunning || 0, 0)} of ${num(r.instances, 0)}`,
    num: true,
  },
  { key: 'health', title: 'Health', value: (r) => r.tasksHealthy || 0, cell: (r) => html`<${HealthBar} app=${r} />`, style: 'meter-cell' },
  { key: 'menu', title: '', cell: (r) => html`<${Menu} label=${`Actions for ${r.id}`} items=${menuOf(r)} />`, style: 'act' },
];

const NoApps = () => html`<${Empty} title="No Applications Created">
  <p>Do more with Marathon by creating and organizing your applications.</p>
  <p><${GoButton} parts=${['new']} kind="primary">Create Application</${GoButton}></p>
</${Empty}>`;

export function Apps({ group }) {
  const { data, error, refresh } = useResource(apps);
  const waiting = useResource(queue);
  if (!data) return error ? html`<${Trouble} error=${error} retry=${refresh} />` : html`<${Loading} what="applications" />`;
  const { query } = route.value;
  const [text, status, health] = ['q', 'status', 'health'].map((name) => query.get(name) || '');
  const all = data.map((app) => ({ ...app, status: statusOf(app, waiting.data) }));
  const flat = Boolean(text || status || health);
  const fits = (app) => (!status || app.status === status) && (!health || healthOf(app)[health] > 0);
  const rows = flat ? all.filter(fits) : children(all, group);
  const parts = group.split('/').filter(Boolean);
  const path = parts.map((name, n) => [n === 0 ? 'Applications' : parts[n - 1], n === 0 ? to(['apps']) : to(['group', `/${parts.slice(0, n).join('/')}`])]);
  const select = (name, label, values) => html`<label class="inline">${label}
    <select onChange=${(e) => setQuery({ [name]: e.currentTarget.value })}>
      <option value="">any</option>
      ${values.map((v) => html`<option key=${v} value=${v} selected=${v === query.get(name)}>${v.toLowerCase()}</option>`)}
    </select></label>`;
  return html`<${PageHead} path=${path} title=${parts.at(-1) || 'Applications'}>
      <${GoButton} parts=${['new']} query=${{ group: group === '/' ? '' : group }} kind="primary">Create Application</${GoButton}>
    </${PageHead}>
    <${Trouble} error=${error} />
    ${data.length > 0 && html`<div class="toolbar">
      ${select('status', 'Status', STATUSES)}${select('health', 'Health', HEALTHS)}
      <${Filter} label="Search all applications" />
    </div>`}
    <${Table} id="apps" label="Applications" columns=${columns(flat)} rows=${rows} rowKey=${(r) => r.id} filter=${text}
      empty=${data.length === 0 ? html`<${NoApps} />` : html`<${Empty} title=${flat ? 'No Applications Found' : 'No Applications in this Group.'}>
        ${flat && html`<p>No applications match your criteria.</p>`}<a href="#/apps">All applications</a></${Empty}>`} />`;
}
