//! What one leader remembers between two decisions: since when a member is silent, and which steps were tried.

use super::policy::Policy;
use super::view::{Node, View};
use super::{Step, explain};
use crate::base::time::Mono;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many steps are remembered; the oldest is forgotten for a further one.
const TRIED_MAX: usize = 64;
/// How many of its own pauses after the last try a step is forgotten.
const FORGET_AFTER: u32 = 4;

/// The memory of one leadership; begins empty.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Members that have not answered this leader yet, and since when it waits.
    unheard: BTreeMap<Node, Mono>,
    tried: BTreeMap<Step, Tried>,
}

#[derive(Clone, Copy, Debug)]
struct Tried {
    times: u32,
    last: Mono,
}

/// A step that is due and waits to be tried again.
pub(super) struct Waits {
    step: Step,
    times: u32,
    until: Mono,
}

impl Waits {
    pub(super) fn text(&self, now: Mono) -> String {
        format!(
            "{}: tried {}, again in {}",
            explain::deed(&self.step),
            if self.times == 1 { "once".into() } else { format!("{} times", self.times) },
            explain::time(self.until.since(now))
        )
    }
}

impl Memory {
    /// Takes in who has answered.
    pub(super) fn observe(&mut self, view: &View, now: Mono) {
        let waits = |node: &Node| {
            *node != view.me && view.members.get(node).is_some_and(|m| m.heard.is_none())
        };
        self.unheard.retain(|node, _| waits(node));
        for node in view.members.keys().filter(|n| waits(n)) {
            self.unheard.entry(*node).or_insert(now);
        }
    }

    /// Since when this leader waits for the first answer of a member.
    pub(super) fn unheard(&self, node: Node) -> Option<Mono> {
        self.unheard.get(&node).copied()
    }

    /// The first of the steps that is not waiting to be tried again; else the first, and until when it waits.
    pub(super) fn pick(
        &mut self,
        steps: Vec<Step>,
        policy: &Policy,
        now: Mono,
    ) -> (Option<Step>, Option<Waits>) {
        self.tried.retain(|_, t| now < t.last + t.pause(policy).saturating_mul(FORGET_AFTER));
        let mut waits = None;
        for step in steps {
            match self.tried.get(&step) {
                Some(t) if now < t.until(policy) => {
                    let (times, until) = (t.times, t.until(policy));
                    waits.get_or_insert(Waits { step, times, until });
                }
                _ => return (Some(step), None),
            }
        }
        (None, waits)
    }

    /// Remembers that a step is being carried out.
    pub(super) fn tried(&mut self, step: Step, now: Mono) {
        if self.tried.len() >= TRIED_MAX && !self.tried.contains_key(&step) {
            let oldest = self.tried.iter().min_by_key(|(_, t)| t.last).map(|(s, _)| s.clone());
            if let Some(step) = oldest {
                self.tried.remove(&step);
            }
        }
        let tried = self.tried.entry(step).or_insert(Tried { times: 0, last: now });
        tried.times = tried.times.saturating_add(1);
        tried.last = now;
    }

    /// When the steps that were tried may be tried again.
    pub(super) fn retries(&self, policy: &Policy) -> impl Iterator<Item = Mono> {
        self.tried.values().map(|t| t.until(policy))
    }
}

impl Tried {
    fn pause(self, policy: &Policy) -> Duration {
        let doubled = 1u32.checked_shl(self.times.saturating_sub(1)).unwrap_or(u32::MAX);
        policy.retry_min.saturating_mul(doubled).min(policy.retry_max)
    }

    fn until(self, policy: &Policy) -> Mono {
        self.last + self.pause(policy)
    }
}
