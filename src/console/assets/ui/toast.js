// Short notices of what was done, or why not.

import { html, signal } from '../app/lib.js';

const STAY_MS = 6_000;
const MOST = 4;

const all = signal([]);
let made = 0;

function drop(id) {
  all.value = all.value.filter((toast) => toast.id !== id);
}

function add(tone, text) {
  const id = ++made;
  all.value = [...all.value, { id, tone, text }].slice(-MOST);
  // What went wrong stays until it is read.
  if (tone !== 'bad') setTimeout(() => drop(id), STAY_MS);
}

/** Says that something was done. */
export const done = (text) => add('good', text);

/** Says that something failed; it stays until it is closed. */
export const failed = (text) => add('bad', text);

/** Does something and says how it went; gives whether it worked. */
export async function attempt(says, action) {
  try {
    await action();
    done(says);
    return true;
  } catch (e) {
    failed(e.message);
    return false;
  }
}

/** The place where notices are; once a page. */
export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${all.value.map(
      ({ id, tone, text }) => html`<div key=${id} class=${`toast ${tone}`} role=${tone === 'bad' ? 'alert' : undefined}>
        <span>${text}</span>
        <button class="quiet" aria-label="Close" onClick=${() => drop(id)}>✕</button>
      </div>`,
    )}
  </div>`;
}
