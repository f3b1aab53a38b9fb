//! What an agent's resources are made: the change to its total, told to the agent, which remembers it. Operators'
//! operations, for which offers that are in the way are taken back.

use super::io::{Answer, RequestId};
use super::validate::operation::{self, Asked};
use super::{CHECKPOINTED_BYTES_MAX, MasterCore, Out, answer, refuse};
use crate::base::ids::{AgentId, OfferId};
use crate::base::resources::{Conversion, Resources};
use crate::base::time::Mono;
use crate::machine::Cx;
use crate::mesos::convert::{self, Format};
use crate::mesos::internal::{CheckpointResources, MasterMessage};
use crate::mesos::v1::{self, offer::Operation};
use prost::Message as _;

impl MasterCore {
    /// RESERVE_RESOURCES and its kin. 202 when the agent was told; 409 when something is in use or not there.
    pub(super) fn operate_agent(
        &mut self,
        cx: &Cx<'_>,
        request: RequestId,
        id: &AgentId,
        operation: &Operation,
        principal: Option<&str>,
        out: &mut Out,
    ) {
        let Some(agent) = self.agents.registered.get(id) else {
            return refuse(request, 400, "No agent found with specified ID", out);
        };
        let asked = Asked { framework: None, principal, agent };
        let invalid = |why: &str| {
            let (kind, info) = (operation.r#type().as_str_name(), &agent.info);
            let pid = format!("slave(1)@{}:{}", info.hostname, info.port());
            format!("Invalid {kind} operation on agent {id} at {pid} ({}): {why}", info.hostname)
        };
        let conversion = match operation::check(&asked, operation) {
            Some(Ok(conversion)) => conversion,
            Some(Err(why)) => return refuse(request, 400, invalid(&why), out),
            None => return refuse(request, 501, invalid("it is not supported"), out),
        };
        if conversion.consumed.iter().any(|r| r.allocated_to.is_some()) {
            let why = "resources of an operator's operation are allocated to nobody";
            return refuse(request, 400, invalid(why), out);
        }
        match self.try_operate(cx.now, id, &conversion, out) {
            Ok(()) => answer(request, Answer::Accepted, out),
            Err(why) => refuse(request, 409, why, out),
        }
    }

    fn try_operate(
        &mut self,
        now: Mono,
        id: &AgentId,
        conversion: &Conversion,
        out: &mut Out,
    ) -> Result<(), String> {
        let total = self.total_after(id, conversion)?;
        let Some(agent) = self.agents.registered.get(id) else { return Ok(()) };
        // Shared volumes are free while others hold them, too; none of those to be consumed is in use.
        let held = agent.used_total.unallocate().non_shared();
        let not_in_use = &agent.total - &held;
        not_in_use.apply(conversion)?;
        for offer in self.offers_in_the_way(id, &conversion.consumed) {
            self.rescind(&offer, now, out);
        }
        self.rescind_shared(id, conversion, now, out);
        self.allocator.update_agent_total(id, total.clone());
        self.set_total(id, total, out);
        Ok(())
    }

    /// The offers that must be taken back until so much is free: of those that hold something of it, as few as their
    /// order allows.
    fn offers_in_the_way(&self, id: &AgentId, wanted: &Resources) -> Vec<OfferId> {
        let Some(agent) = self.agents.registered.get(id) else { return Vec::new() };
        let held = &agent.used_total.unallocate() + &agent.offered.unallocate();
        let mut free = &agent.total - &held.non_shared();
        let mut taken = Vec::new();
        for offer in &agent.offers {
            let missing = wanted - &free;
            if missing.is_empty() {
                break;
            }
            let Some(offered) = self.offers.live.get(offer) else { continue };
            let offered = offered.resources.unallocate().non_shared();
            if &missing - &offered != missing {
                free += &offered;
                taken.push(offer.clone());
            }
        }
        taken
    }

    /// Takes back all offers with a shared volume that is about to be consumed.
    pub(super) fn rescind_shared(
        &mut self,
        id: &AgentId,
        conversion: &Conversion,
        now: Mono,
        out: &mut Out,
    ) {
        let gone = conversion.consumed.shared().unallocate();
        let Some(agent) = self.agents.registered.get(id).filter(|_| !gone.is_empty()) else {
            return;
        };
        let holds = |offer: &&OfferId| {
            let held = self.offers.live.get(*offer).map(|o| o.resources.unallocate());
            held.is_some_and(|held| gone.iter().any(|volume| held.count(volume) > 0))
        };
        let holding: Vec<OfferId> = agent.offers.iter().filter(holds).cloned().collect();
        for offer in holding {
            self.rescind(&offer, now, out);
        }
    }

    /// What the agent has after an operation.
    pub(super) fn total_after(
        &self,
        id: &AgentId,
        conversion: &Conversion,
    ) -> Result<Resources, String> {
        let Some(agent) = self.agents.registered.get(id) else {
            return Err("Agent removed".into());
        };
        let bare = Conversion {
            consumed: conversion.consumed.unallocate(),
            converted: conversion.converted.unallocate(),
        };
        let total = agent.total.apply(&bare)?;
        let bytes: usize = checkpointed(&total).iter().map(|r| r.encoded_len()).sum();
        if bytes > CHECKPOINTED_BYTES_MAX {
            return Err(format!(
                "The agent's reservations and volumes would take {bytes} bytes to be written \
                 down, and may take {CHECKPOINTED_BYTES_MAX}"
            ));
        }
        Ok(total)
    }

    /// The resources of an agent that is in the table and registers again. What this master had it remember stands: the
    /// word may have been lost on the way. Unless the agent has not that much any more; then what it says itself does.
    pub(super) fn total_again(
        &self,
        id: &AgentId,
        info: &v1::AgentInfo,
        reported: Resources,
    ) -> Resources {
        let meant = self.agents.registered.get(id).and_then(|agent| {
            let line = convert::resources_from_v1(&info.resources).ok()?;
            line.with_checkpointed(&agent.total.checkpointed()).ok()
        });
        meant.unwrap_or(reported)
    }

    /// The agent has other resources from now on, which the allocator knows already; it is told what to remember.
    pub(super) fn set_total(&mut self, id: &AgentId, total: Resources, out: &mut Out) {
        if let Some(agent) = self.agents.change(id) {
            agent.set_total(total);
        }
        self.metrics.add("operations/finished");
        self.tell_checkpointed(id, out);
    }

    /// Tells an agent all that it has to remember. One without a link is told when it is back.
    pub(super) fn tell_checkpointed(&self, id: &AgentId, out: &mut Out) {
        let Some(agent) = self.agents.registered.get(id) else { return };
        let checkpoint = CheckpointResources { resources: checkpointed(&agent.total) };
        let message = MasterMessage { checkpoint_resources: Some(checkpoint), ..self.message() };
        self.to_agent(id, message, out);
    }
}

fn checkpointed(total: &Resources) -> Vec<v1::Resource> {
    convert::resources_to_v1(&total.checkpointed(), Format::Post)
}
