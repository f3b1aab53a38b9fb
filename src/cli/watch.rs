//! What all watching verbs share: flags, the line of progress on stderr, and what Ctrl-C says.

use crate::base::units;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::rc::Rc;
use std::time::Duration;

/// Between two pictures of the spinner on a terminal.
const SPIN_INTERVAL: Duration = Duration::from_millis(120);

/// Whether and how long to watch.
#[derive(Clone, Debug, Default, Args)]
pub struct WatchArgs {
    /// Do not wait until it is done
    #[arg(short, long)]
    pub detach: bool,
    /// Stop watching after so long, e.g. 90s or 5m; what was asked for goes on
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
}

/// Reads `90`, `90s`, `5m`, `1h30m`, or a duration as Mesos writes it (`90secs`).
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(duration) = units::parse_duration(text) {
        return Ok(duration);
    }
    let wrong = || format!("{text:?} is no duration: write it like 90s, 5m or 1h30m");
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(Duration::from_secs(seconds.into()));
    }
    units::parse_short_duration(text).ok_or_else(wrong)
}

/// What is said when Ctrl-C ends the verb; nothing at first.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Rc<RefCell<Option<String>>>);

impl Interrupt {
    /// From now on this is said.
    pub fn says(&self, text: impl Into<String>) {
        *self.0.borrow_mut() = Some(text.into());
    }

    /// What is to be said now.
    pub fn text(&self) -> Option<String> {
        self.0.borrow().clone()
    }
}

/// Progress on stderr: one live line on a terminal, else a line for each change.
#[derive(Default)]
pub struct Progress {
    /// There from the first line on, so that what is said before stays whole.
    bar: Option<ProgressBar>,
    last: String,
}

impl Progress {
    /// Shows how far it is.
    pub fn show(&mut self, line: &str) {
        if self.last == line {
            return;
        }
        self.last = line.to_string();
        if self.bar.is_none() && std::io::stderr().is_terminal() {
            self.bar = Some(spinner());
        }
        match &self.bar {
            Some(bar) => bar.set_message(line.to_string()),
            None => eprintln!("{line}"),
        }
    }

    /// Says something that stays on the screen.
    pub fn say(&self, text: &str) {
        let text = text.trim_end();
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(SPIN_INTERVAL);
    bar
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("5m", 300),
            ("1h30m", 5_400),
            ("2d", 172_800),
            ("3mins", 180),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1_500)));
        for text in ["", "s", "5x", "m5", "-1s", "99999999999s", "1h30", "五s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
