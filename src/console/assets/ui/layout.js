// The frame of every page: the ports as sections, this port's views, how the stream is, the theme.

import { get, leader } from '../app/api.js';
import { bound } from '../app/keys.js';
import { html, signal, useEffect } from '../app/lib.js';
import { connection, retryNow } from '../app/live.js';
import { route } from '../app/router.js';
import { nextTheme, theme } from '../app/theme.js';
import { Dialogs, inform } from './dialog.js';
import { Toasts } from './toast.js';

const SECTIONS = [
  ['mesos', 'Mesos'],
  ['marathon', 'Marathon'],
  ['chronos', 'Chronos'],
];

/** What the server tells of itself: `{section, faces, version}`. */
export const about = signal({ faces: {} });

/** Asks for it, once. */
export async function learn() {
  try {
    about.value = await get('mesolith/v1/console');
  } catch {
    // Without it there are no links to the other ports; everything else works.
  }
}

/** The address of another section, or nothing where there is none. */
export function faceOf(section) {
  const place = about.value.faces[section];
  if (!place) return null;
  if (place.url) return place.url.replace(/\/*$/, '/');
  return `${location.protocol}//${location.hostname}:${place.port}/`;
}

/** The address of a view of the master's pages, or nothing. */
export function mesosView(parts) {
  const base = faceOf('mesos');
  return base && `${base}#/${parts.map(encodeURIComponent).join('/')}`;
}

export function showHelp() {
  inform({
    title: 'Keyboard',
    body: html`<dl class="keys">
      ${bound().map(({ keys, says }) => html`<div key=${keys}>
        <dt>${keys.split(' ').map((k) => html`<kbd key=${k}>${k}</kbd>`)}</dt><dd>${says}</dd>
      </div>`)}
    </dl>
    <p class="muted">Mesolith ${about.value.version || ''}</p>`,
  });
}

const CONNECTION = {
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Reconnecting',
};

function Connection() {
  const state = connection.value;
  return html`<span class=${`connection ${state}`} role="status" data-connection=${state}>
    <span class="mark" aria-hidden="true"></span>
    <span class="connection-text">${CONNECTION[state]}</span>
    ${state === 'reconnecting' && html`<button class="quiet" onClick=${retryNow}>Now</button>`}
  </span>`;
}

function Leader() {
  const node = leader.value;
  return node && html`<span class="leader" title=${`This node does not lead the cluster. What is shown comes from node ${node}, which does.`}>
    led by <code>${node}</code>
  </span>`;
}

const THEMES = { auto: ['◐', 'as the system'], light: ['☀', 'light'], dark: ['☾', 'dark'] };

function Theme() {
  const [icon, name] = THEMES[theme.value];
  return html`<button class="quiet icon" onClick=${nextTheme} title=${`Theme: ${name}`} aria-label=${`Theme: ${name}`}>
    ${icon}
  </button>`;
}

/** `views`: `[first part of the address, name, badge]`. */
export function Layout({ section, views, children }) {
  const at = route.value.parts[0];
  const here = views.some(([id]) => id === at) ? at : views[0]?.[0];
  useEffect(() => {
    window.scrollTo(0, 0);
  }, [route.value.parts.join('/')]);
  return html`
    <a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById('main').focus(); }}>
      To the content
    </a>
    <header class="top">
      <span class="brand"><svg class="logo" viewBox="0 0 24 24" aria-hidden="true">
        <path d="M12 2 21 7v10l-9 5-9-5V7z" /><path d="m3 7 9 5 9-5M12 12v10" />
      </svg></span>
      <nav class="sections" aria-label="Sections">
        ${SECTIONS.map(([id, name]) => {
          if (id === section) return html`<a key=${id} href="#/" aria-current="true">${name}</a>`;
          const place = faceOf(id);
          return place && html`<a key=${id} href=${place}>${name}</a>`;
        })}
      </nav>
      <nav class="views" aria-label="Views">
        ${views.map(([id, name, badge]) => html`<a key=${id} href=${`#/${id}`} aria-current=${here === id ? 'page' : undefined}>
          ${name}${badge > 0 && html`<span class="badge">${badge}</span>`}
        </a>`)}
      </nav>
      <span class="tools">
        <${Leader} />
        <${Connection} />
        <${Theme} />
        <button class="quiet icon" onClick=${showHelp} title="Keyboard ( ? )" aria-label="Keyboard">?</button>
      </span>
    </header>
    <main id="main" tabindex="-1">${children}</main>
    <${Dialogs} />
    <${Toasts} />`;
}
