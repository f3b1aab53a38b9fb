//! The command of a task is started at most once, on whatever machine.

use super::{Invariant, Seen};
use crate::base::time::Mono;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct LaunchedOnce {
    started: BTreeMap<(String, String), usize>,
}

impl Invariant for LaunchedOnce {
    fn name(&self) -> &'static str {
        "launched once"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        let Seen::Started { node, framework, task } = seen else { return Ok(()) };
        let key = ((*framework).to_string(), (*task).to_string());
        match self.started.insert(key, *node) {
            Some(before) => Err(format!("{task} was started on {before}, then on {node}")),
            None => Ok(()),
        }
    }
}
