// Agents: what each has and uses; one agent with its tasks.

import { html } from '../../app/lib.js';
import { Ago, mb, num, short } from '../../app/format.js';
import { route, to } from '../../app/router.js';
import { useResource } from '../../app/store.js';
import { Empty, Facts, Loading, Meter, PageHead, State, Trouble } from '../../ui/basics.js';
import { Filter, Table } from '../../ui/table.js';
import { cluster, LIVE, tasks } from './data.js';
import { TaskTable } from './tasks.js';

const stateOf = (agent) => (agent.deactivated ? 'deactivated' : agent.active ? 'active' : 'disconnected');

const used = (key, title, show) => ({
  key,
  title,
  value: (a) => a.used_resources[key],
  cell: (a) => html`<${Meter} used=${a.used_resources[key]} offered=${a.offered_resources[key]}
    total=${a.resources[key]} show=${show} />`,
  style: 'meter-cell',
});

const attributes = (agent) => Object.entries(agent.attributes).map(([k, v]) => `${k}:${v}`).join(' ');

const COLUMNS = [
  {
    key: 'host',
    title: 'Agent',
    value: (a) => `${a.hostname}:${a.port}`,
    cell: (a) => html`<a href=${to(['agents', a.id])}>${a.hostname}:${a.port}</a>
      <span class="sub" title=${a.id}>${short(a.id)}</span>`,
    search: (a) => `${a.hostname} ${a.id} ${attributes(a)}`,
    style: 'main-cell',
  },
  { key: 'state', title: 'State', value: stateOf, cell: (a) => html`<${State} is=${stateOf(a)} />` },
  used('cpus', 'CPUs', num),
  used('mem', 'Memory', mb),
  used('disk', 'Disk', mb),
  { key: 'tasks', title: 'Tasks', value: (a) => a.tasks, num: true },
  {
    key: 'registered',
    title: 'Registered',
    value: (a) => a.registered_time,
    cell: (a) => html`<${Ago} at=${a.reregistered_time || a.registered_time} />`,
    num: true,
    wide: true,
  },
];

export function Agents() {
  const state = useResource(cluster);
  const list = useResource(tasks);
  if (!state.data) return state.error ? html`<${Trouble} error=${state.error} retry=${state.refresh} />` : html`<${Loading} what="agents" />`;
  const counts = {};
  for (const task of list.data || []) {
    if (LIVE.includes(task.state)) counts[task.agent_id] = (counts[task.agent_id] || 0) + 1;
  }
  const rows = state.data.slaves.map((a) => ({ ...a, tasks: counts[a.id] || 0 }));
  const back = state.data.recovered_slaves;
  return html`<${PageHead} title="Agents" />
    <${Trouble} error=${state.error} />
    <div class="toolbar"><${Filter} label="Filter agents" /></div>
    <${Table} id="agents" label="Agents" columns=${COLUMNS} rows=${rows} rowKey=${(a) => a.id} filter=${route.value.query.get('q') || ''}
      empty=${html`<${Empty} title="No agent is registered."><p>One registers by itself when <code>mesolith up</code> runs on a machine.</p></${Empty}>`} />
    ${back.length > 0 && html`<section class="panel"><h2>Not back since this master leads</h2>
      <ul class="plain">${back.map((a) => html`<li key=${a.id}><${State} is="recovered" /> ${a.hostname}:${a.port} <span class="muted">${a.id}</span></li>`)}</ul>
    </section>`}`;
}

function Reservations({ agent }) {
  const rows = Object.entries(agent.reserved_resources);
  if (rows.length === 0) return null;
  return html`<section class="panel"><h2>Reserved</h2>
    <${Table} id="reserved" label="Reservations" rowKey=${([role]) => role} rows=${rows} columns=${[
      { key: 'role', title: 'Role', value: ([role]) => role },
      { key: 'cpus', title: 'CPUs', value: ([, r]) => r.cpus, cell: ([, r]) => num(r.cpus), num: true },
      { key: 'mem', title: 'Memory', value: ([, r]) => r.mem, cell: ([, r]) => mb(r.mem), num: true },
      { key: 'disk', title: 'Disk', value: ([, r]) => r.disk, cell: ([, r]) => mb(r.disk), num: true },
    ]} /></section>`;
}

export function AgentPage({ id }) {
  const state = useResource(cluster);
  const list = useResource(tasks);
  if (!state.data) return state.error ? html`<${Trouble} error=${state.error} retry=${state.refresh} />` : html`<${Loading} what="the agent" />`;
  const agent = state.data.slaves.find((a) => a.id === id);
  const mine = (list.data || []).filter((t) => t.agent_id === id);
  const live = mine.filter((t) => LIVE.includes(t.state));
  if (!agent) {
    return html`<${PageHead} path=${[['Agents', to(['agents'])]]} title=${short(id)} />
      <${Empty} title="This agent is not registered now.">
        <p>It may be unreachable, or it was removed.</p>
      </${Empty}>
      ${mine.length > 0 && html`<section class="panel"><h2>Its tasks</h2><${TaskTable} id="agent" rows=${mine} without=${['host']} /></section>`}`;
  }
  const meter = (key, label, show) => agent.resources[key] > 0 && html`<${Meter} label=${label} show=${show}
    used=${agent.used_resources[key]} offered=${agent.offered_resources[key]} total=${agent.resources[key]} />`;
  return html`<${PageHead} path=${[['Agents', to(['agents'])]]} title=${`${agent.hostname}:${agent.port}`}
      badge=${html` <${State} is=${stateOf(agent)} />`} />
    <div class="grid two">
      <section class="panel"><h2>Agent</h2>
        <${Facts} of=${[
          ['Id', html`<code class="break">${agent.id}</code>`],
          ['Version', agent.version],
          ['Registered', html`<${Ago} at=${agent.registered_time} />`],
          ['Registered again', agent.reregistered_time && html`<${Ago} at=${agent.reregistered_time} />`],
          ['Attributes', attributes(agent)],
          ['Ports', agent.resources.ports],
        ]} />
      </section>
      <section class="panel"><h2>Resources</h2>
        ${meter('cpus', 'CPUs', num)}${meter('mem', 'Memory', mb)}${meter('disk', 'Disk', mb)}${meter('gpus', 'GPUs', num)}
      </section>
    </div>
    <${Reservations} agent=${agent} />
    <section class="panel"><h2>Tasks</h2>
      <${TaskTable} id="agent" rows=${live} without=${['host']} empty=${html`<${Empty} title="No task runs here." />`} />
    </section>
    ${mine.length > live.length && html`<section class="panel"><h2>Ended tasks</h2>
      <${TaskTable} id="agent-ended" rows=${mine.filter((t) => !LIVE.includes(t.state))} without=${['host']} />
    </section>`}`;
}
