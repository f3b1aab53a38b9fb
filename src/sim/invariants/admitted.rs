//! An agent that was told its id, and stored it, is never forgotten by the registry.

use super::{Invariant, Seen};
use crate::base::kv::Op;
use crate::base::time::Mono;
use crate::mesos::internal::AgentRecord;
use crate::mesos::stored;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Admitted {
    /// As committed: `agents/<id>` and `unreachable/<id>`.
    known: BTreeSet<String>,
    /// Ids that agents have stored.
    ids: BTreeMap<usize, String>,
}

impl Invariant for Admitted {
    fn name(&self) -> &'static str {
        "registry"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::Committed { batch } => {
                for op in *batch {
                    match op {
                        Op::Put { key, .. } => drop(self.known.insert(key.clone())),
                        Op::Delete { key } => drop(self.known.remove(key)),
                    }
                }
            }
            Seen::Synced { node, batch } => {
                for op in *batch {
                    self.stored(*node, op)?;
                }
            }
            _ => return Ok(()),
        }
        for (node, id) in &self.ids {
            let admitted = self.known.contains(&format!("agents/{id}"));
            if !admitted && !self.known.contains(&format!("unreachable/{id}")) {
                return Err(format!("agent {node} is {id}, which the registry does not know"));
            }
        }
        Ok(())
    }
}

impl Admitted {
    fn stored(&mut self, node: usize, op: &Op) -> Result<(), String> {
        let (key, value) = match op {
            Op::Put { key, value } if key == "agent" => (key, value),
            // It gives its id up, to leave.
            Op::Delete { key } if key == "agent" => {
                self.ids.remove(&node);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let record: AgentRecord = stored::decode(key, value).map_err(|e| e.to_string())?;
        let Some(id) = record.agent_info.id.map(|id| id.value) else { return Ok(()) };
        match self.ids.insert(node, id.clone()) {
            Some(before) if before != id => Err(format!("agent {node} was {before}, is now {id}")),
            _ => Ok(()),
        }
    }
}
