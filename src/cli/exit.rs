//! How commands end: exit codes, and errors as people read them.

use crate::base::error::{Code, Error};
use std::io::Write as _;

/// The table of exit codes, shown by every `--help`.
pub const EXIT_CODES: &str = "\
Exit codes: 0 done · 1 wrong use or input · 2 failure of mesolith · 3 not found · 4 conflict
            5 not placed in time · 6 cannot reach the cluster · 7 not allowed · 124 timed out";

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
