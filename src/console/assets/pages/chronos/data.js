// What Chronos's pages load, and what they make of it.

import { get } from '../../app/api.js';
import { resource } from '../../app/store.js';
import { firings, split } from './schedule.js';

const P = 'v1/scheduler';

/** All jobs, each with the state that the summary tells. */
export const jobs = resource(async () => {
  const [list, summary] = await Promise.all([get(`${P}/jobs`), get(`${P}/jobs/summary`)]);
  const states = new Map(summary.jobs.map((job) => [job.name, job]));
  return list.map((job) => ({ ...job, state: states.get(job.name)?.state || 'idle', status: states.get(job.name)?.status || outcome(job) }));
});

/** The graph: `{nodes: [{name, last, state}], links: [[parent, child]]}`. */
export const graph = resource(async () => {
  const lines = String(await get(`${P}/graph/csv`)).split('\n').filter(Boolean).map((line) => line.split(','));
  return {
    nodes: lines.filter(([kind]) => kind === 'node').map(([, name, last, state]) => ({ name, last, state })),
    links: lines.filter(([kind]) => kind === 'link').map(([, parent, child]) => [parent, child]),
  };
});

/** The address of something of a job. */
export const at = (what, name) => `${P}/${what}/${encodeURIComponent(name)}`;

/** The address that takes a definition: by parents or by schedule. */
export const upload = (job) => (job.parents?.length > 0 ? `${P}/dependency` : `${P}/iso8601`);

/** How the last run ended: `fresh`, `success` or `failure`. */
export function outcome(job) {
  const [good, bad] = [Date.parse(job.lastSuccess), Date.parse(job.lastError)];
  if (Number.isNaN(good) && Number.isNaN(bad)) return 'fresh';
  return Number.isNaN(bad) || good > bad ? 'success' : 'failure';
}

/** When the last run ended, as ISO text. */
export const lastRun = (job) => [job.lastSuccess, job.lastError].filter(Boolean).sort().at(-1);

/** When it runs next, in milliseconds; NaN when that is not known or never. */
export function nextRun(job) {
  if (job.disabled || !split(job.schedule)) return NaN;
  return firings(job.schedule, 1)[0] ?? NaN;
}

/** Jobs that name this one as a parent. */
export const childrenOf = (all, name) => all.filter((job) => job.parents?.includes(name));

/** Keys that the server counts or this page adds: no part of a definition. */
const READ_ONLY = ['successCount', 'errorCount', 'errorsSinceLastSuccess', 'lastSuccess', 'lastError', 'state', 'status'];

/** A job as it may be sent again: everything but what is counted. */
export const definition = (job) => Object.fromEntries(Object.entries(job).filter(([key]) => !READ_ONLY.includes(key)));
