//! No resource is used twice: what running containers may use is never more than the machine has. (What the master
//! offers and counts as used is audited after each of its turns.)

use super::{Invariant, Seen};
use crate::base::time::Mono;

#[derive(Default)]
pub(super) struct Resources;

impl Invariant for Resources {
    fn name(&self) -> &'static str {
        "resources"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        let Seen::Running { node, cpus, total_cpus, bytes, total_bytes } = seen else {
            return Ok(());
        };
        if *cpus > total_cpus + 1e-6 || bytes > total_bytes {
            return Err(format!(
                "containers of agent {node} may use {cpus} of {total_cpus} cpus, {bytes} of \
                 {total_bytes} bytes"
            ));
        }
        Ok(())
    }
}
