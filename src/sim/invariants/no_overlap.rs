//! Two tasks of a job that is not concurrent never run together, on whatever machines; nor when it was deleted and is
//! there again.

use super::jobs::{Write, read};
use super::{Invariant, Seen};
use crate::base::time::Mono;
use crate::chronos::model::name::parse_task_id;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct NoOverlap {
    /// Jobs that may overlap; clients never change that of a name.
    concurrent: BTreeSet<String>,
}

impl Invariant for NoOverlap {
    fn name(&self) -> &'static str {
        "no overlap"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::JobsStored { batch, .. } => {
                for write in batch.iter().filter_map(read) {
                    let Write::Job { name, row } = write else { continue };
                    if row.pointer("/job/concurrent").and_then(Value::as_bool) == Some(true) {
                        self.concurrent.insert(name.into());
                    }
                }
                Ok(())
            }
            Seen::JobsRunning { tasks } => {
                let mut alive: BTreeMap<&str, &String> = BTreeMap::new();
                for task in *tasks {
                    let job = parse_task_id(task).map(|parts| parts.job);
                    let Some(job) = job.filter(|job| !self.concurrent.contains(*job)) else {
                        continue;
                    };
                    if let Some(other) = alive.insert(job, task) {
                        return Err(format!("{other} and {task} of {job} run together"));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
