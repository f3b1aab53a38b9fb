//! Options as data: each room declares its settings in a table, reads typed values from texts, and every fault is
//! found before anything starts. Where the texts come from (flags, environment, files) is known to `config`.

use super::error::{Code, Error};
use super::time::duration_from_secs;
use super::units;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What a setting's text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`; the bare flag means `true`, `--no-NAME` means `false`.
    Bool,
    /// A whole number.
    Number,
    /// A number with a fraction.
    Double,
    /// `15secs`, `10mins` … or `15s`, `1h30m`; a bare number is seconds.
    Duration,
    /// `10MB`, `2GB` …
    Bytes,
}

/// One option of a room.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// As in `--name`; Mesos's own name where it has one.
    pub name: &'static str,
    /// The flag's name, where another setting has this one's.
    pub flag: &'static str,
    /// Older spellings that are still read.
    pub aliases: &'static [&'static str],
    /// What its text must be.
    pub kind: Kind,
    /// The text it has when nobody gives one.
    pub default: Option<&'static str>,
    /// One sentence for the help.
    pub help: &'static str,
}

impl Setting {
    /// A setting without aliases or default.
    pub const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, flag: name, aliases: &[], kind, default: None, help }
    }

    /// With a flag of another name: `name` is what environment and files call it.
    pub const fn typed(mut self, flag: &'static str) -> Self {
        self.flag = flag;
        self
    }

    /// With a default.
    pub const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// With older spellings.
    pub const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The table's default.
    Default,
    /// A file, with its path.
    File(String),
    /// An environment variable, with its name.
    Environment(String),
    /// The command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// The texts of all settings, each with its origin; collects what is wrong with them as they are read.
#[derive(Clone, Debug, Default)]
pub struct Values {
    texts: BTreeMap<String, (String, Origin)>,
    faults: Vec<String>,
}

impl Values {
    /// From texts by setting name.
    pub fn new(texts: BTreeMap<String, (String, Origin)>) -> Self {
        Self { texts, faults: Vec::new() }
    }

    /// Notes something wrong that a reader of values found.
    pub fn fault(&mut self, setting: &Setting, why: impl fmt::Display) {
        let origin = match self.texts.get(setting.name) {
            Some((text, origin)) => format!("{}={text} ({origin})", setting.name),
            None => setting.name.to_string(),
        };
        self.faults.push(format!("{origin}: {why}"));
    }

    /// The text and origin of a setting.
    pub fn origin(&self, setting: &Setting) -> Origin {
        self.texts.get(setting.name).map_or(Origin::Default, |(_, o)| o.clone())
    }

    /// The text of a setting, or its default.
    pub fn text(&self, setting: &Setting) -> Option<String> {
        match self.texts.get(setting.name) {
            Some((text, _)) => Some(text.clone()),
            None => setting.default.map(String::from),
        }
    }

    /// Reads a setting with `parse`; a fault is noted and answers `None`.
    pub fn parse<T, E: fmt::Display>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(setting)?;
        match parse(text.trim()) {
            Ok(value) => Some(value),
            Err(e) => {
                self.fault(setting, e);
                None
            }
        }
    }

    /// A boolean; unset is `false`.
    pub fn bool(&mut self, setting: &Setting) -> bool {
        self.parse(setting, |t| match t {
            "true" | "1" | "" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err("expected true or false"),
        })
        .unwrap_or(false)
    }

    /// A whole number within bounds.
    pub fn number(&mut self, setting: &Setting, min: u64, max: u64) -> Option<u64> {
        self.parse(setting, |t| match t.parse::<u64>() {
            Ok(n) if (min..=max).contains(&n) => Ok(n),
            _ => Err(format!("expected a whole number from {min} to {max}")),
        })
    }

    /// A number with a fraction within bounds.
    pub fn double(&mut self, setting: &Setting, min: f64, max: f64) -> Option<f64> {
        self.parse(setting, |t| match t.parse::<f64>() {
            Ok(n) if n >= min && n <= max => Ok(n),
            _ => Err(format!("expected a number from {min} to {max}")),
        })
    }

    /// A duration within bounds.
    pub fn duration(
        &mut self,
        setting: &Setting,
        min: Duration,
        max: Duration,
    ) -> Option<Duration> {
        self.parse(setting, |t| {
            let parsed = match t.parse::<f64>().ok().and_then(duration_from_secs) {
                Some(d) => d,
                None => match units::parse_short_duration(t) {
                    Some(d) => d,
                    None => units::parse_duration(t).map_err(|e| e.to_string())?,
                },
            };
            if parsed < min || parsed > max {
                return Err(format!(
                    "expected a duration from {} to {}",
                    units::MesosDuration(min),
                    units::MesosDuration(max)
                ));
            }
            Ok(parsed)
        })
    }

    /// A size in bytes.
    pub fn bytes(&mut self, setting: &Setting) -> Option<u64> {
        self.parse(setting, |t| t.parse::<units::Bytes>().map(|b| b.0))
    }

    /// All effective texts of a table, for `/flags`: those that have a value.
    pub fn effective(&self, table: &[Setting]) -> BTreeMap<String, String> {
        table.iter().filter_map(|s| Some((s.name.to_string(), self.text(s)?))).collect()
    }

    /// The faults noted so far, as one error; call when everything was read.
    ///
    /// # Errors
    /// [`Code::Invalid`] with one line a fault.
    pub fn finish(&mut self) -> Result<(), Error> {
        if self.faults.is_empty() {
            return Ok(());
        }
        let faults = std::mem::take(&mut self.faults);
        Err(Error::new(Code::Invalid, faults.join("\n"))
            .hint("nothing was started; correct these and try again"))
    }

    /// Takes over the faults that another table's reader noted.
    pub fn take_faults(&mut self, other: &mut Values) {
        self.faults.append(&mut other.faults);
    }

    /// Notes a fault that belongs to no single setting.
    pub fn fault_text(&mut self, why: impl Into<String>) {
        self.faults.push(why.into());
    }
}
