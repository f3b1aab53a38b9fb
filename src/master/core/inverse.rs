//! Inverse offers of machines that will be away: each framework with something on such an agent is asked to give it back, and
//! asked again some time after its answer, as long as there is something. Answers bind nobody; the status of maintenance
//! shows them. Nothing of it is stored: another master asks anew. (Nodes that leave are [`asking`](super::asking)'s.)

use super::accept::filter;
use super::offers::agent_url;
use super::{MasterCore, Out, Timer, events};
use crate::base::ids::{AgentId, FrameworkId, OfferId};
use crate::base::time::Wall;
use crate::machine::Cx;
use crate::mesos::v1;
use crate::mesos::v1::allocator::{InverseOfferStatus, inverse_offer_status::Status};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A framework that has answered is asked again no sooner than after that, however short its filter.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How far it is with a framework.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has not answered yet.
    Open,
    /// It has answered, and does not want to be asked again yet.
    Rests,
    /// It may be asked again.
    Due,
}

#[derive(Debug)]
struct Asked {
    stage: Stage,
    /// The last inverse offer.
    wire: Arc<v1::InverseOffer>,
    /// The last answer.
    said: Option<(Status, Wall)>,
}

/// What frameworks were asked, and what they said.
#[derive(Debug, Default)]
pub(super) struct InverseOffers {
    /// At most one for each framework and agent.
    asked: BTreeMap<AgentId, BTreeMap<FrameworkId, Asked>>,
    /// Those that are not answered.
    pub open: BTreeMap<OfferId, (FrameworkId, AgentId)>,
    /// Agents to look at when the batch is settled.
    look: BTreeSet<AgentId>,
}

impl InverseOffers {
    /// What frameworks said about an agent.
    pub fn statuses(&self, agent: &AgentId) -> impl Iterator<Item = InverseOfferStatus> {
        let asked = self.asked.get(agent).into_iter().flatten();
        asked.filter_map(|(framework, asked)| {
            let (status, at) = asked.said?;
            Some(InverseOfferStatus {
                status: status as i32,
                framework_id: framework.into(),
                timestamp: v1::TimeInfo { nanoseconds: nanos(at) },
            })
        })
    }

    /// Inverse offers without an answer, by framework.
    pub fn outstanding(&self) -> BTreeMap<FrameworkId, Vec<Arc<v1::InverseOffer>>> {
        let mut all: BTreeMap<FrameworkId, Vec<Arc<v1::InverseOffer>>> = BTreeMap::new();
        for (framework, agent) in self.open.values() {
            if let Some(asked) = self.asked.get(agent).and_then(|of| of.get(framework)) {
                all.entry(framework.clone()).or_default().push(Arc::clone(&asked.wire));
            }
        }
        all
    }

    fn get_mut(&mut self, agent: &AgentId, framework: &FrameworkId) -> Option<&mut Asked> {
        self.asked.get_mut(agent)?.get_mut(framework)
    }
}

fn nanos(at: Wall) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

impl MasterCore {
    /// Asks frameworks that have something on an agent whose machine will be away.
    pub(super) fn ask_for_maintenance(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        let mut look = std::mem::take(&mut self.inverse.look);
        let on = &self.machines.on;
        if on.is_empty() {
            return;
        }
        look.extend(self.agents.changed().iter().filter(|id| on.contains_key(*id)).cloned());
        for id in look {
            let Some(unavailability) = self.machines.unavailability(&id) else { continue };
            if self.asked.is_asked(&id) {
                // Its node leaves, and it is asked for already.
                continue;
            }
            for framework in self.frameworks_on(&id) {
                self.ask_framework(cx, &framework, &id, unavailability, out);
            }
        }
    }

    /// The frameworks with tasks, executors or offers there.
    fn frameworks_on(&self, id: &AgentId) -> BTreeSet<FrameworkId> {
        let Some(agent) = self.agents.get(id.as_str()) else { return BTreeSet::new() };
        let offered = agent.offers.iter().filter_map(|offer| self.offers.live.get(offer));
        let tasks = agent.tasks.iter().map(|(framework, _)| framework);
        let executors = agent.executors.iter().map(|(framework, _)| framework);
        tasks.chain(executors).chain(offered.map(|offer| &offer.framework)).cloned().collect()
    }

    fn ask_framework(
        &mut self,
        cx: &mut Cx<'_>,
        framework: &FrameworkId,
        id: &AgentId,
        unavailability: v1::Unavailability,
        out: &mut Out,
    ) {
        let known = self.inverse.asked.get(id).and_then(|of| of.get(framework));
        let said = known.and_then(|asked| asked.said);
        let is_due = known.is_none_or(|asked| asked.stage == Stage::Due);
        let listens = self.frameworks.get(framework.as_str()).is_some_and(|f| f.session.is_some());
        let Some(agent) = self.agents.get(id.as_str()).filter(|_| is_due && listens) else {
            return;
        };
        let url = Some(agent_url(&agent.info));
        let offer = self.mint.offer();
        let wire = v1::InverseOffer {
            id: (&offer).into(),
            url,
            framework_id: framework.into(),
            agent_id: Some(id.into()),
            unavailability,
            resources: Vec::new(),
        };
        if let Some(timeout) = self.options.offer_timeout {
            let timer = Timer::InverseOffer(id.clone(), framework.clone());
            self.timers.set(timer, cx.now + timeout);
        }
        self.send(framework, events::inverse_offer(wire.clone()), out);
        let asked = Asked { stage: Stage::Open, wire: Arc::new(wire), said };
        self.inverse.asked.entry(id.clone()).or_default().insert(framework.clone(), asked);
        self.inverse.open.insert(offer, (framework.clone(), id.clone()));
    }

    /// ACCEPT_INVERSE_OFFERS and DECLINE_INVERSE_OFFERS. An inverse offer that is none, any more or of this framework, is
    /// passed over.
    pub(super) fn answer_inverse(
        &mut self,
        cx: &Cx<'_>,
        framework: &FrameworkId,
        offers: &[v1::OfferId],
        status: Status,
        filters: Option<&v1::Filters>,
    ) {
        let rest = filter(filters).unwrap_or_default().max(AGAIN_AFTER);
        for offer in offers {
            let known = self.inverse.open.get(offer.value.as_str());
            let Some((_, agent)) = known.filter(|(whose, _)| whose == framework).cloned() else {
                continue;
            };
            self.inverse.open.remove(offer.value.as_str());
            if let Some(asked) = self.inverse.get_mut(&agent, framework) {
                asked.stage = Stage::Rests;
                asked.said = Some((status, cx.wall));
            }
            self.timers.set(Timer::InverseOffer(agent, framework.clone()), cx.now + rest);
        }
    }

    /// The time for an answer is over, or the rest after it.
    pub(super) fn inverse_due(&mut self, id: &AgentId, framework: &FrameworkId, out: &mut Out) {
        let Some(asked) = self.inverse.get_mut(id, framework) else { return };
        let was_open = asked.stage == Stage::Open;
        asked.stage = Stage::Due;
        let offer = OfferId::from(asked.wire.id.value.as_str());
        self.inverse.look.insert(id.clone());
        if was_open {
            self.inverse.open.remove(&offer);
            self.send(framework, events::rescind_inverse(offer), out);
        }
    }

    /// The agent is not asked for any more, or for another time: who was asked, and did not decline, learns it.
    pub(super) fn withdraw_inverse(&mut self, id: &AgentId, out: &mut Out) {
        for (framework, asked) in self.inverse.asked.remove(id).unwrap_or_default() {
            self.timers.cancel(&Timer::InverseOffer(id.clone(), framework.clone()));
            let offer = OfferId::from(asked.wire.id.value.as_str());
            let accepted = asked.said.is_some_and(|(status, _)| status == Status::Accept);
            if self.inverse.open.remove(&offer).is_some() || accepted {
                self.send(&framework, events::rescind_inverse(offer), out);
            }
        }
        self.inverse.look.insert(id.clone());
    }

    /// Whatever a framework was asked and said is void: it has another session, or none.
    pub(super) fn forget_inverse(&mut self, framework: &FrameworkId) {
        for (id, of) in &mut self.inverse.asked {
            if of.remove(framework).is_some() {
                self.timers.cancel(&Timer::InverseOffer(id.clone(), framework.clone()));
            }
        }
        self.inverse.asked.retain(|_, of| !of.is_empty());
        self.inverse.open.retain(|_, (whose, _)| whose != framework);
        self.inverse.look.extend(self.machines.on.keys().cloned());
    }
}
