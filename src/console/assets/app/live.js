// The event stream of this port: says when something changed. Nothing is replayed by the server,
// so after every gap all that is shown is loaded anew.

import { url } from './api.js';
import { signal } from './lib.js';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** `connecting`, `live` or `reconnecting`. */
export const connection = signal('connecting');

const listeners = new Set();
let source = null;
let wait = FIRST_WAIT_MS;
let timer = null;
let wanted = null;

function tell(name, data) {
  for (const listener of listeners) listener(name, data);
}

function connect() {
  timer = null;
  source = new EventSource(url(wanted.path));
  source.onopen = () => {
    wait = FIRST_WAIT_MS;
    connection.value = 'live';
    tell('resync', null);
  };
  source.onerror = () => {
    source.close();
    connection.value = 'reconnecting';
    // Spread, so that not all pages come back to a new leader in one moment.
    timer = setTimeout(connect, wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  };
  const heard = (event) => {
    let data = null;
    try {
      data = JSON.parse(event.data);
    } catch {
      // An event without data still says that something changed.
    }
    tell(event.type, data);
  };
  for (const name of wanted.names) source.addEventListener(name, heard);
}

/** Opens the stream and keeps it open. */
export function start(path, names) {
  wanted = { path, names };
  connect();
}

/** Tries at once instead of waiting. */
export function retryNow() {
  if (timer === null) return;
  clearTimeout(timer);
  wait = FIRST_WAIT_MS;
  connect();
}

window.addEventListener('online', retryNow);

/** Calls `listener(name, data)` for every event, `resync` after every gap; answers what ends it. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
