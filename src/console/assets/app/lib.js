// One door to the view library: components are written as html`…` templates.

import { Fragment, h, render } from 'preact';
import htm from 'htm';

export const html = htm.bind(h);
export { Fragment, h, render };
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
export { batch, computed, effect, signal } from '@preact/signals';
