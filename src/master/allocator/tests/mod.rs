//! The allocator's tests: cases from the original's suite, and random histories against a naive
//! model.

mod cases;
mod explained;
mod model;
mod random;

use super::{AgentTraits, Allocation, Allocator, FrameworkTraits, Options};
use crate::base::ids::{AgentId, FrameworkId, Role};
use crate::base::resources::Resources;
use crate::base::rng::Rng;
use crate::base::time::Mono;
use std::collections::BTreeSet;
use std::time::Duration;

fn res(text: &str) -> Resources {
    Resources::parse(text, "*").expect("resources")
}

fn roles<const N: usize>(names: [&str; N]) -> BTreeSet<Role> {
    names.into_iter().map(Role::from).collect()
}

fn traits<const N: usize>(names: [&str; N]) -> FrameworkTraits {
    FrameworkTraits { roles: roles(names), ..FrameworkTraits::default() }
}

/// An allocator with its clock and randomness.
struct Lab {
    allocator: Allocator,
    now: Mono,
    rng: Rng,
}

impl Lab {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        Self { allocator: Allocator::new(options), now: Mono(1), rng: Rng::new(7) }
    }

    fn agent(&mut self, id: &str, total: &str) {
        self.agent_with(id, res(total));
    }

    fn agent_with(&mut self, id: &str, total: Resources) {
        self.allocator.add_agent(id.into(), AgentTraits::default(), total, &[]);
    }

    fn framework<const N: usize>(&mut self, id: &str, in_roles: [&str; N]) {
        self.framework_with(id, traits(in_roles));
    }

    fn framework_with(&mut self, id: &str, traits: FrameworkTraits) {
        self.allocator.add_framework(id.into(), traits, &BTreeSet::new(), true, &[]);
    }

    fn allocate(&mut self) -> Vec<Allocation> {
        self.allocator.allocate(self.now, &mut self.rng)
    }

    /// Framework, agent and resources of each allocation; the order of agents is random.
    fn offers(&mut self) -> BTreeSet<(String, String, String)> {
        let all = self.allocate();
        let text = |a: Allocation| {
            let bare = a.resources.unallocate().to_string();
            (a.framework.to_string(), a.agent.to_string(), bare)
        };
        all.into_iter().map(text).collect()
    }

    fn only_offer(&mut self) -> Allocation {
        let mut all = self.allocate();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    fn recover(&mut self, offer: &Allocation, filter: Option<u64>) {
        self.recover_part(offer, &offer.resources, filter);
    }

    fn recover_part(&mut self, offer: &Allocation, part: &Resources, filter: Option<u64>) {
        let filter = filter.map(Duration::from_secs);
        self.allocator
            .recover(&offer.framework, &offer.agent, part, filter, self.now)
            .expect("it was held");
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }
}

fn offer(framework: &str, agent: &str, resources: &str) -> (String, String, String) {
    (framework.into(), agent.into(), resources.into())
}

fn fw(id: &str) -> FrameworkId {
    id.into()
}

fn ag(id: &str) -> AgentId {
    id.into()
}
