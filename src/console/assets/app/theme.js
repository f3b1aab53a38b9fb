// Light, dark, or as the system has it. The choice stays in this browser.

import { effect, signal } from './lib.js';

const KEY = 'mesolith.theme';
const ORDER = ['auto', 'light', 'dark'];

function stored() {
  try {
    const value = localStorage.getItem(KEY);
    return ORDER.includes(value) ? value : 'auto';
  } catch {
    // Storage may be forbidden; then the system's theme it is.
    return 'auto';
  }
}

/** `auto`, `light` or `dark`. */
export const theme = signal(stored());

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  try {
    localStorage.setItem(KEY, theme.value);
  } catch {
    // As above.
  }
});

/** The next of the three. */
export function nextTheme() {
  theme.value = ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length];
}
