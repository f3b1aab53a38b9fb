// The whole cluster at a glance: who leads, what there is and how much of it is used, what runs.

import { html } from '../../app/lib.js';
import { Ago, mb, num } from '../../app/format.js';
import { to } from '../../app/router.js';
import { useResource } from '../../app/store.js';
import { Empty, Facts, Figure, Loading, Meter, PageHead, Trouble } from '../../ui/basics.js';
import { cluster, LIVE, tasks, total } from './data.js';
import { TaskTable } from './tasks.js';

const SHOWN = [
  ['TASK_RUNNING', 'Running', 'good'],
  ['TASK_STAGING', 'Staging'],
  ['TASK_STARTING', 'Starting'],
  ['TASK_KILLING', 'Killing'],
  ['TASK_UNREACHABLE', 'Unreachable', 'bad'],
  ['TASK_FINISHED', 'Finished'],
  ['TASK_FAILED', 'Failed', 'bad'],
  ['TASK_KILLED', 'Killed'],
  ['TASK_LOST', 'Lost', 'bad'],
];
/** Of those that may be 0 without being of interest. */
const ALWAYS = ['TASK_RUNNING', 'TASK_STAGING', 'TASK_FINISHED', 'TASK_FAILED'];

function Resources({ slaves }) {
  const all = total(slaves, 'resources');
  const used = total(slaves, 'used_resources');
  const offered = total(slaves, 'offered_resources');
  const rows = [
    ['cpus', 'CPUs', num],
    ['mem', 'Memory', mb],
    ['disk', 'Disk', mb],
    ...(all.gpus > 0 ? [['gpus', 'GPUs', num]] : []),
  ];
  return html`<section class="panel">
    <h2>Resources</h2>
    ${rows.map(([key, label, show]) => html`<${Meter} key=${key} label=${label} show=${show}
      used=${used[key]} offered=${offered[key]} total=${all[key]} />`)}
    <p class="legend muted"><span class="key used"></span>used by tasks <span class="key offered"></span>in offers</p>
  </section>`;
}

export function Overview() {
  const state = useResource(cluster);
  const list = useResource(tasks);
  if (!state.data) {
    return state.error ? html`<${Trouble} error=${state.error} retry=${state.refresh} />` : html`<${Loading} what="the cluster" />`;
  }
  const s = state.data;
  const all = list.data || [];
  const counts = {};
  for (const task of all) counts[task.state] = (counts[task.state] || 0) + 1;
  const active = s.frameworks.filter((f) => f.active).length;
  const running = all.filter((t) => LIVE.includes(t.state));
  return html`
    <${PageHead} title=${s.cluster || 'Cluster'} />
    <${Trouble} error=${state.error || list.error} />
    <div class="grid two">
      <section class="panel">
        <h2>Cluster</h2>
        <div class="figures">
          <${Figure} label="agents" value=${num(s.activated_slaves, 0)} href=${to(['agents'])} tone=${s.activated_slaves > 0 ? 'good' : 'bad'} />
          ${s.deactivated_slaves > 0 && html`<${Figure} label="deactivated" value=${num(s.deactivated_slaves, 0)} href=${to(['agents'])} tone="warn" />`}
          ${s.unreachable_slaves > 0 && html`<${Figure} label="unreachable" value=${num(s.unreachable_slaves, 0)} href=${to(['agents'])} tone="bad" />`}
          <${Figure} label="frameworks" value=${num(active, 0)} href=${to(['frameworks'])} />
        </div>
        <${Facts} of=${[
          ['Leader', html`<code>${s.leader_info.hostname}:${s.leader_info.port}</code>`],
          ['Elected', html`<${Ago} at=${s.elected_time} />`],
          ['Started', html`<${Ago} at=${s.start_time} />`],
          ['Version', `Mesolith ${s.mesolith_version}, speaks Mesos ${s.version}`],
        ]} />
      </section>
      <${Resources} slaves=${s.slaves} />
    </div>
    <section class="panel">
      <h2>Tasks</h2>
      <div class="figures" data-tasks>
        ${SHOWN.filter(([id]) => counts[id] || ALWAYS.includes(id)).map(
          ([id, label, mood]) => html`<${Figure} key=${id} label=${label.toLowerCase()} value=${num(counts[id] || 0, 0)}
            tone=${counts[id] ? mood : ''} href=${to(['tasks'], { state: id })} />`,
        )}
      </div>
      <${TaskTable} id="overview" rows=${running} empty=${html`<${Empty} title="No task runs.">
        <p>Try one: <code>mesolith execute --name=hello --command="echo hello; sleep 60"</code></p>
      </${Empty}>`} />
    </section>`;
}
