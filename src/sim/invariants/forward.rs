//! As a framework sees it, a task only moves forward: staging, starting, running, killing, ended. What comes for the
//! first time counts; what is sent again does not; nor does what a master says of agents it cannot reach.

use super::{Invariant, Seen};
use crate::base::time::Mono;
use crate::mesos::make;
use crate::mesos::v1::TaskState;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Forward {
    seen: BTreeSet<Vec<u8>>,
    reached: BTreeMap<(String, String), TaskState>,
}

impl Invariant for Forward {
    fn name(&self) -> &'static str {
        "forward"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        let Seen::Told { framework, status, .. } = seen else { return Ok(()) };
        let Some(uuid) = &status.uuid else { return Ok(()) };
        let key = ((*framework).to_string(), status.task_id.value.clone());
        let state = status.state();
        let fresh = self.seen.insert(uuid.clone());
        let before = self.reached.get(&key).copied();
        if let Some(before) = before {
            let back = rank(state) < rank(before) && (fresh || make::is_terminal(before));
            let second = fresh && make::is_terminal(before);
            if back || second {
                let (state, before) = (state.as_str_name(), before.as_str_name());
                return Err(format!("{} went from {before} to {state}", key.1));
            }
        }
        if before.is_none_or(|before| rank(state) >= rank(before)) {
            self.reached.insert(key, state);
        }
        Ok(())
    }
}

fn rank(state: TaskState) -> u8 {
    match state {
        TaskState::TaskStaging => 0,
        TaskState::TaskStarting => 1,
        TaskState::TaskRunning => 2,
        TaskState::TaskKilling => 3,
        _ => 4,
    }
}
