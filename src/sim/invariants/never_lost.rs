//! Updates are not lost: the end of a task, once an agent has stored it, reaches its framework; one stored before it
//! does, or a later one does. And an end that a framework acknowledged stays one.

use super::{Invariant, Seen, task_key};
use crate::base::kv::Op;
use crate::base::time::Mono;
use crate::mesos::internal::UpdateRecord;
use crate::mesos::v1::TaskState;
use crate::mesos::{make, stored};
use std::collections::{BTreeMap, BTreeSet};

type Task = (String, String);

#[derive(Default)]
pub(super) struct NeverLost {
    /// What agents stored last of a task.
    stored: BTreeMap<Task, (Vec<u8>, TaskState)>,
    told: BTreeSet<Vec<u8>>,
    /// Ends that were acknowledged.
    ended: BTreeMap<Task, TaskState>,
    /// Frameworks that were, or may have been, ended: nobody is owed anything.
    over: BTreeSet<String>,
}

impl Invariant for NeverLost {
    fn name(&self) -> &'static str {
        "never lost"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::Synced { batch, .. } => self.synced(batch),
            Seen::Told { framework, status, .. } => {
                self.told.extend(status.uuid.clone());
                let key = ((*framework).to_string(), status.task_id.value.clone());
                let state = status.state();
                // What a master says of agents that it cannot ask is no life.
                let unsure = matches!(state, TaskState::TaskUnknown | TaskState::TaskUnreachable);
                let lives = !make::is_terminal(state) && !unsure;
                if let Some(end) = self.ended.get(&key).filter(|_| lives) {
                    let (end, state) = (end.as_str_name(), state.as_str_name());
                    return Err(format!("{} is {state} after {end} was acknowledged", key.1));
                }
            }
            Seen::Acknowledged { framework, status } if make::is_terminal(status.state()) => {
                let key = ((*framework).to_string(), status.task_id.value.clone());
                self.ended.insert(key, status.state());
            }
            Seen::TeardownAsked { framework } | Seen::Refused { framework, .. } => {
                self.over.insert((*framework).to_string());
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&self) -> Result<(), String> {
        for ((framework, task), (uuid, state)) in &self.stored {
            if !self.over.contains(framework) && !self.told.contains(uuid) {
                let state = state.as_str_name();
                return Err(format!("{state} of {task} was stored and never told"));
            }
        }
        Ok(())
    }
}

impl NeverLost {
    fn synced(&mut self, batch: &[Op]) {
        for op in batch {
            let Op::Put { key, value } = op else { continue };
            let Some((framework, task)) = task_key(key, "updates/") else { continue };
            if let Ok(record) = stored::decode::<UpdateRecord>(key, value) {
                let uuid = record.status.uuid.clone().unwrap_or_default();
                let task = (framework.to_string(), task.to_string());
                self.stored.insert(task, (uuid, record.status.state()));
            }
        }
    }
}
