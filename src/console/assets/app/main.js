// Starts the section that this port is about.

import './theme.js';
import { learn, showHelp } from '../ui/layout.js';
import { bind } from './keys.js';
import { html, render } from './lib.js';
import { start } from './live.js';

const SECTIONS = {
  mesos: () => import('../pages/mesos/main.js'),
  agent: () => import('../pages/agent.js'),
  marathon: () => import('../pages/marathon/main.js'),
  chronos: () => import('../pages/chronos/main.js'),
};

const section = document.documentElement.dataset.section;
const [{ Pages, stream }] = await Promise.all([SECTIONS[section](), learn()]);

bind('?', 'Show this help', showHelp);
bind('/', 'Filter the list', () => document.querySelector('[data-filter]')?.focus());
if (stream) start(stream.path, stream.names);
render(html`<${Pages} />`, document.getElementById('app'));
