// Marathon's pages: applications, one application, deployments.

import { bind, jump } from '../../app/keys.js';
import { html, useEffect } from '../../app/lib.js';
import { go, route } from '../../app/router.js';
import { useResource } from '../../app/store.js';
import { Empty } from '../../ui/basics.js';
import { Layout } from '../../ui/layout.js';
import { AppPage } from './app.js';
import { Apps } from './apps.js';
import { deployments, EVENTS } from './data.js';
import { Deployments } from './deployments.js';
import { EditApp, NewApp } from './edit.js';

export const stream = { path: 'mesolith/v1/events', names: EVENTS };

bind('c', 'Create an application', () => go(['new']));
jump('a', 'Go to applications', ['apps']);
jump('d', 'Go to deployments', ['deployments']);
bind('g e', 'Edit this application', () => {
  const { parts } = route.value;
  if (parts[0] === 'apps' && parts[1]) go(['apps', parts[1], 'edit']);
});

function view([what = 'apps', id, tab], query) {
  // Addresses of the original's dialogs.
  if (query.get('modal') === 'new-app') return html`<${NewApp} />`;
  switch (what) {
    case 'apps':
      if (!id) return html`<${Apps} group="/" />`;
      if (tab === 'edit') return html`<${EditApp} key=${id} id=${id} />`;
      return html`<${AppPage} key=${id} id=${id} tab=${tab} />`;
    case 'group':
      return html`<${Apps} key=${id} group=${id || '/'} />`;
    case 'new':
      return html`<${NewApp} />`;
    case 'deployments':
      return html`<${Deployments} />`;
    default:
      return html`<${Empty} title="There is no such page."><a href="#/apps">To the applications</a></${Empty}>`;
  }
}

export function Pages() {
  const { parts, query } = route.value;
  const running = useResource(deployments);
  useEffect(() => {
    const name = parts[0] === 'deployments' ? 'Deployments' : parts[0] === 'new' ? 'New Application' : parts[1] || 'Applications';
    document.title = `${name} – Marathon`;
  }, [parts.join('/')]);
  const views = [
    ['apps', 'Applications'],
    ['deployments', 'Deployments', running.data?.length || 0],
  ];
  return html`<${Layout} section="marathon" views=${views}>${view(parts, query)}</${Layout}>`;
}
