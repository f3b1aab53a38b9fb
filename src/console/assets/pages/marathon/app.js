// One app: its instances, its configuration and the versions before, and why it waits.

import { get } from '../../app/api.js';
import { html, useState } from '../../app/lib.js';
import { Ago, clock, mb, millis, num } from '../../app/format.js';
import { go, route, setQuery, to } from '../../app/router.js';
import { useLoaded, useResource } from '../../app/store.js';
import { Empty, Facts, GoButton, Loading, PageHead, Pills, State, Tabs, Trouble } from '../../ui/basics.js';
import { Diff } from '../../ui/diff.js';
import { JsonView, pretty } from '../../ui/json.js';
import { mesosView } from '../../ui/layout.js';
import { Menu } from '../../ui/menu.js';
import { Table } from '../../ui/table.js';
import { destroy, killTasks, resetDelay, restart, rollBackTo, scale, suspend } from './actions.js';
import { at, definition, info, parent, queue, statusOf } from './data.js';
import { HealthBar, HealthLegend } from './health.js';
import { Why } from './why.js';

const EMBED = ['app.counts', 'app.tasks', 'app.deployments', 'app.lastTaskFailure', 'app.readiness', 'app.taskStats'];

function healthOfTask(task) {
  const results = task.healthCheckResults || [];
  if (results.length === 0) return 'unknown';
  return results.every((r) => r.alive) ? 'healthy' : 'unhealthy';
}

function LogLinks({ framework, task }) {
  const sandbox = framework && mesosView(['tasks', framework, task.id]);
  if (!sandbox) return null;
  return html`<span class="buttons"><a class="button small" href=${`${sandbox}?file=stdout`}>Log</a>
    <a class="button small" href=${`${sandbox}?file=stderr`}>Errors</a></span>`;
}

function Instances({ app, framework }) {
  const [chosen, choose] = useState(new Set());
  const tasks = app.tasks || [];
  const there = new Set([...chosen].filter((id) => tasks.some((t) => t.id === id)));
  const kill = async (shrink) => {
    if (await killTasks(app, [...there], shrink)) choose(new Set());
  };
  const columns = [
    {
      key: 'id',
      title: 'ID',
      value: (t) => t.id,
      cell: (t) => {
        const view = framework && mesosView(['tasks', framework, t.id]);
        return html`${view ? html`<a href=${view} title=${t.id}>${t.id}</a>` : t.id}
          <span class="sub">${(t.ports || []).map((port) => html`<a key=${port} href=${`http://${t.host}:${port}`} rel="noreferrer">${t.host}:${port} </a>`)}
          ${!(t.ports || []).length && t.host}</span>`;
      },
      style: 'main-cell',
    },
    { key: 'health', title: 'Health', value: healthOfTask, cell: (t) => html`<${State} is=${healthOfTask(t)} />` },
    { key: 'state', title: 'Status', value: (t) => t.state, cell: (t) => html`<${State} is=${t.state} />` },
    { key: 'version', title: 'Version', value: (t) => t.version, cell: (t) => html`<${Ago} at=${t.version} />`, wide: true },
    { key: 'started', title: 'Started', value: (t) => t.startedAt || t.stagedAt, cell: (t) => html`<${Ago} at=${t.startedAt || t.stagedAt} />`, num: true },
    { key: 'logs', title: 'Output', cell: (t) => html`<${LogLinks} framework=${framework} task=${t} />` },
  ];
  return html`<div class="toolbar">
      <button disabled=${there.size === 0} onClick=${() => kill(false)}>Kill</button>
      <button disabled=${there.size === 0} onClick=${() => kill(true)}>Kill & Scale</button>
    </div>
    <${Table} id="instances" label="Instances" columns=${columns} rows=${tasks} rowKey=${(t) => t.id} selected=${there} select=${choose}
      empty=${html`<${Empty} title="No instance runs.">
        ${app.instances > 0 && html`<p><a href=${to(['apps', app.id, 'debug'])}>See why</a></p>`}</${Empty}>`} />`;
}

const exact = (version) => `${clock(millis(version))}`;

function Configuration({ app }) {
  const chosen = route.value.query.get('version');
  const { data: versions } = useLoaded(() => get(`${at('apps', app.id)}/versions`), [app.id, app.version]);
  const old = useLoaded(() => (chosen ? get(`${at('apps', app.id)}/versions/${chosen}`) : null), [app.id, chosen], () => false);
  const list = versions ? [...versions.versions].sort().reverse() : [];
  const older = list.filter((v) => v !== app.version);
  const current = pretty(definition(app));
  return html`<div class="grid two">
    <section class="panel"><h2>Current version</h2>
      <p class="muted">${exact(app.version)}</p>
      <${JsonView} value=${definition(app)} />
    </section>
    <section class="panel"><h2>Older versions</h2>
      ${older.length === 0 && html`<p class="muted">There are none.</p>`}
      ${older.length > 0 && html`<label class="field"><span>Compare with</span>
        <select onChange=${(e) => setQuery({ version: e.currentTarget.value })} data-versions>
          <option value="">choose a version</option>
          ${older.map((v) => html`<option key=${v} value=${v} selected=${v === chosen}>${exact(v)}</option>`)}
        </select></label>`}
      ${chosen && old.error && html`<${Trouble} error=${old.error} />`}
      ${chosen && old.data && html`
        <p class="muted">What applying it would change:</p>
        <${Diff} before=${current} after=${pretty(definition(old.data))} />
        <button class="primary" onClick=${() => rollBackTo(app, chosen)}>Apply these settings</button>`}
    </section>
  </div>`;
}

function Failure({ failure, framework }) {
  if (!failure) return html`<p class="muted">This app's tasks have not failed since the leader started.</p>`;
  const view = framework && mesosView(['tasks', framework, failure.taskId]);
  return html`<${Facts} of=${[
    ['Task', view ? html`<a href=${view}>${failure.taskId}</a>` : failure.taskId],
    ['State', html`<${State} is=${failure.state} />`],
    ['Message', failure.message],
    ['Host', failure.host],
    ['When', html`<${Ago} at=${failure.timestamp} />`],
    ['Version', exact(failure.version)],
  ]} />`;
}

function Debug({ app, entry, framework }) {
  const { lastScalingAt, lastConfigChangeAt } = app.versionInfo || {};
  return html`<section class="panel" data-why><h2>Why it waits</h2><${Why} app=${app} entry=${entry} /></section>
    <div class="grid two">
      <section class="panel"><h2>Last task failure</h2><${Failure} failure=${app.lastTaskFailure} framework=${framework} /></section>
      <section class="panel"><h2>Last changes</h2>
        <${Facts} of=${[
          ['Configuration', lastConfigChangeAt && html`<${Ago} at=${lastConfigChangeAt} />`],
          ['Scale or restart', lastScalingAt && lastScalingAt !== lastConfigChangeAt
            ? html`<${Ago} at=${lastScalingAt} />` : 'No operation since last config change'],
        ]} /></section>
    </div>`;
}

export function AppPage({ id, tab = 'instances' }) {
  const ask = async () => (await get(at('apps', id), { embed: EMBED })).app;
  const { data: app, error, refresh } = useLoaded(ask, [id]);
  const waiting = useResource(queue);
  const { data: about } = useResource(info);
  const path = [['Applications', to(['apps'])]];
  const above = parent(id).split('/').filter(Boolean);
  above.forEach((name, n) => path.push([name, to(['group', `/${above.slice(0, n + 1).join('/')}`])]));
  if (error?.status === 404) {
    return html`<${PageHead} path=${path} title=${id} /><${Empty} title="There is no such app."><a href="#/apps">All applications</a></${Empty}>`;
  }
  if (!app) return error ? html`<${Trouble} error=${error} retry=${refresh} />` : html`<${Loading} what="the app" />`;
  const entry = waiting.data?.find((q) => q.app?.id === id);
  const status = statusOf(app, waiting.data);
  const framework = about?.frameworkId;
  const tabs = [['instances', 'Instances'], ['configuration', 'Configuration'], ['debug', 'Debug']]
    .map(([key, name]) => [key, name, to(['apps', id, key])]);
  return html`<${PageHead} path=${path} title=${id} badge=${html` <${State} is=${status} />`}>
      <button class="primary" onClick=${() => scale(app)}>Scale Application</button>
      <button onClick=${() => restart(app)}>Restart</button>
      ${status === 'Delayed' && html`<button onClick=${() => resetDelay(app)}>Reset Delay</button>`}
      <${GoButton} parts=${['apps', id, 'edit']}>Edit</${GoButton}>
      <${Menu} label="More actions" items=${[
        { says: 'Duplicate', action: () => go(['new'], { from: id }) },
        { says: 'Suspend', action: () => suspend(app) },
        { says: 'Destroy', danger: true, action: async () => { if (await destroy(app)) go(['apps']); } },
      ]} />
    </${PageHead}>
    <${Trouble} error=${error} />
    <section class="panel">
      <${HealthBar} app=${app} /><${HealthLegend} app=${app} />
      <p class="hint">${num(app.tasksRunning || 0, 0)} of ${num(app.instances, 0)} run, ${num(app.cpus)} CPUs and ${mb(app.mem)} each <${Pills} of=${app.labels} most=${8} /></p>
    </section>
    ${app.deployments?.length > 0 && html`<div class="notice">A deployment of this app is running: <a href="#/deployments">see it</a>.</div>`}
    ${['Waiting', 'Delayed'].includes(status) && tab !== 'debug' && html`<div class="notice warn" data-waits>
      ${status === 'Delayed' ? `It failed and is started again in ${num(entry.delay.timeLeftSeconds, 0)} s.` : 'No offer fits it.'}
      <a href=${to(['apps', id, 'debug'])}> See why</a></div>`}
    <${Tabs} label="App" tabs=${tabs} active=${tab} />
    ${tab === 'configuration'
      ? html`<${Configuration} app=${app} />`
      : tab === 'debug'
        ? html`<${Debug} app=${app} entry=${entry} framework=${framework} />`
        : html`<${Instances} app=${app} framework=${framework} />`}`;
}
