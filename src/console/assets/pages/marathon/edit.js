// Creates an app or changes one: a form for what is common, JSON for all there is.

import { call, get } from '../../app/api.js';
import { html } from '../../app/lib.js';
import { go, route, to } from '../../app/router.js';
import { useLoaded } from '../../app/store.js';
import { Loading, PageHead, Trouble } from '../../ui/basics.js';
import { Editing } from '../../ui/editing.js';
import { Field, Pairs, Rows, read, write } from '../../ui/form.js';
import { done } from '../../ui/toast.js';
import { apps, at, definition } from './data.js';

const PROTOCOLS = [['MESOS_HTTP', 'HTTP'], ['MESOS_TCP', 'TCP'], ['COMMAND', 'Command'], ['HTTP', 'HTTP (asked by Marathon)'], ['TCP', 'TCP (asked by Marathon)']];
const OPERATORS = ['UNIQUE', 'CLUSTER', 'GROUP_BY', 'LIKE', 'UNLIKE', 'MAX_PER', 'IS', 'IN'];

/** Lists as rows of the form. */
function ListRows({ form, path, ...more }) {
  const change = (list) => form.change(write(form.value, path, list.length > 0 ? list : undefined));
  return html`<${Rows} items=${read(form.value, path) || []} change=${change} ...${more} />`;
}

function Constraints({ form }) {
  const items = (form.value.constraints || []).map(([field = '', operator = '', value = '']) => ({ field, operator, value }));
  const change = (list) => {
    const rows = list.map(({ field = '', operator = 'UNIQUE', value }) => (value ? [field, operator, value] : [field, operator]));
    form.change(write(form.value, 'constraints', rows.length > 0 ? rows : undefined));
  };
  return html`<${Rows} label="Constraints" items=${items} change=${change} add="Constraint" make=${() => ({ field: 'hostname', operator: 'UNIQUE' })}
    columns=${[
      { key: 'field', label: 'Field' },
      { key: 'operator', label: 'Operator', options: OPERATORS.map((o) => [o, o]) },
      { key: 'value', label: 'Value' },
    ]} />`;
}

const open = (form, ...paths) => paths.some((path) => read(form.value, path) !== undefined || form.errors[path]);

function Section({ title, opened, children }) {
  return html`<details class="form-section" open=${opened}><summary>${title}</summary>${children}</details>`;
}

function AppForm({ form }) {
  return html`
    <fieldset class="form-section"><legend>General</legend>
      <div class="form-grid">
        <${Field} form=${form} path="id" label="ID" placeholder="/group/name" full />
        <${Field} form=${form} path="cpus" label="CPUs" kind="number" min="0" />
        <${Field} form=${form} path="mem" label="Memory (MiB)" kind="number" min="0" />
        <${Field} form=${form} path="disk" label="Disk space (MiB)" kind="number" min="0" />
        <${Field} form=${form} path="instances" label="Instances" kind="number" min="0" step="1" />
        <${Field} form=${form} path="cmd" label="Command" rows=${3} full help="Run by /bin/sh -c; $PORT0 is the first port." />
      </div>
    </fieldset>
    <${Section} title="Container" opened=${open(form, 'container')}>
      <div class="form-grid">
        <${Field} form=${form} path="container.type" label="Runtime" options=${[['', 'none'], ['MESOS', 'Mesos'], ['DOCKER', 'Docker Engine']]} />
        <${Field} form=${form} path="container.docker.image" label="Image" />
        <${Field} form=${form} path="container.docker.forcePullImage" label="Force pull image on every launch" kind="check" full />
        <${Field} form=${form} path="container.docker.privileged" label="Extend runtime privileges" kind="check" full />
      </div>
    </${Section}>
    <${Section} title="Ports" opened=${open(form, 'portDefinitions')}>
      <${ListRows} form=${form} path="portDefinitions" label="Ports" add="Port" make=${() => ({ port: 0, protocol: 'tcp' })} columns=${[
        { key: 'port', label: 'Port, 0 for any', kind: 'number' },
        { key: 'protocol', label: 'Protocol', options: [['tcp', 'tcp'], ['udp', 'udp'], ['udp,tcp', 'both']] },
        { key: 'name', label: 'Name' },
      ]} />
      <${Field} form=${form} path="requirePorts" label="Require exactly these ports on the agent" kind="check" />
    </${Section}>
    <${Section} title="Environment variables" opened=${open(form, 'env')}>
      <${Pairs} form=${form} path="env" label="Environment variables" add="Variable" />
    </${Section}>
    <${Section} title="Labels" opened=${open(form, 'labels')}>
      <${Pairs} form=${form} path="labels" label="Labels" add="Label" />
    </${Section}>
    <${Section} title="Health checks" opened=${open(form, 'healthChecks')}>
      <${ListRows} form=${form} path="healthChecks" label="Health checks" add="Health check" columns=${[
        { key: 'protocol', label: 'Protocol', options: PROTOCOLS },
        { key: 'path', label: 'Path' },
        { key: 'command.value', label: 'Command' },
        { key: 'portIndex', label: 'Port index', kind: 'number' },
        { key: 'gracePeriodSeconds', label: 'Grace period (s)', kind: 'number' },
        { key: 'intervalSeconds', label: 'Interval (s)', kind: 'number' },
        { key: 'timeoutSeconds', label: 'Timeout (s)', kind: 'number' },
        { key: 'maxConsecutiveFailures', label: 'Max. failures', kind: 'number' },
      ]} make=${() => ({ protocol: 'MESOS_HTTP', path: '/', portIndex: 0, gracePeriodSeconds: 300, intervalSeconds: 60, timeoutSeconds: 20, maxConsecutiveFailures: 3 })} />
    </${Section}>
    <${Section} title="Placement and upgrades" opened=${open(form, 'constraints', 'acceptedResourceRoles')}>
      <${Constraints} form=${form} />
      <div class="form-grid">
        <${Field} form=${form} path="acceptedResourceRoles" label="Accepted resource roles" kind="list" placeholder="*, dev" />
        <${Field} form=${form} path="upgradeStrategy.minimumHealthCapacity" label="Minimum health capacity" kind="number" min="0" help="0 to 1, of the instances" />
        <${Field} form=${form} path="upgradeStrategy.maximumOverCapacity" label="Maximum over capacity" kind="number" min="0" help="0 to 1, of the instances" />
        <${Field} form=${form} path="taskKillGracePeriodSeconds" label="Kill grace period (s)" kind="number" min="0" />
      </div>
    </${Section}>
    <${Section} title="Files and user" opened=${open(form, 'fetch', 'user')}>
      <${ListRows} form=${form} path="fetch" label="Files to fetch" add="URI" make=${() => ({ uri: '' })} columns=${[{ key: 'uri', label: 'URI' }]} />
      <div class="form-grid"><${Field} form=${form} path="user" label="User" /></div>
    </${Section}>`;
}

const ID = /^\/?([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)*[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;

function check(app) {
  const wrong = {};
  if (typeof app !== 'object' || app === null || Array.isArray(app)) return { '/': 'An app is a JSON object' };
  const id = app.id || '';
  if (id === '') wrong.id = 'ID must not be empty';
  else if (/\s/.test(id)) wrong.id = 'ID must not contain whitespace';
  else if (/\/\//.test(id)) wrong.id = 'ID must not contain multiple forward slashes';
  else if (!ID.test(id)) wrong.id = 'Lowercase letters, digits, hyphens and dots, in parts separated by "/"';
  const least = (key, min, text) => {
    if (app[key] !== undefined && !(typeof app[key] === 'number' && app[key] >= min)) wrong[key] = text;
  };
  least('cpus', 0.001, 'CPUs must be a number of at least 0.001');
  least('mem', 0, 'Memory must be a non-negative number');
  least('disk', 0, 'Disk space must be a non-negative number');
  least('instances', 0, 'Instances must be a non-negative number');
  if (!app.cmd && !app.args && !app.container) wrong.cmd = 'A command, arguments or a container is needed';
  for (const map of ['env', 'labels']) {
    if (app[map] && Object.keys(app[map]).some((key) => key.trim() === '')) wrong[map] = 'A name is missing';
  }
  return wrong;
}

/** Paths of the server's details as the form's: `/container/docker/image` → `container.docker.image`. */
const fieldOf = (path) => path.replace(/^\//, '').replace(/\((\d+)\)/g, '.$1').replace(/\//g, '.');

const TOKENS = {
  'error.path.missing': 'Specify a path',
  'error.minLength': 'May not be blank',
  'error.expected.jsnumber': 'A number is expected',
  'error.expected.jsstring': 'A string is expected',
  'error.expected.int': 'A whole number is expected',
  'error.pattern': 'Has characters that are not allowed here',
};

function explain(error) {
  if (error.status === 409) {
    return { message: 'App is currently locked by one or more deployments.', fields: {}, rest: {} };
  }
  const details = Array.isArray(error.body?.details) ? error.body.details : [];
  const fields = {};
  const rest = {};
  for (const { path, errors } of details) {
    const text = errors.map((e) => TOKENS[e] || e).join('; ');
    const field = fieldOf(path);
    (field ? fields : rest)[field || '/'] = text;
  }
  const known = new Set(['id', 'cpus', 'mem', 'disk', 'instances', 'cmd', 'user', 'acceptedResourceRoles', 'container.docker.image',
    'container.type', 'upgradeStrategy.minimumHealthCapacity', 'upgradeStrategy.maximumOverCapacity', 'taskKillGracePeriodSeconds']);
  for (const [field, text] of Object.entries(fields)) {
    if (!known.has(field)) rest[field] = text;
  }
  return { message: error.message, fields, rest };
}

/** Without what is empty: rows that were begun and left. */
function tidied(app) {
  const next = { ...app };
  if (next.container && next.container.type === undefined && !next.container.docker) delete next.container;
  if (next.fetch) next.fetch = next.fetch.filter((f) => f.uri);
  return next;
}

export function NewApp() {
  const { query } = route.value;
  const from = query.get('from');
  const copied = useLoaded(async () => (from ? (await get(at('apps', from))).app : null), [from], () => false);
  if (from && !copied.data) return copied.error ? html`<${Trouble} error=${copied.error} />` : html`<${Loading} what="the app" />`;
  const group = query.get('group') || query.get('groupId');
  const initial = copied.data
    ? { ...definition(copied.data), id: `${copied.data.id}-copy` }
    : { id: group ? `${group}/` : '', cpus: 0.1, mem: 128, disk: 0, instances: 1, cmd: undefined };
  const send = async (app, force) => {
    const made = await call('POST', 'v2/apps', { query: force ? { force } : {}, body: tidied(app) });
    done(`${made.id} was created.`);
    apps.refresh();
    go(['apps', made.id]);
  };
  return html`<${PageHead} path=${[['Applications', to(['apps'])]]} title="New Application" />
    <${Editing} key=${from || 'new'} initial=${initial} Form=${AppForm} check=${check} send=${send} explain=${explain}
      action="Create Application" cancel=${to(['apps'])} />`;
}

const EditForm = ({ form }) => html`<${AppForm} form=${{ ...form, fixed: ['id'] }} />`;

export function EditApp({ id }) {
  const version = route.value.query.get('version');
  const path = version ? `${at('apps', id)}/versions/${version}` : at('apps', id);
  const { data, error, refresh } = useLoaded(async () => {
    const answer = await get(path);
    return answer.app || answer;
  }, [path], () => false);
  if (!data) return error ? html`<${Trouble} error=${error} retry=${refresh} />` : html`<${Loading} what="the app" />`;
  const send = async (app, force) => {
    // The whole definition replaces the old one: a key that was taken out is gone.
    await call('PUT', at('apps', id), { query: { partialUpdate: false, ...(force ? { force } : {}) }, body: tidied(app) });
    done(`${id} is being deployed.`);
    apps.refresh();
    go(['apps', id]);
  };
  return html`<${PageHead} path=${[['Applications', to(['apps'])], [id, to(['apps', id])]]} title="Edit Application" />
    ${version && html`<div class="notice warn">You are about to edit an older version; it will be deployed as new.</div>`}
    <${Editing} initial=${definition(data)} Form=${EditForm} check=${check} send=${send} explain=${explain}
      action="Change and deploy configuration" cancel=${to(['apps', id])} />`;
}
