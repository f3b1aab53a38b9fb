// Small pieces: states, meters, facts, notices, empty places, tabs.

import { html } from '../app/lib.js';
import { num, stateName } from '../app/format.js';
import { go } from '../app/router.js';

const TONES = {
  good: ['running', 'active', 'healthy', 'success', 'finished', 'started', 'live'],
  bad: ['failed', 'lost', 'error', 'unhealthy', 'failure', 'unreachable', 'gone', 'dropped', 'overdue', 'gone_by_operator'],
  warn: ['killing', 'delayed', 'waiting', 'disconnected', 'inactive', 'reconnecting', 'killed', 'unknown', 'missed'],
  info: ['staging', 'starting', 'deploying', 'staged', 'queued', 'connecting', 'recovered', 'outstanding'],
};

function tone(state) {
  const word = stateName(state).toLowerCase();
  const found = Object.entries(TONES).find(([, words]) => words.includes(word));
  return found ? found[0] : word.endsWith('running') ? 'good' : 'calm';
}

/** A state as a word with a mark; never by colour alone. */
export function State({ is, title }) {
  const name = stateName(is) || '–';
  return html`<span class=${`state ${tone(is)}`} title=${title}>
    <span class="mark" aria-hidden="true"></span>${name.toLowerCase().replace(/_/g, ' ')}
  </span>`;
}

/** How much of something is in use: a bar with its numbers; `at` stands in their place for `used`. */
export function Meter({ label, used = 0, offered = 0, total = 0, show = num, at = used }) {
  const share = (n) => (total > 0 ? Math.min(100, (n / total) * 100) : 0);
  const text = `${show(at)} of ${show(total)}`;
  return html`<div class="meter" title=${offered > 0 && at === used ? `${text}, ${show(offered)} offered` : text}>
    <div class="meter-text">
      ${label && html`<span class="meter-label">${label}</span>`}
      <span class="meter-numbers">${show(at)}<span class="muted"> / ${show(total)}</span></span>
    </div>
    <div class="bar" role="img" aria-label=${`${label || ''} ${text}`}>
      <div class="bar-used" style=${{ width: `${share(used)}%` }}></div>
      <div class="bar-offered" style=${{ width: `${share(offered)}%` }}></div>
    </div>
  </div>`;
}

/** A number under its name, perhaps a link. */
export function Figure({ label, value, href, tone: mood }) {
  const body = html`<span class="figure-value">${value}</span><span class="figure-label">${label}</span>`;
  const style = `figure ${mood || ''}`;
  return href ? html`<a class=${style} href=${href}>${body}</a>` : html`<div class=${style}>${body}</div>`;
}

/** Names and values, one a line; pairs without a value are left out. */
export function Facts({ of }) {
  const shown = of.filter(([, value]) => value !== undefined && value !== null && value !== '');
  return html`<dl class="facts">
    ${shown.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

/** What went wrong while loading, with a way on. */
export function Trouble({ error, retry }) {
  if (!error) return null;
  return html`<div class="notice bad" role="alert">
    <strong>Could not load this.</strong> ${error.message}
    ${retry && html` <button class="quiet" onClick=${retry}>Try again</button>`}
  </div>`;
}

/** Shown while there is nothing yet. */
export const Loading = ({ what }) => html`<p class="loading" role="status">Loading ${what}…</p>`;

/** An empty place says what would be here. */
export function Empty({ title, children }) {
  return html`<div class="empty"><p class="empty-title">${title}</p>${children}</div>`;
}

/** The head of a page: where one is, what it is about, what can be done. */
export function PageHead({ path = [], title, badge, children }) {
  return html`<div class="page-head">
    <div class="page-title">
      ${path.length > 0 &&
      html`<nav aria-label="Breadcrumb" class="crumbs">
        ${path.map(([name, href]) => html`<a key=${href} href=${href}>${name}</a>`)}
      </nav>`}
      <h1>${title}${badge}</h1>
    </div>
    <div class="actions">${children}</div>
  </div>`;
}

/** Tabs that are views of their own: `[id, name, href]`. */
export function Tabs({ tabs, active, label }) {
  const step = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const all = [...event.currentTarget.querySelectorAll('a')];
    const next = all[(all.indexOf(document.activeElement) + by + all.length) % all.length];
    if (next) next.focus();
  };
  return html`<nav class="tabs" aria-label=${label} onKeyDown=${step}>
    ${tabs.map(
      ([id, name, href]) =>
        html`<a key=${id} href=${href} aria-current=${id === active ? 'page' : undefined}>${name}</a>`,
    )}
  </nav>`;
}

/** A button that goes to a view. */
export const GoButton = ({ parts, query, kind = '', children }) =>
  html`<button class=${kind} onClick=${() => go(parts, query)}>${children}</button>`;

/** Labels as pills; the rest as a number. */
export function Pills({ of = {}, most = 3 }) {
  const all = Object.entries(of);
  const text = ([k, v]) => (v ? `${k}: ${v}` : k);
  const rest = all.slice(most);
  return html`${all.slice(0, most).map((pair) => html`<span class="pill" key=${pair[0]} title=${text(pair)}>${text(pair)}</span>`)}
  ${rest.length > 0 && html`<span class="pill" title=${rest.map(text).join('\n')}>+${rest.length}</span>`}`;
}
