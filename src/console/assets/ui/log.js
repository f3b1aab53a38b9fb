// A file followed live. Bytes are taken by ranges, so that every one is seen once whatever its
// encoding; lines are put into the document by hand, since there may be thousands a second.

import { get, url } from '../app/api.js';
import { bytes } from '../app/format.js';
import { html, useEffect, useMemo, useRef, useState } from '../app/lib.js';
import { classes, pieces } from './ansi.js';

const FIRST_BYTES = 64 * 1024;
const PIECE_BYTES = 256 * 1024;
const LINES_MAX = 5_000;
const IDLE_MS = 1_000;
const BUSY_MS = 100;

/** Reads a file from its end on; tells lines and its size. */
class Follower {
  constructor(path, agent, tell) {
    this.query = { path, agent_id: agent };
    this.tell = tell;
    this.offset = null;
    this.start = 0;
    this.rest = '';
    this.decoder = new TextDecoder();
    this.timer = null;
    this.ended = false;
  }

  async size() {
    return (await get('files/read', { ...this.query, offset: -1 })).offset;
  }

  async range(from, to) {
    const headers = { Range: `bytes=${from}-${to - 1}` };
    const answer = await fetch(url('files/download', this.query), { headers });
    if (answer.status !== 206 && answer.status !== 200) throw new Error(`The server answered ${answer.status}.`);
    const all = new Uint8Array(await answer.arrayBuffer());
    return answer.status === 206 ? all : all.slice(from, to);
  }

  take(piece) {
    const text = this.rest + this.decoder.decode(piece, { stream: true });
    const lines = text.split('\n');
    this.rest = lines.pop();
    return lines;
  }

  async step() {
    let wait = IDLE_MS;
    try {
      const size = await this.size();
      if (this.offset === null || size < this.offset) {
        // At first, and when the file was made anew or cut by rotation.
        this.start = Math.max(0, size - FIRST_BYTES);
        this.offset = this.start;
        this.rest = '';
        this.decoder = new TextDecoder();
        this.tell({ begin: true, start: this.start });
      }
      if (size > this.offset) {
        const piece = await this.range(this.offset, Math.min(size, this.offset + PIECE_BYTES));
        const middle = this.offset === this.start && this.start > 0;
        this.offset += piece.length;
        const lines = this.take(piece);
        // What comes before the first line break is a part of a line.
        if (middle) lines.shift();
        this.tell({ lines, rest: this.rest, size });
        wait = BUSY_MS;
      } else {
        this.tell({ lines: [], rest: this.rest, size });
      }
    } catch (e) {
      this.tell({ error: e.message });
    }
    if (!this.ended) this.timer = setTimeout(() => this.step(), wait);
  }

  /** Lines of the piece before what is shown. */
  async earlier() {
    const from = Math.max(0, this.start - PIECE_BYTES);
    const text = new TextDecoder().decode(await this.range(from, this.start));
    const lines = text.split('\n');
    if (lines.at(-1) === '') lines.pop();
    if (from > 0) lines.shift();
    this.start = from;
    return lines;
  }

  stop() {
    this.ended = true;
    clearTimeout(this.timer);
  }
}

/** The document's side: rows, at most so many, those that do not match hidden. */
class Rows {
  constructor(box) {
    this.box = box;
    this.style = {};
    this.words = '';
    this.partial = null;
  }

  row(line) {
    const row = document.createElement('div');
    row.className = 'log-line';
    const { out, style } = pieces(line.replace(/\r$/, ''), this.style);
    this.style = style;
    for (const { text, style: look } of out) {
      const name = classes(look);
      const part = name ? document.createElement('span') : document.createTextNode(text);
      if (name) {
        part.className = name;
        part.textContent = text;
      }
      row.append(part);
    }
    if (!row.firstChild) row.append('\u200b');
    row.hidden = !this.matches(row);
    return row;
  }

  matches(row) {
    return !this.words || row.textContent.toLowerCase().includes(this.words);
  }

  add(lines, rest) {
    this.partial?.remove();
    this.partial = null;
    this.box.append(...lines.map((line) => this.row(line)));
    if (rest) {
      const style = this.style;
      this.partial = this.row(rest);
      this.style = style;
      this.box.append(this.partial);
    }
    while (this.box.childElementCount > LINES_MAX) this.box.firstElementChild.remove();
  }

  prepend(lines) {
    const style = this.style;
    this.style = {};
    this.box.prepend(...lines.slice(-LINES_MAX).map((line) => this.row(line)));
    this.style = style;
  }

  filter(words) {
    this.words = words.toLowerCase();
    for (const row of this.box.children) row.hidden = !this.matches(row);
  }

  clear() {
    this.box.replaceChildren();
    this.partial = null;
    this.style = {};
  }
}

/** Shows the file at a virtual path of an agent and follows it. */
export function LogView({ path, agent, label }) {
  const box = useRef(null);
  const rows = useRef(null);
  const [state, setState] = useState({ size: 0, start: 0, error: null, empty: true });
  const [follow, setFollow] = useState(true);
  const [wrap, setWrap] = useState(true);
  const [words, setWords] = useState('');
  const following = useRef(true);
  following.current = follow;

  const follower = useMemo(() => new Follower(path, agent, (news) => {
    if (!rows.current) return;
    if (news.begin) {
      rows.current.clear();
      setState((s) => ({ ...s, start: news.start }));
      return;
    }
    if (news.error) {
      setState((s) => ({ ...s, error: news.error }));
      return;
    }
    if (news.lines.length > 0 || news.rest) rows.current.add(news.lines, news.rest);
    setState((s) =>
      s.size === news.size && !s.error ? s : { ...s, size: news.size, error: null, empty: news.size === 0 });
    if (following.current) box.current.scrollTop = box.current.scrollHeight;
  }), [path, agent]);

  useEffect(() => {
    rows.current = new Rows(box.current.firstElementChild);
    rows.current.filter(words);
    follower.step();
    return () => follower.stop();
  }, [follower]);
  useEffect(() => rows.current?.filter(words), [words]);

  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    const atEnd = scrollHeight - scrollTop - clientHeight < 24;
    if (atEnd !== following.current) setFollow(atEnd);
  };
  const more = async () => {
    setFollow(false);
    const height = box.current.scrollHeight;
    try {
      rows.current.prepend(await follower.earlier());
      box.current.scrollTop += box.current.scrollHeight - height;
      setState((s) => ({ ...s, start: follower.start }));
    } catch (e) {
      setState((s) => ({ ...s, error: e.message }));
    }
  };
  const jump = () => {
    setFollow(true);
    box.current.scrollTop = box.current.scrollHeight;
  };
  return html`<section class="log" aria-label=${label}>
    <div class="log-bar">
      <input type="search" placeholder="Only lines with…" aria-label="Only lines with" value=${words}
        onInput=${(e) => setWords(e.currentTarget.value)} />
      <span class="muted">${bytes(state.size)}</span>
      ${state.error && html`<span class="wrong">${state.error}</span>`}
      <span class="spread"></span>
      ${state.start > 0 && html`<button onClick=${more}>Earlier</button>`}
      <label class="check"><input type="checkbox" checked=${wrap} onChange=${() => setWrap(!wrap)} />Wrap</label>
      <button class=${follow ? 'pressed' : ''} aria-pressed=${follow} onClick=${() => (follow ? setFollow(false) : jump())}>
        ${follow ? 'Following' : 'Follow'}
      </button>
      <a class="button" href=${url('files/download', { path, agent_id: agent }).href} download>Download</a>
    </div>
    <div class=${`log-box ${wrap ? 'wrap' : ''}`} ref=${box} onScroll=${scrolled} tabindex="0" role="log" aria-label=${label}>
      <div class="log-rows"></div>
      ${state.empty && html`<p class="muted log-empty">Nothing was written yet.</p>`}
    </div>
  </section>`;
}
