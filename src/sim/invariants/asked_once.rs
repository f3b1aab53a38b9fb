//! Marathon asks for no task twice, over all its lives; nor does Chronos.

use super::{Invariant, Seen};
use crate::base::time::Mono;
use std::collections::BTreeSet;

#[derive(Default)]
pub(super) struct AskedOnce(BTreeSet<String>);

impl Invariant for AskedOnce {
    fn name(&self) -> &'static str {
        "asked once"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        let Seen::Launched { task, .. } = seen else { return Ok(()) };
        if self.0.insert((*task).to_string()) {
            Ok(())
        } else {
            Err(format!("{task} is asked for once more"))
        }
    }
}
