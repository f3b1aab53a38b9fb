// Frameworks: what each uses; one framework with its tasks, and why it gets no offers.

import { call, get } from '../../app/api.js';
import { html } from '../../app/lib.js';
import { Ago, mb, num, short } from '../../app/format.js';
import { route, to } from '../../app/router.js';
import { useLoaded, useResource } from '../../app/store.js';
import { Empty, Facts, Loading, PageHead, State, Trouble } from '../../ui/basics.js';
import { confirm } from '../../ui/dialog.js';
import { Filter, Table } from '../../ui/table.js';
import { attempt } from '../../ui/toast.js';
import { cluster, LIVE, tasks, total } from './data.js';
import { TaskTable } from './tasks.js';

const rolesOf = (f) => (f.roles || [f.role]).filter(Boolean);
const stateOf = (f) => (f.unregistered_time > 0 ? 'completed' : f.active ? 'active' : f.recovered ? 'recovered' : 'inactive');

function share(framework, all) {
  const used = framework.used_resources;
  return Math.max(0, ...Object.keys(all).map((key) => (all[key] > 0 ? (used[key] || 0) / all[key] : 0)));
}

const columns = (all) => [
  {
    key: 'name',
    title: 'Framework',
    value: (f) => f.name,
    cell: (f) => html`<a href=${to(['frameworks', f.id])}>${f.name || short(f.id)}</a>
      <span class="sub" title=${f.id}>${short(f.id)}</span>`,
    search: (f) => `${f.name} ${f.id} ${f.principal || ''} ${rolesOf(f).join(' ')}`,
    style: 'main-cell',
  },
  { key: 'state', title: 'State', value: stateOf, cell: (f) => html`<${State} is=${stateOf(f)} />` },
  { key: 'roles', title: 'Roles', value: (f) => rolesOf(f).join(', ') },
  { key: 'user', title: 'User', value: (f) => f.user, wide: true },
  { key: 'tasks', title: 'Tasks', value: (f) => f.tasks.length, num: true },
  { key: 'cpus', title: 'CPUs', value: (f) => f.used_resources.cpus, cell: (f) => num(f.used_resources.cpus), num: true },
  { key: 'mem', title: 'Memory', value: (f) => f.used_resources.mem, cell: (f) => mb(f.used_resources.mem), num: true },
  { key: 'share', title: 'Max share', value: (f) => share(f, all), cell: (f) => `${num(share(f, all) * 100, 1)} %`, num: true, wide: true },
  {
    key: 'registered',
    title: 'Registered',
    value: (f) => f.registered_time,
    cell: (f) => html`<${Ago} at=${f.unregistered_time || f.reregistered_time || f.registered_time} />`,
    num: true,
    wide: true,
  },
];

export function Frameworks() {
  const { data, error, refresh } = useResource(cluster);
  if (!data) return error ? html`<${Trouble} error=${error} retry=${refresh} />` : html`<${Loading} what="frameworks" />`;
  const all = total(data.slaves, 'resources');
  const filter = route.value.query.get('q') || '';
  const key = (f) => f.id;
  return html`<${PageHead} title="Frameworks" />
    <${Trouble} error=${error} />
    <div class="toolbar"><${Filter} label="Filter frameworks" /></div>
    <${Table} id="frameworks" label="Frameworks" columns=${columns(all)} rows=${data.frameworks} rowKey=${key} filter=${filter}
      empty=${html`<${Empty} title="No framework is registered." />`} />
    ${data.completed_frameworks.length > 0 && html`<section class="panel"><h2>Ended</h2>
      <${Table} id="ended" label="Ended frameworks" rowKey=${key} rows=${data.completed_frameworks} order=${{ key: 'registered', down: true }}
        columns=${columns(all).filter((c) => !['tasks', 'cpus', 'mem', 'share'].includes(c.key))} /></section>`}`;
}

function Why({ id }) {
  const { data } = useLoaded(() => get('mesolith/v1/explain', { framework_id: id }), [id]);
  if (!data) return null;
  return html`<section class="panel"><h2>Offers</h2>
    ${data.refusals.length === 0
      ? html`<p>Nothing keeps offers from it (${num(data.candidates, 0)} agents looked at).</p>`
      : html`<p>Of ${num(data.candidates, 0)} agents looked at:</p>
        <ul class="plain">${data.refusals.map((r) => html`<li key=${r.rule}>
          <strong>${num(r.count, 0)} × ${r.rule}</strong> <span class="muted">${r.detail}</span></li>`)}</ul>`}
    ${data.hint && html`<p class="hint">${data.hint}</p>`}
  </section>`;
}

export function FrameworkPage({ id }) {
  const { data, error, refresh } = useResource(cluster);
  const list = useResource(tasks);
  if (!data) return error ? html`<${Trouble} error=${error} retry=${refresh} />` : html`<${Loading} what="the framework" />`;
  const framework = [...data.frameworks, ...data.completed_frameworks].find((f) => f.id === id);
  const path = [['Frameworks', to(['frameworks'])]];
  if (!framework) {
    return html`<${PageHead} path=${path} title=${short(id)} /><${Empty} title="No framework has this id." />`;
  }
  const mine = (list.data || []).filter((t) => t.framework_id === id);
  const live = mine.filter((t) => LIVE.includes(t.state));
  const ended = stateOf(framework) === 'completed';
  const teardown = async () => {
    const sure = await confirm({
      title: 'Tear the framework down',
      body: html`<p>All ${live.length} tasks of <strong>${framework.name}</strong> are killed, and it can never come back under this id.</p>`,
      typed: framework.name,
      action: 'Tear down',
      danger: true,
    });
    if (sure) {
      await attempt('The framework was torn down.', () => call('POST', 'teardown', { form: { frameworkId: id } }));
    }
  };
  const web = /^https?:\/\//.test(framework.webui_url) && framework.webui_url;
  return html`<${PageHead} path=${path} title=${framework.name || short(id)} badge=${html` <${State} is=${stateOf(framework)} />`}>
      ${web && html`<a class="button" href=${web} rel="noreferrer">Its own page</a>`}
      ${!ended && html`<button class="danger" onClick=${teardown}>Tear down</button>`}
    </${PageHead}>
    <${Trouble} error=${error} />
    <div class="grid two">
      <section class="panel"><h2>Framework</h2>
        <${Facts} of=${[
          ['Id', html`<code class="break">${id}</code>`],
          ['Roles', rolesOf(framework).join(', ')],
          ['User', framework.user],
          ['Principal', framework.principal],
          ['Host', framework.hostname],
          ['Registered', html`<${Ago} at=${framework.registered_time} />`],
          ['Subscribed again', framework.reregistered_time && html`<${Ago} at=${framework.reregistered_time} />`],
          ['Ended', ended && html`<${Ago} at=${framework.unregistered_time} />`],
          ['Uses', `${num(framework.used_resources.cpus)} CPUs, ${mb(framework.used_resources.mem)}`],
          ['Failover timeout', framework.failover_timeout ? `${num(framework.failover_timeout)} s` : ''],
        ].map(([k, v]) => [k, v === false ? '' : v])} />
      </section>
      ${!ended && html`<${Why} id=${id} />`}
    </div>
    <section class="panel"><h2>Tasks</h2>
      <${TaskTable} id="framework" rows=${live} without=${['framework']} empty=${html`<${Empty} title="None of its tasks runs." />`} />
    </section>
    ${mine.length > live.length && html`<section class="panel"><h2>Ended tasks</h2>
      <${TaskTable} id="framework-ended" rows=${mine.filter((t) => !LIVE.includes(t.state))} without=${['framework']} /></section>`}`;
}
