//! What happens to the core of Chronos, and what it asks its shell to do.

use super::row::Outcome;
use super::run::Cause;
use crate::base::ids::FrameworkId;
use crate::chronos::model::{Counters, Era, Job, Problem};
use crate::mesos::v1::scheduler;
use serde::Serialize;
use std::sync::Arc;

/// One waiting request of a client; a number never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What may happen.
#[derive(Clone, Debug)]
pub enum Input {
    /// A client wants something changed; it is answered once.
    Request {
        /// To be answered.
        request: RequestId,
        /// What.
        command: Command,
    },
    /// Subscribed with the master, for the first time or again.
    Subscribed {
        /// As whom.
        framework_id: FrameworkId,
    },
    /// The subscription is lost; offers are gone with it.
    Disconnected {
        /// One sentence without a full stop.
        why: String,
    },
    /// A call was refused, or may not have arrived.
    Undelivered(Box<scheduler::Call>),
    /// An event of the master.
    Event(Arc<scheduler::Event>),
}

/// What clients want changed.
#[derive(Clone, Debug)]
pub enum Command {
    /// A new job, or another version of one.
    Upload {
        /// The job, read.
        job: Box<Job>,
        /// Counters, if the client gave any.
        counters: Option<Counters>,
        /// Through which prefix it came.
        era: Era,
    },
    /// Away with a job, its runs and its history.
    Delete {
        /// Which.
        name: String,
    },
    /// One run, now.
    Force {
        /// Of which job.
        name: String,
        /// Instead of the job's own.
        arguments: Option<Vec<String>>,
    },
    /// Its children may take it that the job has succeeded.
    MarkSuccess {
        /// Which.
        name: String,
    },
    /// End all runs of a job.
    Kill {
        /// Which.
        name: String,
    },
    /// Forget all runs that wait to be launched.
    ClearQueue,
    /// The end of an asynchronous run, or what its end will have meant.
    Report {
        /// Which task.
        task_id: String,
        /// 0 is success.
        code: i64,
    },
    /// A run of a data-processing job has come further.
    Progress {
        /// Of which job.
        name: String,
        /// Which task.
        task_id: String,
        /// How many elements more.
        more: i64,
    },
}

/// The answer to a request, given when what it changed is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Done,
    /// Whether there is a job to be marked.
    Marked(bool),
    /// Refused; nothing was changed.
    Refused(Problem),
    /// Progress of a task nobody knows.
    NoSuchTask,
}

/// What the core asks its shell to do.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answer a client.
    Answer {
        /// The request.
        request: RequestId,
        /// The answer.
        answer: Answer,
    },
    /// Call the master. Calls are made in the order they were asked for.
    Call(Box<scheduler::Call>),
    /// Tell whoever listens.
    Publish(Notice),
}

/// What is told on the event stream.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Notice {
    /// A job is new, or another.
    Job {
        /// Which.
        name: String,
    },
    /// A job is gone.
    JobDeleted {
        /// Which.
        name: String,
    },
    /// A run has come further.
    Run {
        /// Of which job.
        job: String,
        /// Its planned time, or when it was asked for; milliseconds since 1970.
        due: i64,
        /// Why there is such a run.
        cause: Cause,
        /// From 0.
        attempt: u64,
        /// `waiting`, `retrying`, `launched`, `running`, `unreachable`, `awaiting_report`.
        state: &'static str,
    },
    /// A run is over.
    RunEnded {
        /// Of which job.
        job: String,
        /// As in `run`.
        due: i64,
        /// How it ended.
        outcome: Outcome,
    },
    /// The connection with the master was made or lost.
    Connection {
        /// Which of the two.
        connected: bool,
    },
}
