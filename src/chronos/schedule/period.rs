//! ISO 8601 periods as Joda's standard format reads them: `P1Y2M3W4DT5H6M7.8S`. Years, months, weeks and days are of the
//! calendar; hours, minutes and seconds are exact.
//!
//! `P` alone is the empty period, as in the original. Negative amounts are refused, which the original was not.

/// The largest amount of one unit (the original's 32-bit limit).
const AMOUNT_MAX: u64 = i32::MAX as u64;

/// Milliseconds of a day of 24 hours.
pub const DAY_MS: i64 = 24 * 3600 * 1000;

/// A period, not negative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// As it was written.
    text: String,
    /// Years and months, in months.
    pub(super) months: i64,
    /// Weeks and days, in days.
    pub(super) days: i64,
    /// Hours, minutes and seconds, in milliseconds.
    pub(super) millis: i64,
}

impl Period {
    /// Reads a period.
    ///
    /// # Errors
    /// What is wrong with it, without the text itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        let body = text.strip_prefix('P').ok_or("a period begins with 'P'")?;
        let (date, time) = match body.split_once('T') {
            Some((_, "")) => return Err("nothing follows the 'T'".into()),
            Some((date, time)) => (date, time),
            None => (body, ""),
        };
        let mut period = Self { text: text.into(), months: 0, days: 0, millis: 0 };
        for (unit, amount) in amounts(date, "YMWD")? {
            let whole = whole(amount)?;
            match unit {
                'Y' => period.months += whole * 12,
                'M' => period.months += whole,
                'W' => period.days += whole * 7,
                _ => period.days += whole,
            }
        }
        for (unit, amount) in amounts(time, "HMS")? {
            period.millis += match unit {
                'H' => whole(amount)? * 3_600_000,
                'M' => whole(amount)? * 60_000,
                _ => seconds(amount)?,
            };
        }
        Ok(period)
    }

    /// So many seconds, `PT60S`.
    pub fn of_seconds(seconds: u32) -> Self {
        let millis = i64::from(seconds) * 1000;
        Self { text: format!("PT{seconds}S"), months: 0, days: 0, millis }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it has no length.
    pub fn is_zero(&self) -> bool {
        self.shortest_ms() == 0
    }

    /// Its length in milliseconds if all its months are as short as months can be.
    pub(super) fn shortest_ms(&self) -> i64 {
        // At most 2^31 * 13 months, 2^31 * 8 days: far below the end of the type.
        (self.months * 28 + self.days) * DAY_MS + self.millis
    }

    /// Its length in milliseconds if all its months are as long as months can be.
    pub(super) fn longest_ms(&self) -> i64 {
        (self.months * 31 + self.days) * DAY_MS + self.millis
    }

    /// Its length in milliseconds as a tolerance: a month is 30 days.
    pub fn tolerance_ms(&self) -> i64 {
        (self.months * 30 + self.days) * DAY_MS + self.millis
    }
}

/// Splits `1Y2M` into units and amounts; each unit at most once and in the order of `units`.
fn amounts<'a>(text: &'a str, units: &str) -> Result<Vec<(char, &'a str)>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut allowed = units;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | '.' | ','));
        let Some((end, unit)) = end.and_then(|e| Some((e, rest[e..].chars().next()?))) else {
            return Err(format!("'{rest}' has no unit"));
        };
        if unit == '-' || unit == '+' {
            return Err("amounts must not have a sign".into());
        }
        let Some(at) = allowed.find(unit) else {
            return Err(format!("'{unit}' is not expected there"));
        };
        found.push((unit, &rest[..end]));
        allowed = &allowed[at + unit.len_utf8()..];
        rest = &rest[end + unit.len_utf8()..];
    }
    Ok(found)
}

fn whole(digits: &str) -> Result<i64, String> {
    if digits.contains(['.', ',']) {
        return Err(format!("'{digits}' is no whole number: only seconds may have a fraction"));
    }
    match digits.parse::<u64>() {
        Ok(amount) if amount <= AMOUNT_MAX => Ok(amount as i64),
        Ok(_) => Err(format!("{digits} is over {AMOUNT_MAX}")),
        Err(_) if digits.is_empty() => Err("a unit has no amount".into()),
        Err(_) => Err(format!("{digits} is over {AMOUNT_MAX}")),
    }
}

/// Seconds with a fraction, cut to milliseconds.
fn seconds(text: &str) -> Result<i64, String> {
    let (digits, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("'{text}' is no number of seconds"));
    }
    let millis = fraction.bytes().chain(*b"000").take(3);
    let millis = millis.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Ok(whole(digits)? * 1000 + millis)
}
