//! Logging and metrics. It observes; what is worth counting is each room's own decision.
//!
//! Nothing here is global but the tracing subscriber, of which a process has one: several nodes in
//! one process each have their own [`Metrics`].

mod logfile;
mod logging;
mod metrics;
mod prometheus;
mod system;
mod timer;

pub use logfile::{LogFile, LogFileOptions};
pub use logging::{Level, LogFormat, Logging, LoggingOptions, TOGGLE_MAX};
pub use metrics::{Counter, Gauge, METRIC_NAMES_MAX, Metrics};
pub use timer::Timer;
