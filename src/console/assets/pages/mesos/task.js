// One task: how it came to its state, what it has, its sandbox and logs.

import { call, get } from '../../app/api.js';
import { html } from '../../app/lib.js';
import { Ago, mb, num, short } from '../../app/format.js';
import { route, to } from '../../app/router.js';
import { useLoaded, useResource } from '../../app/store.js';
import { Facts, Loading, PageHead, State, Trouble } from '../../ui/basics.js';
import { confirm } from '../../ui/dialog.js';
import { attempt } from '../../ui/toast.js';
import { Sandbox } from '../../ui/sandbox.js';
import { cluster, LIVE, sandboxOf } from './data.js';

const words = (name, prefix) => (name || '').replace(prefix, '').toLowerCase().replace(/_/g, ' ');

function scalar(task, name) {
  return (task.resources || [])
    .filter((r) => r.name === name)
    .reduce((sum, r) => sum + (r.scalar?.value || 0), 0);
}

function ports(task) {
  const ranges = (task.resources || []).filter((r) => r.name === 'ports').flatMap((r) => r.ranges?.range || []);
  return ranges.map((r) => (r.begin === r.end ? `${r.begin}` : `${r.begin}–${r.end}`)).join(', ');
}

function History({ statuses }) {
  return html`<section class="panel">
    <h2>How it came to this</h2>
    <ol class="timeline">
      ${[...statuses].reverse().map((s, at) => html`<li key=${`${s.timestamp} ${s.state} ${at}`}>
        <div><${State} is=${s.state} /> <span class="muted"><${Ago} at=${s.timestamp} /></span>
          ${s.healthy !== undefined && html` <${State} is=${s.healthy ? 'healthy' : 'unhealthy'} />`}</div>
        ${(s.message || s.reason) && html`<div class="timeline-text">${s.message}
          <span class="sub">${[words(s.reason, /^REASON_/), s.source && `said by the ${words(s.source, /^SOURCE_/)}`].filter(Boolean).join(', ')}</span></div>`}
      </li>`)}
    </ol>
    ${statuses.length === 0 && html`<p class="muted">Nothing was heard of it yet.</p>`}
  </section>`;
}

export function TaskPage({ framework, id }) {
  const mine = (name, data) => name !== 'change' || !data?.changes || data.changes.some((c) => c.kind === 'task' && c.id === id);
  const ask = () => get('mesolith/v1/task', { framework_id: framework, task_id: id });
  const { data: task, error, refresh } = useLoaded(ask, [framework, id], mine);
  const { data: state } = useResource(cluster);
  if (!task) return error ? html`<${Trouble} error=${error} retry=${refresh} />` : html`<${Loading} what="the task" />`;
  const live = LIVE.includes(task.state);
  const agent = state?.slaves.find((a) => a.id === task.agent_id.value);
  const owner = state && [...state.frameworks, ...state.completed_frameworks].find((f) => f.id === framework);
  const kill = async () => {
    const sure = await confirm({
      title: 'Kill the task',
      body: html`<p><code>${id}</code> gets TERM, then KILL. Its framework is told, and may start another.</p>`,
      action: 'Kill',
      danger: true,
    });
    if (sure) {
      await attempt('The task is being killed.', () =>
        call('POST', 'mesolith/v1/kill', { body: { framework_id: framework, task_id: id } }));
    }
  };
  const path = sandboxOf({ framework_id: framework, id, executor_id: task.executor_id?.value });
  const begun = (task.statuses || []).some((s) => s.state !== 'TASK_STAGING');
  return html`
    <${PageHead} path=${[['Tasks', to(['tasks'])]]} title=${task.name || id} badge=${html` <${State} is=${task.state} />`}>
      ${live && html`<button class="danger" onClick=${kill}>Kill</button>`}
    </${PageHead}>
    <${Trouble} error=${error} />
    <div class="grid two">
      <section class="panel">
        <h2>Task</h2>
        <${Facts} of=${[
          ['Id', html`<code class="break">${id}</code>`],
          ['Framework', html`<a href=${to(['frameworks', framework])}>${owner?.name || short(framework)}</a>`],
          ['Agent', html`<a href=${to(['agents', task.agent_id.value])}>${agent?.hostname || short(task.agent_id.value)}</a>`],
          ['Executor', task.executor_id && html`<code>${task.executor_id.value}</code>`],
          ['User', task.user],
          ['CPUs', num(scalar(task, 'cpus'))],
          ['Memory', mb(scalar(task, 'mem'))],
          ['Disk', scalar(task, 'disk') ? mb(scalar(task, 'disk')) : ''],
          ['Ports', ports(task)],
          ['Labels', (task.labels?.labels || []).map((l) => html`<span class="pill" key=${l.key}>${l.key}: ${l.value}</span>`)],
        ].filter(([, v]) => !Array.isArray(v) || v.length > 0)} />
      </section>
      <${History} statuses=${task.statuses || []} />
    </div>
    <${Sandbox} root=${path} agent=${task.agent_id.value} ready=${begun || !live} live=${live} file=${route.value.query.get('file')} dir=${route.value.query.get('dir') || ''} />`;
}
