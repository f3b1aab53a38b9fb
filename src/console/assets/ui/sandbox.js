// A sandbox: its folders and files, and the file that is looked at, followed live.

import { get, url } from '../app/api.js';
import { html } from '../app/lib.js';
import { Ago, bytes } from '../app/format.js';
import { route, setQuery, to } from '../app/router.js';
import { useLoaded } from '../app/store.js';
import { Empty, Loading, Tabs } from './basics.js';
import { LogView } from './log.js';
import { Table } from './table.js';

const nameOf = (path) => path.slice(path.lastIndexOf('/') + 1);

const isDir = (entry) => entry.mode.startsWith('d');

function Crumbs({ dir }) {
  const parts = dir.split('/').filter(Boolean);
  const open = (n) => (event) => {
    event.preventDefault();
    setQuery({ dir: parts.slice(0, n).join('/') });
  };
  return html`<nav class="crumbs" aria-label="Folder">
    <a href="#" onClick=${open(0)}>sandbox</a>
    ${parts.map((part, n) => html`<a key=${n} href="#" onClick=${open(n + 1)}>${part}</a>`)}
  </nav>`;
}

function Files({ root, agent, dir, live }) {
  const path = dir ? `${root}/${dir}` : root;
  const { data, error, refresh } = useLoaded(() => get('files/browse', { path, agent_id: agent }), [path], () => live);
  if (error) {
    const text = error.status === 404 ? 'There is no such folder: the sandbox was removed, or was never made.' : error.message;
    return html`<${Empty} title=${text}><button onClick=${refresh}>Look again</button></${Empty}>`;
  }
  if (!data) return html`<${Loading} what="files" />`;
  const inside = (name) => (dir ? `${dir}/${name}` : name);
  const columns = [
    {
      key: 'name',
      title: 'Name',
      value: (e) => `${isDir(e) ? 0 : 1}${nameOf(e.path)}`,
      cell: (e) => {
        const name = nameOf(e.path);
        return isDir(e)
          ? html`<button class="link" onClick=${() => setQuery({ dir: inside(name) })}>${name}/</button>`
          : html`<button class="link" onClick=${() => setQuery({ file: inside(name) })}>${name}</button>`;
      },
      style: 'main-cell',
    },
    { key: 'size', title: 'Size', value: (e) => e.size, cell: (e) => (isDir(e) ? '' : bytes(e.size)), num: true },
    { key: 'mode', title: 'Mode', value: (e) => e.mode, cell: (e) => html`<code>${e.mode}</code>`, wide: true },
    { key: 'owner', title: 'Owner', value: (e) => `${e.uid}:${e.gid}`, wide: true },
    { key: 'mtime', title: 'Changed', value: (e) => e.mtime, cell: (e) => html`<${Ago} at=${e.mtime} />`, num: true },
    {
      key: 'get',
      title: '',
      style: 'act',
      cell: (e) => !isDir(e) && html`<a class="button small" download href=${url('files/download', { path: e.path, agent_id: agent }).href}>Download</a>`,
    },
  ];
  return html`<${Crumbs} dir=${dir} />
    <${Table} id="files" label="Files" columns=${columns} rows=${data} rowKey=${(e) => e.path}
      empty=${html`<${Empty} title="This folder is empty." />`} />`;
}

/** `root` is the sandbox's virtual path on that agent; `ready` whether it can be there. */
export function Sandbox({ root, agent, ready, live, file, dir }) {
  const { parts } = route.value;
  const shown = file ?? 'stdout';
  const extra = !['stdout', 'stderr', 'files:'].includes(shown);
  const tabs = [
    ['stdout', 'stdout', to(parts, { file: 'stdout' })],
    ['stderr', 'stderr', to(parts, { file: 'stderr' })],
    ...(extra ? [[shown, shown, to(parts, { file: shown })]] : []),
    ['files', 'Files', to(parts, { file: 'files:', dir })],
  ];
  const browsing = shown === 'files:';
  return html`<section class="panel" data-sandbox>
    <h2>Sandbox</h2>
    <${Tabs} label="Sandbox" tabs=${tabs} active=${browsing ? 'files' : shown} />
    ${!ready
      ? html`<p class="loading">The task has not begun; its sandbox comes with it.</p>`
      : browsing
        ? html`<${Files} root=${root} agent=${agent} dir=${dir} live=${live} />`
        : html`<${LogView} key=${root + shown} path=${`${root}/${shown}`} agent=${agent} label=${shown} />`}
  </section>`;
}
