// Why an app waits: which rule refused how many offers, in the order in which they are asked.

import { html } from '../../app/lib.js';
import { Ago, num } from '../../app/format.js';
import { Facts } from '../../ui/basics.js';

const REASONS = {
  UnfulfilledRole: ['Role', 'offers of a role that the app accepts'],
  UnfulfilledConstraint: ['Constraint', 'agents that its constraints allow'],
  NoCorrespondingReservationFound: ['Reservation', 'agents with its reservation'],
  AgentMaintenance: ['Maintenance', 'agents not about to be maintained'],
  InsufficientCpus: ['CPUs', 'enough free CPUs'],
  InsufficientMemory: ['Memory', 'enough free memory'],
  InsufficientDisk: ['Disk', 'enough free disk'],
  InsufficientGpus: ['GPUs', 'enough free GPUs'],
  InsufficientPorts: ['Ports', 'the ports it asks for'],
  DeclinedScarceResources: ['Scarce resources', 'agents without GPUs that it would block'],
};

function Funnel({ summary, title }) {
  const rows = (summary || []).filter((r) => r.processed > 0);
  if (rows.length === 0) return null;
  return html`<h3>${title}</h3><div class="funnel">
    ${rows.map(({ reason, declined, processed }) => {
      const [name, needs] = REASONS[reason] || [reason, ''];
      const text = declined === 0 ? `all ${processed} fit` : `${num(declined, 0)} of ${num(processed, 0)} refused`;
      return html`<div class="funnel-row" key=${reason} data-reason=${reason}>
        <span>${name} <span class="sub">${declined > 0 && needs ? `needs ${needs}` : ''}</span></span>
        <div class="bar" role="img" aria-label=${text}>
          <div class=${`bar-used ${declined > 0 ? 'refuses' : ''}`} style=${{ width: `${declined > 0 ? (declined / processed) * 100 : 0}%` }}></div>
        </div>
        <span class="num">${text}</span>
      </div>`;
    })}
  </div>`;
}

export function Why({ app, entry }) {
  if (!entry) {
    return html`<p>${app.instances === 0 ? 'It is suspended: no instance is wanted.' : 'Nothing: no instance waits to be launched.'}</p>`;
  }
  const offers = entry.processedOffersSummary || {};
  const left = entry.delay?.timeLeftSeconds || 0;
  return html`<${Facts} of=${[
      ['Waits for', `${num(entry.count, 0)} of ${num(app.instances, 0)} instances`],
      ['Since', html`<${Ago} at=${entry.since} />`],
      ['Back-off', left > 0 ? `${num(left, 0)} s, because instances ended too soon` : ''],
      ['Offers looked at', offers.processedOffersCount !== undefined ? num(offers.processedOffersCount, 0) : ''],
      ['Offers not used', offers.unusedOffersCount !== undefined ? num(offers.unusedOffersCount, 0) : ''],
      ['Last used', offers.lastUsedOfferAt && html`<${Ago} at=${offers.lastUsedOfferAt} />`],
      ['Last refused', offers.lastUnusedOfferAt && html`<${Ago} at=${offers.lastUnusedOfferAt} />`],
    ]} />
    ${(entry.explanation?.refusals || []).filter((r) => r.detail).map((r) =>
      html`<p key=${r.rule} data-miss=${r.rule}><b>${num(r.count, 0)} × ${(REASONS[r.rule] || [r.rule])[0]}</b>: ${r.detail}</p>`)}
    <${Funnel} title="The last offer of each agent" summary=${offers.rejectSummaryLastOffers} />
    <${Funnel} title="All offers since it waits" summary=${offers.rejectSummaryLaunchAttempt} />
    ${offers.processedOffersCount === 0 && html`<p class="hint">No offer has come yet: no agent has anything free, or none is registered.</p>`}
    ${entry.explanation?.hint && html`<p class="hint">${entry.explanation.hint}</p>`}`;
}
