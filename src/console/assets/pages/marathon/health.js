// The health of an app's instances, as a bar and in words.

import { num } from '../../app/format.js';
import { html } from '../../app/lib.js';
import { healthOf } from './data.js';

const NAMES = {
  healthy: 'Healthy',
  unhealthy: 'Unhealthy',
  unknown: 'Unknown',
  staged: 'Staged',
  over: 'Over capacity',
  unscheduled: 'Unscheduled',
};

/** A bar whose title has the numbers. */
export function HealthBar({ app }) {
  const parts = Object.entries(healthOf(app)).filter(([, n]) => n > 0);
  const sum = parts.reduce((all, [, n]) => all + n, 0);
  const text = parts.map(([id, n]) => `${n} ${NAMES[id].toLowerCase()}`).join(', ') || 'no instances';
  return html`<div class="health" role="img" title=${text} aria-label=${text}>
    ${parts.map(([id, n]) => html`<div key=${id} class=${id} style=${{ width: `${(n / sum) * 100}%` }}></div>`)}
  </div>`;
}

/** The numbers of the bar. */
export function HealthLegend({ app }) {
  const parts = Object.entries(healthOf(app));
  const sum = parts.reduce((all, [, n]) => all + n, 0);
  return html`<div class="health-legend">
    ${parts.filter(([, n]) => n > 0).map(([id, n]) => html`<span key=${id}>${NAMES[id]} <strong>${num(n, 0)}</strong> (${num((n / sum) * 100, 0)} %)</span>`)}
  </div>`;
}
