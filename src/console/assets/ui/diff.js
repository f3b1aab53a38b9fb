// What differs between two texts, by lines: the longest common run of lines stays.

import { html, useMemo } from '../app/lib.js';

const CONTEXT_LINES = 3;
/** Above this product of lines the middle is shown as replaced as a whole. */
const CELLS_MAX = 4_000_000;

/** `[kind, line]` with kind ` `, `+` or `-`. */
export function diff(before, after) {
  const a = before.split('\n');
  const b = after.split('\n');
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1;
  const left = a.slice(head, a.length - tail);
  const right = b.slice(head, b.length - tail);
  const same = (lines) => lines.map((line) => [' ', line]);
  return [...same(a.slice(0, head)), ...middle(left, right), ...same(a.slice(a.length - tail))];
}

function middle(a, b) {
  const out = [];
  if (a.length * b.length > CELLS_MAX) {
    return [...a.map((line) => ['-', line]), ...b.map((line) => ['+', line])];
  }
  const long = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      long[i][j] = a[i] === b[j] ? long[i + 1][j + 1] + 1 : Math.max(long[i + 1][j], long[i][j + 1]);
    }
  }
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      out.push([' ', a[i]]);
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && long[i + 1][j] >= long[i][j + 1])) {
      out.push(['-', a[i]]);
      i += 1;
    } else {
      out.push(['+', b[j]]);
      j += 1;
    }
  }
  return out;
}

/** Only what changed, with a few lines around it. */
export function Diff({ before, after }) {
  const lines = useMemo(() => diff(before, after), [before, after]);
  const near = (at) =>
    lines.slice(Math.max(0, at - CONTEXT_LINES), at + CONTEXT_LINES + 1).some(([kind]) => kind !== ' ');
  const shown = [];
  lines.forEach(([kind, text], at) => {
    if (near(at)) shown.push(html`<div key=${at} class=${{ '+': 'add', '-': 'del' }[kind]}>${`${kind} ${text}`}</div>`);
    else if (at > 0 && near(at - 1)) shown.push(html`<div key=${at} class="gap">…</div>`);
  });
  if (shown.length === 0) return html`<p class="muted">There is no difference.</p>`;
  return html`<div class="diff" tabindex="0" role="group" aria-label="Differences">${shown}</div>`;
}
