//! Commands that run in containers while somebody holds a stream of their output: who else listens to them, who writes
//! to them, and how they ended. They are this process's own, and end with it.

mod pump;
#[cfg(test)]
mod tests;

use crate::agent::containerizer::session::{Input, Terminal};
use crate::agent::containerizer::{Attached, Containerizer, Session, SessionRequest, Window};
use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{mpsc, oneshot, watch};

/// Sessions whose end is remembered, the last ones.
pub const ENDED_MAX: usize = 1024;
/// Who listens to one session, at most.
pub const LISTENERS_MAX: usize = 16;
/// What may wait for one listener, in pieces of at most [`PIECE_BYTES_MAX`]; then the command waits.
pub const PIECES_MAX: usize = 32;
/// The longest piece of output, in bytes.
pub const PIECE_BYTES_MAX: usize = 16 * 1024;

/// What a command wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// To its output, or its terminal.
    Output(Bytes),
    /// To its errors.
    Errors(Bytes),
}

/// The output of a session as one listener gets it, to the end.
pub type Pieces = mpsc::Receiver<Piece>;

/// How a command ended: its raw wait status, if anybody could tell.
pub type Status = Option<i32>;

/// What somebody asks of a session.
enum Order {
    Signal(i32, oneshot::Sender<Result<()>>),
}

/// A command that runs.
pub struct Running {
    listeners: Mutex<Vec<mpsc::Sender<Piece>>>,
    input: tokio::sync::Mutex<Option<Input>>,
    terminal: Option<Box<dyn Terminal>>,
    orders: mpsc::Sender<Order>,
    ended: watch::Receiver<Option<Status>>,
}

enum Entry {
    /// It is being started.
    Begins,
    Runs(Arc<Running>),
    Ended(Status),
}

#[derive(Default)]
struct Table {
    all: BTreeMap<ContainerId, Entry>,
    /// Of those that ended, the order in which they did.
    ended: VecDeque<ContainerId>,
}

/// All sessions of an agent. Clones are the same.
#[derive(Clone, Default)]
pub struct Sessions(Arc<Mutex<Table>>);

/// What is known of a session.
pub enum Known {
    /// It runs.
    Runs(Arc<Running>),
    /// It ended.
    Ended(Status),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is under it is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    /// Begins a session called `id` in the container `inside`. It lives until its command ends or the stream that this
    /// answers is dropped.
    ///
    /// # Errors
    /// [`Code::Conflict`] when there is or was one of that name; else why the command could not be started.
    pub async fn open(
        &self,
        containerizer: &dyn Containerizer,
        inside: &ContainerId,
        id: ContainerId,
        request: SessionRequest,
    ) -> Result<Pieces> {
        {
            let mut table = lock(&self.0);
            if table.all.contains_key(&id) {
                return Err(Error::new(Code::Conflict, format!("Container '{id}' exists already")));
            }
            table.all.insert(id.clone(), Entry::Begins);
        }
        // Gone again when it cannot be started, or whoever asks gives up.
        let place = Place { sessions: self, id: Some(id.clone()) };
        let session = containerizer.session(inside, request).await?;
        Ok(self.run(place, id, session))
    }

    fn run(&self, mut place: Place<'_>, id: ContainerId, session: Session) -> Pieces {
        let (owner, pieces) = mpsc::channel(PIECES_MAX);
        let (orders, asked) = mpsc::channel(1);
        let (tell, ended) = watch::channel(None);
        let Session { input, output, errors, terminal, hold, .. } = session;
        let running = Arc::new(Running {
            listeners: Mutex::new(vec![owner.clone()]),
            input: tokio::sync::Mutex::new(Some(input)),
            terminal,
            orders,
            ended,
        });
        place.id = None;
        lock(&self.0).all.insert(id.clone(), Entry::Runs(running.clone()));
        let this = self.clone();
        tokio::spawn(async move {
            let status = pump::run(&running, output, errors, hold, asked, &owner).await;
            this.note(id, status);
            tell.send_replace(Some(status));
            // Who listens reads the end only now: what they ask next, they are told.
            lock(&running.listeners).clear();
        });
        pieces
    }

    fn note(&self, id: ContainerId, status: Status) {
        let mut table = lock(&self.0);
        table.all.insert(id.clone(), Entry::Ended(status));
        table.ended.push_back(id);
        while table.ended.len() > ENDED_MAX {
            if let Some(old) = table.ended.pop_front() {
                table.all.remove(&old);
            }
        }
    }

    /// What is known of a session of that name.
    pub fn find(&self, id: &ContainerId) -> Option<Known> {
        match lock(&self.0).all.get(id)? {
            Entry::Begins => None,
            Entry::Runs(running) => Some(Known::Runs(running.clone())),
            Entry::Ended(status) => Some(Known::Ended(*status)),
        }
    }

    /// Forgets one that has ended; false for one that has not.
    pub fn forget(&self, id: &ContainerId) -> bool {
        let mut table = lock(&self.0);
        let ended = matches!(table.all.get(id), Some(Entry::Ended(_)));
        if ended {
            table.all.remove(id);
            table.ended.retain(|other| other != id);
        }
        ended
    }

    /// The names of those that run.
    pub fn running(&self) -> Vec<ContainerId> {
        let table = lock(&self.0);
        let runs = table.all.iter().filter(|(_, entry)| matches!(entry, Entry::Runs(_)));
        runs.map(|(id, _)| id.clone()).collect()
    }
}

/// A container's own terminal: what it writes from now on, and the way to write to it. The container does not end with it.
///
/// # Errors
/// As [`Containerizer::attach`].
pub async fn attach(
    containerizer: &dyn Containerizer,
    id: &ContainerId,
) -> Result<(Arc<Running>, Pieces)> {
    let Attached { input, output, terminal } = containerizer.attach(id).await?;
    let (owner, pieces) = mpsc::channel(PIECES_MAX);
    let (orders, asked) = mpsc::channel(1);
    let (tell, ended) = watch::channel(None);
    let running = Arc::new(Running {
        listeners: Mutex::new(vec![owner.clone()]),
        input: tokio::sync::Mutex::new(Some(input)),
        terminal: Some(terminal),
        orders,
        ended,
    });
    let own = running.clone();
    tokio::spawn(async move {
        pump::watch(&own, output, asked, &owner).await;
        tell.send_replace(Some(None));
        lock(&own.listeners).clear();
    });
    Ok((running, pieces))
}

/// A name that is taken for a session which does not run yet.
struct Place<'a> {
    sessions: &'a Sessions,
    id: Option<ContainerId>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            lock(&self.sessions.0).all.remove(id);
        }
    }
}

impl Running {
    /// Its output from now on.
    ///
    /// # Errors
    /// [`Code::Overloaded`] when too many listen.
    pub fn listen(&self) -> Result<Pieces> {
        let mut listeners = lock(&self.listeners);
        if listeners.len() >= LISTENERS_MAX {
            let cause = format!("{LISTENERS_MAX} listen to this container, the most there may be");
            return Err(Error::new(Code::Overloaded, cause));
        }
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        // One that has just ended has nobody to tell: the sender is dropped with this answer.
        if self.ended.borrow().is_none() {
            listeners.push(sender);
        }
        Ok(pieces)
    }

    /// Writes to it. Nothing is the end of its input, but on a terminal, where a character says so.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it reads no more.
    pub async fn write(&self, bytes: &[u8]) -> Result<()> {
        let mut input = self.input.lock().await;
        if bytes.is_empty() {
            if self.terminal.is_none()
                && let Some(mut input) = input.take()
            {
                // One that reads no more needs no end.
                let _ = input.shutdown().await;
            }
            return Ok(());
        }
        let over = || Error::new(Code::Conflict, "the command's input was closed before");
        let pipe = input.as_mut().ok_or_else(over)?;
        let mut ended = self.ended.clone();
        tokio::select! {
            written = pipe.write_all(bytes) => {
                let closed = |e| Error::new(Code::Conflict, format!("the command reads no more: {e}"));
                written.map_err(closed)
            }
            // What nobody reads is not waited for.
            _ = ended.wait_for(Option::is_some) => Ok(()),
        }
    }

    /// Sets the size of its terminal; nothing to do without one.
    ///
    /// # Errors
    /// [`Code::System`] with the kernel's reason.
    pub fn resize(&self, window: Window) -> Result<()> {
        let Some(terminal) = &self.terminal else { return Ok(()) };
        let refused = |e| Error::new(Code::System, format!("the terminal cannot be resized: {e}"));
        terminal.resize(window).map_err(refused)
    }

    /// Signals it.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it does not run any more.
    pub async fn signal(&self, signal: i32) -> Result<()> {
        let over = |_| Error::new(Code::Conflict, "the command has ended");
        let (answer, answered) = oneshot::channel();
        self.orders
            .send(Order::Signal(signal, answer))
            .await
            .map_err(|_| Error::new(Code::Conflict, "the command has ended"))?;
        answered.await.map_err(over)?
    }

    /// Waits for its end.
    pub async fn ended(&self) -> Status {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(status) => status.flatten(),
            Err(_) => None,
        }
    }
}
