//! No resource is used twice: what running containers may use is never more than the machine has. (What the master
//! offers and counts as used is audited after each of its turns.)
//!
//! Containers of frameworks that have ended do not count: as in Mesos, the master takes their resources back at once,
//! while their executors have a moment to end. Nor do those of frameworks that do not checkpoint, whose tasks end for
//! the master as soon as their agent is disconnected or starts again.

use super::{Invariant, Seen, Use};
use crate::base::kv::Op;
use crate::base::time::Mono;
use crate::mesos::internal::FrameworkRecord;
use crate::mesos::stored;
use std::collections::BTreeSet;

#[derive(Default)]
pub(super) struct Resources {
    /// Frameworks that have ended.
    ended: BTreeSet<String>,
}

impl Invariant for Resources {
    fn name(&self) -> &'static str {
        "resources"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::Committed { batch } => batch.iter().for_each(|op| self.committed(op)),
            Seen::Running { node, used, total } => {
                let counts = |u: &&Use| u.checkpoint && !self.ended.contains(&u.framework);
                let cpus: f64 = used.iter().filter(counts).map(|u| u.cpus).sum();
                let bytes: u64 = used.iter().filter(counts).map(|u| u.bytes).sum();
                if cpus > total.0 + 1e-6 || bytes > total.1 {
                    let tasks: Vec<&str> =
                        used.iter().filter(counts).map(|u| u.task.as_str()).collect();
                    return Err(format!(
                        "containers of agent {node} may use {cpus} cpus and {bytes} bytes, more \
                         than there are: {}",
                        tasks.join(" ")
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Resources {
    fn committed(&mut self, op: &Op) {
        let Op::Put { key, value } = op else { return };
        if let Some(id) = key.strip_prefix("frameworks/")
            && let Ok(record) = stored::decode::<FrameworkRecord>(key, value)
            && record.unregistered_time.is_some()
        {
            self.ended.insert(id.to_string());
        }
    }
}
