// Colours that programs put into their output: SGR sequences become classes, all others vanish.

const SEQUENCE = /\x1b(?:\[([0-9;?]*)([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g;
const NAMES = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];

/** The style after a sequence's numbers. */
function styled(style, numbers) {
  let next = { ...style };
  for (let at = 0; at < numbers.length; at += 1) {
    const n = numbers[at];
    if (n === 0) next = {};
    else if (n === 1) next.bold = true;
    else if (n === 4) next.line = true;
    else if (n === 22) next.bold = false;
    else if (n === 24) next.line = false;
    else if (n >= 30 && n <= 37) next.colour = NAMES[n - 30];
    else if (n >= 90 && n <= 97) next.colour = NAMES[n - 90];
    else if (n === 39) next.colour = undefined;
    // 256 and true colours have no place in two themes: their parameters are passed over.
    else if (n === 38 || n === 48) at += numbers[at + 1] === 5 ? 2 : 4;
  }
  return next;
}

/** Pieces `{text, style}` of a line, and the style that the next line begins with. */
export function pieces(line, style = {}) {
  const out = [];
  let from = 0;
  for (const found of line.matchAll(SEQUENCE)) {
    if (found.index > from) out.push({ text: line.slice(from, found.index), style });
    from = found.index + found[0].length;
    if (found[2] === 'm') style = styled(style, (found[1] || '0').split(';').map(Number));
  }
  if (from < line.length) out.push({ text: line.slice(from), style });
  return { out, style };
}

/** The classes of a style. */
export const classes = ({ bold, line, colour }) =>
  [bold && 'ansi-bold', line && 'ansi-line', colour && `ansi-${colour}`].filter(Boolean).join(' ');
