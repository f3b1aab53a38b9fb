// Fields bound to one object by paths, so that a form and the JSON of the same object are two views
// of it: what the form has no field for is kept.

import { html } from '../app/lib.js';

/** What is at a path such as `upgradeStrategy.minimumHealthCapacity`. */
export function read(object, path) {
  return path.split('.').reduce((at, key) => (at === undefined || at === null ? undefined : at[key]), object);
}

/** The object with another value at that path; `undefined` takes the key out. */
export function write(object, path, value) {
  const [key, ...rest] = path.split('.');
  const next = { ...object };
  const inner = rest.length > 0 ? write(next[key] ?? {}, rest.join('.'), value) : value;
  const empty = rest.length > 0 && Object.keys(inner).length === 0;
  if (inner === undefined || empty) delete next[key];
  else next[key] = inner;
  return next;
}

const asText = (value) => (value === undefined || value === null ? '' : String(value));

function take(kind, text) {
  if (text === '') return undefined;
  if (kind === 'number') return Number(text);
  if (kind === 'list') return text.split(',').map((part) => part.trim()).filter(Boolean);
  return text;
}

/**
 * One field. `form` is `{value, change, errors, fixed}`: the object, what takes a changed one, texts
 * by path, paths that cannot be changed.
 */
export function Field({ form, path, label, kind = 'text', help, full, rows, options, placeholder, min, step = 'any' }) {
  const value = read(form.value, path);
  const wrong = form.errors?.[path];
  const set = (next) => form.change(write(form.value, path, next));
  const common = {
    name: path,
    disabled: form.fixed?.includes(path),
    placeholder,
    'aria-invalid': wrong ? true : undefined,
  };
  const input = (event) => set(take(kind, event.currentTarget.value));
  const shown = kind === 'list' && Array.isArray(value) ? value.join(', ') : asText(value);
  if (kind === 'check') {
    return html`<div class=${`field ${full ? 'full' : ''}`}>
      <label class="check"><input type="checkbox" ...${common} checked=${Boolean(value)}
        onChange=${(e) => set(e.currentTarget.checked || undefined)} />${label}</label>
      ${help && html`<span class="help">${help}</span>`}
      ${wrong && html`<span class="wrong">${wrong}</span>`}
    </div>`;
  }
  let box = html`<input ...${common} type=${kind === 'number' ? 'number' : 'text'} min=${min} step=${step}
    value=${shown} onInput=${kind === 'list' ? undefined : input} onChange=${kind === 'list' ? input : undefined} />`;
  if (options) {
    box = html`<select ...${common} onChange=${input}>
      ${options.map(([id, name]) => html`<option key=${id} value=${id} selected=${shown === id}>${name}</option>`)}
    </select>`;
  } else if (rows) {
    box = html`<textarea ...${common} rows=${rows} spellcheck=${false} value=${shown} onInput=${input}></textarea>`;
  }
  return html`<label class=${`field ${full ? 'full' : ''} ${wrong ? 'bad-field' : ''}`}>
    <span>${label}</span>${box}
    ${help && html`<span class="help">${help}</span>`}
    ${wrong && html`<span class="wrong">${wrong}</span>`}
  </label>`;
}

/**
 * Rows of a list: `columns` are `{key, label, kind, options}`; `make()` is a new row. The list is read
 * by `items` and written by `change`.
 */
export function Rows({ items, change, columns, make, add, label }) {
  const set = (at, key, value) => change(items.map((item, n) => (n === at ? write(item, key, value) : item)));
  return html`<div class="rows" role="group" aria-label=${label}>
    ${items.map((item, at) => html`<div class="row" key=${at}>
      ${columns.map(({ key, label: name, kind, options }) => {
        const value = asText(read(item, key));
        const input = (e) => set(at, key, take(kind, e.currentTarget.value));
        return options
          ? html`<select key=${key} aria-label=${name} onChange=${input}>
              ${options.map(([id, text]) => html`<option key=${id} value=${id} selected=${value === id}>${text}</option>`)}
            </select>`
          : html`<input key=${key} aria-label=${name} placeholder=${name} value=${value}
              type=${kind === 'number' ? 'number' : 'text'} onInput=${input} />`;
      })}
      <button type="button" class="quiet" aria-label="Remove this row" onClick=${() => change(items.filter((_, n) => n !== at))}>✕</button>
    </div>`)}
    <div><button type="button" class="small" onClick=${() => change([...items, make()])}>+ ${add}</button></div>
  </div>`;
}

/** A map as rows of name and value. Two rows of one name are kept apart until they are sent. */
export function Pairs({ form, path, add, label }) {
  const map = read(form.value, path) || {};
  const items = Object.entries(map).map(([name, value]) => ({ name, value }));
  const odd = items.some(({ value }) => typeof value !== 'string');
  if (odd) return html`<p class="muted">Some values here are no plain texts: they are edited as JSON.</p>`;
  const change = (list) => {
    const next = {};
    for (const { name = '', value = '' } of list) {
      let key = name;
      while (key in next) key += '_';
      next[key] = value;
    }
    form.change(write(form.value, path, list.length > 0 ? next : undefined));
  };
  return html`<${Rows} items=${items} change=${change} label=${label} add=${add} make=${() => ({ name: '', value: '' })}
    columns=${[{ key: 'name', label: 'Name' }, { key: 'value', label: 'Value' }]} />`;
}
