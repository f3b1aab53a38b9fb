//! The table of agents: registered, awaited after a change of master, unreachable, gone.

use super::io::{LinkId, NodeId};
use super::view::{AgentView, DepartedView, Drain};
use crate::base::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role, TaskId};
use crate::base::resources::Resources;
use crate::base::time::{Mono, Wall};
use crate::mesos::address::IpAddr;
use crate::mesos::v1;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One registered agent, with or without a link.
#[derive(Debug)]
pub(super) struct Agent {
    /// With its id.
    pub info: Arc<v1::AgentInfo>,
    pub version: String,
    pub capabilities: Vec<String>,
    /// Where it says it listens.
    pub ip: Option<IpAddr>,
    /// The connection, while there is one.
    pub link: Option<LinkId>,
    pub registered: Wall,
    pub reregistered: Option<Wall>,
    pub total: Resources,
    /// What of it is reserved, by role.
    pub reserved: BTreeMap<Role, Resources>,
    /// By tasks and executors of each framework.
    pub used: BTreeMap<FrameworkId, Resources>,
    /// The sum of `used`.
    pub used_total: Resources,
    pub offered: Resources,
    pub tasks: BTreeSet<(FrameworkId, TaskId)>,
    pub executors: BTreeSet<(FrameworkId, ExecutorId)>,
    pub offers: BTreeSet<OfferId>,
    /// Kills of tasks that have not ended since: sent again when the agent registers again.
    pub kills: BTreeMap<(FrameworkId, TaskId), Option<v1::KillPolicy>>,
    /// When it gave the last sign of life.
    pub heard: Mono,
    /// A ping was sent and not answered.
    pub awaits_pong: bool,
    /// Pings in a row that were not answered.
    pub missed_pings: u32,
    /// Its picture, as long as nothing changed.
    pub seen: OnceCell<Arc<AgentView>>,
}

impl Agent {
    /// An agent without a link, tasks or offers.
    pub fn new(info: v1::AgentInfo, total: Resources, registered: Wall) -> Self {
        Self {
            info: Arc::new(info),
            version: String::new(),
            capabilities: Vec::new(),
            ip: None,
            link: None,
            registered,
            reregistered: None,
            reserved: total.reservations(),
            total,
            used: BTreeMap::new(),
            used_total: Resources::new(),
            offered: Resources::new(),
            tasks: BTreeSet::new(),
            executors: BTreeSet::new(),
            offers: BTreeSet::new(),
            kills: BTreeMap::new(),
            heard: Mono(0),
            awaits_pong: false,
            missed_pings: 0,
            seen: OnceCell::new(),
        }
    }

    /// Takes changed resources.
    pub fn set_total(&mut self, total: Resources) {
        self.reserved = total.reservations();
        self.total = total;
    }

    /// Counts what a framework uses more.
    pub fn charge(&mut self, framework: &FrameworkId, resources: &Resources) {
        *self.used.entry(framework.clone()).or_default() += resources;
        self.used_total += resources;
    }

    /// Counts what a framework uses no more.
    pub fn discharge(&mut self, framework: &FrameworkId, resources: &Resources) {
        self.used_total -= resources;
        if let Some(used) = self.used.get_mut(framework) {
            *used -= resources;
            if used.is_empty() {
                self.used.remove(framework);
            }
        }
    }
}

/// Where an agent listens: two agents cannot share it. Every node has a loopback of its own.
pub(super) type Address = (Option<NodeId>, String, i32);

pub(super) fn address(info: &v1::AgentInfo, node: Option<NodeId>) -> Address {
    let hostname = info.hostname.as_str();
    let own = hostname == "localhost" || hostname == "::1" || hostname.starts_with("127.");
    (node.filter(|_| own), hostname.into(), info.port())
}

/// An agent that an operator took out of service: it gets no offers, wherever it is.
#[derive(Clone, Debug)]
pub(super) struct Deactivated {
    pub since: Wall,
    /// Its tasks are ended, or have ended.
    pub drain: Option<Drain>,
}

/// Agents that left, at most so many, oldest forgotten first.
#[derive(Debug, Default)]
pub(super) struct Departed {
    /// Since when, and the host name.
    since: BTreeMap<AgentId, (Wall, String)>,
    by_age: BTreeSet<(Wall, AgentId)>,
}

impl Departed {
    pub fn add(&mut self, id: AgentId, at: Wall, hostname: String) {
        self.remove(id.as_str());
        self.since.insert(id.clone(), (at, hostname));
        self.by_age.insert((at, id));
    }

    pub fn remove(&mut self, id: &str) -> bool {
        match self.since.remove_entry(id) {
            Some((id, (at, _))) => self.by_age.remove(&(at, id)),
            None => false,
        }
    }

    pub fn get(&self, id: &str) -> Option<Wall> {
        self.since.get(id).map(|(at, _)| *at)
    }

    pub fn hostname(&self, id: &str) -> Option<&str> {
        self.since.get(id).map(|(_, hostname)| hostname.as_str())
    }

    pub fn len(&self) -> usize {
        self.since.len()
    }

    /// As readers see them.
    pub fn view(&self) -> Vec<DepartedView> {
        let seen = |(id, (since, hostname)): (&AgentId, &(Wall, String))| DepartedView {
            id: id.clone(),
            since: *since,
            hostname: hostname.clone(),
        };
        self.since.iter().map(seen).collect()
    }

    /// Forgets the oldest one, if there are more than `max` or it left before `before`.
    pub fn trim(&mut self, max: usize, before: Wall) -> Option<AgentId> {
        let (at, _) = self.by_age.first()?;
        if *at >= before && self.since.len() <= max {
            return None;
        }
        let (_, id) = self.by_age.pop_first()?;
        self.since.remove(&id);
        Some(id)
    }
}

/// All agents.
#[derive(Debug, Default)]
pub(super) struct Agents {
    pub registered: BTreeMap<AgentId, Agent>,
    pub links: BTreeMap<LinkId, AgentId>,
    pub by_address: BTreeMap<Address, AgentId>,
    /// Admitted by the registry, not heard of since this master leads.
    pub recovered: BTreeMap<AgentId, Arc<v1::AgentInfo>>,
    pub unreachable: Departed,
    pub gone: Departed,
    /// Out of service: registered, awaited or unreachable ones.
    pub deactivated: BTreeMap<AgentId, Deactivated>,
    /// Whose they are: of registered, recovered and unreachable ones.
    pub nodes: BTreeMap<AgentId, NodeId>,
    changed: BTreeSet<AgentId>,
    /// When the next agent may be marked unreachable.
    pub next_unreachable: Option<Mono>,
    /// When the next one's tasks may be told lost to those who know no partitions.
    pub next_removal: Option<Mono>,
    /// When the last awaited one came back.
    pub last_return: Option<Mono>,
}

impl Agents {
    /// The registered agent of that id.
    pub fn get(&self, id: &str) -> Option<&Agent> {
        self.registered.get(id)
    }

    /// The registered agent of that id, to be changed: its picture is void.
    pub fn change(&mut self, id: &AgentId) -> Option<&mut Agent> {
        let agent = self.registered.get_mut(id)?;
        agent.seen.take();
        self.changed.insert(id.clone());
        Some(agent)
    }

    /// Marks an agent that came, left or is known otherwise than before.
    pub fn mark(&mut self, id: &AgentId) {
        self.changed.insert(id.clone());
    }

    /// Agents that changed since [`Self::take_changed`].
    pub fn changed(&self) -> &BTreeSet<AgentId> {
        &self.changed
    }

    /// Agents that changed since this was asked last.
    pub fn take_changed(&mut self) -> BTreeSet<AgentId> {
        std::mem::take(&mut self.changed)
    }

    /// Whether it is, or may come back.
    pub fn is_known(&self, id: &AgentId) -> bool {
        self.registered.contains_key(id)
            || self.recovered.contains_key(id)
            || self.unreachable.get(id.as_str()).is_some()
    }

    /// What the machine of a known agent is called.
    pub fn hostname(&self, id: &AgentId) -> String {
        let info = self.registered.get(id).map(|a| &a.info).or_else(|| self.recovered.get(id));
        let known = info.map(|info| info.hostname.as_str());
        known.or_else(|| self.unreachable.hostname(id.as_str())).unwrap_or_default().to_string()
    }

    /// The link of a registered agent that has one.
    pub fn link(&self, id: &str) -> Option<LinkId> {
        self.registered.get(id)?.link
    }
}
