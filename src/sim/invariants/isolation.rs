//! A framework is told of its own tasks alone.

use super::{Invariant, Seen};
use crate::base::time::Mono;

#[derive(Default)]
pub(super) struct Isolation;

impl Invariant for Isolation {
    fn name(&self) -> &'static str {
        "isolation"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::Told { framework, status, own: false } => {
                Err(format!("{framework} was told of {}", status.task_id.value))
            }
            _ => Ok(()),
        }
    }
}
