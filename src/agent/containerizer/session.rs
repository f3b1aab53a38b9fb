//! A command run in a container with its streams in the hands of whoever asked for it: a shell, a copy of a file, any
//! program that talks. It ends with what holds it.

use super::Answer;
use super::spec::Window;
use std::future::Future;
use std::io;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};

/// What is run, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionRequest {
    /// What tells it from others of the container; safe in a path.
    pub name: String,
    /// Program (looked up in the container's `PATH`) and arguments.
    pub argv: Vec<String>,
    /// Added to the container's environment; wins.
    pub env: Vec<(String, String)>,
    /// Working directory; none: the sandbox.
    pub cwd: Option<String>,
    /// Whom it runs as; none: the container's user.
    pub user: Option<String>,
    /// On a terminal of that size; none: with three pipes.
    pub terminal: Option<Window>,
}

/// What is written to it.
pub type Input = Box<dyn AsyncWrite + Send + Unpin>;
/// What it writes.
pub type Output = Box<dyn AsyncRead + Send + Unpin>;

/// The size of a terminal can be changed.
pub trait Terminal: Send + Sync {
    /// Sets it, and tells the program.
    ///
    /// # Errors
    /// The kernel's reason.
    fn resize(&self, window: Window) -> io::Result<()>;
}

/// What a session lives on: dropped, its command is killed, with all that it has started.
pub trait Hold: Send {
    /// Its raw wait status when it has ended; none when nobody could tell. Safe to cancel.
    fn ended(&mut self) -> Pin<Box<dyn Future<Output = Option<i32>> + Send + '_>>;
    /// Signals it.
    fn signal(&mut self, signal: i32) -> Answer<'_, ()>;
}

/// A container's own terminal, which does not end with this.
pub struct Attached {
    /// What is typed.
    pub input: Input,
    /// What is written from now on. It ends with the container, or when it is not read fast enough.
    pub output: Output,
    /// Its size.
    pub terminal: Box<dyn Terminal>,
}

/// A command that runs.
pub struct Session {
    /// Its process.
    pub pid: i32,
    /// Its input; dropped, it reads the end of it (but on a terminal).
    pub input: Input,
    /// Its output; on a terminal all that it writes.
    pub output: Output,
    /// Its errors; none on a terminal.
    pub errors: Option<Output>,
    /// Its terminal, if it has one.
    pub terminal: Option<Box<dyn Terminal>>,
    /// As long as this is there, it may run.
    pub hold: Box<dyn Hold>,
}
