// What the master's pages load, shared by all of them.

import { get } from '../../app/api.js';
import { resource } from '../../app/store.js';

/** Whether a `change` event has a word of one of these kinds; a `resync` always wakes. */
export const of = (...kinds) => (name, data) =>
  name !== 'change' || !data?.changes || data.changes.some((c) => kinds.includes(c.kind));

/** The cluster. */
export const cluster = resource(() => get('state'));

/** All tasks, a line each. */
export const tasks = resource(async () => (await get('mesolith/v1/tasks')).tasks, of('task', 'agent', 'framework'));

/** All roles. */
export const roles = resource(async () => (await get('roles')).roles);

/** The virtual path of a task's sandbox; a command task's executor has the task's id. */
export function sandboxOf(task) {
  const executor = task.executor_id || task.id;
  return `/frameworks/${task.framework_id}/executors/${executor}/runs/latest`;
}

/** States in which a task may still run. */
export const LIVE = ['TASK_STAGING', 'TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING', 'TASK_UNREACHABLE'];

/** Sums of flat resources. */
export function total(list, key) {
  const sum = { cpus: 0, gpus: 0, mem: 0, disk: 0 };
  for (const one of list) {
    for (const name of Object.keys(sum)) sum[name] += one[key]?.[name] || 0;
  }
  return sum;
}
