//! When a job is planned to run: `R5/2014-10-10T18:32:00Z/PT1H` and its kin, read once and then computed with.
//!
//! Pure. Occurrence `k` is the start plus `k` periods, on the wall clock of the schedule's zone for years to days and exact
//! for hours to seconds; never a step from a rounded time to the next, and never a loop over times that have passed. A wall
//! time that a zone leaves out is moved on by what is left out, on that day alone; one that it has twice is the earlier one.
//! Times are milliseconds since 1970 (UTC). It plans nothing: which times have been dealt with is known to the core.

mod period;
mod start;
mod zone;

#[cfg(test)]
mod tests;

pub use period::{DAY_MS, Period};
pub use zone::zone;

use crate::base::time::Wall;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp};

/// The shortest period of a job that repeats.
pub const PERIOD_MIN_MS: i64 = 1000;

/// The most repetitions that can be asked for: what the original's signed 64 bits hold.
const REPEAT_MAX: u64 = i64::MAX as u64;

/// A zone's clock is never further from UTC; slack for searches.
const ZONE_SLACK_MS: i64 = 2 * DAY_MS;

/// Wall time in whole milliseconds.
pub fn millis(wall: Wall) -> i64 {
    // Below 2^64 / 10^6, so it fits.
    (wall.0 / 1_000_000) as i64
}

/// The wall time of so many milliseconds since 1970; what is before that is 1970.
pub fn wall(millis: i64) -> Wall {
    Wall(u64::try_from(millis).unwrap_or(0).saturating_mul(1_000_000))
}

/// A schedule, read.
#[derive(Clone, Debug)]
pub struct Schedule {
    given: String,
    /// `None`: without end.
    repeat: Option<u64>,
    start: DateTime,
    start_ms: i64,
    zone: TimeZone,
    period: Period,
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.given == other.given && self.canonical() == other.canonical()
    }
}

impl Schedule {
    /// Reads a schedule. An empty start is `now`; a start without offset is UTC, unless `zone_name` is not empty: then
    /// the fields of the start are of that zone, whatever its offset says.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence without the text itself.
    pub fn parse(text: &str, zone_name: &str, now: Wall) -> Result<Self, Fault> {
        let bad = |why: String| Fault { of_zone: false, why };
        let named = match zone_name {
            "" => None,
            name => Some(zone(name).map_err(|why| Fault { of_zone: true, why })?),
        };
        let (repeat, start, period) = split(text).map_err(bad)?;
        let period = Period::parse(period).map_err(|e| bad(format!("its period is wrong: {e}")))?;
        let (start, zone) = if start.is_empty() {
            let zone = named.unwrap_or(TimeZone::UTC);
            let now = Timestamp::from_millisecond(millis(now)).unwrap_or(Timestamp::UNIX_EPOCH);
            (zone.to_datetime(now), zone)
        } else {
            let written =
                start::parse(start).map_err(|e| bad(format!("its start is wrong: {e}")))?;
            let own = TimeZone::fixed(written.offset.unwrap_or(Offset::UTC));
            (written.at, named.unwrap_or(own))
        };
        let Some(start_ms) = instant(&zone, start) else {
            return Err(bad("its start is too far away".into()));
        };
        check(repeat, &period).map_err(bad)?;
        Ok(Self { given: text.into(), repeat, start, start_ms, zone, period })
    }

    /// As [`Schedule::parse`] from what [`Schedule::canonical`] gave, with the text that clients are shown until the first
    /// run is planned.
    ///
    /// # Errors
    /// As [`Schedule::parse`].
    pub fn restore(canonical: &str, zone_name: &str, given: &str) -> Result<Self, Fault> {
        let schedule = Self::parse(canonical, zone_name, Wall(0))?;
        Ok(Self { given: given.into(), ..schedule })
    }

    /// As the client wrote it.
    pub fn given(&self) -> &str {
        &self.given
    }

    /// The whole schedule as a text that means the same whenever it is read, with the same zone name.
    pub fn canonical(&self) -> String {
        self.print(self.repeat, self.start_ms)
    }

    /// The first planned time, if any run is planned at all.
    pub fn start(&self) -> i64 {
        self.start_ms
    }

    /// How many runs there are; `None`: without end.
    pub fn repeat(&self) -> Option<u64> {
        self.repeat
    }

    /// The planned time with that number, from 0, whatever the repeat count; `None` beyond the calendar.
    fn at(&self, k: u64) -> Option<i64> {
        let k = i64::try_from(k).ok()?;
        let exact = self.period.millis.checked_mul(k)?;
        if self.period.months == 0 && self.period.days == 0 {
            return self.start_ms.checked_add(exact);
        }
        let months = self.period.months.checked_mul(k)?;
        let days = self.period.days.checked_mul(k)?;
        let span = Span::new().try_months(months).ok()?.try_days(days).ok()?;
        let civil = self.start.checked_add(span).ok()?;
        instant(&self.zone, civil)?.checked_add(exact)
    }

    /// How many planned times, of an endless schedule, are not after `time`.
    fn count_to(&self, time: i64) -> u64 {
        if time < self.start_ms {
            return 0;
        }
        if self.period.is_zero() {
            return 1;
        }
        let span = time.saturating_sub(self.start_ms);
        let low = (span - ZONE_SLACK_MS).max(0) / self.period.longest_ms();
        let high = span.saturating_add(ZONE_SLACK_MS) / self.period.shortest_ms() + 1;
        // `low` is not after `time`, `high` is; both are zero or more.
        let (mut low, mut high) = (low.max(0) as u64, high.max(1) as u64);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match self.at(middle) {
                Some(at) if at <= time => low = middle,
                _ => high = middle,
            }
        }
        low + 1
    }

    /// How many runs are planned up to and including `time`.
    pub fn planned_to(&self, time: i64) -> u64 {
        let count = self.count_to(time);
        self.repeat.map_or(count, |n| count.min(n))
    }

    /// The first planned time after `time`.
    pub fn next(&self, time: i64) -> Option<i64> {
        let mut k = self.count_to(time);
        loop {
            if self.repeat.is_some_and(|n| k >= n) || (k > 0 && self.period.is_zero()) {
                return None;
            }
            let at = self.at(k)?;
            // Two occurrences fall together where a zone leaves a whole day out: at most once in a row.
            if at > time {
                return Some(at);
            }
            k += 1;
        }
    }

    /// The last planned time not after `time`.
    pub fn last(&self, time: i64) -> Option<i64> {
        self.at(self.planned_to(time).checked_sub(1)?)
    }

    /// Planned times in `(after, to]`, the newest `most` of them, oldest first.
    pub fn newest(&self, after: i64, to: i64, most: u64) -> Vec<i64> {
        let (first, end) = (self.planned_to(after), self.planned_to(to));
        let first = first.max(end.saturating_sub(most));
        let mut times: Vec<i64> = (first..end).filter_map(|k| self.at(k)).collect();
        times.dedup();
        times
    }

    /// The schedule as clients are shown it when all times up to `through` have been dealt with: as it was given until
    /// the first is, then counted down.
    pub fn shown(&self, through: i64) -> String {
        let done = self.planned_to(through);
        if done == 0 {
            return self.given.clone();
        }
        let next = self.at(done).filter(|_| !self.period.is_zero()).unwrap_or(self.start_ms);
        self.print(self.repeat.map(|n| n - done), next)
    }

    fn print(&self, repeat: Option<u64>, start: i64) -> String {
        let count = repeat.map(|n| n.to_string()).unwrap_or_default();
        format!("R{count}/{}/{}", print_in(&self.zone, start), self.period.text())
    }
}

/// What is wrong with a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// It is the zone's name, not the schedule's text.
    pub of_zone: bool,
    /// In a sentence.
    pub why: String,
}

/// Splits `R5/start/P…` at the last `/P`.
fn split(text: &str) -> Result<(Option<u64>, &str, &str), String> {
    let form = || "it is not of the form R[n]/start/period".to_string();
    let body = text.strip_prefix('R').ok_or_else(form)?;
    let (count, rest) = body.split_once('/').ok_or_else(form)?;
    let at = rest.rfind("/P").ok_or_else(form)?;
    let (start, period) = (&rest[..at], &rest[at + 1..]);
    let repeat = match count {
        "" => None,
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse::<u64>() {
            Ok(n) if n <= REPEAT_MAX => Some(n),
            _ => return Err(format!("its repeat count is over {REPEAT_MAX}")),
        },
        _ => return Err("its repeat count is no number".into()),
    };
    Ok((repeat, start, period))
}

fn check(repeat: Option<u64>, period: &Period) -> Result<(), String> {
    if repeat == Some(1) {
        return Ok(());
    }
    if period.is_zero() {
        return Err("a period without length is for one run (R1) alone".into());
    }
    if period.shortest_ms() < PERIOD_MIN_MS {
        return Err(format!("its period is shorter than {PERIOD_MIN_MS} ms"));
    }
    Ok(())
}

/// The instant of a wall time; of one that is left out, moved on by what is left out; of one that comes twice, the earlier.
fn instant(zone: &TimeZone, at: DateTime) -> Option<i64> {
    zone.to_ambiguous_timestamp(at).compatible().ok().map(Timestamp::as_millisecond)
}

/// `2012-01-01T00:00:00.000Z`, or with the offset of the zone.
fn print_in(zone: &TimeZone, at: i64) -> String {
    let Ok(timestamp) = Timestamp::from_millisecond(at) else { return String::new() };
    let offset = zone.to_offset(timestamp);
    let civil = offset.to_datetime(timestamp);
    let fields = civil.strftime("%Y-%m-%dT%H:%M:%S.%3f");
    let seconds = offset.seconds();
    if seconds == 0 {
        return format!("{fields}Z");
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    format!("{fields}{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// A time as clients are shown it: `2013-03-15T13:02:14.243Z`.
pub fn print(at: i64) -> String {
    print_in(&TimeZone::UTC, at)
}

/// Reads what [`print`] writes, and what else is a date and time; without an offset it is UTC.
///
/// # Errors
/// What is wrong with it.
pub fn read(text: &str) -> Result<i64, String> {
    let written = start::parse(text)?;
    let zone = TimeZone::fixed(written.offset.unwrap_or(Offset::UTC));
    instant(&zone, written.at).ok_or_else(|| "it is too far away".into())
}
