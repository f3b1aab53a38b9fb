//! The one error type that crosses rooms: what failed, why, what to do next, and whether to try again.

use std::fmt;

/// What kind of failure it is; HTTP faces map it to a status, the command line to an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The caller sent something that is not valid.
    Invalid,
    /// The thing named does not exist.
    NotFound,
    /// The state of the thing does not allow it (version mismatch, already there).
    Conflict,
    /// Authenticated, but not allowed.
    Forbidden,
    /// A bounded queue or table is full.
    Overloaded,
    /// Not possible now: no leader, recovering, shutting down.
    Unavailable,
    /// It took longer than allowed; the outcome is unknown.
    Timeout,
    /// A file or database cannot be read as what it should be.
    Corrupt,
    /// The machine refused: I/O, permissions, missing kernel feature.
    System,
    /// A defect of ours.
    Internal,
}

/// Whether the same request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// It will fail again.
    Never,
    /// After a while, here.
    Later,
    /// At once, at another node (the leader).
    OtherNode,
    /// It may have happened: only a request with an id of its own may be repeated.
    Unknown,
}

/// An error with its cause and its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind it is.
    pub code: Code,
    /// What failed and why, one or two sentences without a final full stop.
    pub cause: String,
    /// What to do next, if there is something.
    pub hint: Option<String>,
    /// Whether to try again.
    pub retry: Retry,
}

impl Error {
    /// An error of that kind; `Retry` is what fits the kind.
    pub fn new(code: Code, cause: impl Into<String>) -> Self {
        let retry = match code {
            Code::Overloaded | Code::Unavailable => Retry::Later,
            Code::Timeout => Retry::Unknown,
            _ => Retry::Never,
        };
        Self { code, cause: cause.into(), hint: None, retry }
    }

    /// Adds what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts what was being done in front of the cause.
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.cause = format!("{doing}: {}", self.cause);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl std::error::Error for Error {}

/// A result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
