//! libcontainer logs why something failed but returns only what: its error events go into the report.

use super::report::Report;
use std::fmt::{Debug, Write};
use std::os::fd::RawFd;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Writes error events to a report pipe, from whichever process of a container in the making.
struct Reporter(RawFd);

/// From here on, in this process and those cloned from it.
pub fn to_report(fd: RawFd) {
    // Fails only where one is set already; a fresh process has none.
    let _ = tracing::subscriber::set_global_default(Reporter(fd));
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?} "),
            name => write!(self.0, "{name}={value:?} "),
        };
    }
}

impl Subscriber for Reporter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        Report::at(self.0).why(text.0.trim());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
