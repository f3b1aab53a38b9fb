//! Outstanding offers: made from allocations, taken by answers, rescinded, timed out.

use super::{MasterCore, OFFERS_PER_FRAMEWORK_MAX, Out, Timer, events};
use crate::base::ids::{AgentId, FrameworkId, OfferId, Role};
use crate::base::resources::Resources;
use crate::base::time::Mono;
use crate::machine::Cx;
use crate::master::allocator::Allocation;
use crate::mesos::convert::{self, Format};
use crate::mesos::v1;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use v1::framework_info::capability::Type as Capability;

/// How long an agent is not offered to a framework that holds too many offers already.
const TOO_MANY_OFFERS_PAUSE: Duration = Duration::from_secs(5);

/// One outstanding offer: resources of one agent, for one framework in one role.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub framework: FrameworkId,
    pub role: Role,
    pub agent: AgentId,
    /// Allocated to `role`.
    pub resources: Resources,
    pub wire: Arc<v1::Offer>,
}

/// All outstanding offers.
#[derive(Debug, Default)]
pub(super) struct Offers {
    pub live: BTreeMap<OfferId, Offer>,
}

impl MasterCore {
    /// Makes offers of what the allocator gives out: one event for each framework.
    pub(super) fn make_offers(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        let mut events: BTreeMap<FrameworkId, Vec<v1::Offer>> = BTreeMap::new();
        for allocation in self.allocator.allocate(cx.now, cx.rng) {
            if let Some(offer) = self.make_offer(cx.now, &allocation) {
                events.entry(allocation.framework).or_default().push(offer);
            }
        }
        for (framework, offers) in events {
            self.send(&framework, events::offers(offers), out);
        }
    }

    fn make_offer(&mut self, now: Mono, allocation: &Allocation) -> Option<v1::Offer> {
        let Allocation { framework: framework_id, role, agent: agent_id, resources } = allocation;
        let framework = self.frameworks.change(framework_id);
        let agent = self.agents.change(agent_id);
        let (Some(framework), Some(agent)) = (framework, agent) else {
            self.give_back(framework_id, agent_id, resources, None, now);
            return None;
        };
        if framework.offers.len() >= OFFERS_PER_FRAMEWORK_MAX {
            self.metrics.add("offers_over_limit");
            let pause = Some(TOO_MANY_OFFERS_PAUSE);
            self.give_back(framework_id, agent_id, resources, pause, now);
            return None;
        }
        let id = self.mint.offer();
        let multi_role = framework.has(Capability::MultiRole);
        let refinement = framework.has(Capability::ReservationRefinement);
        let mut executors = Vec::new();
        for (on, executor) in agent.executors.range((framework_id.clone(), "".into())..) {
            if on != framework_id {
                break;
            }
            executors.push(executor.into());
        }
        let wire = v1::Offer {
            id: (&id).into(),
            framework_id: framework_id.into(),
            agent_id: agent_id.into(),
            hostname: agent.info.hostname.clone(),
            url: Some(agent_url(&agent.info)),
            domain: agent.info.domain.clone(),
            resources: wire_resources(resources, multi_role, refinement),
            attributes: agent.info.attributes.clone(),
            executor_ids: executors,
            unavailability: self.machines.unavailability(agent_id),
            allocation_info: multi_role.then(|| allocation_info(role)),
        };
        framework.offers.insert(id.clone());
        framework.offered += resources;
        agent.offers.insert(id.clone());
        agent.offered += resources;
        let offer = Offer {
            framework: framework_id.clone(),
            role: role.clone(),
            agent: agent_id.clone(),
            resources: resources.clone(),
            wire: Arc::new(wire.clone()),
        };
        if let Some(timeout) = self.options.offer_timeout {
            self.timers.set(Timer::Offer(id.clone()), now + timeout);
        }
        self.marks.offer(&id);
        self.offers.live.insert(id, offer);
        Some(wire)
    }

    /// Takes an offer out of the tables; what becomes of its resources is the caller's business.
    pub(super) fn take_offer(&mut self, id: &str) -> Option<Offer> {
        let (id, offer) = self.offers.live.remove_entry(id)?;
        self.marks.offer(&id);
        if let Some(framework) = self.frameworks.change(&offer.framework) {
            framework.offers.remove(&id);
            framework.offered -= &offer.resources;
        }
        if let Some(agent) = self.agents.change(&offer.agent) {
            agent.offers.remove(&id);
            agent.offered -= &offer.resources;
        }
        self.timers.cancel(&Timer::Offer(id));
        Some(offer)
    }

    /// Takes an offer back without a word; its resources are free, but not for this framework while
    /// `filter` lasts.
    pub(super) fn return_offer(&mut self, id: &str, filter: Option<Duration>, now: Mono) {
        if let Some(offer) = self.take_offer(id) {
            self.give_back(&offer.framework, &offer.agent, &offer.resources, filter, now);
        }
    }

    /// Takes an offer back and tells the framework so.
    pub(super) fn rescind(&mut self, id: &OfferId, now: Mono, out: &mut Out) {
        if let Some(offer) = self.take_offer(id.as_str()) {
            self.send(&offer.framework, events::rescind(id), out);
            self.give_back(&offer.framework, &offer.agent, &offer.resources, None, now);
        }
    }

    /// Rescinds all offers of an agent.
    pub(super) fn rescind_agent(&mut self, id: &AgentId, now: Mono, out: &mut Out) {
        let offers = self.agents.get(id.as_str()).map(|a| a.offers.clone()).unwrap_or_default();
        for offer in &offers {
            self.rescind(offer, now, out);
        }
    }

    /// Takes all offers of a framework back without a word: it has no session to hear it.
    pub(super) fn return_framework_offers(&mut self, id: &FrameworkId, now: Mono) {
        let framework = self.frameworks.registered.get(id);
        let offers = framework.map(|f| f.offers.clone()).unwrap_or_default();
        for offer in &offers {
            self.return_offer(offer.as_str(), None, now);
        }
    }

    pub(super) fn offer_timed_out(&mut self, cx: &mut Cx<'_>, id: &OfferId, out: &mut Out) {
        self.metrics.add("offers_timed_out");
        self.rescind(id, cx.now, out);
    }
}

/// Where the agent's API is: its host name is an address, or resolves to one.
pub(super) fn agent_url(info: &v1::AgentInfo) -> v1::Url {
    let is_address = info.hostname.contains(':')
        || info.hostname.split('.').all(|part| part.parse::<u8>().is_ok());
    v1::Url {
        scheme: "http".into(),
        address: v1::Address {
            hostname: Some(info.hostname.clone()),
            ip: is_address.then(|| info.hostname.clone()),
            port: info.port(),
        },
        path: Some("/slave(1)".into()),
        query: Vec::new(),
        fragment: None,
    }
}

/// In the form the framework understands: before MULTI_ROLE without the role allocated to, before
/// RESERVATION_REFINEMENT with `role` and `reservation`.
fn wire_resources(all: &Resources, multi_role: bool, refinement: bool) -> Vec<v1::Resource> {
    let format = if refinement { Format::Post } else { Format::Pre };
    if multi_role {
        convert::resources_to_v1(all, format)
    } else {
        convert::resources_to_v1(&all.unallocate(), format)
    }
}

fn allocation_info(role: &Role) -> v1::resource::AllocationInfo {
    v1::resource::AllocationInfo { role: Some(role.as_str().into()) }
}
