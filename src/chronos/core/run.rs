//! One run of a job, from when it is due until it is over; what is stored of it is all of it.

use serde::{Deserialize, Serialize};

/// Why there is a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The schedule.
    Planned,
    /// Somebody asked for it.
    Forced,
    /// The job's parents.
    Triggered,
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// To be launched as soon as an offer fits and no other run of the job is in its way.
    Waiting,
    /// Its last attempt failed.
    Retrying {
        /// When the next attempt may be made.
        until: i64,
    },
    /// A task was launched, or was about to be.
    Launched(Task),
    /// The task of an asynchronous run has ended well; its outcome is still to be reported.
    AwaitingReport {
        /// The task that has ended.
        task: Task,
        /// When it is given up.
        until: i64,
    },
}

/// A launched task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// On which agent.
    pub agent_id: String,
    /// That agent's host name.
    pub host: String,
    /// When it was launched.
    pub launched: i64,
    /// When it was first said to run.
    pub running: Option<i64>,
    /// An agent has said something of it. Not stored at once: after a restart it may be forgotten.
    #[serde(default)]
    pub seen: bool,
    /// Its agent cannot be reached.
    #[serde(default)]
    pub unreachable: bool,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Of which job.
    pub job: String,
    /// Its planned time, or when it was asked for; unique among the job's runs. Milliseconds since 1970.
    pub due: i64,
    /// The time in the ids of its tasks: when it is due, or later. None for a run of before this was kept: when it is due.
    #[serde(default)]
    pub stamp: Option<i64>,
    /// Why.
    pub cause: Cause,
    /// Which attempt is being made or waited for, from 0.
    pub attempt: u64,
    /// How many attempts have failed.
    pub failures: u64,
    /// How many tasks were launched and never started.
    #[serde(default)]
    pub lost_launches: u32,
    /// Instead of the job's own.
    #[serde(default)]
    pub arguments: Option<Vec<String>>,
    /// Where it stands.
    pub phase: Phase,
    /// It is to end.
    #[serde(default)]
    pub killed: bool,
    /// What was reported of an asynchronous run before its task ended; 0 is success.
    #[serde(default)]
    pub reported: Option<i64>,
    /// Elements processed so far, as it told.
    #[serde(default)]
    pub elements: Option<u64>,
}

impl Run {
    /// A run that waits for its first attempt.
    pub fn new(job: &str, due: i64, cause: Cause) -> Self {
        Self {
            job: job.into(),
            due,
            stamp: None,
            cause,
            attempt: 0,
            failures: 0,
            lost_launches: 0,
            arguments: None,
            phase: Phase::Waiting,
            killed: false,
            reported: None,
            elements: None,
        }
    }

    /// Its task, if there is one.
    pub fn task(&self) -> Option<&Task> {
        match &self.phase {
            Phase::Launched(task) | Phase::AwaitingReport { task, .. } => Some(task),
            Phase::Waiting | Phase::Retrying { .. } => None,
        }
    }

    /// Its state in a word.
    pub fn state(&self) -> &'static str {
        match &self.phase {
            Phase::Waiting => "waiting",
            Phase::Retrying { .. } => "retrying",
            Phase::Launched(task) if task.unreachable => "unreachable",
            Phase::Launched(task) if task.running.is_some() => "running",
            Phase::Launched(_) => "launched",
            Phase::AwaitingReport { .. } => "awaiting_report",
        }
    }

    /// Whether no other run of a job that is not concurrent may start.
    pub fn is_active(&self) -> bool {
        self.task().is_some()
    }

    /// A planned run that has not been launched yet: only such a run can come too late.
    pub fn can_be_late(&self) -> bool {
        self.cause == Cause::Planned && self.attempt == 0 && self.phase == Phase::Waiting
    }
}
