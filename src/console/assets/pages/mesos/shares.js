// Who may have what, and who is being offered what: roles and offers.

import { html } from '../../app/lib.js';
import { mb, num, short } from '../../app/format.js';
import { route, to } from '../../app/router.js';
import { useResource } from '../../app/store.js';
import { Empty, Loading, PageHead, Trouble } from '../../ui/basics.js';
import { Filter, Table } from '../../ui/table.js';
import { cluster, roles } from './data.js';

const amount = (of, key, title, show = num) => ({
  key: `${of}.${key}`,
  title,
  value: (r) => r[of]?.[key] || 0,
  cell: (r) => show(r[of]?.[key] || 0),
  num: true,
});

const ROLE_COLUMNS = [
  { key: 'name', title: 'Role', value: (r) => r.name, cell: (r) => html`<strong>${r.name}</strong>`, style: 'main-cell' },
  { key: 'weight', title: 'Weight', value: (r) => r.weight, cell: (r) => num(r.weight), num: true },
  { key: 'frameworks', title: 'Frameworks', value: (r) => r.frameworks.length, num: true },
  amount('allocated', 'cpus', 'CPUs used'),
  amount('allocated', 'mem', 'Memory used', mb),
  amount('offered', 'cpus', 'CPUs offered'),
  amount('offered', 'mem', 'Memory offered', mb),
  { ...amount('reserved', 'cpus', 'CPUs reserved'), wide: true },
  { ...amount('reserved', 'mem', 'Memory reserved', mb), wide: true },
];

export function Roles() {
  const { data, error, refresh } = useResource(roles);
  if (!data) return error ? html`<${Trouble} error=${error} retry=${refresh} />` : html`<${Loading} what="roles" />`;
  return html`<${PageHead} title="Roles" />
    <${Trouble} error=${error} />
    <div class="toolbar"><${Filter} label="Filter roles" /></div>
    <${Table} id="roles" label="Roles" columns=${ROLE_COLUMNS} rows=${data} rowKey=${(r) => r.name}
      filter=${route.value.query.get('q') || ''} empty=${html`<${Empty} title="No role is in use." />`} />`;
}

const OFFER_COLUMNS = [
  { key: 'id', title: 'Offer', value: (o) => o.id, cell: (o) => html`<code title=${o.id}>${short(o.id)}</code>`, style: 'main-cell' },
  {
    key: 'framework',
    title: 'Framework',
    value: (o) => o.framework,
    cell: (o) => html`<a href=${to(['frameworks', o.framework_id])}>${o.framework}</a>`,
  },
  { key: 'role', title: 'Role', value: (o) => o.allocation_info?.role || '*' },
  {
    key: 'agent',
    title: 'Agent',
    value: (o) => o.host,
    cell: (o) => html`<a href=${to(['agents', o.slave_id])}>${o.host}</a>`,
  },
  amount('resources', 'cpus', 'CPUs'),
  amount('resources', 'mem', 'Memory', mb),
  { ...amount('resources', 'disk', 'Disk', mb), wide: true },
];

export function Offers() {
  const { data, error, refresh } = useResource(cluster);
  if (!data) return error ? html`<${Trouble} error=${error} retry=${refresh} />` : html`<${Loading} what="offers" />`;
  const hosts = Object.fromEntries(data.slaves.map((a) => [a.id, a.hostname]));
  const rows = data.frameworks.flatMap((f) =>
    f.offers.map((o) => ({ ...o, framework: f.name, host: hosts[o.slave_id] || short(o.slave_id) })));
  return html`<${PageHead} title="Offers" />
    <${Trouble} error=${error} />
    <div class="toolbar"><${Filter} label="Filter offers" /></div>
    <${Table} id="offers" label="Offers" columns=${OFFER_COLUMNS} rows=${rows} rowKey=${(o) => o.id}
      filter=${route.value.query.get('q') || ''}
      empty=${html`<${Empty} title="No offer is outstanding."><p>Resources are offered to frameworks that want some; most answer within moments.</p></${Empty}>`} />`;
}
