//! What clients asked of the cluster, what they were told, and in which order both happened: the ground on which a run is
//! judged. Recording only; the judges are `linear` and `audit`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// What was asked about a key. A write puts its own number as the value, so that no value is written twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Read,
    Put,
    /// Put if the key has this version; none: if it is not there.
    PutIf(Option<u64>),
    Delete,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A read: the value with its version, if there is one, and the log index that it reflects at the least.
    Found { value: Option<(u64, u64)>, index: u64 },
    /// It took effect at this log index.
    Done(u64),
    /// It did not: the key has this version.
    Conflict(Option<u64>),
    /// It took no effect and never will.
    Refused,
    /// Nobody knows: now, at any time later, or never.
    Unknown,
}

/// The process of a node that leads: the node's number, and how often it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub node: usize,
    pub start: u64,
}

/// Something that was asked and is over. `begin` and `end` are of one clock that only counts.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Its number; of a write, also the value.
    pub id: u64,
    pub client: usize,
    pub key: usize,
    pub ask: Ask,
    pub told: Told,
    pub begin: u64,
    pub end: u64,
}

impl Event {
    /// Whether it may have changed something.
    pub fn may_have_written(&self) -> bool {
        self.ask != Ask::Read && matches!(self.told, Told::Done(_) | Told::Unknown)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, client, key, ask, told, begin, end } = self;
        write!(f, "{begin:>6}–{end:<6} client {client} key {key}: #{id} {ask:?} → {told:?}")
    }
}

/// An incarnation of a leader that was told its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    pub epoch: u64,
    pub by: Process,
}

/// Writes down what happens.
pub struct Recorder {
    start: Instant,
    clock: AtomicU64,
    events: Mutex<Vec<Event>>,
    begun: Mutex<Vec<Begun>>,
    torn: Mutex<Vec<String>>,
    story: Mutex<Vec<String>>,
    counts: watch::Sender<Counts>,
}

/// How much has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Asked of a leader, and over.
    pub finished: u64,
    /// Done or found.
    pub good: u64,
    /// Nobody knows.
    pub unknown: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            clock: AtomicU64::default(),
            events: Mutex::default(),
            begun: Mutex::default(),
            torn: Mutex::default(),
            story: Mutex::default(),
            counts: watch::Sender::default(),
        }
    }
}

impl Recorder {
    /// The next instant; also a number that nothing else has.
    pub fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    pub fn event(&self, event: Event) {
        lock(&self.events).push(event);
        self.counts.send_modify(|counts| {
            counts.finished += u64::from(event.told != Told::Refused);
            counts.good += u64::from(matches!(event.told, Told::Done(_) | Told::Found { .. }));
            counts.unknown += u64::from(event.told == Told::Unknown);
        });
    }

    pub fn begun(&self, begun: Begun) {
        lock(&self.begun).push(begun);
    }

    /// A batch was seen in part.
    pub fn torn(&self, what: String) {
        lock(&self.torn).push(what);
    }

    /// Something was done to the cluster.
    pub fn tell(&self, what: impl fmt::Display) {
        let finished = self.counts.borrow().finished;
        let (now, took) = (self.now(), self.start.elapsed().as_secs_f64());
        lock(&self.story).push(format!("{took:>6.2} s, {now:>5}, {finished:>4} over: {what}"));
    }

    pub fn counts(&self) -> watch::Receiver<Counts> {
        self.counts.subscribe()
    }

    pub fn events(&self) -> Vec<Event> {
        lock(&self.events).clone()
    }

    pub fn all_begun(&self) -> Vec<Begun> {
        lock(&self.begun).clone()
    }

    pub fn all_torn(&self) -> Vec<String> {
        lock(&self.torn).clone()
    }

    pub fn story(&self) -> String {
        lock(&self.story).join("\n")
    }
}
