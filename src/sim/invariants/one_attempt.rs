//! No two attempts of one run of a job are alive together, on whatever machines.

use super::jobs::{Write, read};
use super::{Invariant, Seen};
use crate::base::time::Mono;
use std::collections::BTreeMap;

/// A run: its job, how often a job of that name was deleted before, and when the run was due.
type Key = (String, u64, i64);

#[derive(Default)]
pub(super) struct OneAttempt {
    deleted: BTreeMap<String, u64>,
    tasks: BTreeMap<String, Key>,
}

impl Invariant for OneAttempt {
    fn name(&self) -> &'static str {
        "one attempt"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::JobsStored { batch, .. } => {
                for write in batch.iter().filter_map(read) {
                    match write {
                        Write::JobGone { name } => {
                            *self.deleted.entry(name.into()).or_default() += 1;
                        }
                        Write::Run { job, due, row } => {
                            let id = row.pointer("/phase/launched/id").and_then(|id| id.as_str());
                            let life = self.deleted.get(job).copied().unwrap_or(0);
                            let key = (job.to_string(), life, due);
                            self.tasks.extend(id.map(|id| (id.to_string(), key)));
                        }
                        _ => {}
                    }
                }
                Ok(())
            }
            Seen::JobsRunning { tasks } => {
                let mut alive: BTreeMap<&Key, &String> = BTreeMap::new();
                for task in *tasks {
                    let Some(run) = self.tasks.get(task) else { continue };
                    if let Some(other) = alive.insert(run, task) {
                        return Err(format!("{other} and {task} are of one run, and both run"));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
