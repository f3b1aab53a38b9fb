//! What is remembered of runs that are over: a row each, and the sum of older ones.

use super::run::Cause;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a planned time or a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It succeeded.
    Success,
    /// All its attempts failed.
    Failure,
    /// It was killed.
    Killed,
    /// Nobody was there to start it in time.
    Missed,
    /// It was not to be started: the row says why.
    Skipped,
}

/// One run that is over, or one planned time that saw none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// As in the run: its planned time, or when it was asked for. Milliseconds since 1970.
    pub due: i64,
    /// Why there was such a run.
    pub cause: Cause,
    /// How it ended.
    pub outcome: Outcome,
    /// How many attempts were made.
    pub attempts: u64,
    /// The last task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// On which agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// That agent's host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When the last task began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<i64>,
    /// When it was over.
    pub ended: i64,
    /// What was said of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The reason, by Mesos's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Elements processed, as it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elements: Option<u64>,
}

/// The sum of what has no row of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Summary {
    /// Planned times before the job was registered, or while it was disabled.
    pub not_planned: u64,
    /// Runs whose rows were let go, by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// The newest time that is summed up here.
    pub through: Option<i64>,
}

impl Summary {
    /// Takes in `count` ends of one kind, the newest at `due`.
    pub fn add(&mut self, outcome: Outcome, count: u64, due: i64) {
        if count > 0 {
            *self.outcomes.entry(outcome).or_default() += count;
            self.through = self.through.max(Some(due));
        }
    }

    /// Takes in planned times nobody was to run.
    pub fn pass_over(&mut self, count: u64, last: Option<i64>) {
        if count > 0 {
            self.not_planned += count;
            self.through = self.through.max(last);
        }
    }
}
