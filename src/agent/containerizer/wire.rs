//! What agent and supervisor say to each other over the unix socket: length-framed JSON, versioned by a hello.
//!
//! Frames are a 32-bit little-endian length and that many bytes. The first message of either side tells its version;
//! another version is refused. Within a version changes are additive.

use super::record::{
    Capabilities, ExecOutcome, ExitRecord, Found, OwnNetwork, Places, Scope, Usage,
};
use super::spec::{ContainerSpec, Limits, Window};
use crate::base::error::{Code, Error};
use crate::base::ids::ContainerId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version of the protocol and of what is on disk; part of the paths in the run directory.
pub const VERSION: u32 = 1;
/// The longest frame the supervisor reads, in bytes.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;
/// The longest frame the agent reads, in bytes.
pub const ANSWER_BYTES_MAX: usize = 32 << 20;

/// How many containers are asked for in one [`Call::Places`].
pub const PLACES_MAX: usize = 2048;

/// A request; `seq` comes back with the answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the asker.
    pub seq: u64,
    /// What is asked.
    pub call: Call,
}

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
pub enum Call {
    /// Must be the first.
    Hello {
        /// The asker's [`VERSION`].
        version: u32,
    },
    /// Which containers are known.
    List,
    /// Make a container and park it before its first instruction.
    Create(Box<ContainerSpec>),
    /// Let it go.
    Start(ContainerId),
    /// Send a signal.
    Signal {
        /// To which container.
        id: ContainerId,
        /// Signal number.
        signal: i32,
        /// To which of its processes.
        scope: Scope,
    },
    /// Kill everything in it and remove all but its exit record.
    Destroy(ContainerId),
    /// Set other limits.
    Resize {
        /// Of which container.
        id: ContainerId,
        /// The new ones.
        limits: Limits,
    },
    /// What it uses.
    Usage(ContainerId),
    /// Where it is read what these use, at most [`PLACES_MAX`] of them. Not to be asked of one whose hello does not offer it.
    Places(Vec<ContainerId>),
    /// Run a command in it.
    Exec {
        /// In which container.
        id: ContainerId,
        /// Program and arguments.
        argv: Vec<String>,
        /// Added to the container's own environment.
        env: Vec<(String, String)>,
        /// Working directory; none: the sandbox.
        cwd: Option<String>,
        /// When it is killed, in milliseconds.
        timeout_ms: u64,
    },
    /// Drop the exit record.
    Forget(ContainerId),
    /// Must be the first on a connection of its own, which then is this session's: run a command in a container and hand
    /// its streams over with the answer. It ends with the connection, however that ends.
    Session {
        /// The asker's [`VERSION`].
        version: u32,
        /// What is run.
        session: Box<SessionCall>,
    },
    /// Must be the first on a connection of its own: the terminal of a container. With the answer come a pipe, by which
    /// all comes that is written from now on, and the terminal itself, to be written to and sized.
    Attach {
        /// The asker's [`VERSION`].
        version: u32,
        /// Of which container.
        id: ContainerId,
    },
    /// On a session's connection: signal the command.
    SignalSession(i32),
    /// End the supervisor.
    Down {
        /// Whether its containers are destroyed first; else it is refused while there are any.
        kill: bool,
    },
}

/// A command whose streams are handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionCall {
    /// In which container.
    pub id: ContainerId,
    /// What tells it from others of that container; part of a path.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Added to the container's own environment.
    pub env: Vec<(String, String)>,
    /// Working directory; none: the sandbox.
    pub cwd: Option<String>,
    /// Whom it runs as; none: the container's user.
    pub user: Option<String>,
    /// On a terminal of that size; none: with three pipes.
    pub terminal: Option<Window>,
}

/// What comes from the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// The answer to the request with that number.
    Answer {
        /// The request's.
        seq: u64,
        /// The outcome.
        result: Result<Answer, Fault>,
    },
    /// A container ended.
    Exited {
        /// Which.
        id: ContainerId,
        /// How.
        record: ExitRecord,
    },
    /// The command of this connection ended.
    SessionEnded {
        /// Its raw wait status.
        status: Option<i32>,
    },
}

/// A good answer.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// To `Hello`.
    Hello {
        /// The supervisor's [`VERSION`].
        version: u32,
        /// Its process.
        pid: u32,
        /// What this machine can do.
        capabilities: Capabilities,
        /// Whether it answers [`Call::Places`]: one of an earlier program does not.
        #[serde(default)]
        places: bool,
    },
    /// To `List`.
    List(Vec<Found>),
    /// To `Start`: the task's process.
    Started(i32),
    /// To `Usage`.
    Usage(Usage),
    /// To `Places`.
    Places(Places),
    /// To `Exec`.
    Exec(ExecOutcome),
    /// To `Session`: the command's process. With it come its terminal, or the ends of its input, output and errors.
    Session(i32),
    /// To `Attach`.
    Attached,
    /// To `Create`, of a container with a network of its own.
    Created(OwnNetwork),
    /// To all others.
    Done,
}

/// An error on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Name of the [`Code`].
    pub code: String,
    /// What failed and why.
    pub cause: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

const CODES: [Code; 10] = [
    Code::Invalid,
    Code::NotFound,
    Code::Conflict,
    Code::Forbidden,
    Code::Overloaded,
    Code::Unavailable,
    Code::Timeout,
    Code::Corrupt,
    Code::System,
    Code::Internal,
];

impl From<Error> for Fault {
    fn from(e: Error) -> Self {
        Fault { code: format!("{:?}", e.code), cause: e.cause, hint: e.hint }
    }
}

impl From<Fault> for Error {
    fn from(f: Fault) -> Self {
        let code = CODES.into_iter().find(|c| format!("{c:?}") == f.code);
        let mut e = Error::new(code.unwrap_or(Code::Internal), f.cause);
        e.hint = f.hint;
        e
    }
}

/// A message as a frame.
///
/// # Errors
/// `Internal` when it cannot be written as JSON, `Invalid` when it is longer than `max`.
pub fn frame<T: Serialize>(message: &T, max: usize) -> Result<Vec<u8>, Error> {
    let mut out = vec![0; 4];
    serde_json::to_writer(&mut out, message)
        .map_err(|e| Error::new(Code::Internal, format!("a message cannot be encoded: {e}")))?;
    let len = out.len() - 4;
    if len > max {
        return Err(Error::new(Code::Invalid, format!("a message of {len} bytes, over {max}")));
    }
    // `max` is far below 4 GiB.
    out[..4].copy_from_slice(&(len as u32).to_le_bytes());
    Ok(out)
}

/// Takes the next whole frame off the front of what was read; none: more must be read.
///
/// # Errors
/// `Corrupt` when it is too long or not what it should be; the connection is of no use then.
pub fn next<T: DeserializeOwned>(buffer: &mut Vec<u8>, max: usize) -> Result<Option<T>, Error> {
    let Some(head) = buffer.first_chunk::<4>() else { return Ok(None) };
    let len = u32::from_le_bytes(*head) as usize;
    if len > max {
        return Err(Error::new(Code::Corrupt, format!("a frame of {len} bytes, over {max}")));
    }
    let Some(body) = buffer.get(4..4 + len) else { return Ok(None) };
    let message = serde_json::from_slice(body)
        .map_err(|e| Error::new(Code::Corrupt, format!("a frame cannot be read: {e}")))?;
    buffer.drain(..4 + len);
    Ok(Some(message))
}
