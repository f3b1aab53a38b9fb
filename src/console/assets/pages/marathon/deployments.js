// Running deployments: how far each is, and what it does next.

import { html } from '../../app/lib.js';
import { Ago, num } from '../../app/format.js';
import { to } from '../../app/router.js';
import { useResource } from '../../app/store.js';
import { Empty, Loading, Meter, PageHead, Trouble } from '../../ui/basics.js';
import { rollBack, stop } from './actions.js';
import { deployments } from './data.js';

const words = (action) => action.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();

function Deployment({ of: d }) {
  const apps = [...d.affectedApps, ...(d.affectedPods || [])];
  return html`<section class="panel" data-deployment=${d.id}>
    <div class="page-head">
      <div class="page-title"><h2>${apps.map((id, n) => html`${n > 0 && ', '}<a key=${id} href=${to(['apps', id])}>${id}</a>`)}</h2>
        <span class="muted">${d.id}, begun <${Ago} at=${d.version} /></span></div>
      <div class="actions">
        <button onClick=${() => rollBack(d)}>Rollback</button>
        <button class="danger" onClick=${() => stop(d)}>Stop</button>
      </div>
    </div>
    <${Meter} label="Step" used=${d.currentStep - 1} offered=${1} at=${d.currentStep} total=${d.totalSteps} show=${(n) => num(n, 0)} />
    <ol class="steps">
      ${(d.steps || []).map((step, n) => {
        const place = n + 1 < d.currentStep ? 'past' : n + 1 === d.currentStep ? 'now' : '';
        const actions = step.actions || step;
        return html`<li key=${n} class=${place}>${place === 'past' ? '✓' : `${n + 1}.`}
          ${actions.map((a, at) => html`<span key=${at}>${at > 0 ? ', ' : ' '}${words(a.action || a.type)} <code>${a.app || a.pod}</code></span>`)}
          ${place === 'now' && ' – running'}</li>`;
      })}
    </ol>
    ${(d.currentActions || []).filter((a) => a.waitsFor).map((a) => html`<p class="hint" key=${`waits ${a.app}`}><code>${a.app}</code> ${a.waitsFor}.</p>`)}
    ${(d.currentActions || []).flatMap((a) => a.readinessCheckResults || []).filter((r) => !r.ready).map((r) =>
      html`<p class="hint" key=${r.taskId + r.name}>${r.name} of <code>${r.taskId}</code> is not ready yet.</p>`)}
  </section>`;
}

export function Deployments() {
  const { data, error, refresh } = useResource(deployments);
  if (!data) return error ? html`<${Trouble} error=${error} retry=${refresh} />` : html`<${Loading} what="deployments" />`;
  return html`<${PageHead} title="Deployments" />
    <${Trouble} error=${error} />
    ${data.length === 0 && html`<${Empty} title="No Deployments"><p>Active deployments will be shown here.</p></${Empty}>`}
    ${data.map((d) => html`<${Deployment} key=${d.id} of=${d} />`)}`;
}
