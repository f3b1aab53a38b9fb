// Where we are, kept in the address after `#`, so that every view can be linked and bookmarked.

import { signal } from './lib.js';

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function parse(hash) {
  const text = hash.replace(/^#\/?/, '');
  const at = text.indexOf('?');
  const path = at < 0 ? text : text.slice(0, at);
  const query = new URLSearchParams(at < 0 ? '' : text.slice(at + 1));
  return { parts: path.split('/').filter(Boolean).map(decode), query };
}

/** `{parts, query}` of the view that is shown. */
export const route = signal(parse(location.hash));

window.addEventListener('hashchange', () => {
  route.value = parse(location.hash);
});

/** The address of a view. */
export function to(parts, query = {}) {
  const pairs = Object.entries(query).filter(([, v]) => v !== undefined && v !== null && v !== '');
  const search = new URLSearchParams(pairs).toString();
  return '#/' + parts.map(encodeURIComponent).join('/') + (search ? '?' + search : '');
}

/** Goes to a view. */
export function go(parts, query) {
  location.hash = to(parts, query);
}

/** Changes parameters of this view without a new entry in the history. */
export function setQuery(changes) {
  const now = route.value;
  const query = Object.fromEntries(now.query);
  for (const [name, value] of Object.entries(changes)) query[name] = value;
  const address = to(now.parts, query);
  history.replaceState(null, '', address);
  route.value = parse(address);
}
