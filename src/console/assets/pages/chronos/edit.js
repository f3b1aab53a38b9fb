// Creates a job or changes one: a form for what is common, JSON for all there is.

import { call } from '../../app/api.js';
import { html, useMemo } from '../../app/lib.js';
import { clock } from '../../app/format.js';
import { go, route, to } from '../../app/router.js';
import { useResource } from '../../app/store.js';
import { Empty, Loading, PageHead, Trouble } from '../../ui/basics.js';
import { Editing } from '../../ui/editing.js';
import { Field, Rows, read, write } from '../../ui/form.js';
import { done } from '../../ui/toast.js';
import { definition, jobs, upload } from './data.js';
import { amounts, firings, join, periodWords, split, startMillis } from './schedule.js';

const NAME = /^[\w.-]+$/;

function Parents({ form, names }) {
  const chosen = form.value.parents || [];
  const flip = (name) => {
    const next = chosen.includes(name) ? chosen.filter((n) => n !== name) : [...chosen, name];
    form.change({ ...form.value, parents: next });
  };
  return html`<div class="field full" role="group" aria-label="Parents"><span>Runs after all of</span>
    <div class="figures">${names.filter((name) => name !== form.value.name).map((name) => html`<label class="check" key=${name}>
      <input type="checkbox" checked=${chosen.includes(name)} onChange=${() => flip(name)} />${name}</label>`)}</div>
    ${form.errors.parents && html`<span class="wrong">${form.errors.parents}</span>`}
  </div>`;
}

function Times({ form }) {
  const parts = split(form.value.schedule) || { repeat: '', start: '', period: '' };
  const set = (key) => (event) => form.change({ ...form.value, schedule: join({ ...parts, [key]: event.currentTarget.value.trim() }) });
  const box = (key, label, placeholder, help) => html`<label class="field"><span>${label}</span>
    <input name=${`schedule.${key}`} value=${parts[key]} placeholder=${placeholder} onInput=${set(key)} />
    <span class="help">${help}</span></label>`;
  const next = firings(form.value.schedule, 3);
  return html`<div class="form-grid">
      ${box('repeat', 'Repeats', '∞', 'How often in all; empty is for ever')}
      ${box('start', 'Start', 'now', 'ISO 8601, e.g. 2026-01-31T09:45:00Z')}
      ${box('period', 'Every', 'PT24H', `ISO 8601 period: ${periodWords(parts.period) || 'PT5M, P1D, P1W …'}`)}
      <${Field} form=${form} path="scheduleTimeZone" label="Time zone" placeholder="UTC" help="e.g. Europe/Berlin" />
    </div>
    ${form.errors.schedule && html`<p class="wrong">${form.errors.schedule}</p>`}
    ${next.length > 0 && !form.value.scheduleTimeZone && html`<p class="hint" data-next>Next: ${next.map(clock).join(' · ')}</p>`}`;
}

function Lists({ form }) {
  const rows = (path, label, add, columns, make) => html`<${Rows} items=${read(form.value, path) || []} label=${label} add=${add} columns=${columns} make=${make}
    change=${(list) => form.change(write(form.value, path, list))} />`;
  const constraints = (form.value.constraints || []).map(([field = '', operator = '', value = '']) => ({ field, operator, value }));
  return html`
    <details class="form-section" open=${form.value.environmentVariables?.length > 0}><summary>Environment variables</summary>
      ${rows('environmentVariables', 'Environment variables', 'Variable', [{ key: 'name', label: 'Name' }, { key: 'value', label: 'Value' }], () => ({ name: '', value: '' }))}
    </details>
    <details class="form-section" open=${constraints.length > 0}><summary>Constraints</summary>
      <${Rows} items=${constraints} label="Constraints" add="Constraint" make=${() => ({ field: 'hostname', operator: 'EQUALS', value: '' })}
        columns=${[{ key: 'field', label: 'Attribute' }, { key: 'operator', label: 'Operator', options: ['EQUALS', 'LIKE', 'UNLIKE'].map((o) => [o, o]) }, { key: 'value', label: 'Value' }]}
        change=${(list) => form.change({ ...form.value, constraints: list.map(({ field = '', operator = '', value = '' }) => [field, operator, value]) })} />
    </details>`;
}

const formOf = (names, fixed) => function JobForm({ form: given }) {
  const form = { ...given, fixed };
  const depends = form.value.parents !== undefined;
  const kind = (event) => {
    const { parents, schedule, ...rest } = form.value;
    form.change(event.currentTarget.value === 'parents'
      ? { ...rest, parents: parents || [] }
      : { ...rest, schedule: schedule || 'R//PT24H' });
  };
  return html`
    <fieldset class="form-section"><legend>General</legend>
      <div class="form-grid">
        <${Field} form=${form} path="name" label="Name" />
        <${Field} form=${form} path="description" label="Description" />
        <${Field} form=${form} path="command" label="Command" rows=${3} full />
      </div>
    </fieldset>
    <fieldset class="form-section"><legend>When</legend>
      <label class="field"><span>Runs</span>
        <select onChange=${kind} name="kind">
          <option value="schedule" selected=${!depends}>at its times</option>
          <option value="parents" selected=${depends}>after other jobs</option>
        </select></label>
      ${depends ? html`<${Parents} form=${form} names=${names} />` : html`<${Times} form=${form} />`}
    </fieldset>
    <fieldset class="form-section"><legend>Resources</legend>
      <div class="form-grid">
        <${Field} form=${form} path="cpus" label="CPUs" kind="number" min="0" />
        <${Field} form=${form} path="mem" label="Memory (MB)" kind="number" min="0" />
        <${Field} form=${form} path="disk" label="Disk (MB)" kind="number" min="0" />
        <${Field} form=${form} path="runAsUser" label="Runs as user" />
      </div>
    </fieldset>
    <details class="form-section"><summary>Failures and overlaps</summary>
      <div class="form-grid">
        <${Field} form=${form} path="retries" label="Retries" kind="number" min="0" step="1" />
        <${Field} form=${form} path="epsilon" label="Epsilon" placeholder="PT60S" help="How late a run may begin" />
        <${Field} form=${form} path="owner" label="Owner" placeholder="a@example.com" />
        <${Field} form=${form} path="ownerName" label="Owner's name" />
        <${Field} form=${form} path="disabled" label="Disabled" kind="check" />
        <${Field} form=${form} path="concurrent" label="Runs may overlap" kind="check" />
        <${Field} form=${form} path="softError" label="Children run after failures too" kind="check" />
        <${Field} form=${form} path="highPriority" label="High priority" kind="check" />
      </div>
    </details>
    <${Lists} form=${form} />`;
};

const checkOf = (names, isNew) => (job) => {
  const wrong = {};
  if (typeof job !== 'object' || job === null || Array.isArray(job)) return { '/': 'A job is a JSON object' };
  if (!job.name) wrong.name = 'A name is needed';
  else if (isNew && !NAME.test(job.name)) wrong.name = 'Letters, digits, "_", "." and "-" only';
  else if (isNew && names.includes(job.name)) wrong.name = 'There is a job of this name';
  if (!job.command && !job.container) wrong.command = 'A command is needed';
  if (job.parents !== undefined) {
    if (job.parents.length === 0) wrong.parents = 'At least one parent is needed';
    return wrong;
  }
  const parts = split(job.schedule);
  if (!parts) wrong.schedule = 'The schedule is not of the form R[n]/start/period';
  else if (!amounts(parts.period)) wrong.schedule = 'The period is none, e.g. PT5M for five minutes';
  else if (parts.start && Number.isNaN(startMillis(parts.start))) wrong.schedule = 'The start is no ISO 8601 time';
  return wrong;
};

function explain(error) {
  const { field } = error.body || {};
  return { message: error.message, fields: field ? { [field]: error.message } : {}, rest: {} };
}

async function send(job) {
  await call('POST', upload(job), { body: job });
  done(`${job.name} was saved.`);
  jobs.refresh();
  go(['jobs', job.name]);
}

/** Edits the job of that name; without one, makes a new one. */
export function EditJob({ name }) {
  const { data, error, refresh } = useResource(jobs);
  if (!data) return error ? html`<${Trouble} error=${error} retry=${refresh} />` : html`<${Loading} what="jobs" />`;
  const from = name || route.value.query.get('from');
  const found = from && data.find((j) => j.name === from);
  if (from && !found) return html`<${Empty} title="There is no such job."><a href="#/jobs">All jobs</a></${Empty}>`;
  const names = data.map((j) => j.name);
  const initial = found
    ? { ...definition(found), ...(name ? {} : { name: `${found.name}-copy` }) }
    : { name: '', command: '', schedule: 'R//PT24H', cpus: 0.1, mem: 128, retries: 2 };
  return html`<${Editor} key=${from || 'new'} name=${name} initial=${initial} names=${names} />`;
}

function Editor({ name, initial, names }) {
  const path = [['Jobs', to(['jobs'])], ...(name ? [[name, to(['jobs', name])]] : [])];
  // One form for as long as it is edited: jobs that come meanwhile do not begin it anew.
  const Form = useMemo(() => formOf(names, name ? ['name'] : []), []);
  return html`<${PageHead} path=${path} title=${name ? 'Edit Job' : 'New Job'} />
    <${Editing} initial=${initial} Form=${Form} check=${checkOf(name ? [] : names, !name)} send=${send} explain=${explain}
      action=${name ? 'Save' : 'Create Job'} cancel=${name ? to(['jobs', name]) : to(['jobs'])} />`;
}
