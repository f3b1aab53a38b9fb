//! No agent does anything for a master whose epoch is older than the newest that the agent has stored.

use super::{Invariant, Seen};
use crate::base::time::Mono;

#[derive(Default)]
pub(super) struct Fencing;

impl Invariant for Fencing {
    fn name(&self) -> &'static str {
        "fencing"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::Heard { node, epoch, stored, obeyed: true } if epoch < stored => {
                Err(format!("agent {node} obeyed epoch {epoch} after it had stored {stored}"))
            }
            _ => Ok(()),
        }
    }
}
