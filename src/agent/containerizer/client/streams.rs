//! A session's own connection with the supervisor, and the streams that come by it.

use super::{lost, wrong};
use crate::agent::containerizer::launch::streams::{self, HANDED_MAX};
use crate::agent::containerizer::session::{Attached, Hold, Input, Output, Session, Terminal};
use crate::agent::containerizer::spec::Window;
use crate::agent::containerizer::wire::{
    ANSWER_BYTES_MAX, Answer as Told, Call, Message, REQUEST_BYTES_MAX, Request, SessionCall,
    VERSION, frame, next,
};
use crate::agent::containerizer::{Answer, SessionRequest};
use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, Interest, ReadBuf};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

/// How much is taken from the connection at a time, in bytes.
const CHUNK_BYTES: usize = 4096;

/// Asks for a session on that connection.
pub(super) async fn open(mut stream: UnixStream, call: Call) -> Result<Session> {
    let request = frame(&Request { seq: 0, call }, REQUEST_BYTES_MAX)?;
    stream.write_all(&request).await.map_err(|_| lost())?;
    let mut line = Line { stream, buffer: Vec::new(), handed: Vec::new(), seq: 0, status: None };
    let told = match line.next().await? {
        Message::Answer { result, .. } => result.map_err(Error::from)?,
        _ => return wrong(),
    };
    let Told::Session(pid) = told else { return wrong() };
    let mut fds = std::mem::take(&mut line.handed);
    let hold = Box::new(line);
    match (fds.pop(), fds.pop(), fds.pop()) {
        (Some(master), None, None) => {
            let side = Side::of(master)?;
            let (input, output) = (Box::new(side.clone()), Box::new(side.clone()));
            let terminal: Option<Box<dyn Terminal>> = Some(Box::new(side));
            Ok(Session { pid, input, output, errors: None, terminal, hold })
        }
        (Some(errors), Some(output), Some(input)) => {
            let reads = |fd| pipe::Receiver::from_owned_fd(fd).map_err(|e| not_taken(&e));
            let input: Input =
                Box::new(pipe::Sender::from_owned_fd(input).map_err(|e| not_taken(&e))?);
            let output: Output = Box::new(reads(output)?);
            let errors: Option<Output> = Some(Box::new(reads(errors)?));
            Ok(Session { pid, input, output, errors, terminal: None, hold })
        }
        _ => wrong(),
    }
}

fn not_taken(e: &io::Error) -> Error {
    Error::new(Code::System, format!("a stream of the command cannot be used: {e}"))
}

/// The connection.
struct Line {
    stream: UnixStream,
    buffer: Vec<u8>,
    handed: Vec<OwnedFd>,
    seq: u64,
    /// Told while something else was waited for.
    status: Option<Option<i32>>,
}

impl Line {
    /// The next message. Safe to cancel.
    async fn next(&mut self) -> Result<Message> {
        loop {
            if let Some(message) = next(&mut self.buffer, ANSWER_BYTES_MAX)? {
                return Ok(message);
            }
            self.stream.readable().await.map_err(|_| lost())?;
            let mut chunk = [0; CHUNK_BYTES];
            let fd = self.stream.as_raw_fd();
            let read = self.stream.try_io(Interest::READABLE, || {
                streams::receive(fd, &mut chunk).map_err(io::Error::from)
            });
            match read {
                Ok((0, _)) => return Err(lost()),
                Ok((got, fds)) => {
                    self.handed.extend(fds);
                    self.handed.truncate(HANDED_MAX);
                    self.buffer.extend_from_slice(chunk.get(..got).unwrap_or_default());
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(lost()),
            }
        }
    }

    async fn ended(&mut self) -> Option<i32> {
        loop {
            if let Some(status) = self.status {
                return status;
            }
            match self.next().await {
                Ok(Message::SessionEnded { status }) => self.status = Some(status),
                Ok(_) => {}
                // With the supervisor the command ends, and nobody can tell how.
                Err(_) => self.status = Some(None),
            }
        }
    }

    async fn signal(&mut self, signal: i32) -> Result<()> {
        self.seq += 1;
        let seq = self.seq;
        let request =
            frame(&Request { seq, call: Call::SignalSession(signal) }, REQUEST_BYTES_MAX)?;
        self.stream.write_all(&request).await.map_err(|_| lost())?;
        loop {
            match self.next().await? {
                Message::Answer { seq: of, result } if of == seq => {
                    return result.map(drop).map_err(Error::from);
                }
                Message::SessionEnded { status } => self.status = Some(status),
                _ => {}
            }
        }
    }
}

impl Hold for Line {
    fn ended(&mut self) -> Pin<Box<dyn Future<Output = Option<i32>> + Send + '_>> {
        Box::pin(Line::ended(self))
    }

    fn signal(&mut self, signal: i32) -> Answer<'_, ()> {
        Box::pin(Line::signal(self, signal))
    }
}

/// Our side of a terminal.
#[derive(Clone)]
pub(super) struct Side(Arc<AsyncFd<OwnedFd>>);

impl Side {
    /// Of its descriptor, which does not block any more.
    ///
    /// # Errors
    /// The kernel's reason.
    pub(super) fn of(master: OwnedFd) -> Result<Self> {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        fcntl(master.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
            .map_err(|e| not_taken(&e.into()))?;
        // SAFETY: what is registered owns its descriptor and never gives another one.
        unsafe { AsyncFd::register(master) }
            .map(|fd| Self(Arc::new(fd)))
            .map_err(|e| not_taken(&e.into()))
    }
}

impl Terminal for Side {
    fn resize(&self, window: Window) -> io::Result<()> {
        Ok(streams::resize(self.0.as_raw_fd(), window)?)
    }
}

impl AsyncRead for Side {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            let into = buf.initialize_unfilled();
            match guard.try_io(|fd| Ok(nix::unistd::read(fd.as_raw_fd(), into)?)) {
                Ok(Ok(got)) => {
                    buf.advance(got);
                    return Poll::Ready(Ok(()));
                }
                // Nobody has the other side open any more.
                Ok(Err(e)) if e.raw_os_error() == Some(libc::EIO) => return Poll::Ready(Ok(())),
                Ok(Err(e)) => return Poll::Ready(Err(e)),
                Err(_not_ready) => {}
            }
        }
    }
}

impl AsyncWrite for Side {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(cx))?;
            match guard.try_io(|fd| Ok(nix::unistd::write(fd, bytes)?)) {
                Ok(done) => return Poll::Ready(done),
                Err(_not_ready) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Asks for a container's terminal on that connection, which is not needed afterwards.
pub(super) async fn attach(mut stream: UnixStream, id: ContainerId) -> Result<Attached> {
    let call = Call::Attach { version: VERSION, id };
    let request = frame(&Request { seq: 0, call }, REQUEST_BYTES_MAX)?;
    stream.write_all(&request).await.map_err(|_| lost())?;
    let mut line = Line { stream, buffer: Vec::new(), handed: Vec::new(), seq: 0, status: None };
    match line.next().await? {
        Message::Answer { result, .. } => match result.map_err(Error::from)? {
            Told::Attached => {}
            _ => return wrong(),
        },
        _ => return wrong(),
    }
    let mut fds = std::mem::take(&mut line.handed);
    match (fds.pop(), fds.pop(), fds.pop()) {
        (Some(master), Some(reads), None) => {
            let side = Side::of(master)?;
            let output = pipe::Receiver::from_owned_fd(reads).map_err(|e| not_taken(&e))?;
            Ok(Attached {
                input: Box::new(side.clone()),
                output: Box::new(output),
                terminal: Box::new(side),
            })
        }
        _ => wrong(),
    }
}

/// The call for a session.
pub(super) fn call(id: &ContainerId, request: SessionRequest) -> Call {
    let SessionRequest { name, argv, env, cwd, user, terminal } = request;
    let session = SessionCall { id: id.clone(), name, argv, env, cwd, user, terminal };
    Call::Session { version: VERSION, session: Box::new(session) }
}
