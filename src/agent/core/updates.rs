//! Status-update streams: one ordered stream a task, its head alone on the way, sent again until
//! acknowledged.
//!
//! Knows nothing of tasks: what is written and sent is returned to the caller.

use super::tables::TaskKey;
use crate::base::ids::{FrameworkId, TaskId};
use crate::mesos::v1::{TaskState, TaskStatus};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// First wait for an acknowledgement.
pub const RETRY_MIN: Duration = Duration::from_secs(10);
/// The wait is doubled up to this.
pub const RETRY_MAX: Duration = Duration::from_secs(10 * 60);
/// Updates that may wait in one stream; beyond it a newer one takes the place of the last that is
/// not terminal.
pub const STREAM_MAX: usize = 128;

/// One update of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Update {
    /// Its number in its key.
    pub number: u64,
    /// With its uuid.
    pub status: TaskStatus,
}

#[derive(Clone, Debug)]
struct Stream {
    updates: VecDeque<Update>,
    next: u64,
    wait: Duration,
}

/// What adding an update did.
#[derive(Debug, PartialEq)]
pub(super) struct Added {
    /// The number it got.
    pub number: u64,
    /// It is the head: send it.
    pub head: bool,
    /// This one had to give way: its record goes.
    pub displaced: Option<u64>,
}

/// What an acknowledgement did.
#[derive(Debug, PartialEq)]
pub(super) struct Acked {
    /// The update that is done.
    pub update: Update,
    /// Another one is the head now.
    pub more: bool,
}

/// All streams.
#[derive(Default)]
pub(super) struct Streams(BTreeMap<TaskKey, Stream>);

impl Streams {
    /// Adds an update at the end of its task's stream.
    pub fn add(&mut self, key: &TaskKey, status: TaskStatus) -> Added {
        let stream = self.0.entry(key.clone()).or_insert_with(|| Stream {
            updates: VecDeque::new(),
            next: 0,
            wait: RETRY_MIN,
        });
        let full = stream.updates.len() >= STREAM_MAX;
        // The head is on its way and never replaced (the limit is more than one).
        let displaced = if full { stream.updates.pop_back().map(|u| u.number) } else { None };
        let number = stream.next;
        stream.next += 1;
        stream.updates.push_back(Update { number, status });
        Added { number, head: stream.updates.len() == 1, displaced }
    }

    /// Puts a stored update back, in the order of numbers.
    pub fn restore(&mut self, key: &TaskKey, number: u64, status: TaskStatus) {
        let stream = self.0.entry(key.clone()).or_insert_with(|| Stream {
            updates: VecDeque::new(),
            next: 0,
            wait: RETRY_MIN,
        });
        stream.next = stream.next.max(number + 1);
        stream.updates.push_back(Update { number, status });
    }

    /// Takes an acknowledgement; `None` when it is not the head's.
    pub fn acknowledge(&mut self, key: &TaskKey, uuid: &[u8]) -> Option<Acked> {
        let stream = self.0.get_mut(key)?;
        if stream.updates.front()?.status.uuid.as_deref() != Some(uuid) {
            return None;
        }
        let update = stream.updates.pop_front()?;
        stream.wait = RETRY_MIN;
        let more = !stream.updates.is_empty();
        if !more {
            self.0.remove(key);
        }
        Some(Acked { update, more })
    }

    /// The head, and how long to wait for its acknowledgement; the next wait is twice that.
    pub fn send(&mut self, key: &TaskKey) -> Option<(TaskStatus, Duration)> {
        let stream = self.0.get_mut(key)?;
        let wait = stream.wait;
        stream.wait = (wait * 2).min(RETRY_MAX);
        stream.updates.front().map(|u| (u.status.clone(), wait))
    }

    /// The update that is on its way.
    pub fn head(&self, key: &TaskKey) -> Option<&TaskStatus> {
        self.0.get(key)?.updates.front().map(|u| &u.status)
    }

    /// Whether no more updates of an executor are taken.
    pub fn is_full(&self, key: &TaskKey) -> bool {
        self.0.get(key).is_some_and(|s| s.updates.len() >= STREAM_MAX)
    }

    /// A new master hears every head at once.
    pub fn reset(&mut self) -> Vec<TaskKey> {
        for stream in self.0.values_mut() {
            stream.wait = RETRY_MIN;
        }
        self.0.keys().cloned().collect()
    }

    /// The state at the end of a stream.
    pub fn latest(&self, key: &TaskKey) -> Option<TaskState> {
        self.0.get(key)?.updates.back().map(|u| u.status.state())
    }

    /// Drops a stream; the numbers of its records.
    pub fn drop_stream(&mut self, key: &TaskKey) -> Vec<u64> {
        self.0.remove(key).map_or_else(Vec::new, |s| s.updates.iter().map(|u| u.number).collect())
    }

    /// Whether anything waits for the task.
    pub fn has(&self, key: &TaskKey) -> bool {
        self.0.contains_key(key)
    }

    /// Whether anything waits for a task of the framework.
    pub fn of_framework(&self, id: &FrameworkId) -> bool {
        let from = (id.clone(), TaskId::from(""));
        self.0.range(from..).next().is_some_and(|((f, _), _)| f == id)
    }

    /// How many tasks have a stream.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tasks with a stream, by key.
    pub fn keys(&self) -> Vec<TaskKey> {
        self.0.keys().cloned().collect()
    }
}
