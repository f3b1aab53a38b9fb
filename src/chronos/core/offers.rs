//! Offers: those at hand, what is remembered of agents, and when more are asked for.
//!
//! Offers are never kept: those that nothing waits for go back at once. While nothing waits Chronos wants none (SUPPRESS);
//! as soon as a run may be launched it asks (REVIVE), which also ends the filters of what it declined before.

use super::options::{AGENTS_SEEN_MAX, SUPPRESS_AFTER};
use super::{Act, ChronosCore, Out, Timer, call_of};
use crate::base::attributes::Attributes;
use crate::base::resources::Resources;
use crate::base::time::Mono;
use crate::machine::Cx;
use crate::mesos::convert::{attributes_from_v1, resources_from_v1};
use crate::mesos::v1::scheduler::{Call, call};
use crate::mesos::v1::{self, Filters};
use std::collections::{BTreeMap, BTreeSet};

/// An offer, read.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub id: v1::OfferId,
    pub agent_id: v1::AgentId,
    pub host: String,
    pub resources: Resources,
    pub attributes: Attributes,
}

/// What an agent last offered.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub host: String,
    pub resources: Resources,
    pub attributes: Attributes,
    at: u64,
}

/// Offers and the connection they come over.
#[derive(Clone, Debug, Default)]
pub(super) struct Offers {
    connected: bool,
    /// Why there is no connection; empty before the first.
    why: String,
    live: Vec<Offer>,
    seen: BTreeMap<String, Seen>,
    count: u64,
    /// The master was told that no offers are wanted.
    suppressed: bool,
    /// Not to ask before this.
    revive_after: Mono,
    /// Runs came into the queue that the master was not asked for yet.
    wanted: bool,
}

impl Offers {
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    pub fn why(&self) -> &str {
        &self.why
    }

    /// Subscribed: whatever was offered before is gone, and what waits has to be asked for again.
    pub fn connected(&mut self) {
        self.connected = true;
        self.live.clear();
        self.suppressed = false;
        self.wanted = true;
        self.revive_after = Mono::default();
    }

    pub fn disconnected(&mut self, why: String) {
        self.connected = false;
        self.why = why;
        self.live.clear();
    }

    pub fn rescind(&mut self, id: &str) {
        self.live.retain(|offer| offer.id.value != id);
    }

    /// It was not told that none are wanted.
    pub fn not_suppressed(&mut self) {
        self.suppressed = false;
    }

    /// There is more to launch than was looked for.
    pub fn want_more(&mut self) {
        self.wanted = true;
    }

    pub fn take(&mut self) -> Vec<Offer> {
        std::mem::take(&mut self.live)
    }

    /// What agents last offered, by id.
    pub fn seen(&self) -> impl Iterator<Item = (&String, &Seen)> {
        self.seen.iter()
    }

    fn remember(&mut self, offer: &Offer) {
        self.count += 1;
        let seen = Seen {
            host: offer.host.clone(),
            resources: offer.resources.clone(),
            attributes: offer.attributes.clone(),
            at: self.count,
        };
        self.seen.insert(offer.agent_id.value.clone(), seen);
        if self.seen.len() > AGENTS_SEEN_MAX {
            let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.at);
            if let Some(id) = oldest.map(|(id, _)| id.clone()) {
                self.seen.remove(&id);
            }
        }
    }
}

impl ChronosCore {
    pub(super) fn offered(&mut self, offers: &[v1::Offer], out: &mut Out) {
        let mut unreadable = BTreeSet::new();
        for offer in offers {
            let resources = resources_from_v1(&offer.resources);
            let attributes = attributes_from_v1(&offer.attributes);
            let (Ok(resources), Ok(attributes)) = (resources, attributes) else {
                unreadable.insert(offer.id.value.clone());
                continue;
            };
            let offer = Offer {
                id: offer.id.clone(),
                agent_id: offer.agent_id.clone(),
                host: offer.hostname.clone(),
                resources,
                attributes,
            };
            self.offers.remember(&offer);
            self.offers.live.push(offer);
        }
        let ids = offers.iter().map(|offer| &offer.id);
        let ids = ids.filter(|id| unreadable.contains(&id.value)).cloned().collect();
        self.decline(ids, out);
    }

    pub(super) fn filters(&self) -> Filters {
        Filters { refuse_seconds: Some(self.options.decline_offer_duration.as_secs_f64()) }
    }

    pub(super) fn decline(&self, offer_ids: Vec<v1::OfferId>, out: &mut Out) {
        if offer_ids.is_empty() {
            return;
        }
        let decline = Some(call::Decline { offer_ids, filters: Some(self.filters()) });
        let call = Call { decline, ..call_of(call::Type::Decline) };
        out.act_now(Act::Call(Box::new(call)));
    }

    /// Asks for offers when something new waits for them, and says so when nothing does any more.
    pub(super) fn ask_for_offers(&mut self, cx: &Cx<'_>, out: &mut Out) {
        let fresh = self.runs.take_fresh();
        self.offers.wanted |= fresh;
        if !self.offers.connected {
            return;
        }
        if self.runs.queue_is_empty() {
            self.offers.wanted = false;
            self.timers.cancel(&Timer::Revive);
            if !self.offers.suppressed && self.timers.at(&Timer::Suppress).is_none() {
                self.timers.set(Timer::Suppress, cx.now + SUPPRESS_AFTER);
            }
            return;
        }
        self.timers.cancel(&Timer::Suppress);
        if !self.offers.wanted {
            return;
        }
        if cx.now < self.offers.revive_after {
            return self.timers.set(Timer::Revive, self.offers.revive_after);
        }
        self.timers.cancel(&Timer::Revive);
        self.offers.wanted = false;
        self.offers.suppressed = false;
        self.offers.revive_after = cx.now + self.options.min_revive_offers_interval;
        self.count("revives");
        let revive = Some(call::Revive { roles: Vec::new() });
        out.act_now(Act::Call(Box::new(Call { revive, ..call_of(call::Type::Revive) })));
    }

    pub(super) fn suppress(&mut self, out: &mut Out) {
        if !self.offers.connected || !self.runs.queue_is_empty() {
            return;
        }
        self.offers.suppressed = true;
        let suppress = Some(call::Suppress { roles: Vec::new() });
        out.act_now(Act::Call(Box::new(Call { suppress, ..call_of(call::Type::Suppress) })));
    }
}
