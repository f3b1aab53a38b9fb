// Dialogs: the browser's own, so that focus stays in, Escape closes, and focus returns.

import { html, signal, useEffect, useRef, useState } from '../app/lib.js';

const open = signal(null);

function show(dialog) {
  return new Promise((resolve) => {
    open.value?.resolve(null);
    open.value = { ...dialog, resolve };
  });
}

/**
 * Asks before something is done; gives `true`, or null when it is not wanted. `typed` must be typed
 * to go on: for what cannot be taken back.
 */
export const confirm = (dialog) => show({ ...dialog, kind: 'confirm' });

/** Asks for a value; gives it, or null. */
export const prompt = (dialog) => show({ ...dialog, kind: 'prompt' });

/** Shows something until it is closed. */
export const inform = (dialog) => show({ ...dialog, kind: 'inform' });

function Body({ dialog, close }) {
  const [value, setValue] = useState(String(dialog.value ?? ''));
  const wrong = dialog.kind === 'prompt' && dialog.check ? dialog.check(value) : null;
  const ready = dialog.typed ? value === dialog.typed : !wrong;
  const submit = (event) => {
    event.preventDefault();
    if (!ready) return;
    close(dialog.kind === 'prompt' ? value : true);
  };
  const asks = dialog.kind === 'prompt' || dialog.typed;
  return html`<form method="dialog" onSubmit=${submit}>
    <h2>${dialog.title}</h2>
    <div class="dialog-body">${dialog.body}</div>
    ${asks &&
    html`<label class="field">
      <span>${dialog.typed ? html`Type <code>${dialog.typed}</code> to go on` : dialog.label}</span>
      <input autofocus value=${value} type=${dialog.type || 'text'} min=${dialog.min} step=${dialog.step}
        onInput=${(e) => setValue(e.currentTarget.value)} />
      ${wrong && value !== '' && html`<span class="wrong">${wrong}</span>`}
    </label>`}
    <div class="dialog-actions">
      ${dialog.kind === 'inform'
        ? html`<button class="primary" autofocus>Close</button>`
        : html`<button type="button" onClick=${() => close(null)}>Cancel</button>
            <button class=${dialog.danger ? 'danger' : 'primary'} disabled=${!ready} autofocus=${!asks}>
              ${dialog.action}
            </button>`}
    </div>
  </form>`;
}

/** The place where dialogs are; once a page. */
export function Dialogs() {
  const dialog = open.value;
  const element = useRef(null);
  useEffect(() => {
    if (dialog && element.current && !element.current.open) element.current.showModal();
  }, [dialog]);
  if (!dialog) return null;
  const close = (value) => {
    element.current?.close();
    open.value = null;
    dialog.resolve(value);
  };
  const away = (event) => {
    if (event.target === element.current) close(null);
  };
  return html`<dialog ref=${element} class="dialog" aria-label=${dialog.title}
    onCancel=${(e) => { e.preventDefault(); close(null); }} onClick=${away}>
    <${Body} key=${dialog.title} dialog=${dialog} close=${close} />
  </dialog>`;
}
