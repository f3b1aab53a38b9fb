//! What must hold between any two steps, checked from the ground up. For tests and simulation: it
//! looks at everything.

use super::MasterCore;
use crate::base::ids::{AgentId, FrameworkId};
use crate::base::resources::Resources;
use std::collections::BTreeMap;

impl MasterCore {
    /// Recounts who holds what and compares it with what the tables say.
    ///
    /// # Errors
    /// The first thing that does not hold, in a sentence.
    pub fn audit(&self) -> Result<(), String> {
        self.audit_tables()?;
        self.audit_sums()?;
        if self.metrics.get("allocator_mismatches") > 0 {
            return Err("the allocator was given back what was not allocated".into());
        }
        Ok(())
    }

    /// Both ends of every relation know each other.
    fn audit_tables(&self) -> Result<(), String> {
        for (id, offer) in &self.offers.live {
            let framework = self.frameworks.registered.get(&offer.framework);
            let agent = self.agents.registered.get(&offer.agent);
            if framework.is_none_or(|f| !f.offers.contains(id) || f.session.is_none()) {
                return Err(format!("offer {id} is of a framework that does not hold it"));
            }
            if agent.is_none_or(|a| !a.offers.contains(id) || a.link.is_none()) {
                return Err(format!("offer {id} is of an agent that does not hold it"));
            }
        }
        for id in self.agents.deactivated.keys() {
            if !self.agents.is_known(id) {
                return Err(format!("agent {id} is out of service and unknown"));
            }
            if self.agents.get(id.as_str()).is_some_and(|a| !a.offers.is_empty()) {
                return Err(format!("agent {id} is out of service and offered"));
            }
        }
        for (id, place) in &self.machines.on {
            let agent = self.agents.registered.get(id);
            let there = agent.and_then(|a| self.machines.place(&a.info.hostname, a.ip));
            if there.as_ref() != Some(place) {
                return Err(format!("agent {id} is said to be on another machine"));
            }
            if agent.is_some_and(|a| self.machines.is_down(&a.info.hostname, a.ip)) {
                return Err(format!("agent {id} is registered, and its machine is down"));
            }
        }
        for (id, (framework, agent)) in &self.inverse.open {
            let framework = self.frameworks.registered.get(framework);
            if framework.is_none_or(|f| f.session.is_none())
                || !self.machines.on.contains_key(agent)
            {
                return Err(format!("nobody can answer the inverse offer {id}"));
            }
        }
        for (link, id) in &self.agents.links {
            if self.agents.registered.get(id).is_none_or(|a| a.link != Some(*link)) {
                return Err(format!("link {link:?} is of agent {id}, which has another"));
            }
            if !self.agents.nodes.contains_key(id) {
                return Err(format!("agent {id} has a link and is no node's"));
            }
        }
        for (session, id) in &self.frameworks.sessions {
            let framework = self.frameworks.registered.get(id);
            if framework.is_none_or(|f| f.session.as_ref() != Some(session)) {
                return Err(format!("session {session} is of framework {id}, which has another"));
            }
        }
        for id in self.agents.registered.keys() {
            if self.agents.recovered.contains_key(id)
                || self.agents.unreachable.get(id.as_str()).is_some()
                || self.agents.gone.get(id.as_str()).is_some()
            {
                return Err(format!("agent {id} is registered and not"));
            }
        }
        Ok(())
    }

    fn audit_sums(&self) -> Result<(), String> {
        let mut used: BTreeMap<(&AgentId, &FrameworkId), Resources> = BTreeMap::new();
        let mut offered: BTreeMap<&AgentId, Resources> = BTreeMap::new();
        for (id, framework) in &self.frameworks.registered {
            for (task_id, task) in &framework.tasks {
                let agent = self.agents.registered.get(&task.agent);
                let key = (id.clone(), task_id.clone());
                if agent.is_none_or(|a| !a.tasks.contains(&key)) {
                    return Err(format!("task {task_id} is on an agent that does not know it"));
                }
                if task.is_live() {
                    *used.entry((&task.agent, id)).or_default() += &task.resources;
                }
            }
            for ((agent, _), executor) in &framework.executors {
                *used.entry((agent, id)).or_default() += &executor.resources;
            }
        }
        for offer in self.offers.live.values() {
            *offered.entry(&offer.agent).or_default() += &offer.resources;
        }
        for (id, agent) in &self.agents.registered {
            let mut sum = Resources::new();
            for (framework, recorded) in &agent.used {
                let counted = used.remove(&(id, framework)).unwrap_or_default();
                if counted != *recorded {
                    return Err(format!("agent {id}: {framework} uses {counted}, not {recorded}"));
                }
                sum += recorded;
            }
            let offered = offered.remove(id).unwrap_or_default();
            if sum != agent.used_total || offered != agent.offered {
                return Err(format!("agent {id}: wrong sums"));
            }
            sum += &offered;
            // Of a shared volume everybody may hold one.
            let held = sum.unallocate();
            let shared = held.iter().filter(|r| r.shared);
            let known = shared.into_iter().all(|volume| agent.total.count(volume) > 0);
            if !known || !agent.total.contains(&held.non_shared()) {
                return Err(format!("agent {id} has {}, but {sum} is in use", agent.total));
            }
        }
        match used.into_iter().find(|(_, left)| !left.is_empty()) {
            Some(((agent, _), left)) => Err(format!("agent {agent} does not count {left}")),
            None => Ok(()),
        }
    }
}
