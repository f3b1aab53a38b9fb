// What can be done to a job.

import { call } from '../../app/api.js';
import { html } from '../../app/lib.js';
import { confirm } from '../../ui/dialog.js';
import { attempt } from '../../ui/toast.js';
import { at, childrenOf, definition, jobs, upload } from './data.js';

async function change(says, request) {
  const worked = await attempt(says, request);
  if (worked) jobs.refresh();
  return worked;
}

export async function run(job) {
  const sure = await confirm({
    title: 'Force Run',
    body: html`<p>Are you sure you want to run <code>${job.name}</code> now? Its schedule stays as it is.</p>`,
    action: 'Run now',
  });
  if (sure) await change(`${job.name} is queued.`, () => call('PUT', at('job', job.name)));
}

export async function kill(job) {
  const sure = await confirm({
    title: 'Stop',
    body: html`<p>All running tasks of <code>${job.name}</code> are killed. They count neither as success nor as failure.</p>`,
    action: 'Stop its tasks',
    danger: true,
  });
  if (sure) await change(`The tasks of ${job.name} are being killed.`, () => call('DELETE', at('task/kill', job.name)));
}

export const setDisabled = (job, disabled) =>
  change(`${job.name} is ${disabled ? 'disabled' : 'enabled'}.`, () =>
    call('POST', upload(job), { body: { ...definition(job), disabled } }));

export async function destroy(job, all) {
  const children = childrenOf(all, job.name);
  const sure = await confirm({
    title: 'Destroy',
    body: html`<p><code>${job.name}</code>, its schedule and its history are forgotten; its running tasks are killed.</p>
      ${children.length > 0 && html`<p>${job.parents?.length > 0 ? 'These jobs will follow its parents instead' : 'These jobs get its schedule'}:
        ${children.map((child, n) => html`${n > 0 && ', '}<code key=${child.name}>${child.name}</code>`)}</p>`}`,
    action: 'Destroy',
    danger: true,
  });
  return sure ? change(`${job.name} was destroyed.`, () => call('DELETE', at('job', job.name))) : false;
}
