//! The picture of the master between two steps, for the read endpoints.

use super::MasterCore;
use super::agents::{Agent, Deactivated};
use super::frameworks::{Framework, Seen};
use super::metrics::Gauges;
use super::view::{AgentView, FrameworkView, RoleView, View};
use crate::base::explain::Explanation;
use crate::base::ids::{AgentId, FrameworkId, Role};
use crate::base::resources::Resources;
use crate::base::time::{Mono, Wall};
use crate::mesos::v1;
use std::collections::BTreeMap;
use std::sync::Arc;

impl MasterCore {
    /// All that may be read, as it is now.
    pub fn view(&self) -> View {
        let frameworks = &self.frameworks;
        View {
            master_id: self.identity.master_id.clone(),
            epoch: self.identity.epoch,
            master_info: self.identity.master_info(),
            elected_time: self.mint.elected,
            agents: self
                .agents
                .registered
                .iter()
                .map(|(id, agent)| seen_agent(agent, self.agents.deactivated.get(id)))
                .collect(),
            recovered_agents: self.agents.recovered.values().cloned().collect(),
            unreachable_agents: self.agents.unreachable.view(),
            gone_agents: self.agents.gone.view(),
            drained_elsewhere: self
                .agents
                .deactivated
                .iter()
                .filter(|(id, _)| !self.agents.registered.contains_key(*id))
                .map(|(id, how)| (id.clone(), how.drain.clone()))
                .collect(),
            frameworks: frameworks
                .registered
                .values()
                .map(|f| self.seen(f, None).view.clone())
                .collect(),
            completed_frameworks: frameworks
                .completed
                .iter()
                .map(|c| self.seen(&c.framework, Some(c.unregistered)).view.clone())
                .collect(),
            inverse_offers: self.inverse.outstanding(),
            roles: self.role_views(),
            counters: self.counters(),
        }
    }

    /// Why a framework gets no offers; nothing for one that is not registered.
    pub fn explain(&self, id: &FrameworkId, now: Mono) -> Option<Explanation> {
        self.frameworks.registered.get(id)?;
        Some(self.allocator.explain(id, now))
    }

    /// A framework's picture, made once after each change.
    pub(super) fn seen<'a>(&self, f: &'a Framework, unregistered: Option<Wall>) -> &'a Seen {
        f.seen.get_or_init(|| Seen {
            view: Arc::new(self.framework_view(f, unregistered)),
            gauges: Gauges::of(f),
        })
    }

    fn framework_view(&self, f: &Framework, unregistered: Option<Wall>) -> FrameworkView {
        let active = f.session.is_some();
        FrameworkView {
            info: f.info.clone(),
            active,
            connected: active,
            recovered: f.recovered,
            registered_time: f.registered,
            reregistered_time: f.reregistered,
            unregistered_time: unregistered,
            failover_deadline: f.failover_deadline,
            suppressed_roles: f.suppressed.iter().cloned().collect(),
            tasks: f.tasks.values().map(|task| task.record.clone()).collect(),
            unreachable_tasks: f.unreachable.iter().cloned().collect(),
            completed_tasks: f.completed.iter().cloned().collect(),
            offers: f
                .offers
                .iter()
                .filter_map(|id| self.offers.live.get(id).map(|offer| offer.wire.clone()))
                .collect(),
            executors: f
                .executors
                .iter()
                .map(|((agent, _), executor)| (agent.clone(), executor.info.clone()))
                .collect(),
            used: f.used.clone(),
            offered: f.offered.clone(),
        }
    }

    fn role_views(&self) -> Vec<RoleView> {
        let mut allocated: BTreeMap<Role, Resources> = BTreeMap::new();
        let mut offered: BTreeMap<Role, Resources> = BTreeMap::new();
        let mut reserved: BTreeMap<Role, Resources> = BTreeMap::new();
        for framework in self.frameworks.registered.values() {
            add(&mut allocated, framework.used.allocations());
            add(&mut offered, framework.offered.allocations());
        }
        for agent in self.agents.registered.values() {
            add(&mut reserved, agent.reserved.clone());
        }
        let of =
            |map: &mut BTreeMap<Role, Resources>, role: &Role| map.remove(role).unwrap_or_default();
        self.allocator
            .roles()
            .into_iter()
            .map(|(name, status)| RoleView {
                allocated: of(&mut allocated, &name),
                offered: of(&mut offered, &name),
                reserved: of(&mut reserved, &name),
                name,
                weight: status.weight,
                frameworks: status.frameworks.into_iter().collect(),
                dominant_share: status.dominant_share,
            })
            .collect()
    }

    /// Counters, and the gauges that follow from the tables.
    fn counters(&self) -> BTreeMap<String, u64> {
        let mut all = self.metrics.all();
        let mut set = |name: &str, value: usize| {
            all.insert(name.to_string(), value as u64);
        };
        let agents = self.agents.registered.len();
        let linked = self.agents.links.len();
        let frameworks = self.frameworks.registered.len();
        let sessions = self.frameworks.sessions.len();
        set("slaves_connected", linked);
        let is_idle = |id: &AgentId| self.agents.link(id.as_str()).is_some();
        let idle = self.agents.deactivated.keys().filter(|id| is_idle(id)).count();
        set("slaves_active", linked - idle);
        set("slaves_disconnected", agents - linked);
        set("slaves_inactive", agents - linked + idle);
        set("slaves_unreachable", self.agents.unreachable.len());
        set("frameworks_connected", sessions);
        set("frameworks_active", sessions);
        set("frameworks_disconnected", frameworks - sessions);
        set("frameworks_inactive", frameworks - sessions);
        set("outstanding_offers", self.offers.live.len());
        set("operator_event_stream_subscribers", self.streams.len());
        let mut gauges = Gauges::default();
        for framework in self.frameworks.registered.values() {
            gauges.add(self.seen(framework, None).gauges);
        }
        for (name, count) in gauges.named() {
            set(name, count);
        }
        all
    }
}

fn add(sums: &mut BTreeMap<Role, Resources>, parts: BTreeMap<Role, Resources>) {
    for (role, part) in parts {
        *sums.entry(role).or_default() += &part;
    }
}

/// An agent's picture, made once after each change.
pub(super) fn seen_agent(agent: &Agent, deactivated: Option<&Deactivated>) -> Arc<AgentView> {
    agent.seen.get_or_init(|| Arc::new(agent_view(agent, deactivated))).clone()
}

fn agent_view(agent: &Agent, deactivated: Option<&Deactivated>) -> AgentView {
    let info: &Arc<v1::AgentInfo> = &agent.info;
    AgentView {
        info: info.clone(),
        connected: agent.link.is_some(),
        active: agent.link.is_some() && deactivated.is_none(),
        deactivated: deactivated.is_some(),
        drain: deactivated.and_then(|d| d.drain.clone()),
        version: agent.version.clone(),
        capabilities: agent.capabilities.clone(),
        registered_time: agent.registered,
        reregistered_time: agent.reregistered,
        total: agent.total.clone(),
        used: agent.used_total.clone(),
        offered: agent.offered.clone(),
    }
}
