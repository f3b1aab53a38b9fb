// An object that is edited as a form or as JSON, whichever one likes, and sent as a whole.

import { html, useState } from '../app/lib.js';
import { JsonEditor, parse, pretty } from './json.js';

/**
 * `initial` is the object, `Form` shows it as fields, `check(object)` gives texts by path, `send(object)`
 * sends it and may throw an error whose `fields` are texts by path. `action` names the button.
 */
export function Editing({ initial, Form, check, send, action, cancel, explain }) {
  const [value, setValue] = useState(initial);
  const [mode, setMode] = useState('form');
  const [text, setText] = useState('');
  const [refused, setRefused] = useState(null);
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState(false);

  const parsed = mode === 'json' ? parse(text) : { value };
  const object = parsed.value;
  const wrong = parsed.error ? {} : check(object);
  const errors = { ...(tried ? wrong : {}), ...(refused?.fields || {}) };
  const ok = !parsed.error && Object.keys(wrong).length === 0;

  const change = (next) => {
    setRefused(null);
    setValue(next);
  };
  const swap = () => {
    if (mode === 'form') {
      setText(pretty(value));
      setMode('json');
    } else if (!parsed.error) {
      setValue(object);
      setMode('form');
    }
  };
  const submit = async (event, force) => {
    event?.preventDefault();
    setTried(true);
    if (!ok || busy) return;
    setBusy(true);
    try {
      await send(object, force);
    } catch (e) {
      setRefused({ ...explain(e), force: e.status === 409 });
    }
    setBusy(false);
  };
  const listed = { ...(mode === 'json' && tried ? wrong : {}), ...(refused?.rest || {}), ...(mode === 'json' ? refused?.fields : {}) };
  const keys = (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit(event);
  };
  return html`<form class="panel" onSubmit=${submit} onKeyDown=${keys} novalidate>
    ${mode === 'form'
      ? html`<${Form} form=${{ value, change, errors }} />`
      : html`<${JsonEditor} label="Definition as JSON" text=${text} error=${parsed.error}
          change=${(next) => { setRefused(null); setText(next); }} />`}
    ${(refused || Object.keys(listed).length > 0) && html`<div class="notice bad" role="alert" data-refused>
      ${refused && html`<strong>${refused.message}</strong>`}
      ${Object.keys(listed).length > 0 && html`<ul class="errors">
        ${Object.entries(listed).map(([path, says]) => html`<li key=${path}><code>${path}</code> ${says}</li>`)}
      </ul>`}
    </div>`}
    <div class="form-foot">
      <button class="primary" disabled=${busy || (tried && !ok) || Boolean(parsed.error)}>${busy ? 'Sending…' : action}</button>
      ${refused?.force && html`<button type="button" class="danger" onClick=${(e) => submit(e, true)}>Stop the running deployment and go on</button>`}
      <a class="button" href=${cancel}>Cancel</a>
      <span class="spread"></span>
      <button type="button" onClick=${swap} disabled=${Boolean(parsed.error)} data-swap>${mode === 'form' ? 'Edit as JSON' : 'Edit as form'}</button>
    </div>
  </form>`;
}
