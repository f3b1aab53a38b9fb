// Numbers, sizes, times and names as people read them.

import { html, signal } from './lib.js';

/** Now, in milliseconds; moves every five seconds, for what is shown as "3 min ago". */
export const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, 5_000);

/** A number with at most `digits` decimals. */
export function num(value, digits = 2) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '–';
  return new Intl.NumberFormat('en', { maximumFractionDigits: digits }).format(value);
}

/** So many of something: `1 task`, `3 tasks`. */
export const count = (n, word) => `${num(n, 0)} ${word}${n === 1 ? '' : 's'}`;

function scaled(value, units) {
  let at = 0;
  while (Math.abs(value) >= 1024 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${num(value, value < 10 ? 2 : 1)} ${units[at]}`;
}

/** Memory or disk given in megabytes, as Mesos does. */
export const mb = (value) =>
  typeof value === 'number' ? scaled(value, ['MB', 'GB', 'TB', 'PB']) : '–';

/** A size in bytes. */
export const bytes = (value) =>
  typeof value === 'number' ? scaled(value, ['B', 'KB', 'MB', 'GB', 'TB']) : '–';

/** A length of time in words, of its two largest units at the most. */
export function span(seconds) {
  if (!Number.isFinite(seconds)) return '–';
  const whole = Math.round(Math.abs(seconds));
  const units = [
    [31_536_000, 'y'],
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  const first = units.findIndex(([size]) => whole >= size);
  if (first < 0) return '0 s';
  const [size, name] = units[first];
  const next = units[first + 1];
  const rest = next ? Math.floor((whole % size) / next[0]) : 0;
  const many = Math.floor(whole / size);
  // The smaller unit matters only beside a few of the larger.
  return rest > 0 && many < 3 && name !== 'min' ? `${many} ${name} ${rest} ${next[1]}` : `${many} ${name}`;
}

/** Milliseconds of a time given as seconds, or as ISO text. */
export function millis(time) {
  if (typeof time === 'number') return time > 0 ? time * 1000 : NaN;
  if (!time) return NaN;
  return Date.parse(time);
}

/** `2026-01-31 23:59:59` in the reader's zone. */
export function clock(ms) {
  const d = new Date(ms);
  const two = (n) => String(n).padStart(2, '0');
  const day = `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  return `${day} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** A time as distance from now; the exact time is its title. */
export function Ago({ at, none = '–' }) {
  const ms = millis(at);
  if (Number.isNaN(ms)) return html`<span class="muted">${none}</span>`;
  // The clock of all ticks slowly; what has just happened is not to come.
  const away = (Math.max(now.value, Date.now()) - ms) / 1000;
  const text = away < -1 ? `in ${span(-away)}` : away < 5 ? 'just now' : `${span(away)} ago`;
  const iso = new Date(ms).toISOString();
  return html`<time datetime=${iso} title=${`${clock(ms)} (${iso})`}>${text}</time>`;
}

/** The end of a long id, which is what tells it from others. */
export function short(id) {
  if (!id || id.length <= 20) return id;
  const parts = id.split('-');
  return parts.length > 4 && /^[0-9a-f]{8}$/.test(parts[0])
    ? `…${parts.slice(4).join('-').slice(-14)}`
    : `…${id.slice(-16)}`;
}

/** A task state without its prefix. */
export const stateName = (state) => (state || '').replace(/^TASK_/, '');
