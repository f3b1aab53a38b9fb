// The agent's port: which agent this is, and where everything else is.

import { get } from '../app/api.js';
import { html } from '../app/lib.js';
import { Ago } from '../app/format.js';
import { useLoaded } from '../app/store.js';
import { Facts, Loading, PageHead, Trouble } from '../ui/basics.js';
import { Layout, mesosView } from '../ui/layout.js';

export const stream = null;

function Agent() {
  const { data, error, refresh } = useLoaded(() => get('state'), []);
  if (!data) return error ? html`<${Trouble} error=${error} retry=${refresh} />` : html`<${Loading} what="the agent" />`;
  const page = mesosView(['agents', data.id]);
  document.title = `Agent ${data.hostname}`;
  return html`<${PageHead} title=${`Agent on ${data.hostname}`} />
    <section class="panel">
      <${Facts} of=${[
        ['Id', html`<code>${data.id}</code>`],
        ['Version', data.version],
        ['Started', html`<${Ago} at=${data.start_time} />`],
        ['Frameworks', data.frameworks?.length],
      ]} />
      <p>${page
        ? html`<a class="button primary" href=${page}>Open it on the master's page</a>`
        : 'Its tasks and sandboxes are on the page of the master.'}</p>
    </section>`;
}

export const Pages = () => html`<${Layout} section="agent" views=${[]}><${Agent} /></${Layout}>`;
