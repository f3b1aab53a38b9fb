// What can be done to apps, groups and deployments, each asked for in a dialog that says what will
// happen. Where a deployment is in the way, the next question is whether to stop it.

import { call } from '../../app/api.js';
import { count } from '../../app/format.js';
import { html } from '../../app/lib.js';
import { confirm, prompt } from '../../ui/dialog.js';
import { attempt, done, failed } from '../../ui/toast.js';
import { apps, at, deployments } from './data.js';

/** Does it; when it is locked, asks whether to go on by force. */
async function change(says, force, request) {
  try {
    await request(false);
  } catch (e) {
    if (e.status !== 409) {
      failed(e.message);
      return false;
    }
    const sure = await confirm({
      title: 'A deployment is in the way',
      body: html`<p>${e.message.replace(/\. .*$/, '.')}</p><p>It can be stopped where it is, and this be done instead.</p>`,
      action: force,
      danger: true,
    });
    if (!sure) return false;
    return attempt(says, () => request(true));
  }
  done(says);
  apps.refresh();
  deployments.refresh();
  return true;
}

const put = (id, body) => (force) => call('PUT', at('apps', id), { query: force ? { force } : {}, body });

const whole = (text) => (/^\d+$/.test(text) ? null : 'A whole number, not negative');

export async function scale(app) {
  const to = await prompt({
    title: 'Scale Application',
    body: html`<p><code>${app.id}</code> has ${count(app.instances, 'instance')} now.</p>`,
    label: 'Instances',
    value: app.instances,
    type: 'number',
    min: 0,
    step: 1,
    check: whole,
    action: 'Scale',
  });
  if (to === null) return;
  await change(`${app.id} is being scaled to ${to}.`, 'Stop Current Deployment and Scale', put(app.id, { instances: Number(to) }));
}

export async function restart(app) {
  const sure = await confirm({
    title: 'Restart Application',
    body: html`<p>All instances of <code>${app.id}</code> are replaced, as its upgrade strategy allows.</p>`,
    action: 'Restart',
  });
  if (!sure) return;
  await change(`${app.id} is being restarted.`, 'Stop Current Deployment and Restart', (force) =>
    call('POST', `${at('apps', app.id)}/restart`, { query: force ? { force } : {} }));
}

export async function suspend(app) {
  const sure = await confirm({
    title: 'Suspend Application',
    body: html`<p><code>${app.id}</code> is scaled to 0: its ${count(app.tasksRunning || 0, 'task')} end, its definition stays.</p>`,
    action: 'Suspend',
  });
  if (!sure) return;
  await change(`${app.id} is being suspended.`, 'Stop Current Deployment and Suspend', put(app.id, { instances: 0 }));
}

/** Gives whether it was destroyed. */
export async function destroy(app) {
  const sure = await confirm({
    title: 'Destroy Application',
    body: html`<p>All tasks of <code>${app.id}</code> are killed, and its definition and history are forgotten.</p>`,
    typed: app.id,
    action: 'Destroy',
    danger: true,
  });
  if (!sure) return false;
  return change(`${app.id} is being destroyed.`, 'Stop Current Deployment and Destroy', (force) =>
    call('DELETE', at('apps', app.id), { query: { force } }));
}

export async function scaleGroup(group) {
  const by = await prompt({
    title: 'Scale Group',
    body: html`<p>All ${count(group.apps.length, 'app')} in <code>${group.id}</code> get so many times their instances, rounded up.</p>`,
    label: 'Factor',
    value: 1,
    type: 'number',
    min: 0,
    step: 'any',
    check: (text) => (Number(text) >= 0 && text !== '' ? null : 'A number, not negative'),
    action: 'Scale',
  });
  if (by === null) return;
  await change(`${group.id} is being scaled.`, 'Stop Current Deployment and Scale', (force) =>
    call('PUT', at('groups', group.id), { query: force ? { force } : {}, body: { scaleBy: Number(by) } }));
}

export async function suspendGroup(group) {
  const sure = await confirm({
    title: 'Suspend Group',
    body: html`<p>All ${count(group.apps.length, 'app')} in <code>${group.id}</code> are scaled to 0.</p>`,
    action: 'Suspend',
  });
  if (!sure) return;
  await change(`${group.id} is being suspended.`, 'Stop Current Deployment and Suspend', (force) =>
    call('PUT', at('groups', group.id), { query: force ? { force } : {}, body: { scaleBy: 0 } }));
}

export async function destroyGroup(group) {
  const sure = await confirm({
    title: 'Destroy Group',
    body: html`<p>These ${count(group.apps.length, 'app')} and their tasks are gone for good:</p>
      <ul class="plain">${group.apps.slice(0, 8).map((a) => html`<li key=${a.id}><code>${a.id}</code></li>`)}
      ${group.apps.length > 8 && html`<li class="muted">and ${group.apps.length - 8} more</li>`}</ul>`,
    typed: group.id,
    action: 'Destroy',
    danger: true,
  });
  if (!sure) return;
  await change(`${group.id} is being destroyed.`, 'Stop Current Deployment and Destroy', (force) =>
    call('DELETE', at('groups', group.id), { query: force ? { force } : {} }));
}

export const resetDelay = (app) =>
  attempt('It is launched without waiting.', () => call('DELETE', `${at('queue', app.id)}/delay`));

export async function killTasks(app, ids, shrink) {
  const sure = await confirm({
    title: shrink ? 'Kill & Scale' : 'Kill',
    body: html`<p>${count(ids.length, 'instance')} of <code>${app.id}</code> ${ids.length === 1 ? 'is' : 'are'} killed
      ${shrink ? ' and the app is scaled down by as many.' : '; others are started in their place.'}</p>`,
    action: shrink ? 'Kill & Scale' : 'Kill',
    danger: true,
  });
  if (!sure) return false;
  return change(`${count(ids.length, 'instance')} killed.`, 'Stop Current Deployment and Scale', (force) =>
    call('POST', 'v2/tasks/delete', { query: { scale: shrink, ...(force ? { force } : {}) }, body: { ids } }));
}

export async function rollBackTo(app, version) {
  const sure = await confirm({
    title: 'Apply these settings',
    body: html`<p><code>${app.id}</code> goes back to the configuration of ${version}, as a new deployment.</p>`,
    action: 'Apply',
  });
  if (!sure) return;
  await change(`${app.id} goes back to ${version}.`, 'Stop Current Deployment and Apply', put(app.id, { version }));
}

export async function rollBack(deployment) {
  const sure = await confirm({
    title: 'Rollback deployment',
    body: html`<p>The deployment stops where it is, and another brings back what was before it, for:</p>
      <ul class="plain">${deployment.affectedApps.map((id) => html`<li key=${id}><code>${id}</code></li>`)}</ul>`,
    action: 'Rollback deployment',
  });
  if (sure) {
    await attempt('The deployment is being rolled back.', () => call('DELETE', `v2/deployments/${deployment.id}`));
  }
}

export async function stop(deployment) {
  const sure = await confirm({
    title: 'Stop deployment',
    body: html`<p>The deployment stops where it is. Nothing is rolled back: apps may be left half-way.</p>`,
    action: 'Stop',
    danger: true,
  });
  if (sure) {
    await attempt('The deployment was stopped.', () =>
      call('DELETE', `v2/deployments/${deployment.id}`, { query: { force: true } }));
  }
}
