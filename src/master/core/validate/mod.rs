//! What the master refuses, in the original's words. Pure functions: nothing here changes anything.

pub(super) mod checks;
pub(super) mod command;
pub(super) mod executor;
pub(super) mod framework;
pub(super) mod group;
pub(super) mod operation;
pub(super) mod resources;
pub(super) mod task;

use std::fmt::Write as _;

/// A set as the original prints it: `{ a, b }`.
fn braces<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut out = String::from("{");
    for (at, item) in items.into_iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(out, "{} {item}", if at == 0 { "" } else { "," });
    }
    out.push_str(" }");
    out
}
