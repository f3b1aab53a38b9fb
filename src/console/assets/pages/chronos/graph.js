// Which job follows which: layers from left to right, drawn as SVG. A chosen job shows its relatives
// only.

import { html, useMemo } from '../../app/lib.js';
import { go, route, setQuery, to } from '../../app/router.js';
import { useResource } from '../../app/store.js';
import { Empty, Loading, PageHead, Trouble } from '../../ui/basics.js';
import { graph } from './data.js';

const WIDTH = 190;
const HEIGHT = 44;
const GAP_X = 70;
const GAP_Y = 18;
const MARGIN = 24;
/** How often the order within layers is improved. */
const SWEEPS = 6;

function relatives({ nodes, links }, name) {
  const seen = new Set([name]);
  const walk = (from, next) => {
    const todo = [from];
    while (todo.length > 0) {
      const at = todo.pop();
      for (const other of next(at)) {
        if (!seen.has(other)) {
          seen.add(other);
          todo.push(other);
        }
      }
    }
  };
  walk(name, (at) => links.filter(([parent]) => parent === at).map(([, child]) => child));
  walk(name, (at) => links.filter(([, child]) => child === at).map(([parent]) => parent));
  return {
    nodes: nodes.filter((n) => seen.has(n.name)),
    links: links.filter(([a, b]) => seen.has(a) && seen.has(b)),
  };
}

/** Places of all nodes: each right of all its parents, near the middle of its neighbours. */
export function layout({ nodes, links }) {
  const parents = new Map(nodes.map((n) => [n.name, []]));
  const children = new Map(nodes.map((n) => [n.name, []]));
  for (const [parent, child] of links) {
    parents.get(child)?.push(parent);
    children.get(parent)?.push(child);
  }
  const layer = new Map();
  const waits = new Map(nodes.map((n) => [n.name, parents.get(n.name).length]));
  const ready = nodes.filter((n) => waits.get(n.name) === 0).map((n) => n.name);
  for (let at = 0; at < ready.length; at += 1) {
    const name = ready[at];
    layer.set(name, Math.max(0, ...parents.get(name).map((p) => (layer.get(p) ?? -1) + 1)));
    for (const child of children.get(name)) {
      waits.set(child, waits.get(child) - 1);
      if (waits.get(child) === 0) ready.push(child);
    }
  }
  const layers = [];
  for (const name of ready) (layers[layer.get(name)] ??= []).push(name);
  const place = new Map();
  const number = () => layers.forEach((names) => names.forEach((name, n) => place.set(name, n)));
  number();
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const near = sweep % 2 === 0 ? parents : children;
    const middle = (name) => {
      const all = near.get(name);
      return all.length > 0 ? all.reduce((sum, other) => sum + (place.get(other) ?? 0), 0) / all.length : place.get(name);
    };
    for (const names of layers) names.sort((a, b) => middle(a) - middle(b));
    number();
  }
  const tallest = Math.max(1, ...layers.map((names) => names.length));
  const at = new Map();
  layers.forEach((names, x) => {
    const free = ((tallest - names.length) * (HEIGHT + GAP_Y)) / 2;
    names.forEach((name, y) => at.set(name, { x: MARGIN + x * (WIDTH + GAP_X), y: MARGIN + free + y * (HEIGHT + GAP_Y) }));
  });
  return {
    at,
    width: 2 * MARGIN + layers.length * (WIDTH + GAP_X) - GAP_X,
    height: 2 * MARGIN + tallest * (HEIGHT + GAP_Y) - GAP_Y,
  };
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function Drawing({ of }) {
  const { at, width, height } = useMemo(() => layout(of), [of]);
  const edge = ([parent, child]) => {
    const [a, b] = [at.get(parent), at.get(child)];
    if (!a || !b) return null;
    const [x1, y1, x2, y2] = [a.x + WIDTH, a.y + HEIGHT / 2, b.x - 7, b.y + HEIGHT / 2];
    return html`<path key=${`${parent} ${child}`} class="edge" marker-end="url(#arrow)"
      d=${`M${x1} ${y1} C${x1 + GAP_X / 2} ${y1} ${x2 - GAP_X / 2} ${y2} ${x2} ${y2}`} />`;
  };
  return html`<div class="graph" tabindex="0" role="group" aria-label="Dependency graph">
    <svg width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`}>
      <defs><marker id="arrow" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="7" markerHeight="7" orient="auto">
        <path class="arrow-head" d="M0 0 8 4 0 8z" /></marker></defs>
      ${of.links.map(edge)}
      ${of.nodes.filter((n) => at.has(n.name)).map(({ name, last, state }) => {
        const { x, y } = at.get(name);
        return html`<a key=${name} href=${to(['jobs', name])} class=${`node ${last}`} aria-label=${`${name}: last ${last}, now ${state}`}>
          <title>${name}</title>
          <rect x=${x} y=${y} width=${WIDTH} height=${HEIGHT} rx="8" />
          <text x=${x + 12} y=${y + 18}>${cut(name, 24)}</text>
          <text class="node-state" x=${x + 12} y=${y + 34}>last: ${last}, ${state}</text>
        </a>`;
      })}
    </svg>
  </div>`;
}

export function Graph() {
  const { data, error, refresh } = useResource(graph);
  const chosen = route.value.query.get('job') || '';
  const shown = useMemo(() => data && (chosen ? relatives(data, chosen) : data), [data, chosen]);
  if (!data) return error ? html`<${Trouble} error=${error} retry=${refresh} />` : html`<${Loading} what="the graph" />`;
  return html`<${PageHead} path=${[['Jobs', to(['jobs'])]]} title="Dependency Graph" />
    <${Trouble} error=${error} />
    <div class="toolbar"><label class="inline">Relatives of
      <select onChange=${(e) => setQuery({ job: e.currentTarget.value })}>
        <option value="">all jobs</option>
        ${data.nodes.map(({ name }) => html`<option key=${name} value=${name} selected=${name === chosen}>${name}</option>`)}
      </select></label>
      ${chosen && html`<button onClick=${() => go(['jobs', chosen])}>Open ${chosen}</button>`}
    </div>
    ${shown.nodes.length === 0 ? html`<${Empty} title="There are no jobs yet." />` : html`<${Drawing} of=${shown} />`}`;
}
