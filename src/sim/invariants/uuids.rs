//! An update is on the disk before it is sent, and is sent again with the same uuid and state, over any restart.

use super::{Invariant, Seen, task_key};
use crate::base::kv::Op;
use crate::base::time::Mono;
use crate::mesos::internal::UpdateRecord;
use crate::mesos::stored;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Uuids {
    /// Task and state of every update that was ever on a disk, by uuid.
    stored: BTreeMap<Vec<u8>, (String, i32)>,
}

impl Invariant for Uuids {
    fn name(&self) -> &'static str {
        "uuids"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::Synced { batch, .. } => batch.iter().try_for_each(|op| self.synced(op)),
            Seen::Sent { node, update } => {
                let task = &update.status.task_id.value;
                let uuid = update.status.uuid.clone().unwrap_or_default();
                let state = update.status.state().as_str_name();
                match self.stored.get(&uuid) {
                    Some((of, as_stored)) if of == task && *as_stored == update.status.state => {
                        Ok(())
                    }
                    Some(_) => Err(format!("agent {node} sent {state} of {task} with a used uuid")),
                    None => {
                        Err(format!("agent {node} sent {state} of {task} with a uuid not stored"))
                    }
                }
            }
            _ => Ok(()),
        }
    }
}

impl Uuids {
    fn synced(&mut self, op: &Op) -> Result<(), String> {
        let Op::Put { key, value } = op else { return Ok(()) };
        let Some((_, task)) = task_key(key, "updates/") else { return Ok(()) };
        let record: UpdateRecord = stored::decode(key, value).map_err(|e| e.to_string())?;
        let uuid = record.status.uuid.clone().unwrap_or_default();
        match self.stored.insert(uuid, (task.to_string(), record.status.state)) {
            Some((before, _)) if before != *task => {
                Err(format!("{before} and {task} have an update of the same uuid"))
            }
            _ => Ok(()),
        }
    }
}
