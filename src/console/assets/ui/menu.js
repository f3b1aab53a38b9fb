// A button with a list of actions.

import { html, useEffect, useRef, useState } from '../app/lib.js';

/** `items`: `{says, action, danger}`. */
export function Menu({ label, items }) {
  // Where the list is while it is open: beside the button, whatever box that is in.
  const [open, setOpen] = useState(null);
  const box = useRef(null);
  useEffect(() => {
    if (!open) return undefined;
    box.current.querySelector('.menu-list button')?.focus();
    const away = (event) => {
      if (!box.current?.contains(event.target)) setOpen(null);
    };
    const moved = () => setOpen(null);
    document.addEventListener('pointerdown', away);
    window.addEventListener('scroll', moved, true);
    window.addEventListener('resize', moved);
    return () => {
      document.removeEventListener('pointerdown', away);
      window.removeEventListener('scroll', moved, true);
      window.removeEventListener('resize', moved);
    };
  }, [open]);
  const key = (event) => {
    if (event.key === 'Escape') {
      setOpen(null);
      box.current.querySelector('button').focus();
    }
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by || !open) return;
    event.preventDefault();
    const all = [...box.current.querySelectorAll('.menu-list button')];
    all[(all.indexOf(document.activeElement) + by + all.length) % all.length].focus();
  };
  const flip = (event) => {
    const { bottom, top, right } = event.currentTarget.getBoundingClientRect();
    const height = 12 + 32 * items.filter(Boolean).length;
    const below = bottom + height < window.innerHeight;
    const y = below ? bottom + 4 : Math.max(4, top - height - 4);
    setOpen(open ? null : { top: `${y}px`, right: `${document.documentElement.clientWidth - right}px` });
  };
  return html`<div class="menu" ref=${box} onKeyDown=${key}>
    <button class="quiet icon" aria-label=${label} title=${label} aria-haspopup="menu" aria-expanded=${open !== null}
      onClick=${flip}>⋯</button>
    ${open &&
    html`<div class="menu-list" role="menu" style=${open}>
      ${items.filter(Boolean).map(
        ({ says, action, danger }) => html`<button key=${says} role="menuitem" class=${danger ? 'danger-text' : ''}
          onClick=${() => { setOpen(null); action(); }}>${says}</button>`,
      )}
    </div>`}
  </div>`;
}
