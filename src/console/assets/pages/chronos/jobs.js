// All jobs: when each runs, how the last run ended, whether it runs now.

import { html } from '../../app/lib.js';
import { Ago, now, num } from '../../app/format.js';
import { go, route, setQuery, to } from '../../app/router.js';
import { useResource } from '../../app/store.js';
import { Empty, GoButton, Loading, PageHead, State, Trouble } from '../../ui/basics.js';
import { Menu } from '../../ui/menu.js';
import { Filter, Table } from '../../ui/table.js';
import { destroy, kill, run, setDisabled } from './actions.js';
import { jobs, lastRun, nextRun } from './data.js';
import { words } from './schedule.js';

/** When a job runs next, in words. */
export function Next({ job }) {
  if (job.disabled) return html`<span class="muted">disabled</span>`;
  if (job.parents?.length > 0) return html`<span class="muted">after its parents</span>`;
  const at = nextRun(job);
  if (Number.isNaN(at)) return html`<span class="muted">–</span>`;
  return at <= now.value ? html`<span>now</span>` : html`<${Ago} at=${new Date(at).toISOString()} />`;
}

const columns = (all) => [
  {
    key: 'name',
    title: 'Job',
    value: (j) => j.name,
    search: (j) => `${j.name} ${j.command} ${j.owner} ${j.description} ${j.status} ${j.state}`,
    cell: (j) => html`<a class=${j.disabled ? 'struck' : ''} href=${to(['jobs', j.name])}
        title=${j.disabled ? 'disabled' : undefined}>${j.name}</a>
      ${j.description && html`<span class="sub">${j.description}</span>`}`,
    style: 'main-cell',
  },
  { key: 'schedule', title: 'Schedule', value: words, cell: (j) => html`<span title=${j.schedule}>${words(j)}</span>` },
  {
    key: 'next',
    title: 'Next run',
    value: (j) => { const at = nextRun(j); return Number.isNaN(at) ? undefined : at; },
    cell: (j) => html`<${Next} job=${j} />`,
  },
  {
    key: 'last',
    title: 'Last',
    value: (j) => j.status,
    cell: (j) => html`<${State} is=${j.status} />${lastRun(j) && html`<span class="sub"><${Ago} at=${lastRun(j)} /></span>`}`,
  },
  { key: 'state', title: 'State', value: (j) => j.state, cell: (j) => html`<${State} is=${j.state} />` },
  {
    key: 'menu',
    title: '',
    style: 'act',
    cell: (j) => html`<span class="buttons"><button class="small" title="Force Run" onClick=${() => run(j)}>Run</button>
      <${Menu} label=${`Actions for ${j.name}`} items=${[
        { says: 'Edit', action: () => go(['jobs', j.name, 'edit']) },
        { says: 'Duplicate', action: () => go(['new'], { from: j.name }) },
        { says: j.disabled ? 'Enable' : 'Disable', action: () => setDisabled(j, !j.disabled) },
        { says: 'Stop', action: () => kill(j) },
        { says: 'View Dependency Graph', action: () => go(['graph'], { job: j.name }) },
        { says: 'Destroy', action: () => destroy(j, all), danger: true },
      ]} /></span>`,
  },
];

const FACETS = [
  ['success', 'success', (j) => j.status === 'success'],
  ['failure', 'failed', (j) => j.status === 'failure'],
  ['fresh', 'fresh', (j) => j.status === 'fresh'],
  ['running', 'running', (j) => /running/.test(j.state)],
  ['queued', 'queued', (j) => /queued/.test(j.state)],
];

export function Jobs() {
  const { data, error, refresh } = useResource(jobs);
  if (!data) return error ? html`<${Trouble} error=${error} retry=${refresh} />` : html`<${Loading} what="jobs" />`;
  const { query } = route.value;
  const only = FACETS.find(([id]) => id === query.get('state'));
  const rows = only ? data.filter(only[2]) : data;
  return html`<${PageHead} title="Jobs">
      <${GoButton} parts=${['graph']}>Graph</${GoButton}>
      <${GoButton} parts=${['new']} kind="primary">New Job</${GoButton}>
    </${PageHead}>
    <${Trouble} error=${error} />
    ${data.length > 0 && html`<div class="toolbar">
      <div class="choice" role="group" aria-label="Which jobs">
        <button class=${only ? '' : 'pressed'} aria-pressed=${!only} onClick=${() => setQuery({ state: '' })}>
          Total jobs <span class="muted">${num(data.length, 0)}</span></button>
        ${FACETS.map(([id, name, fits]) => html`<button key=${id} class=${only?.[0] === id ? 'pressed' : ''} aria-pressed=${only?.[0] === id}
          onClick=${() => setQuery({ state: id })}>${name} <span class="muted">${num(data.filter(fits).length, 0)}</span></button>`)}
      </div>
      <${Filter} label="Search jobs" />
    </div>`}
    <${Table} id="jobs" label="Jobs" columns=${columns(data)} rows=${rows} rowKey=${(j) => j.name} filter=${query.get('q') || ''}
      empty=${data.length > 0 ? html`<${Empty} title="No job is in this state." />` : html`<${Empty} title="There are no jobs yet.">
        <p>A job runs a command at its times, or after other jobs.</p>
        <p><${GoButton} parts=${['new']} kind="primary">New Job</${GoButton}></p></${Empty}>`} />`;
}
