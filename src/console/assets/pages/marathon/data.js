// What Marathon's pages load, and what they make of it.

import { get } from '../../app/api.js';
import { resource } from '../../app/store.js';

/** Events after which something that is shown may be otherwise. */
export const EVENTS = [
  'api_post_event',
  'status_update_event',
  'app_terminated_event',
  'instance_changed_event',
  'instance_health_changed_event',
  'unknown_instance_terminated_event',
  'add_health_check_event',
  'remove_health_check_event',
  'failed_health_check_event',
  'health_status_changed_event',
  'unhealthy_instance_kill_event',
  'group_change_success',
  'group_change_failed',
  'deployment_info',
  'deployment_step_success',
  'deployment_step_failure',
  'deployment_success',
  'deployment_failed',
  'scheduler_registered_event',
  'scheduler_reregistered_event',
  'scheduler_disconnected_event',
];

const LIST_EMBED = ['apps.counts', 'apps.deployments', 'apps.readiness'];

/** All apps, with their counts. */
export const apps = resource(async () => (await get('v2/apps', { embed: LIST_EMBED })).apps);

/** What waits to be launched. */
export const queue = resource(async () => (await get('v2/queue', { embed: ['lastUnusedOffers', 'explanation'] })).queue);

/** Running deployments. */
export const deployments = resource(() => get('v2/deployments', { embed: 'waitsFor' }));

/** Which Marathon this is; changes with the leader only. */
export const info = resource(() => get('v2/info'), (name) => name === 'resync' || name.startsWith('scheduler_'));

/** The address of an app or group below a collection. */
export const at = (collection, id) => `v2/${collection}/${id.split('/').filter(Boolean).map(encodeURIComponent).join('/')}`;

/** The last part of an id. */
export const leaf = (id) => id.slice(id.lastIndexOf('/') + 1) || '/';

/** The group that an app or group is in. */
export const parent = (id) => id.slice(0, id.lastIndexOf('/')) || '/';

/** `Running`, `Deploying`, `Suspended`, `Delayed` or `Waiting`, as the original tells them. */
export function statusOf(app, waiting) {
  const entry = waiting?.find((q) => (q.app?.id ?? q.pod?.id) === app.id);
  if (entry && entry.delay?.timeLeftSeconds > 0) return 'Delayed';
  if (entry?.delay?.overdue) return 'Waiting';
  if (app.deployments?.length > 0) return 'Deploying';
  if (app.instances === 0 && !app.tasksRunning) return 'Suspended';
  return 'Running';
}

/** How many instances are in which health. */
export function healthOf(app) {
  const { instances = 0, tasksRunning = 0, tasksHealthy = 0, tasksUnhealthy = 0, tasksStaged = 0 } = app;
  const over = Math.max(0, tasksRunning - instances);
  const unknown = Math.max(0, tasksRunning - tasksHealthy - tasksUnhealthy - over);
  return {
    healthy: tasksHealthy,
    unhealthy: tasksUnhealthy,
    unknown,
    staged: tasksStaged,
    over,
    unscheduled: Math.max(0, instances - tasksRunning - tasksStaged),
  };
}

const SUMMED = ['instances', 'tasksRunning', 'tasksHealthy', 'tasksUnhealthy', 'tasksStaged'];

/** The apps and groups directly below a group; groups have the sums of all that is in them. */
export function children(all, group) {
  const prefix = group === '/' ? '/' : `${group}/`;
  const groups = new Map();
  const rows = [];
  for (const app of all) {
    if (!app.id.startsWith(prefix)) continue;
    const rest = app.id.slice(prefix.length);
    const cut = rest.indexOf('/');
    if (cut < 0) {
      rows.push(app);
      continue;
    }
    const id = prefix + rest.slice(0, cut);
    const sum = groups.get(id) || { id, isGroup: true, apps: [], cpus: 0, mem: 0, deployments: [], labels: {} };
    sum.apps.push(app);
    sum.cpus += app.cpus * app.instances;
    sum.mem += app.mem * app.instances;
    sum.deployments.push(...(app.deployments || []));
    for (const key of SUMMED) sum[key] = (sum[key] || 0) + (app[key] || 0);
    groups.set(id, sum);
  }
  return [...groups.values(), ...rows];
}

/** Keys that the server adds: no part of a definition. */
const READ_ONLY = [
  'version', 'versionInfo', 'tasks', 'tasksStaged', 'tasksRunning', 'tasksHealthy', 'tasksUnhealthy', 'deployments',
  'lastTaskFailure', 'readinessCheckResults', 'taskStats', 'tasksStats', 'uris', 'ports', 'storeUrls', 'ipAddress',
];

/** An app as it may be sent again: everything but what the server adds. */
export function definition(app) {
  const kept = Object.entries(app).filter(([key, value]) => !READ_ONLY.includes(key) && value !== null);
  return Object.fromEntries(kept);
}
