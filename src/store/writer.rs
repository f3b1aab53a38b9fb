//! The one writer of a database: a thread that takes whatever waits, writes it in one transaction,
//! syncs once and answers all of it.
//!
//! It sleeps while there is nothing to write. It does not know what a job writes.

use super::failed;
use crate::base::error::{Code, Error, Result};
use redb::{Database, Durability, WriteTransaction};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// How many jobs may wait for the writer.
pub const QUEUE_MAX: usize = 4096;
/// How many jobs share one commit at the most.
pub const GROUP_JOBS_MAX: usize = 1024;
/// After how many bytes a commit takes no more jobs.
pub const GROUP_BYTES_MAX: usize = 8 << 20;

/// When a job may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// After a sync: for whatever is acknowledged to somebody.
    Synced,
    /// At once, in order, synced together with the next [`Mode::Synced`] job; a crash before that
    /// takes it back.
    Behind,
    /// As [`Mode::Behind`], and ahead of waiting jobs of other modes: for what touches nothing that
    /// they touch. Without it, appends and applies that alternate in the queue would each need a
    /// commit of their own.
    Aside,
}

/// The tables of a database, opened for one transaction.
pub trait Space: 'static {
    /// The open tables.
    type Open<'t>;

    /// Opens (and at first creates) them.
    ///
    /// # Errors
    /// What the database failed with.
    fn open(txn: &WriteTransaction) -> std::result::Result<Self::Open<'_>, redb::TableError>;
}

/// One thing to write.
pub trait Job<S: Space>: Send {
    /// When it may be answered.
    fn mode(&self) -> Mode;

    /// Roughly how many bytes it writes; for [`GROUP_BYTES_MAX`].
    fn bytes(&self) -> usize;

    /// Writes. An error here takes back the whole group and ends all writing to this database.
    ///
    /// # Errors
    /// Only when the database cannot be read or written: a refusal on grounds of content is an
    /// answer, not an error.
    fn run(&mut self, tables: &mut S::Open<'_>) -> Result<()>;

    /// Told the outcome, on the writer's thread; must not block. Of one commit, the newest job is
    /// told first.
    fn done(self: Box<Self>, outcome: Result<()>);
}

/// What the writer has done so far.
#[derive(Debug, Default)]
pub struct Counters {
    /// Commits with a sync.
    pub synced: AtomicU64,
    /// Commits without one.
    pub behind: AtomicU64,
    /// Jobs written.
    pub jobs: AtomicU64,
    /// Jobs refused because the queue was full.
    pub overloaded: AtomicU64,
}

/// A handle to the writer thread; the thread ends when the handle is closed or dropped, after
/// writing what waits.
pub struct Writer<S: Space> {
    queue: Mutex<Option<mpsc::Sender<Box<dyn Job<S>>>>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    counters: Arc<Counters>,
}

impl<S: Space> Writer<S> {
    /// Starts the thread; `name` is the thread's name.
    ///
    /// # Errors
    /// [`Code::System`] when no thread can be made.
    pub(super) fn start(name: &str, db: Arc<Database>) -> Result<Self> {
        let (tx, rx) = mpsc::channel(QUEUE_MAX);
        let counters = Arc::new(Counters::default());
        let counted = counters.clone();
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || write_all::<S>(&db, rx, &counted))
            .map_err(|e| Error::new(Code::System, format!("cannot start a thread: {e}")))?;
        Ok(Self { queue: Mutex::new(Some(tx)), thread: Mutex::new(Some(thread)), counters })
    }

    fn sender(&self) -> Option<mpsc::Sender<Box<dyn Job<S>>>> {
        self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Hands over a job without waiting. A refused job is told so through [`Job::done`].
    pub fn submit(&self, job: Box<dyn Job<S>>) {
        let Some(queue) = self.sender() else { return job.done(Err(closed())) };
        match queue.try_send(job) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(job)) => {
                self.counters.overloaded.fetch_add(1, Ordering::Relaxed);
                job.done(Err(Error::new(
                    Code::Overloaded,
                    format!("{QUEUE_MAX} writes are waiting for the disk"),
                )));
            }
            Err(mpsc::error::TrySendError::Closed(job)) => job.done(Err(closed())),
        }
    }

    /// Hands over a job, waiting for room in the queue.
    pub async fn submit_when_room(&self, job: Box<dyn Job<S>>) {
        let Some(queue) = self.sender() else { return job.done(Err(closed())) };
        if let Err(mpsc::error::SendError(job)) = queue.send(job).await {
            job.done(Err(closed()));
        }
    }

    /// What it has done so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Writes what waits and ends the thread. Blocks until then; later jobs are refused.
    pub fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        // A job's `done` may hold the last handle: the thread cannot wait for itself.
        if let Some(thread) = thread.filter(|t| t.thread().id() != std::thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the writer thread of a database ended by a panic");
        }
    }
}

impl<S: Space> Drop for Writer<S> {
    fn drop(&mut self) {
        self.close();
    }
}

fn closed() -> Error {
    Error::new(Code::Unavailable, "the database is closed")
}

fn write_all<S: Space>(
    db: &Database,
    mut queue: mpsc::Receiver<Box<dyn Job<S>>>,
    counters: &Counters,
) {
    let mut broken: Option<Error> = None;
    let mut waiting: VecDeque<Box<dyn Job<S>>> = VecDeque::new();
    loop {
        if waiting.is_empty() {
            match queue.blocking_recv() {
                Some(job) => waiting.push_back(job),
                None => break,
            }
        }
        while waiting.len() < GROUP_JOBS_MAX
            && let Ok(job) = queue.try_recv()
        {
            waiting.push_back(job);
        }
        let (mode, mut group) = next_group(&mut waiting);
        let outcome = match &broken {
            Some(e) => Err(e.clone()),
            None => commit::<S>(db, mode, &mut group),
        };
        match &outcome {
            Ok(()) => {
                let kind = if mode == Mode::Synced { &counters.synced } else { &counters.behind };
                kind.fetch_add(1, Ordering::Relaxed);
                counters.jobs.fetch_add(group.len() as u64, Ordering::Relaxed);
            }
            Err(e) if broken.is_none() => {
                tracing::error!(cause = %e, "a database cannot be written any more");
                broken = Some(e.clone());
            }
            Err(_) => {}
        }
        // The newest first: who watches how far the disk has come then sees all of it at once, and
        // goes on with one large step instead of many small ones, each waiting for a sync.
        for job in group.into_iter().rev() {
            job.done(outcome.clone());
        }
    }
}

/// The jobs of the next commit: all that may go ahead, if there are any; else the first ones of one
/// mode.
fn next_group<S: Space>(waiting: &mut VecDeque<Box<dyn Job<S>>>) -> (Mode, Vec<Box<dyn Job<S>>>) {
    let aside = waiting.iter().any(|job| job.mode() == Mode::Aside);
    let first =
        if aside { Mode::Aside } else { waiting.front().map_or(Mode::Behind, |j| j.mode()) };
    let (mut group, mut rest, mut bytes) = (Vec::new(), VecDeque::new(), 0usize);
    while let Some(job) = waiting.pop_front() {
        let fits = job.mode() == first && bytes < GROUP_BYTES_MAX;
        if fits {
            bytes = bytes.saturating_add(job.bytes());
            group.push(job);
            continue;
        }
        rest.push_back(job);
        // Only what goes ahead may pass others, and never one of its own mode.
        if !aside || bytes >= GROUP_BYTES_MAX {
            break;
        }
    }
    rest.append(waiting);
    *waiting = rest;
    (first, group)
}

fn commit<S: Space>(db: &Database, mode: Mode, group: &mut [Box<dyn Job<S>>]) -> Result<()> {
    let mut txn = db.begin_write().map_err(failed)?;
    let durability = match mode {
        Mode::Synced => Durability::Immediate,
        Mode::Behind | Mode::Aside => Durability::None,
    };
    txn.set_durability(durability).map_err(failed)?;
    {
        let mut tables = S::open(&txn).map_err(failed)?;
        for job in group {
            job.run(&mut tables)?;
        }
    }
    txn.commit().map_err(failed)
}
