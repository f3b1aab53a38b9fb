//! Builds the core after an election, from the registry.

use super::frameworks::{Completed, Framework, Frameworks};
use super::machines::Machines;
use super::registry::{self, Record};
use super::{
    Identity, MasterCore, Options, Out, REMOVED_FRAMEWORKS_MAX, Timer, agents, identity, metrics,
    offers,
};
use crate::base::error::Result;
use crate::base::ids::FrameworkId;
use crate::base::time::Wall;
use crate::machine::Cx;
use crate::machine::timers::Timers;
use crate::master::allocator::{self, Allocator};
use crate::mesos::internal::FrameworkRecord;
use std::sync::Arc;

impl MasterCore {
    /// A master that has just been elected, knowing what the registry knows: agents are awaited,
    /// frameworks may come back, ended ones stay ended. What it must write and do at once goes to
    /// `out`.
    ///
    /// # Errors
    /// A record that cannot be read: nothing may be decided without it.
    pub fn recover(
        options: Options,
        allocation: allocator::Options,
        identity: Identity,
        records: impl IntoIterator<Item = (String, Vec<u8>)>,
        cx: &mut Cx<'_>,
        out: &mut Out,
    ) -> Result<Self> {
        let mut core = Self {
            mint: identity::Mint::new(&identity.master_id, cx.wall),
            identity,
            agents: agents::Agents::default(),
            frameworks: Frameworks::default(),
            offers: offers::Offers::default(),
            allocator: Allocator::new(allocation),
            timers: Timers::default(),
            metrics: metrics::Metrics::default(),
            marks: super::changes::Marks::default(),
            asked: Default::default(),
            streams: Default::default(),
            machines: Machines::default(),
            inverse: Default::default(),
            options,
        };
        let mut ended: Vec<(Wall, FrameworkId, FrameworkRecord)> = Vec::new();
        for (key, value) in records {
            match registry::read(&key, &value)? {
                Record::Agent(id, agent) => {
                    core.recover_node(&id, agent.node);
                    core.agents.recovered.insert(id, Arc::new(agent.agent_info));
                }
                Record::Unreachable(id, r) => {
                    core.recover_node(&id, r.node);
                    let hostname = r.hostname.unwrap_or_default();
                    core.agents.unreachable.add(id, Wall(r.since), hostname);
                }
                Record::Gone(id, r) => {
                    core.agents.gone.add(id, Wall(r.since), r.hostname.unwrap_or_default());
                }
                Record::Deactivated(id, how) => {
                    core.agents.deactivated.insert(id, how);
                }
                Record::Framework(id, record) => match record.unregistered_time {
                    Some(at) => ended.push((Wall(at), id, record)),
                    None => core.recover_framework(cx, id, record, out),
                },
                Record::Maintenance(record) => core.machines = Machines::recover(record)?,
                Record::Other => {}
            }
        }
        ended.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        for (at, id, record) in ended {
            core.recover_ended(id, at, record, out);
        }
        if !core.agents.recovered.is_empty() {
            let timeout = core.options.absence();
            core.timers.set(Timer::Recovered, cx.now + timeout);
        }
        core.timers.set(Timer::RegistryGc, cx.now + core.options.registry_gc_interval);
        Ok(core)
    }

    fn recover_framework(
        &mut self,
        cx: &Cx<'_>,
        id: FrameworkId,
        record: FrameworkRecord,
        out: &mut Out,
    ) {
        let framework = read_framework(record, true);
        self.enlist_recovered(cx.now, cx.wall, id, framework, out);
    }

    fn recover_ended(&mut self, id: FrameworkId, at: Wall, record: FrameworkRecord, out: &mut Out) {
        for forgotten in self.frameworks.remember_removed(id, at, REMOVED_FRAMEWORKS_MAX) {
            out.write(registry::forget_framework(&forgotten));
        }
        let framework = read_framework(record, false);
        let completed = Completed { framework, unregistered: at };
        self.frameworks.show_completed(completed, self.options.max_completed_frameworks);
    }
}

fn read_framework(record: FrameworkRecord, recovered: bool) -> Framework {
    let mut framework = Framework::new(record.framework_info, Wall(record.registered_time));
    framework.recovered = recovered;
    framework.reregistered = record.reregistered_time.map(Wall);
    framework.failover_deadline = record.failover_deadline.map(Wall);
    framework
}
