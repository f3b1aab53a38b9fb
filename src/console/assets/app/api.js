// Requests to this port's own endpoints. Addresses are relative to where the page was served from,
// so that it works below any prefix that a proxy puts before it.

import { signal } from './lib.js';

/** The root of this port: four folders above `<root>/mesolith/ui/<build>/app/`. */
export const root = new URL('../../../../', import.meta.url);

/** The node that answers for the cluster where this one does not; null where it does. */
export const leader = signal(null);

/** What a node answers by itself, whoever leads. */
const OWN = /^\/?(files|mesolith\/v1\/(agents|console))(\/|$)/;

/** Longer than any answer takes. */
const TIMEOUT_MS = 30_000;

/** A request that was refused or could not be made. */
export class ApiError extends Error {
  /**
   * @param {number} status HTTP status, 0 when there was no answer
   * @param {string} message what to show
   * @param {any} body the answer, if it was JSON
   */
  constructor(status, message, body) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

function explain(status, text, body) {
  if (status === 401) return 'You are not logged in, or the credentials are wrong.';
  if (status === 403 && !text) return 'You may not do this.';
  if (body && typeof body === 'object' && typeof body.message === 'string') {
    return body.message.split('\n')[0];
  }
  return (typeof body === 'string' ? body : text).trim() || `The server answered ${status}.`;
}

/** The URL of a path of this port; lists in `query` become repeated parameters. */
export function url(path, query = {}) {
  const at = new URL(path.replace(/^\//, ''), root);
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null) at.searchParams.append(name, one);
    }
  }
  return at;
}

/**
 * Makes a request, with a JSON `body` or a `form`, and gives the answer's JSON, or its text.
 * @throws {ApiError}
 */
export async function call(method, path, { query, body, form, headers = {} } = {}) {
  // Pages may ask no other host: a node that does not lead passes it on instead of redirecting.
  const options = { method, headers: { Accept: 'application/json', 'X-Mesolith-Forward': '1', ...headers } };
  options.signal = AbortSignal.timeout(TIMEOUT_MS);
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers['Content-Type'] = 'application/json';
  }
  if (form !== undefined) options.body = new URLSearchParams(form);
  let answer;
  let text;
  try {
    answer = await fetch(url(path, query), options);
    text = await answer.text();
  } catch (e) {
    const late = e instanceof DOMException && e.name === 'TimeoutError';
    throw new ApiError(0, late ? 'The server did not answer in time.' : 'The server cannot be reached.');
  }
  if (!OWN.test(path)) leader.value = answer.headers.get('X-Mesolith-Leader');
  let parsed = text;
  try {
    if (text) parsed = JSON.parse(text);
  } catch {
    // Plain texts are answers too.
  }
  if (!answer.ok) throw new ApiError(answer.status, explain(answer.status, text, parsed), parsed);
  return parsed;
}

/** GET. */
export const get = (path, query) => call('GET', path, { query });
