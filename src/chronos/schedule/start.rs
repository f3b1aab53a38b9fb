//! Dates and times as Joda's parser reads them: `2014-10-10T18:32:00Z`, a part of that, a week date (`2014-W05-3`), a day of
//! the year (`2014-123`), a time alone (`T10:15` of 1970-01-01).
//!
//! The basic form without dashes, `T24:00` and days that do not exist are refused.

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime, ISOWeekDate, Time, Weekday};
use jiff::tz::Offset;

/// What was written: fields of a wall clock, and how far that clock is from UTC, if it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub at: DateTime,
    pub offset: Option<Offset>,
}

/// Reads a date and time; fractions are cut to milliseconds.
pub(super) fn parse(text: &str) -> Result<Written, String> {
    let (date, rest) = match text.split_once('T') {
        Some((date, rest)) => (date, Some(rest)),
        None => (text, None),
    };
    let day = match (date, rest) {
        ("", Some("") | None) => return Err("there is no date".into()),
        ("", Some(_)) => Date::constant(1970, 1, 1),
        _ => read_date(date)?,
    };
    let (time, offset) = split_offset(rest.unwrap_or_default())?;
    let time = if time.is_empty() { Time::midnight() } else { read_time(time)? };
    Ok(Written { at: day.to_datetime(time), offset })
}

/// A number of that many digits at the most.
fn number(text: &str, digits: usize, what: &str) -> Result<i16, String> {
    let good = (1..=digits).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    // Four digits at the most, so it fits.
    match text.parse() {
        Ok(n) if good => Ok(n),
        _ => Err(format!("'{text}' is no {what}")),
    }
}

fn small(text: &str, what: &str) -> Result<i8, String> {
    // Two digits at the most, so it fits.
    number(text, 2, what).map(|n| n as i8)
}

fn read_date(text: &str) -> Result<Date, String> {
    let parts: Vec<&str> = text.split('-').collect();
    let (year, rest) = match parts.split_first() {
        Some((year, rest)) if year.len() == 4 => (number(year, 4, "year")?, rest),
        _ => return Err("a date begins with a year of four digits and a '-'".into()),
    };
    let no_such = |_| format!("there is no day '{text}'");
    match rest {
        [] => Date::new(year, 1, 1).map_err(no_such),
        [week] if week.starts_with('W') => week_date(year, &week[1..], "1", text),
        [week, day] if week.starts_with('W') => week_date(year, &week[1..], day, text),
        [day] if day.len() == 3 => {
            let day = number(day, 3, "day of the year")?;
            let first = Date::new(year, 1, 1).map_err(no_such)?;
            let found = first.checked_add((i64::from(day) - 1).days()).map_err(no_such)?;
            if day == 0 || found.year() != year {
                return Err(format!("there is no day '{text}'"));
            }
            Ok(found)
        }
        [month] => Date::new(year, small(month, "month")?, 1).map_err(no_such),
        [month, day] => {
            Date::new(year, small(month, "month")?, small(day, "day")?).map_err(no_such)
        }
        _ => Err(format!("'{text}' is no date")),
    }
}

fn week_date(year: i16, week: &str, day: &str, text: &str) -> Result<Date, String> {
    let no_such = |_| format!("there is no day '{text}'");
    let day = Weekday::from_monday_one_offset(small(day, "day of the week")?).map_err(no_such)?;
    ISOWeekDate::new(year, small(week, "week")?, day).map(|d| d.date()).map_err(no_such)
}

fn read_time(text: &str) -> Result<Time, String> {
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 3 {
        return Err(format!("'{text}' is no time"));
    }
    let units = [(3_600_000, 23, "hour"), (60_000, 59, "minute"), (1000, 59, "second")];
    let mut millis: i64 = 0;
    for (at, part) in parts.iter().enumerate() {
        let (unit, most, what) = units[at];
        let is_last = at + 1 == parts.len();
        let (digits, fraction) = match part.split_once(['.', ',']) {
            Some((digits, fraction)) if is_last => (digits, Some(fraction)),
            Some(_) => return Err(format!("'{text}' has a fraction before its last part")),
            None => (*part, None),
        };
        let whole = small(digits, what)?;
        if whole > most {
            return Err(format!("there is no {what} {whole}"));
        }
        millis += i64::from(whole) * unit + fraction.map_or(Ok(0), |f| share(f, unit))?;
    }
    let midnight = Time::midnight();
    midnight.checked_add(millis.milliseconds()).map_err(|_| format!("'{text}' is no time"))
}

/// The fraction of a unit, in milliseconds.
fn share(digits: &str, unit: i64) -> Result<i64, String> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("'{digits}' is no fraction"));
    }
    // Nine digits are finer than a millisecond of an hour.
    let (mut value, mut scale) = (0, 1);
    for digit in digits.bytes().take(9) {
        value = value * 10 + i64::from(digit - b'0');
        scale *= 10;
    }
    Ok(value * unit / scale)
}

/// Splits a time and its offset: `Z`, `z`, `+09:00`, `+0900`, `+09`.
fn split_offset(text: &str) -> Result<(&str, Option<Offset>), String> {
    if let Some(time) = text.strip_suffix(['Z', 'z']) {
        return Ok((time, Some(Offset::UTC)));
    }
    let Some(at) = text.find(['+', '-']) else { return Ok((text, None)) };
    let (time, offset) = text.split_at(at);
    let wrong = || format!("'{offset}' is no offset from UTC");
    let digits: String = offset[1..].split(':').collect();
    let two = |from: usize| match digits.get(from..from + 2) {
        Some(part) => small(part, "part of an offset").map(i32::from),
        None => Ok(0),
    };
    if !matches!(digits.len(), 2 | 4 | 6) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let (hours, minutes, seconds) = (two(0)?, two(2)?, two(4)?);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return Err(wrong());
    }
    let total = hours * 3600 + minutes * 60 + seconds;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let offset = Offset::from_seconds(sign * total).map_err(|_| wrong())?;
    Ok((time, Some(offset)))
}
