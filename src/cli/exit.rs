//! How commands end: exit codes, and errors as people read them.

use crate::base::error::{Code, Error};
use std::io::Write as _;

/// The table of exit codes, shown by every `--help`.
pub const EXIT_CODES: &str = "\
Exit codes: 0 done · 1 wrong use or input · 2 failure of mesolith or of the run · 3 not found
            4 conflict · 5 not placed in time · 6 cannot reach the cluster · 7 not allowed
            124 timed out · 130 interrupted";

/// How a verb ended that was not refused. What is to be said of it has been said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// What was asked for is so.
    Done,
    /// The run that was watched has failed.
    Failed,
    /// Another change took the place of the one that was watched.
    Cancelled,
    /// The time was up, and there was no place for it.
    NotPlaced,
    /// The time was up.
    TimedOut,
    /// Watching was stopped by Ctrl-C.
    Interrupted,
    /// Something was refused, with this exit code.
    Refused(u8),
}

impl From<()> for End {
    fn from((): ()) -> Self {
        Self::Done
    }
}

/// Exit codes from the worst to the best, for verbs that do several things.
const WORST_FIRST: [u8; 10] = [2, 6, 7, 1, 3, 4, 5, 124, 130, 0];

impl End {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 2,
            Self::Cancelled => 4,
            Self::NotPlaced => 5,
            Self::TimedOut => 124,
            Self::Interrupted => 130,
            Self::Refused(code) => code,
        }
    }

    /// The worse of two.
    pub fn worse(self, other: Self) -> Self {
        let rank = |end: Self| WORST_FIRST.iter().position(|c| *c == end.code()).unwrap_or(0);
        if rank(other) < rank(self) { other } else { self }
    }
}

/// The exit code of an error.
pub fn code(error: &Error) -> u8 {
    match error.code {
        Code::Invalid => 1,
        Code::NotFound => 3,
        Code::Conflict => 4,
        Code::Unavailable | Code::Overloaded => 6,
        Code::Forbidden => 7,
        Code::Timeout => 124,
        Code::Corrupt | Code::System | Code::Internal => 2,
    }
}

/// Writes an error and its hint to stderr; answers the exit code.
pub fn complain(error: &Error) -> u8 {
    let mut text = String::new();
    for (n, line) in error.cause.lines().enumerate() {
        text.push_str(if n == 0 { "error: " } else { "       " });
        text.push_str(line);
        text.push('\n');
    }
    if let Some(hint) = &error.hint {
        text.push_str("hint:  ");
        text.push_str(hint);
        text.push('\n');
    }
    // A closed stderr leaves nobody to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
    code(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_ends_counts() {
        let worst = |ends: &[End]| ends.iter().fold(End::Done, |a, b| a.worse(*b)).code();
        assert_eq!(worst(&[]), 0);
        assert_eq!(worst(&[End::Done, End::NotPlaced, End::TimedOut]), 5);
        assert_eq!(worst(&[End::TimedOut, End::Refused(1), End::Done]), 1);
        assert_eq!(worst(&[End::Refused(6), End::Failed]), 2);
    }
}
