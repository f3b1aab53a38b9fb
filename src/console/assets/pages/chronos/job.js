// One job: its times, its runs and how they ended, its definition.

import { get } from '../../app/api.js';
import { html } from '../../app/lib.js';
import { Ago, clock, mb, num, span } from '../../app/format.js';
import { go, to } from '../../app/router.js';
import { useLoaded, useResource } from '../../app/store.js';
import { Empty, Facts, GoButton, Loading, PageHead, State, Tabs, Trouble } from '../../ui/basics.js';
import { JsonView } from '../../ui/json.js';
import { faceOf } from '../../ui/layout.js';
import { Menu } from '../../ui/menu.js';
import { Table } from '../../ui/table.js';
import { destroy, kill, run, setDisabled } from './actions.js';
import { at, childrenOf, definition, jobs, lastRun } from './data.js';
import { Next } from './jobs.js';
import { firings, words } from './schedule.js';

/** `MM/dd/yy HH:mm:ss` of the history, or ISO text. */
function when(text) {
  const found = /^(\d\d)\/(\d\d)\/(\d\d) (\d\d:\d\d:\d\d)$/.exec(text || '');
  if (found) return `20${found[3]}-${found[1]}-${found[2]} ${found[4]}`;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? '–' : clock(ms);
}

const HISTORY = [
  // The original does not tell when a run was due.
  { key: 'due', title: 'Due', value: (r) => when(r.due || r.startTime), style: 'main-cell' },
  { key: 'start', title: 'Started', value: (r) => when(r.startTime) },
  { key: 'status', title: 'Outcome', value: (r) => r.status, cell: (r) => html`<${State} is=${r.status === 'Fail' ? 'failure' : r.status.toLowerCase()} title=${r.message} />` },
  { key: 'duration', title: 'Duration', value: (r) => (r.duration === 'N/A' ? '' : r.duration), num: true },
  { key: 'end', title: 'Ended', value: (r) => when(r.endTime), wide: true },
  { key: 'task', title: 'Task', value: (r) => r.taskId, cell: (r) => html`<code class="break">${r.taskId || '–'}</code>`, wide: true },
  {
    key: 'log',
    title: '',
    style: 'act',
    cell: (r) => {
      const base = r.taskId && faceOf('mesos');
      return base && html`<a class="button small" href=${`${base}#/tasks?${new URLSearchParams({ state: 'all', q: r.taskId })}`}>Task and log</a>`;
    },
  },
];

function Runs({ job, stat }) {
  const list = stat?.taskStatHistory || [];
  const h = stat?.histogram;
  const seconds = (ms) => (ms < 60_000 ? `${num(ms / 1000, 1)} s` : span(ms / 1000));
  return html`<section class="panel"><h2>Runs</h2>
      <${Table} id="runs" label="Runs" columns=${HISTORY} rows=${list} rowKey=${(r) => `${r.due || r.startTime} ${r.taskId}`} order=${{ key: 'due', down: true }}
        empty=${html`<${Empty} title=${job.status === 'fresh' ? 'It has not run yet.' : 'No run is remembered.'} />`} />
    </section>
    ${h?.count > 0 && html`<section class="panel"><h2>How long runs take</h2>
      <${Facts} of=${[
        ['Median', seconds(h.median)],
        ['75 %', seconds(h['75thPercentile'])],
        ['95 %', seconds(h['95thPercentile'])],
        ['99 %', seconds(h['99thPercentile'])],
        ['Of', `${num(h.count, 0)} successful ${h.count === 1 ? 'run' : 'runs'}`],
      ]} /></section>`}`;
}

function Times({ job }) {
  const next = job.disabled || job.parents?.length > 0 ? [] : firings(job.schedule, 5);
  return html`<section class="panel"><h2>Times</h2>
    <${Facts} of=${[
      ['Schedule', words(job)],
      ['As text', job.schedule && html`<code class="break">${job.schedule}</code>`],
      ['Zone', job.scheduleTimeZone],
      ['Next run', html`<${Next} job=${job} />`],
      ['Then', next.length > 1 && html`${next.slice(1).map((ms) => html`<div key=${ms}>${clock(ms)}</div>`)}`],
      ['Last run', html`<${State} is=${job.status} /> ${lastRun(job) && html`<span class="muted"><${Ago} at=${lastRun(job)} /></span>`}`],
      ['Succeeded', num(job.successCount, 0)],
      ['Failed', num(job.errorCount, 0)],
    ].filter(([, v]) => v !== false)} />
  </section>`;
}

function Definition({ job, all }) {
  const link = (name) => html`<a key=${name} href=${to(['jobs', name])}>${name}</a>`;
  const children = childrenOf(all, job.name);
  const list = (names) => names.map((name, n) => html`${n > 0 && ', '}${link(name)}`);
  return html`<section class="panel"><h2>Job</h2>
    <${Facts} of=${[
      ['Command', job.command && html`<code class="break">${job.command}</code>`],
      ['Image', job.container?.image],
      ['Parents', job.parents?.length > 0 && list(job.parents)],
      ['Children', children.length > 0 && list(children.map((c) => c.name))],
      ['Description', job.description],
      ['Owner', [job.ownerName, job.owner].filter(Boolean).join(', ')],
      ['Resources', `${num(job.cpus)} CPUs, ${mb(job.mem)}${job.disk ? `, ${mb(job.disk)} disk` : ''}`],
      ['Retries', num(job.retries, 0)],
      ['Runs as', job.runAsUser],
    ].filter(([, v]) => v !== false)} />
  </section>`;
}

export function JobPage({ name, tab = 'runs' }) {
  const { data, error, refresh } = useResource(jobs);
  const mine = (event, what) => event === 'resync' || what?.name === undefined || what.name === name || what.job === name;
  const stat = useLoaded(() => get(at('job/stat', name)), [name], mine);
  if (!data) return error ? html`<${Trouble} error=${error} retry=${refresh} />` : html`<${Loading} what="the job" />`;
  const job = data.find((j) => j.name === name);
  const path = [['Jobs', to(['jobs'])]];
  if (!job) {
    return html`<${PageHead} path=${path} title=${name} /><${Empty} title="There is no such job."><a href="#/jobs">All jobs</a></${Empty}>`;
  }
  const tabs = [['runs', 'Runs'], ['definition', 'Definition']].map(([key, says]) => [key, says, to(['jobs', name, key])]);
  return html`<${PageHead} path=${path} title=${name}
      badge=${html` <${State} is=${job.state} />${job.disabled && html` <span class="pill">disabled</span>`}`}>
      <button class="primary" onClick=${() => run(job)}>Run now</button>
      <${GoButton} parts=${['jobs', name, 'edit']}>Edit</${GoButton}>
      <button onClick=${() => setDisabled(job, !job.disabled)}>${job.disabled ? 'Enable' : 'Disable'}</button>
      ${/running/.test(job.state) && html`<button class="danger" onClick=${() => kill(job)}>Stop</button>`}
      <${Menu} label="More actions" items=${[
        { says: 'Duplicate', action: () => go(['new'], { from: name }) },
        { says: 'View Dependency Graph', action: () => go(['graph'], { job: name }) },
        { says: 'Destroy', danger: true, action: async () => { if (await destroy(job, data)) go(['jobs']); } },
      ]} />
    </${PageHead}>
    <${Trouble} error=${error} />
    <div class="grid two"><${Definition} job=${job} all=${data} /><${Times} job=${job} /></div>
    <${Tabs} label="Job" tabs=${tabs} active=${tab} />
    ${tab === 'definition' ? html`<section class="panel"><${JsonView} value=${definition(job)} /></section>` : html`<${Runs} job=${job} stat=${stat.data} />`}`;
}
