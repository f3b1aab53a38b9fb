// Keyboard shortcuts: single keys, and two in a row after `g`. Never while somebody types.

import { go } from './router.js';

const SECOND_KEY_MS = 1_200;

const shortcuts = new Map();
let prefix = null;

/** Binds `keys` (`?`, `c`, `g a`) for as long as the page lives. */
export function bind(keys, says, action) {
  shortcuts.set(keys, { says, action });
}

/** Binds `g x` to a view. */
export const jump = (key, says, parts) => bind(`g ${key}`, says, () => go(parts));

/** All of them, for the help. */
export const bound = () => [...shortcuts].map(([keys, { says }]) => ({ keys, says }));

function typing(target) {
  return target instanceof Element && target.closest('input, textarea, select, [contenteditable]');
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (typing(event.target) || document.querySelector('dialog[open]')) return;
  const keys = prefix ? `g ${event.key}` : event.key;
  clearTimeout(prefix);
  prefix = null;
  if (keys === 'g') {
    prefix = setTimeout(() => {
      prefix = null;
    }, SECOND_KEY_MS);
    return;
  }
  const found = shortcuts.get(keys);
  if (found) {
    event.preventDefault();
    found.action();
  }
});
