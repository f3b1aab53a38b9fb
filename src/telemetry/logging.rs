//! The tracing subscriber: stderr and the log file, with a level that can be changed while the
//! program runs.

use super::logfile::LogFile;
use crate::base::error::{Code, Error, Result};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, reload};

/// The longest time a changed level may last.
pub const TOGGLE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// How much is logged. Mesos's `--logging_level` names, and the two below INFO that its verbosity
/// numbers mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Only what failed.
    Error,
    /// And what looks wrong.
    Warning,
    /// And what happens.
    #[default]
    Info,
    /// And how: verbosity 1 and 2.
    Debug,
    /// And everything: verbosity 3 and above.
    Trace,
}

impl Level {
    /// The level of a glog verbosity number.
    pub fn of_verbosity(number: u32) -> Self {
        match number {
            0 => Level::Info,
            1 | 2 => Level::Debug,
            _ => Level::Trace,
        }
    }

    /// The verbosity number of the level; what is less than INFO is 0.
    pub fn verbosity(self) -> u32 {
        match self {
            Level::Error | Level::Warning | Level::Info => 0,
            Level::Debug => 1,
            Level::Trace => 3,
        }
    }

    fn directive(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warn",
            Level::Info => "info",
            // The libraries' own details drown ours.
            Level::Debug => "info,mesolith=debug",
            Level::Trace => "debug,mesolith=trace",
        }
    }
}

impl FromStr for Level {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "error" => Level::Error,
            "warning" | "warn" => Level::Warning,
            "info" => Level::Info,
            "debug" => Level::Debug,
            "trace" => Level::Trace,
            _ => {
                return Err(Error::new(Code::Invalid, format!("'{text}' is no logging level"))
                    .hint("Use ERROR, WARNING, INFO, DEBUG or TRACE."));
            }
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Error => "ERROR",
            Level::Warning => "WARNING",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
            Level::Trace => "TRACE",
        })
    }
}

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object a line.
    Json,
}

/// What is logged, and where.
#[derive(Clone, Debug, Default)]
pub struct LoggingOptions {
    /// How much.
    pub level: Level,
    /// A filter in tracing's own syntax (`info,mesolith::http=trace`); goes before the level.
    pub filter: Option<String>,
    /// How a line is written.
    pub format: LogFormat,
    /// Nothing on stderr (`--quiet`).
    pub quiet: bool,
    /// A file as well.
    pub file: Option<LogFile>,
}

/// The running logging: changes its level. Clones share it.
#[derive(Clone, Debug)]
pub struct Logging {
    handle: reload::Handle<EnvFilter, Registry>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// What holds when nothing was changed.
    usual: (Level, Option<String>),
    level: Level,
    /// Counts changes, so that an old one's end does not undo a newer one.
    change: u64,
    until: Option<Instant>,
}

pub(crate) type Subscriber = Box<dyn tracing::Subscriber + Send + Sync>;

impl Logging {
    /// Starts logging for the whole process.
    ///
    /// # Errors
    /// [`Code::Invalid`] for a filter that cannot be read, [`Code::Conflict`] when logging has been
    /// started before.
    pub fn start(options: LoggingOptions) -> Result<Self> {
        let (logging, subscriber) = Self::build(options)?;
        tracing::subscriber::set_global_default(subscriber)
            .map_err(|_| Error::new(Code::Conflict, "logging has been started already"))?;
        Ok(logging)
    }

    /// Logging that is not started yet, and what to start.
    pub(crate) fn build(options: LoggingOptions) -> Result<(Self, Subscriber)> {
        let filter = filter(options.level, options.filter.as_deref())?;
        let (filter, handle) = reload::Layer::new(filter);
        let stderr = (!options.quiet).then(|| lines(std::io::stderr, options.format));
        let file = options
            .file
            .map(|file| lines(Mutex::new(std::io::LineWriter::new(file)), options.format));
        let subscriber = Registry::default().with(filter).with(stderr).with(file);
        let state = State {
            usual: (options.level, options.filter),
            level: options.level,
            change: 0,
            until: None,
        };
        let logging = Self { handle, state: Arc::new(Mutex::new(state)) };
        Ok((logging, Box::new(subscriber)))
    }

    /// The level now.
    pub fn level(&self) -> Level {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).level
    }

    /// The level that holds when nothing was changed.
    pub fn usual(&self) -> Level {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).usual.0
    }

    /// How long a changed level will still last.
    pub fn remaining(&self) -> Option<Duration> {
        let until = self.state.lock().unwrap_or_else(PoisonError::into_inner).until?;
        Some(until.saturating_duration_since(Instant::now()))
    }

    /// Changes the level for a while, at most [`TOGGLE_MAX`]; a later change replaces an earlier
    /// one. Must be called within a tokio runtime, which changes it back.
    ///
    /// # Errors
    /// [`Code::Internal`] when the subscriber has gone.
    pub fn set_level(&self, level: Level, for_: Duration) -> Result<()> {
        let for_ = for_.min(TOGGLE_MAX);
        let change = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            self.apply(filter(level, None)?)?;
            state.level = level;
            state.change += 1;
            state.until = Some(Instant::now() + for_);
            state.change
        };
        let logging = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(for_).await;
            if let Err(e) = logging.revert(change) {
                tracing::error!("the logging level could not be put back: {e}");
            }
        });
        Ok(())
    }

    fn revert(&self, change: u64) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.change != change {
            return Ok(());
        }
        let (level, own) = state.usual.clone();
        self.apply(filter(level, own.as_deref())?)?;
        state.level = level;
        state.until = None;
        Ok(())
    }

    fn apply(&self, filter: EnvFilter) -> Result<()> {
        self.handle
            .reload(filter)
            .map_err(|e| Error::new(Code::Internal, format!("the log filter is gone: {e}")))
    }
}

fn filter(level: Level, own: Option<&str>) -> Result<EnvFilter> {
    let text = own.unwrap_or(level.directive());
    EnvFilter::try_new(text).map_err(|e| {
        Error::new(Code::Invalid, format!("the log filter '{text}' cannot be read: {e}"))
            .hint("An example: info,mesolith::http=debug.")
    })
}

fn lines<S, W>(writer: W, format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::LogFileOptions;

    fn file(format: LogFormat) -> (tempfile::TempDir, LogFile, Logging, Subscriber) {
        let dir = tempfile::tempdir().unwrap();
        let file = LogFile::open(dir.path(), LogFileOptions::default()).unwrap();
        let options =
            LoggingOptions { quiet: true, file: Some(file.clone()), format, ..Default::default() };
        let (logging, subscriber) = Logging::build(options).unwrap();
        (dir, file, logging, subscriber)
    }

    #[tokio::test]
    async fn a_changed_level_ends_and_an_old_end_undoes_nothing() {
        let (_dir, file, logging, subscriber) = file(LogFormat::Text);
        let _guard = tracing::subscriber::set_default(subscriber);
        tracing::debug!("one");
        tracing::info!("two");
        let long = Duration::from_secs(3600);
        logging.set_level(Level::Debug, long).unwrap();
        tracing::debug!("three");
        logging.set_level(Level::Error, long).unwrap();
        tracing::info!("four");
        logging.revert(1).unwrap();
        assert_eq!(logging.level(), Level::Error, "the first change's end undoes nothing");
        assert!(logging.remaining().unwrap() > Duration::from_secs(3500));
        logging.revert(2).unwrap();
        assert_eq!((logging.level(), logging.remaining()), (Level::Info, None));
        tracing::info!("five");
        let text = std::fs::read_to_string(file.path()).unwrap();
        let said: Vec<_> = text.lines().filter_map(|l| l.split(' ').next_back()).collect();
        assert_eq!(said, ["two", "three", "five"]);
    }

    #[tokio::test]
    async fn the_level_goes_back_by_itself() {
        let (_dir, _file, logging, subscriber) = file(LogFormat::Text);
        let _guard = tracing::subscriber::set_default(subscriber);
        logging.set_level(Level::Trace, Duration::from_millis(1)).unwrap();
        let back = async {
            while logging.level() != Level::Info {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), back).await.unwrap();
    }

    #[test]
    fn json_lines_are_objects() {
        let (_dir, file, _logging, subscriber) = file(LogFormat::Json);
        tracing::subscriber::with_default(subscriber, || tracing::info!(agent = "S0", "hello"));
        let text = std::fs::read_to_string(file.path()).unwrap();
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["fields"]["message"], "hello");
        assert_eq!(line["fields"]["agent"], "S0");
    }

    #[test]
    fn levels_and_filters_are_read() {
        assert_eq!("WARNING".parse::<Level>().unwrap(), Level::Warning);
        assert!("loud".parse::<Level>().is_err());
        let options = LoggingOptions { filter: Some("a=b=c".into()), ..Default::default() };
        assert!(Logging::build(options).is_err());
        for level in [Level::Info, Level::Debug, Level::Trace] {
            assert_eq!(Level::of_verbosity(level.verbosity()), level);
        }
    }
}
