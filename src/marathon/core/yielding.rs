//! Agents that are asked for back (inverse offers): what runs there is replaced elsewhere and ended when it is, in the
//! measure of the app's upgrade strategy. Nothing of it is stored: with each subscription the master asks again.

use super::{MarathonCore, Out};
use crate::base::time::Wall;
use crate::machine::Cx;
use crate::mesos::v1::scheduler::{Call, call};
use crate::mesos::v1::{InverseOffer, OfferId};
use std::collections::{BTreeMap, BTreeSet};

/// How many inverse offers are thought of; those beyond are declined.
const YIELDING_MAX: usize = 10_000;

/// The agents that are asked for back, by the id of the inverse offer.
#[derive(Clone, Debug, Default)]
pub(super) struct Yielding {
    agents: BTreeMap<String, String>,
}

impl Yielding {
    /// Whether this one is given back: nothing new is put there.
    pub fn has(&self, agent: &str) -> bool {
        self.agents.values().any(|known| known == agent)
    }
}

impl MarathonCore {
    /// What is asked for back now is cleared; what is to be given back later is declined, as Marathon does: its offers say
    /// when its maintenance begins.
    pub(super) fn inverse_offers(
        &mut self,
        cx: &Cx<'_>,
        offers: impl Iterator<Item = InverseOffer>,
        out: &mut Out,
    ) {
        let (mut accepted, mut declined) = (Vec::new(), Vec::new());
        for offer in offers {
            let start = offer.unavailability.start.nanoseconds;
            let is_due = u64::try_from(start).is_ok_and(|start| Wall(start) <= cx.wall);
            match offer.agent_id {
                Some(agent) if is_due && self.yielding.agents.len() < YIELDING_MAX => {
                    // Asked again for one that is given back already: the newer inverse offer stands for it.
                    self.yielding.agents.retain(|_, known| *known != agent.value);
                    self.yielding.agents.insert(offer.id.value.clone(), agent.value);
                    accepted.push(offer.id);
                }
                _ => declined.push(offer.id),
            }
        }
        self.mark_yielding();
        if !accepted.is_empty() {
            let accept = call::AcceptInverseOffers { inverse_offer_ids: accepted, filters: None };
            let call = Call { accept_inverse_offers: Some(accept), ..Default::default() };
            self.call_now(call::Type::AcceptInverseOffers, call, out);
        }
        if !declined.is_empty() {
            let decline = call::DeclineInverseOffers { inverse_offer_ids: declined, filters: None };
            let call = Call { decline_inverse_offers: Some(decline), ..Default::default() };
            self.call_now(call::Type::DeclineInverseOffers, call, out);
        }
    }

    /// It is not asked for any more.
    pub(super) fn rescind_inverse_offer(&mut self, offer: &OfferId) {
        if self.yielding.agents.remove(&offer.value).is_some() {
            self.mark_yielding();
        }
    }

    /// With another subscription: who is still asked for is told again.
    pub(super) fn forget_yielding(&mut self) {
        self.yielding = Yielding::default();
        self.mark_yielding();
    }

    /// What was launched there meanwhile yields as well.
    pub(super) fn still_yielding(&mut self) {
        if !self.yielding.agents.is_empty() {
            self.mark_yielding();
        }
    }

    /// Instances know whether their agent is asked for back.
    fn mark_yielding(&mut self) {
        let agents: BTreeSet<&str> = self.yielding.agents.values().map(String::as_str).collect();
        let wrong = self.instances.iter().filter(|instance| {
            let place = instance.placement.as_deref();
            instance.yields != place.is_some_and(|place| agents.contains(place.agent_id.as_str()))
        });
        let wrong: Vec<_> = wrong.map(|i| (i.id.clone(), i.spec.id.clone())).collect();
        for (id, app) in wrong {
            if let Some(instance) = self.instances.get_mut(&id) {
                instance.yields = !instance.yields;
            }
            self.touch(&app);
        }
    }
}
