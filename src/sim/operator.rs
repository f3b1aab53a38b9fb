//! An operator who drains agents, takes them out of service, and puts them back; at the end all are in service again.

use super::world::World;
use crate::base::ids::AgentId;
use crate::master::core::io::{Input, RequestId};
use crate::master::core::view::View;
use crate::mesos::v1;

impl World {
    /// One thing that an operator does, at whoever leads.
    pub(super) fn operate(&mut self) {
        let Some((master, view)) = self.leading() else { return };
        let ids = known(&view);
        let at = self.rng.below(ids.len() as u64) as usize;
        let Some(agent_id) = ids.get(at).cloned() else { return };
        let request = RequestId(self.fresh());
        let input = match self.rng.below(5) {
            0 | 1 => {
                let nanoseconds = self.rng.below(20_000_000_000) as i64;
                let limit = self.rng.chance(1, 2);
                let config = v1::DrainConfig {
                    max_grace_period: limit.then_some(v1::DurationInfo { nanoseconds }),
                    mark_gone: Some(false),
                };
                Input::DrainAgent { request, agent_id, config }
            }
            2 => Input::DeactivateAgent { request, agent_id },
            _ => Input::ReactivateAgent { request, agent_id },
        };
        self.tell_master(master, input);
    }

    /// Puts every agent into service again, as soon as its drain is over.
    pub(super) fn end_operations(&mut self) {
        let Some((master, view)) = self.leading() else { return };
        let there = view.agents.iter().filter(|a| a.deactivated);
        let there = there.filter_map(|a| a.info.id.as_ref()).map(AgentId::from);
        let all: Vec<AgentId> = there.chain(view.drained_elsewhere.keys().cloned()).collect();
        for agent_id in all {
            let request = RequestId(self.fresh());
            self.tell_master(master, Input::ReactivateAgent { request, agent_id });
        }
    }

    fn leading(&self) -> Option<(u64, View)> {
        let (proc, master) = self.masters.iter().max_by_key(|(_, m)| m.epoch)?;
        Some((*proc, master.driven.machine.view()))
    }
}

/// Every agent that may be spoken of.
fn known(view: &View) -> Vec<AgentId> {
    let registered = view.agents.iter().map(|a| &a.info).chain(&view.recovered_agents);
    let ids = registered.filter_map(|info| info.id.as_ref()).map(AgentId::from);
    ids.chain(view.unreachable_agents.iter().map(|a| a.id.clone())).collect()
}
