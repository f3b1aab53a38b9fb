//! Drives one [`Machine`] in real time: mailbox → steps → one batch of writes → acts.
//!
//! Stepping never waits for storage: batches are handed over in order and acts are held back until the batches
//! before them are durable. Runs on whatever thread awaits [`run`]; a node gives all its cores one control thread.

use super::{Cx, Effects, Machine};
use crate::base::error::{Code, Error, Result};
use crate::base::rng::Rng;
use crate::base::time::{Mono, Wall};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot};

/// How many inputs may wait for a core. Senders are refused (or wait) beyond that.
pub const MAILBOX_MAX: usize = 16 * 1024;

/// How many inputs one batch takes at the most, so that no batch starves its own acts.
const BATCH_INPUTS_MAX: usize = 1024;

/// How many batches may be on their way to the disk; stepping pauses beyond that.
const BATCHES_IN_FLIGHT_MAX: usize = 64;

/// The process's clocks.
#[derive(Clone, Debug)]
pub struct Clock {
    start: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock {
    /// Monotonic now.
    pub fn mono(&self) -> Mono {
        Mono(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Wall time now.
    pub fn wall(&self) -> Wall {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Wall(u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX))
    }

    fn instant(&self, at: Mono) -> Instant {
        self.start
            .checked_add(Duration::from_nanos(at.0))
            .unwrap_or_else(|| self.start + Duration::from_secs(u64::from(u32::MAX)))
    }
}

/// What carries out a machine's effects.
pub trait Shell<M: Machine>: 'static {
    /// Makes a batch durable. Called in order; called again before earlier batches are done. A failure ends the machine.
    fn persist(&mut self, writes: Vec<M::Write>) -> Pin<Box<dyn Future<Output = Result<()>>>>;

    /// Does one thing; must not block.
    fn act(&mut self, act: M::Act);

    /// Told how many inputs were taken and are still waiting, for metrics.
    fn observe(&mut self, _taken: usize, _waiting: usize) {}
}

type Deliver = Box<dyn FnOnce() + Send>;

/// A read of the machine's state: looks, and answers with what delivers the result.
type Look<M> = Box<dyn FnOnce(&M) -> Deliver + Send>;

enum Mail<M: Machine> {
    Input(M::Input),
    Look(Look<M>),
}

/// The sending side of a machine's mailbox.
pub struct Handle<M: Machine>(mpsc::Sender<Mail<M>>);

impl<M: Machine> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Machine> Handle<M> {
    /// Sends an input, or refuses it at once.
    ///
    /// # Errors
    /// [`Code::Overloaded`] when the mailbox is full, [`Code::Unavailable`] when the machine has ended.
    pub fn try_send(&self, input: M::Input) -> Result<()> {
        self.0.try_send(Mail::Input(input)).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => {
                Error::new(Code::Overloaded, "too many requests are waiting")
            }
            mpsc::error::TrySendError::Closed(_) => ended(),
        })
    }

    /// Sends an input, waiting for room.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the machine has ended.
    pub async fn send(&self, input: M::Input) -> Result<()> {
        self.0.send(Mail::Input(input)).await.map_err(|_| ended())
    }

    /// Completes when the machine has ended.
    pub async fn ended(&self) {
        self.0.closed().await;
    }

    /// Reads the state between two steps. The result is handed out when all that it shows is durable.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the machine has ended.
    pub async fn look<T: Send + 'static>(
        &self,
        f: impl FnOnce(&M) -> T + Send + 'static,
    ) -> Result<T> {
        let (tx, rx) = oneshot::channel();
        let look: Look<M> = Box::new(move |m| {
            let seen = f(m);
            Box::new(move || drop(tx.send(seen)))
        });
        self.0.send(Mail::Look(look)).await.map_err(|_| ended())?;
        rx.await.map_err(|_| ended())
    }
}

fn ended() -> Error {
    Error::new(Code::Unavailable, "this service is stopping or has lost its leadership")
}

/// The receiving side; give it to [`run`].
pub struct Mailbox<M: Machine>(mpsc::Receiver<Mail<M>>);

/// A mailbox for a machine yet to be started.
pub fn mailbox<M: Machine>() -> (Handle<M>, Mailbox<M>) {
    let (tx, rx) = mpsc::channel(MAILBOX_MAX);
    (Handle(tx), Mailbox(rx))
}

enum Held<A> {
    Act(A),
    Deliver(Deliver),
}

/// Batches on their way to the disk, and what waits for them, in order.
struct Pipeline<M: Machine, S> {
    shell: S,
    syncs: FuturesOrdered<Pin<Box<dyn Future<Output = Result<()>>>>>,
    held: VecDeque<(u64, Held<M::Act>)>,
    submitted: u64,
    durable: u64,
}

impl<M: Machine, S: Shell<M>> Pipeline<M, S> {
    /// Hands over one batch of effects, and reads made after it.
    fn carry_out(&mut self, mut out: Effects<M>, looks: Vec<Deliver>) {
        for act in out.acts_now.drain(..) {
            self.shell.act(act);
        }
        let before = self.submitted;
        if !out.writes.is_empty() {
            self.submitted += 1;
            self.syncs.push_back(self.shell.persist(std::mem::take(&mut out.writes)));
        }
        for (writes_before, act) in out.acts {
            // A batch is one sync: an act waits for this batch only if a write of it came before the act.
            let waits_for = if writes_before > 0 { self.submitted } else { before };
            self.held.push_back((waits_for, Held::Act(act)));
        }
        for deliver in looks {
            self.held.push_back((self.submitted, Held::Deliver(deliver)));
        }
        self.release();
    }

    fn synced(&mut self, done: Result<()>) -> Result<()> {
        done?;
        self.durable += 1;
        self.release();
        Ok(())
    }

    fn release(&mut self) {
        while self.held.front().is_some_and(|(waits_for, _)| *waits_for <= self.durable) {
            match self.held.pop_front() {
                Some((_, Held::Act(act))) => self.shell.act(act),
                Some((_, Held::Deliver(deliver))) => deliver(),
                None => break,
            }
        }
    }
}

/// Runs the machine until all handles are gone, or until a batch could not be made durable. `first` is what building it
/// asked for (recovery), carried out before anything else.
///
/// # Errors
/// What [`Shell::persist`] failed with: the machine's state is then ahead of the disk and must be discarded.
pub async fn run<M, S>(
    mut machine: M,
    shell: S,
    clock: Clock,
    mut rng: Rng,
    mut mailbox: Mailbox<M>,
    first: Effects<M>,
) -> Result<()>
where
    M: Machine,
    S: Shell<M>,
{
    let (syncs, held) = (FuturesOrdered::new(), VecDeque::new());
    let mut pipeline = Pipeline::<M, S> { shell, syncs, held, submitted: 0, durable: 0 };
    pipeline.carry_out(first, Vec::new());
    let mut wall = clock.wall();
    let mut mails = Vec::new();
    loop {
        let room = pipeline.syncs.len() < BATCHES_IN_FLIGHT_MAX;
        let due = machine.wake_at().map(|at| tokio::time::Instant::from_std(clock.instant(at)));
        tokio::select! {
            biased;
            Some(done) = pipeline.syncs.next(), if !pipeline.syncs.is_empty() => {
                pipeline.synced(done)?;
                continue;
            }
            taken = mailbox.0.recv_many(&mut mails, BATCH_INPUTS_MAX), if room => {
                if taken == 0 {
                    break;
                }
            }
            () = sleep_until(due), if room => {}
        }
        let taken = mails.len();
        wall = wall.max(clock.wall());
        let mut out = Effects::default();
        let mut cx = Cx { now: clock.mono(), wall, rng: &mut rng };
        let looks = step_all(&mut machine, &mut cx, &mut mails, &mut out);
        let looks = looks.into_iter().map(|look| look(&machine)).collect();
        pipeline.carry_out(out, looks);
        pipeline.shell.observe(taken, mailbox.0.len());
    }
    while let Some(done) = pipeline.syncs.next().await {
        pipeline.synced(done)?;
    }
    Ok(())
}

/// One batch: what is due, then all mail, then what is better done once. Answers the reads, to be made after it.
fn step_all<M: Machine>(
    machine: &mut M,
    cx: &mut Cx<'_>,
    mails: &mut Vec<Mail<M>>,
    out: &mut Effects<M>,
) -> Vec<Look<M>> {
    if machine.wake_at().is_some_and(|at| at <= cx.now) {
        machine.wake(cx, out);
    }
    let mut looks = Vec::new();
    for mail in mails.drain(..) {
        match mail {
            Mail::Input(input) => machine.step(cx, input, out),
            Mail::Look(look) => looks.push(look),
        }
    }
    machine.settle(cx, out);
    looks
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
