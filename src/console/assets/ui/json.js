// JSON as text: an editor with line numbers that says where it is wrong, and a view.

import { html, useMemo } from '../app/lib.js';

/** `{value}` of a text, or `{error}` with the line. */
export function parse(text) {
  try {
    return { value: JSON.parse(text) };
  } catch (e) {
    const at = /position (\d+)/.exec(e.message);
    const line = /line (\d+)/.exec(e.message)?.[1] ?? (at && text.slice(0, Number(at[1])).split('\n').length);
    const what = e.message.replace(/^.*JSON\.parse: /, '').replace(/ in JSON at.*$/, '').replace(/, ".*$/, '');
    return { error: line ? `Line ${line}: ${what}` : what };
  }
}

/** Pretty text. */
export const pretty = (value) => JSON.stringify(value, null, 2);

/** An editor; `error` is shown below. */
export function JsonEditor({ text, change, label, error }) {
  const lines = useMemo(() => text.split('\n').map((_, n) => n + 1).join('\n'), [text]);
  const follow = (event) => {
    event.currentTarget.previousElementSibling.scrollTop = event.currentTarget.scrollTop;
  };
  return html`<div>
    <div class="editor">
      <div class="editor-lines" aria-hidden="true">${lines}</div>
      <textarea aria-label=${label} data-json spellcheck=${false} wrap="off" value=${text} onScroll=${follow}
        rows=${Math.min(40, Math.max(18, text.split('\n').length + 1))}
        onInput=${(e) => change(e.currentTarget.value)}></textarea>
    </div>
    ${error && html`<p class="wrong" role="alert">${error}</p>`}
  </div>`;
}

/** JSON to look at. */
export const JsonView = ({ value }) => html`<pre class="source" tabindex="0">${pretty(value)}</pre>`;
