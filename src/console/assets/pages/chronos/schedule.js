// ISO 8601 schedules, `R[n]/start/period`: in words, and when they fire next. The server decides;
// this is for showing.

const SCHEDULE = /^R(\d*)\/(.*)\/(P.*)$/;
const PERIOD =
  /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:[.,]\d+)?)S)?)?$/;
const UNITS = ['year', 'month', 'week', 'day', 'hour', 'minute', 'second'];
const FIXED_MS = { week: 604_800_000, day: 86_400_000, hour: 3_600_000, minute: 60_000, second: 1_000 };

/** `{repeat, start, period}` as texts, or null. */
export function split(text) {
  const found = SCHEDULE.exec(text || '');
  return found && { repeat: found[1], start: found[2], period: found[3] };
}

/** The text of `{repeat, start, period}`. */
export const join = ({ repeat, start, period }) => `R${repeat}/${start}/${period}`;

/** `[[number, unit]]` of a period, or null. */
export function amounts(period) {
  const found = PERIOD.exec(period || '');
  if (!found || period.length < 3 || period.endsWith('T')) return null;
  return UNITS.map((unit, n) => [Number((found[n + 1] || '0').replace(',', '.')), unit]).filter(([n]) => n > 0);
}

/** `every 5 minutes`. */
export function periodWords(period) {
  const parts = amounts(period);
  if (!parts) return period;
  if (parts.length === 0) return 'at once';
  if (parts.length === 1 && parts[0][0] === 1) return `every ${parts[0][1]}`;
  return `every ${parts.map(([n, unit]) => `${n} ${unit}${n === 1 ? '' : 's'}`).join(' ')}`;
}

/** Milliseconds of a start; one without a zone is UTC. */
export function startMillis(start) {
  if (!start) return NaN;
  const zoned = /(?:[zZ]|[+-]\d\d:?\d\d)$/.test(start) || !start.includes('T') ? start : `${start}Z`;
  return Date.parse(zoned.replace(/z$/, 'Z').replace(/([+-]\d\d)(\d\d)$/, '$1:$2'));
}

function fixedMillis(parts) {
  return parts.reduce((sum, [n, unit]) => sum + n * (FIXED_MS[unit] ?? NaN), 0);
}

function add(ms, parts, times) {
  const at = new Date(ms);
  let fixed = 0;
  for (const [n, unit] of parts) {
    if (unit === 'year') at.setUTCFullYear(at.getUTCFullYear() + n * times);
    else if (unit === 'month') at.setUTCMonth(at.getUTCMonth() + n * times);
    else fixed += n * times * FIXED_MS[unit];
  }
  return at.getTime() + fixed;
}

/** The next `most` firings from `now` on, in milliseconds. */
export function firings(text, most, now = Date.now()) {
  const schedule = split(text);
  const parts = schedule && amounts(schedule.period);
  const begin = schedule && (schedule.start ? startMillis(schedule.start) : now);
  if (!parts || Number.isNaN(begin)) return [];
  const limit = schedule.repeat === '' ? Infinity : Number(schedule.repeat);
  const fixed = fixedMillis(parts);
  if (parts.length === 0 || fixed === 0) return limit > 0 && begin >= now ? [begin] : [];
  // With months and years a guess, then a step or two.
  const rough = Number.isNaN(fixed) ? add(0, parts, 1) * 1.05 : fixed;
  let n = Math.max(0, Math.floor((now - begin) / rough) - 1);
  const out = [];
  for (let tries = 0; out.length < most && n < limit && tries < 10_000; n += 1, tries += 1) {
    const at = add(begin, parts, n);
    if (at >= now) out.push(at);
  }
  return out;
}

/** The whole schedule in words. */
export function words(job) {
  if (job.parents?.length > 0) return `after ${job.parents.join(', ')}`;
  const schedule = split(job.schedule);
  if (!schedule) return job.schedule || '–';
  const { repeat, start, period } = schedule;
  if (repeat === '0') return 'never again';
  if (repeat === '1') return 'once';
  const parts = amounts(period) || [];
  const daily = parts.length === 1 && ['day', 'week', 'month', 'year'].includes(parts[0][1]);
  const at = daily && /T(\d\d:\d\d)/.exec(start);
  const zone = job.scheduleTimeZone || (/Z$/i.test(start) ? 'UTC' : '');
  const times = repeat === '' ? '' : `, ${repeat} times`;
  return `${periodWords(period)}${at ? ` at ${at[1]} ${zone}`.trimEnd() : ''}${times}`;
}
