// A button with a list of actions.

import { html, useEffect, useRef, useState } from '../app/lib.js';

/** `items`: `{says, action, danger}`. */
export function Menu({ label, items }) {
  const [open, setOpen] = useState(false);
  const box = useRef(null);
  useEffect(() => {
    if (!open) return undefined;
    box.current.querySelector('.menu-list button')?.focus();
    const away = (event) => {
      if (!box.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener('pointerdown', away);
    return () => document.removeEventListener('pointerdown', away);
  }, [open]);
  const key = (event) => {
    if (event.key === 'Escape') {
      setOpen(false);
      box.current.querySelector('button').focus();
    }
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by || !open) return;
    event.preventDefault();
    const all = [...box.current.querySelectorAll('.menu-list button')];
    all[(all.indexOf(document.activeElement) + by + all.length) % all.length].focus();
  };
  return html`<div class="menu" ref=${box} onKeyDown=${key}>
    <button class="quiet icon" aria-label=${label} title=${label} aria-haspopup="menu" aria-expanded=${open}
      onClick=${() => setOpen(!open)}>⋯</button>
    ${open &&
    html`<div class="menu-list" role="menu">
      ${items.filter(Boolean).map(
        ({ says, action, danger }) => html`<button key=${says} role="menuitem" class=${danger ? 'danger-text' : ''}
          onClick=${() => { setOpen(false); action(); }}>${says}</button>`,
      )}
    </div>`}
  </div>`;
}
