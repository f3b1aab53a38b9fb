//! There are never more voters than the policy says; but where one is all, it hands over beside the next.

use super::{Invariant, Seen};
use crate::base::time::Mono;

/// The one that leads and is to go, and the one that shall take over.
const HAND_OVER: usize = 2;

#[derive(Default)]
pub(super) struct Voters;

impl Invariant for Voters {
    fn name(&self) -> &'static str {
        "voters"
    }

    fn see(&mut self, _at: Mono, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::Voters { voters, most } if *voters > (*most).max(HAND_OVER) => {
                Err(format!("{voters} voters, {most} at most"))
            }
            _ => Ok(()),
        }
    }
}
