// Chronos's pages: jobs, one job, the graph.

import { bind, jump } from '../../app/keys.js';
import { html, useEffect } from '../../app/lib.js';
import { go, route } from '../../app/router.js';
import { Empty } from '../../ui/basics.js';
import { Layout } from '../../ui/layout.js';
import { EditJob } from './edit.js';
import { Graph } from './graph.js';
import { JobPage } from './job.js';
import { Jobs } from './jobs.js';

export const stream = { path: 'mesolith/v1/events', names: ['job', 'run', 'resync'] };

const VIEWS = [
  ['jobs', 'Jobs'],
  ['graph', 'Graph'],
];

bind('c', 'Create a job', () => go(['new']));
jump('j', 'Go to jobs', ['jobs']);
jump('g', 'Go to the graph', ['graph']);

function view([what = 'jobs', name, tab]) {
  switch (what) {
    case 'jobs':
      if (!name) return html`<${Jobs} />`;
      return tab === 'edit' ? html`<${EditJob} key=${name} name=${name} />` : html`<${JobPage} key=${name} name=${name} tab=${tab} />`;
    case 'new':
      return html`<${EditJob} />`;
    case 'graph':
      return html`<${Graph} />`;
    default:
      return html`<${Empty} title="There is no such page."><a href="#/jobs">To the jobs</a></${Empty}>`;
  }
}

export function Pages() {
  const { parts } = route.value;
  useEffect(() => {
    document.title = `${parts[1] || (parts[0] === 'graph' ? 'Graph' : 'Jobs')} – Chronos`;
  }, [parts.join('/')]);
  return html`<${Layout} section="chronos" views=${VIEWS}>${view(parts)}</${Layout}>`;
}
