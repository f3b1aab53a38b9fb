//! One allocation cycle: dirty agents in random order, for each the clients in fair order, the
//! first one that may takes all it may (coarse-grained).

use super::Allocator;
use super::options::Allocation;
use super::pool::{Agent, Dirty};
use super::tree::Client;
use super::vector::Vector;
use crate::base::resources::Resources;
use crate::base::rng::Rng;
use crate::base::time::Mono;
use std::borrow::Cow;
use std::ops::ControlFlow;

/// What is left of an agent within its turn.
pub(super) struct Left<'a> {
    resources: Cow<'a, Resources>,
    vector: Cow<'a, Vector>,
    plain: bool,
}

/// Why a client is not allocated what is left of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The agent has gpus, the framework no GPU_RESOURCES.
    Gpus,
    /// The agent is in another region, the framework not REGION_AWARE.
    Region,
    /// All of it is reserved for others, or of a kind the framework cannot use.
    NotForIt,
    /// Too little.
    Scraps,
    /// It refused as much or more not long ago.
    Filtered(Mono),
}

/// What a client may have of what is left.
#[derive(Debug)]
pub(super) enum Take {
    /// Everything.
    All,
    /// A part.
    Part(Resources),
}

impl<'a> Left<'a> {
    /// All that is free on an agent.
    pub fn free_of(agent: &'a Agent) -> Self {
        Self {
            resources: Cow::Borrowed(&agent.free),
            vector: Cow::Borrowed(&agent.free_vector),
            plain: agent.free_is_plain,
        }
    }

    fn without(&self, taken: &Resources) -> Self {
        let left = &*self.resources - taken;
        let vector = Vector::of(&left);
        Self { resources: Cow::Owned(left), vector: Cow::Owned(vector), plain: false }
    }
}

impl Allocator {
    /// Looks at every dirty agent, and answers what to offer; that counts as allocated from now on.
    pub fn allocate(&mut self, now: Mono, rng: &mut Rng) -> Vec<Allocation> {
        while let Some((agent, client)) = self.filters.pop_ended(now) {
            self.pool.mark(agent, Dirty::For(client));
        }
        let mut out = Vec::new();
        if !self.pool.has_dirty() {
            return out;
        }
        self.tree.refresh();
        let candidates = self.pool.take_dirty(rng.next_u64());
        self.counters.allocation_runs += u64::from(!candidates.is_empty());
        self.counters.candidates += candidates.len() as u64;
        for (slot, why) in candidates {
            for (client, take) in self.choose(slot, why) {
                out.extend(self.grant(slot, client, take));
            }
        }
        self.counters.allocations += out.len() as u64;
        out
    }

    /// Who gets what of an agent.
    fn choose(&self, slot: u32, why: Dirty) -> Vec<(u32, Take)> {
        let mut takes = Vec::new();
        let Some(agent) = self.pool.get(slot) else { return takes };
        let mut left = Left::free_of(agent);
        if self.is_hopeless(&left) {
            return takes;
        }
        let mut visit = |client: u32| {
            let Ok(take) = self.judge(slot, agent, client, &left) else {
                return ControlFlow::Continue(());
            };
            let rest = match &take {
                Take::All => None,
                Take::Part(part) => Some(left.without(part)),
            };
            takes.push((client, take));
            match rest {
                Some(rest) if !self.is_hopeless(&rest) => left = rest,
                _ => return ControlFlow::Break(()),
            }
            ControlFlow::Continue(())
        };
        // Whether everybody was visited or the agent is used up does not matter.
        let _: ControlFlow<()> = match why {
            Dirty::For(client) if self.tree.is_eligible(client) => visit(client),
            Dirty::For(_) | Dirty::No => ControlFlow::Continue(()),
            Dirty::All => match self.concerned(agent) {
                None => self.tree.walk(&|_| true, &mut visit),
                Some(nodes) => {
                    let enter = |at| nodes.iter().any(|node| self.tree.on_one_path(*node, at));
                    self.tree.walk(&enter, &mut visit)
                }
            },
        };
        takes
    }

    /// The roles that alone can take of an agent; `None`: any, as something is unreserved.
    fn concerned(&self, agent: &Agent) -> Option<Vec<u32>> {
        if agent.free_is_plain || agent.free.iter().any(|r| r.reservations.is_empty()) {
            return None;
        }
        let roles = agent.free.iter().filter_map(|r| r.reserved_for());
        let mut nodes: Vec<u32> = roles.filter_map(|r| self.tree.find_above(r.as_str())).collect();
        nodes.sort_unstable();
        nodes.dedup();
        Some(nodes)
    }

    /// Whether nobody can take of what is left: nothing, or less than any offer must hold.
    fn is_hopeless(&self, left: &Left<'_>) -> bool {
        left.resources.is_empty()
            || (self.with_least.is_empty() && !is_enough(&self.least, &left.vector))
    }

    /// Whether a client may have of what is left of an agent, and how much: every rule there is.
    pub(super) fn judge(
        &self,
        slot: u32,
        agent: &Agent,
        client: u32,
        left: &Left<'_>,
    ) -> Result<Take, Refused> {
        let state = self.tree.client(client).ok_or(Refused::NotForIt)?;
        let framework = self.members.get(state.framework).ok_or(Refused::NotForIt)?;
        let traits = &framework.traits;
        if self.filter_gpu_resources && !traits.gpu && agent.has_gpus() {
            return Err(Refused::Gpus);
        }
        if agent.traits.remote_region && !traits.region_aware {
            return Err(Refused::Region);
        }
        let part = if left.plain { None } else { self.usable(state, &left.resources) };
        let (offer, vector) = match &part {
            None => (&*left.resources, Cow::Borrowed(&*left.vector)),
            Some(part) => (part, Cow::Owned(Vector::of(part))),
        };
        if offer.is_empty() {
            return Err(Refused::NotForIt);
        }
        if !is_enough(state.least.as_ref().unwrap_or(&self.least), &vector) {
            return Err(Refused::Scraps);
        }
        if !self.filters.is_clear(slot)
            && let Some(until) = self.filters.blocked_until(slot, client, offer)
        {
            return Err(Refused::Filtered(until));
        }
        Ok(part.map_or(Take::All, Take::Part))
    }

    /// What of it a client can use: unreserved or reserved for its role or one above, and of kinds
    /// that its framework can deal with.
    fn usable(&self, client: &Client, resources: &Resources) -> Option<Resources> {
        let role = self.tree.node(client.node).role.as_ref()?;
        let traits = &self.members.get(client.framework)?.traits;
        Some(resources.filter(|r| {
            r.allocatable_to(role.as_str())
                && (traits.revocable || !r.revocable)
                && (traits.shared || !r.shared)
                && (traits.reservation_refinement || !r.is_refined())
        }))
    }

    fn grant(&mut self, slot: u32, client: u32, take: Take) -> Option<Allocation> {
        let state = self.tree.client(client)?;
        let role = self.tree.node(state.node).role.clone()?;
        let framework = self.members.get(state.framework)?.id.clone();
        let agent = self.pool.get_mut(slot)?;
        let had = agent.used.contains_key(&client);
        let (granted, more) = match take {
            Take::All if agent.free_is_plain => {
                let more = std::mem::take(&mut agent.free_vector);
                (agent.take_all(client, &role), more)
            }
            Take::All => {
                let all = agent.free.clone();
                (all.allocate(&role), agent.take(client, &all))
            }
            Take::Part(part) => (part.allocate(&role), agent.take(client, &part)),
        };
        let agent = agent.id.clone();
        self.tree.allocated(client, &more);
        self.note_held(slot, client, had, true);
        Some(Allocation { framework, role, agent, resources: granted })
    }
}

/// Whether an offer holds one of the alternatives, or none is asked for.
fn is_enough(least: &[Vector], offer: &Vector) -> bool {
    least.is_empty() || least.iter().any(|l| offer.contains(l))
}
