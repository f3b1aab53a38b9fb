//! Sessions of a command that is none: its ends are in the test's hands.

use super::pump::SIGKILL;
use super::*;
use crate::agent::containerizer::session::Hold;
use crate::agent::containerizer::{
    Answer, Capabilities, ContainerSpec, Event, ExecOutcome, ExecRequest, Found, Limits, Scope,
    Usage,
};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

const PATIENCE: Duration = Duration::from_secs(30);

/// The other ends of a command's streams.
struct Command {
    input: DuplexStream,
    output: DuplexStream,
    errors: DuplexStream,
    end: watch::Sender<Option<Status>>,
    signals: mpsc::UnboundedReceiver<i32>,
    sizes: mpsc::UnboundedReceiver<Window>,
}

struct Held {
    ended: watch::Receiver<Option<Status>>,
    signals: mpsc::UnboundedSender<i32>,
}

impl Hold for Held {
    fn ended(&mut self) -> Pin<Box<dyn Future<Output = Option<i32>> + Send + '_>> {
        Box::pin(async {
            // The guard of what was seen is not held across the other wait.
            let status = self.ended.wait_for(Option::is_some).await.map(|status| *status);
            match status {
                Ok(status) => status.flatten(),
                Err(_) => std::future::pending().await,
            }
        })
    }

    fn signal(&mut self, signal: i32) -> Answer<'_, ()> {
        let _ = self.signals.send(signal);
        Box::pin(std::future::ready(Ok(())))
    }
}

struct Sized(mpsc::UnboundedSender<Window>);

impl Terminal for Sized {
    fn resize(&self, window: Window) -> io::Result<()> {
        self.0.send(window).map_err(io::Error::other)
    }
}

/// Hands out one session.
struct One(Mutex<Option<Session>>);

fn one(terminal: bool) -> (One, Command) {
    let (input, read) = duplex(1 << 16);
    let (output, said) = duplex(1 << 16);
    let (errors, complained) = duplex(1 << 16);
    let (end, ended) = watch::channel(None);
    let (signals, signalled) = mpsc::unbounded_channel();
    let (resize, sizes) = mpsc::unbounded_channel();
    let session = Session {
        pid: 1,
        input: Box::new(input),
        output: Box::new(said),
        errors: (!terminal).then_some(Box::new(complained)),
        terminal: terminal.then(|| Box::new(Sized(resize)) as Box<dyn Terminal>),
        hold: Box::new(Held { ended, signals }),
    };
    let command = Command { input: read, output, errors, end, signals: signalled, sizes };
    (One(Mutex::new(Some(session))), command)
}

impl Containerizer for One {
    fn session(&self, _: &ContainerId, request: SessionRequest) -> Answer<'_, Session> {
        let session = lock(&self.0).take();
        Box::pin(async move {
            session.ok_or_else(|| Error::new(Code::System, format!("no {}", request.name)))
        })
    }
    fn probe(&self) -> Answer<'_, Capabilities> {
        unreachable!()
    }
    fn recover(&self) -> Answer<'_, Vec<Found>> {
        unreachable!()
    }
    fn create(&self, _: ContainerSpec) -> Answer<'_, ()> {
        unreachable!()
    }
    fn start(&self, _: &ContainerId) -> Answer<'_, i32> {
        unreachable!()
    }
    fn signal(&self, _: &ContainerId, _: i32, _: Scope) -> Answer<'_, ()> {
        unreachable!()
    }
    fn destroy(&self, _: &ContainerId) -> Answer<'_, ()> {
        unreachable!()
    }
    fn resize(&self, _: &ContainerId, _: Limits) -> Answer<'_, ()> {
        unreachable!()
    }
    fn usage(&self, _: &ContainerId) -> Answer<'_, Usage> {
        unreachable!()
    }
    fn exec(&self, _: &ContainerId, _: ExecRequest) -> Answer<'_, ExecOutcome> {
        unreachable!()
    }
    fn forget(&self, _: &ContainerId) -> Answer<'_, ()> {
        unreachable!()
    }
    fn events(&self) -> Option<mpsc::Receiver<Event>> {
        None
    }
}

async fn begin(sessions: &Sessions, terminal: bool) -> (Pieces, Arc<Running>, Command) {
    let (containerizer, command) = one(terminal);
    let request = SessionRequest { name: "s".into(), ..SessionRequest::default() };
    let id: ContainerId = "c.s".into();
    let pieces = sessions.open(&containerizer, &"c".into(), id.clone(), request).await;
    let Some(Known::Runs(running)) = sessions.find(&id) else { panic!("it does not run") };
    (pieces.expect("begun"), running, command)
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

#[tokio::test]
async fn what_it_writes_is_heard_to_the_end_and_its_status_is_kept() {
    let sessions = Sessions::default();
    let (mut pieces, running, mut command) = begin(&sessions, false).await;
    let mut other = running.listen().expect("room");
    command.output.write_all(b"one").await.expect("taken");
    assert_eq!(soon(pieces.recv()).await, Some(Piece::Output("one".into())));
    command.errors.write_all(b"two").await.expect("taken");
    assert_eq!(soon(pieces.recv()).await, Some(Piece::Errors("two".into())));
    // Written before its end, read after it.
    command.output.write_all(b"last").await.expect("taken");
    command.end.send_replace(Some(Some(256)));
    drop((command.output, command.errors));
    assert_eq!(soon(pieces.recv()).await, Some(Piece::Output("last".into())));
    assert_eq!(soon(pieces.recv()).await, None);
    assert!(matches!(sessions.find(&"c.s".into()), Some(Known::Ended(Some(256)))));
    assert_eq!(soon(running.ended()).await, Some(256));
    for expected in ["one", "two", "last"] {
        let piece = soon(other.recv()).await.expect("all of it");
        assert!(matches!(piece, Piece::Output(b) | Piece::Errors(b) if b == expected));
    }
    assert_eq!(soon(other.recv()).await, None);
    assert!(running.signal(15).await.is_err(), "there is nothing to signal any more");
}

#[tokio::test]
async fn its_input_is_written_and_ended_and_its_terminal_sized() {
    let sessions = Sessions::default();
    let (_pieces, running, mut command) = begin(&sessions, false).await;
    running.write(b"abc").await.expect("taken");
    running.write(b"").await.expect("ended");
    let mut read = String::new();
    soon(command.input.read_to_string(&mut read)).await.expect("read");
    assert_eq!(read, "abc");
    assert_eq!(running.write(b"more").await.expect_err("too late").code, Code::Conflict);
    let sessions = Sessions::default();
    let (_pieces, running, mut command) = begin(&sessions, true).await;
    running.write(b"").await.expect("means nothing");
    running.write(b"x").await.expect("a terminal has no end");
    running.resize(Window { rows: 1, columns: 2 }).expect("sized");
    assert_eq!(soon(command.sizes.recv()).await, Some(Window { rows: 1, columns: 2 }));
}

// covers: MES-0260
#[tokio::test]
async fn without_its_owner_it_is_killed() {
    let sessions = Sessions::default();
    let (pieces, running, mut command) = begin(&sessions, false).await;
    let mut listener = running.listen().expect("room");
    drop(pieces);
    assert_eq!(soon(command.signals.recv()).await, Some(SIGKILL));
    command.end.send_replace(Some(Some(SIGKILL)));
    assert_eq!(soon(running.ended()).await, Some(SIGKILL));
    assert_eq!(soon(listener.recv()).await, None, "who listens reads the end");
}

#[tokio::test]
async fn a_signal_goes_to_it() {
    let sessions = Sessions::default();
    let (_pieces, running, mut command) = begin(&sessions, false).await;
    running.signal(15).await.expect("sent");
    assert_eq!(soon(command.signals.recv()).await, Some(15));
}

#[tokio::test]
async fn a_name_is_used_once_until_it_is_forgotten() {
    let sessions = Sessions::default();
    let (pieces, running, command) = begin(&sessions, false).await;
    let (containerizer, _other) = one(false);
    let open = async |containerizer: &One| {
        let request = SessionRequest { name: "s".into(), ..SessionRequest::default() };
        sessions.open(containerizer, &"c".into(), "c.s".into(), request).await.map(drop)
    };
    assert_eq!(open(&containerizer).await.expect_err("taken").code, Code::Conflict);
    assert!(!sessions.forget(&"c.s".into()), "it runs");
    command.end.send_replace(Some(Some(0)));
    drop((command, pieces));
    soon(running.ended()).await;
    assert_eq!(open(&containerizer).await.expect_err("remembered").code, Code::Conflict);
    assert!(sessions.forget(&"c.s".into()));
    assert!(sessions.find(&"c.s".into()).is_none());
    open(&containerizer).await.expect("free again");
    // What cannot be started leaves its name free.
    let (empty, _) = one(false);
    lock(&empty.0).take();
    let request = SessionRequest { name: "t".into(), ..SessionRequest::default() };
    assert!(sessions.open(&empty, &"c".into(), "c.t".into(), request).await.is_err());
    assert!(sessions.find(&"c.t".into()).is_none());
}

#[tokio::test]
async fn who_does_not_read_holds_it_up_and_does_not_make_it_deaf() {
    let sessions = Sessions::default();
    let (mut pieces, running, mut command) = begin(&sessions, false).await;
    let much = vec![b'x'; 2 * PIECES_MAX * PIECE_BYTES_MAX];
    let total = much.len();
    let writing = tokio::spawn(async move {
        command.output.write_all(&much).await.expect("taken in the end");
        drop(command.output);
        (command.signals, command.end)
    });
    running.signal(10).await.expect("heard though nobody reads");
    let mut got = 0;
    while got < total {
        let Some(Piece::Output(bytes)) = soon(pieces.recv()).await else { panic!("cut") };
        got += bytes.len();
    }
    let (mut signals, _end) = writing.await.expect("whole");
    assert_eq!(signals.recv().await, Some(10));
}
