//! Durations and sizes as Mesos writes them in flags, queries and configuration: `5secs`, `10mins`,
//! `64MB`.
//!
//! Values only. A duration here is never negative; the texts of refusals are Mesos's.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const NANOS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("secs", SECOND),
    ("mins", 60 * SECOND),
    ("hrs", 3_600 * SECOND),
    ("days", 86_400 * SECOND),
    ("weeks", 604_800 * SECOND),
];
const SECOND: u64 = 1_000_000_000;

/// What a text is not; prints the sentence Mesos prints.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No unit, or nothing at all.
    #[error("Invalid {what} '{text}'")]
    Invalid {
        /// `duration` or `bytes`.
        what: &'static str,
        /// The text given.
        text: String,
    },
    /// The part before the unit is no number.
    #[error("Failed to convert '{0}' to number")]
    NotANumber(String),
    /// The unit is not one of the eight.
    #[error(
        "Unknown duration unit '{0}'; supported units are 'ns', 'us', 'ms', 'secs', 'mins', \
         'hrs', 'days', and 'weeks'"
    )]
    DurationUnit(String),
    /// The unit is not one of B, KB, MB, GB, TB.
    #[error("Unknown bytes unit '{0}'")]
    BytesUnit(String),
    /// Sizes are whole.
    #[error("Fractional bytes '{0}'")]
    Fractional(String),
    /// More than 292 years, or more than 2^64 − 1 bytes.
    #[error("Argument out of the range that {0} can represent due to int64_t's size limit")]
    OutOfRange(&'static str),
}

/// Reads a duration as people write it: `90s`, `5m`, `1h30m`, `2d`; `None` for anything else.
pub fn parse_short_duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u32 = rest[..digits].parse().ok()?;
        let seconds = match rest[digits..].chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        total += u64::from(number) * seconds;
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then(|| Duration::from_secs(total))
}

/// Reads a duration: a number, which may have a fraction, and one of
/// `ns us ms secs mins hrs days weeks`, without a space.
///
/// # Errors
/// [`UnitError`] with Mesos's text.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let Some(split) = split else {
        return Err(UnitError::Invalid { what: "duration", text: text.to_owned() });
    };
    let (number, unit) = text.split_at(split);
    let value: f64 = number.parse().map_err(|_| UnitError::NotANumber(number.to_owned()))?;
    let Some((_, nanos)) = NANOS.iter().find(|(name, _)| *name == unit) else {
        return Err(UnitError::DurationUnit(unit.to_owned()));
    };
    if let Ok(whole) = number.parse::<u64>() {
        // Whole numbers stay exact; only fractions go through floating point.
        let total = whole.checked_mul(*nanos).filter(|n| i64::try_from(*n).is_ok());
        return total.map(Duration::from_nanos).ok_or(UnitError::OutOfRange("a Duration"));
    }
    let total = value * *nanos as f64;
    if total >= i64::MAX as f64 {
        return Err(UnitError::OutOfRange("a Duration"));
    }
    Ok(Duration::from_nanos(total as u64))
}

/// Prints a duration as Mesos does: in its own unit when that is a whole number or nothing smaller
/// is, else one unit down (`10days`, not `1.428…weeks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MesosDuration(pub Duration);

impl fmt::Display for MesosDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX);
        let bucket = NANOS.iter().rposition(|(_, size)| nanos >= *size).unwrap_or(0);
        let (own_name, own) = NANOS[bucket];
        let (name, size) = match bucket.checked_sub(1).map(|i| NANOS[i]) {
            Some((smaller, size)) if !nanos.is_multiple_of(own) && nanos.is_multiple_of(size) => {
                (smaller, size)
            }
            _ => (own_name, own),
        };
        write!(f, "{}{name}", fifteen_digits(nanos as f64 / size as f64))
    }
}

/// A positive number with at most fifteen significant digits and no trailing zeros.
fn fifteen_digits(value: f64) -> String {
    let whole_digits = (value.max(1.0).log10().floor() as usize) + 1;
    let text = format!("{value:.*}", 15usize.saturating_sub(whole_digits));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

const SIZES: [(&str, u32); 5] = [("B", 0), ("KB", 10), ("MB", 20), ("GB", 30), ("TB", 40)];

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let Some(split) = text.find(|c: char| !c.is_ascii_digit()) else {
            return Err(UnitError::Invalid { what: "bytes", text: text.to_owned() });
        };
        let (number, unit) = text.split_at(split);
        if unit.starts_with('.') {
            return Err(UnitError::Fractional(text.to_owned()));
        }
        let value: u64 = number.parse().map_err(|_| UnitError::NotANumber(number.to_owned()))?;
        let unit = unit.to_ascii_uppercase();
        let Some((_, shift)) = SIZES.iter().find(|(name, _)| *name == unit) else {
            return Err(UnitError::BytesUnit(unit));
        };
        value.checked_mul(1 << shift).map(Bytes).ok_or(UnitError::OutOfRange("Bytes"))
    }
}

impl fmt::Display for Bytes {
    /// In the largest unit that loses nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, shift): &&(&str, u32)| self.0.is_multiple_of(1u64 << shift);
        let (name, shift) = match self.0 {
            0 => SIZES[0],
            _ => *SIZES.iter().rev().find(fits).unwrap_or(&SIZES[0]),
        };
        write!(f, "{}{name}", self.0 >> shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_mesos_reads_them() {
        for (text, nanos) in [
            ("500ms", 500_000_000),
            ("5secs", 5 * SECOND),
            ("10mins", 600 * SECOND),
            ("2hrs", 7_200 * SECOND),
            ("1days", 86_400 * SECOND),
            ("1weeks", 604_800 * SECOND),
            ("1.5secs", 1_500_000_000),
            ("0ns", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn bad_durations_are_refused_in_mesos_words() {
        let said = |text: &str| parse_duration(text).unwrap_err().to_string();
        assert_eq!(said("5"), "Invalid duration '5'");
        assert_eq!(said(""), "Invalid duration ''");
        assert_eq!(said("secs"), "Failed to convert '' to number");
        assert_eq!(said("-5secs"), "Failed to convert '' to number");
        assert_eq!(said("1.2.3secs"), "Failed to convert '1.2.3' to number");
        assert!(said("5seconds").starts_with("Unknown duration unit 'seconds'; supported"));
        assert!(said("99999999999999999weeks").contains("range"));
    }

    #[test]
    fn durations_print_as_mesos_prints_them() {
        let print = |text: &str| MesosDuration(parse_duration(text).unwrap()).to_string();
        for (text, printed) in [
            ("5secs", "5secs"),
            ("60secs", "1mins"),
            ("90secs", "90secs"),
            ("10days", "10days"),
            ("14days", "2weeks"),
            ("1500ms", "1500ms"),
            ("0secs", "0ns"),
            ("1.5hrs", "90mins"),
            ("1500us", "1500us"),
            ("1001ns", "1001ns"),
        ] {
            assert_eq!(print(text), printed, "{text}");
        }
        assert_eq!(MesosDuration(Duration::from_nanos(61_500_000_000)).to_string(), "1.025mins");
    }

    #[test]
    fn sizes_read_and_print() {
        for (text, bytes) in
            [("0B", 0), ("10MB", 10 << 20), ("2GB", 2 << 30), ("1tb", 1 << 40), ("3KB", 3 << 10)]
        {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        assert_eq!(Bytes(64 << 20).to_string(), "64MB");
        assert_eq!(Bytes(1025).to_string(), "1025B");
        assert_eq!(Bytes(0).to_string(), "0B");
        let said = |text: &str| text.parse::<Bytes>().unwrap_err().to_string();
        assert_eq!(said("10"), "Invalid bytes '10'");
        assert_eq!(said("1.5MB"), "Fractional bytes '1.5MB'");
        assert_eq!(said("1XB"), "Unknown bytes unit 'XB'");
        assert!(said("99999999999TB").contains("range"));
    }
}
