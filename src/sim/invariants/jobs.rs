//! What the rules about Chronos read in its rows.

use crate::base::kv::Op;
use serde_json::Value;

/// One write of Chronos, as far as a rule cares.
pub(super) enum Write<'a> {
    /// A job is new, or another.
    Job { name: &'a str, row: Value },
    /// It is deleted.
    JobGone { name: &'a str },
    /// How far a job is.
    State { name: &'a str, row: Value },
    /// A run that is not over.
    Run { job: &'a str, due: i64, row: Value },
    /// A run is open no more.
    RunGone { job: &'a str, due: i64 },
    /// The row of one that is.
    Row { job: &'a str, due: i64, row: Value },
}

/// Reads a write; `None` for what no rule cares for.
pub(super) fn read(op: &Op) -> Option<Write<'_>> {
    match op {
        Op::Delete { key } => match key.split_once('/')? {
            ("jobs", name) => Some(Write::JobGone { name }),
            ("runs", rest) => {
                let (job, due) = rest.split_once('/')?;
                Some(Write::RunGone { job, due: due.parse().ok()? })
            }
            _ => None,
        },
        Op::Put { key, value } => {
            let (kind, rest) = key.split_once('/')?;
            let row: Value = serde_json::from_slice(value.get(1..)?).ok()?;
            match kind {
                "jobs" => Some(Write::Job { name: rest, row }),
                "states" => Some(Write::State { name: rest, row }),
                "runs" | "history" => {
                    let (job, due) = rest.split_once('/')?;
                    let due = due.parse().ok()?;
                    match kind {
                        "runs" => Some(Write::Run { job, due, row }),
                        _ => Some(Write::Row { job, due, row }),
                    }
                }
                _ => None,
            }
        }
    }
}
