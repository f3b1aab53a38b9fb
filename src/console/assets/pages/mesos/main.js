// The master's pages: overview, agents, frameworks, tasks, roles, offers.

import { jump } from '../../app/keys.js';
import { html, useEffect } from '../../app/lib.js';
import { route } from '../../app/router.js';
import { Empty } from '../../ui/basics.js';
import { Layout } from '../../ui/layout.js';
import { AgentPage, Agents } from './agents.js';
import { FrameworkPage, Frameworks } from './frameworks.js';
import { Overview } from './overview.js';
import { Offers, Roles } from './shares.js';
import { TaskPage } from './task.js';
import { Tasks } from './tasks.js';

export const stream = { path: 'mesolith/v1/events', names: ['change', 'resync'] };

const VIEWS = [
  ['overview', 'Overview'],
  ['agents', 'Agents'],
  ['frameworks', 'Frameworks'],
  ['tasks', 'Tasks'],
  ['roles', 'Roles'],
  ['offers', 'Offers'],
];

const KEYS = { overview: 'h', agents: 'a', frameworks: 'f', tasks: 't', roles: 'r', offers: 'o' };
for (const [id, name] of VIEWS) jump(KEYS[id], `Go to ${name.toLowerCase()}`, [id]);

function view([what = 'overview', a, b]) {
  switch (what) {
    case 'overview':
      return html`<${Overview} />`;
    // Bookmarks of older versions.
    case 'slaves':
    case 'agents':
      return a ? html`<${AgentPage} key=${a} id=${a} />` : html`<${Agents} />`;
    case 'frameworks':
      return a ? html`<${FrameworkPage} key=${a} id=${a} />` : html`<${Frameworks} />`;
    case 'tasks':
      return a && b ? html`<${TaskPage} key=${a + b} framework=${a} id=${b} />` : html`<${Tasks} />`;
    case 'roles':
      return html`<${Roles} />`;
    case 'offers':
      return html`<${Offers} />`;
    default:
      return html`<${Empty} title="There is no such page."><a href="#/overview">To the overview</a></${Empty}>`;
  }
}

export function Pages() {
  const { parts } = route.value;
  const name = VIEWS.find(([id]) => id === (parts[0] || 'overview'))?.[1];
  useEffect(() => {
    document.title = `${parts[2] || name || 'Mesos'} – Mesos`;
  }, [parts.join('/')]);
  return html`<${Layout} section="mesos" views=${VIEWS}>${view(parts)}</${Layout}>`;
}
