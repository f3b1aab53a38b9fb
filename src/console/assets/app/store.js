// What pages show: loaded when first looked at, and again when the event stream says so, at most
// four times a second and never faster than the server answers.

import { batch, signal, useEffect, useMemo } from './lib.js';
import { listen } from './live.js';

const GAP_MS = 250;

/**
 * Something that is loaded by `load`. `wakes(name, data)` says whether an event makes it stale.
 */
export function resource(load, wakes = () => true) {
  const data = signal(undefined);
  const error = signal(null);
  let users = 0;
  let timer = null;
  let running = false;
  let again = false;
  let ended = -GAP_MS;
  let took = 0;
  let silence = () => {};

  async function run() {
    timer = null;
    running = true;
    again = false;
    const began = performance.now();
    try {
      const fresh = await load();
      batch(() => {
        data.value = fresh;
        error.value = null;
      });
    } catch (e) {
      error.value = e;
    }
    ended = performance.now();
    took = ended - began;
    running = false;
    if (again && users > 0) refresh();
  }

  function refresh() {
    if (running) again = true;
    if (running || timer !== null) return;
    const due = ended + Math.max(GAP_MS, 2 * took);
    timer = setTimeout(run, Math.max(0, due - performance.now()));
  }

  return {
    data,
    error,
    refresh,
    /** Somebody looks; answers what ends that. */
    use() {
      users += 1;
      if (users === 1) silence = listen((name, what) => wakes(name, what) && refresh());
      refresh();
      return () => {
        users -= 1;
        if (users === 0) silence();
      };
    },
  };
}

/** A resource for as long as the component is shown. */
export function useResource(of) {
  useEffect(() => of.use(), [of]);
  return { data: of.data.value, error: of.error.value, refresh: of.refresh };
}

/** A resource of the component's own, made anew when `key` changes. */
export function useLoaded(load, key, wakes) {
  return useResource(useMemo(() => resource(load, wakes), key));
}
