//! Maintenance of machines, as an operator plans it: a schedule says when machines are away, offers of their agents say so
//! too, and a machine that is down has no agents. All of it but the frameworks' answers is in the registry.

use super::agents::Agent;
use super::io::{Act, Answer, LinkId, NodeId, RequestId};
use super::machines::{MachineKey, Mode};
use super::{MasterCore, Out, answer, refuse, registry, to_link};
use crate::base::ids::AgentId;
use crate::base::time::Mono;
use crate::machine::Cx;
use crate::mesos::address::IpAddr;
use crate::mesos::internal::{MasterMessage, RegisterAgent, ShutdownAgent};
use crate::mesos::v1;
use crate::mesos::v1::allocator::InverseOfferStatus;
use crate::mesos::v1::maintenance::cluster_status::DrainingMachine;
use crate::mesos::v1::maintenance::{ClusterStatus, Schedule};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an agent that must leave is told, and those who had tasks there.
const GOES_DOWN: &str = "Operator initiated 'Machine DOWN'";
/// What an agent that comes is told.
const IS_DOWN: &str = "Machine is `DOWN`";

impl MasterCore {
    /// Another schedule takes the place of the one there is: machines that are new in it drain, those that are in it no
    /// more are up.
    pub(super) fn update_schedule(
        &mut self,
        cx: &mut Cx<'_>,
        request: RequestId,
        schedule: Schedule,
        out: &mut Out,
    ) {
        match self.machines.check(schedule) {
            Ok(checked) => self.machines.replace(checked),
            Err(text) => return refuse(request, 400, text, out),
        }
        self.store_schedule(out);
        let agents: Vec<AgentId> = self.agents.registered.keys().cloned().collect();
        for id in agents {
            self.place_agent(cx.now, &id, out);
        }
        answer(request, Answer::Done, out);
    }

    /// Machines that drain are down: their agents are told to end and are members no more.
    pub(super) fn machines_down(
        &mut self,
        cx: &mut Cx<'_>,
        request: RequestId,
        ids: &[v1::MachineId],
        out: &mut Out,
    ) {
        let machines = match self.machines.named(ids, Mode::Draining) {
            Ok(machines) => machines,
            Err(text) => return refuse(request, 400, text, out),
        };
        for machine in &machines {
            self.machines.set_down(machine);
        }
        self.store_schedule(out);
        let registered = self.agents.registered.iter();
        let agents: Vec<AgentId> = registered
            .filter(|(_, agent)| self.machines.is_down(&agent.info.hostname, agent.ip))
            .map(|(id, _)| id.clone())
            .collect();
        for id in agents {
            if let Some(link) = self.agents.link(id.as_str()) {
                let shutdown = Some(ShutdownAgent { message: GOES_DOWN.into() });
                to_link(link, MasterMessage { shutdown, ..self.message() }, out);
            }
            self.remove_agent(cx, &id, GOES_DOWN, None, out);
        }
        answer(request, Answer::Done, out);
    }

    /// Machines that are down are up: their agents may register.
    pub(super) fn machines_up(&mut self, request: RequestId, ids: &[v1::MachineId], out: &mut Out) {
        match self.machines.named(ids, Mode::Down) {
            Ok(machines) => self.machines.set_up(&machines),
            Err(text) => return refuse(request, 400, text, out),
        }
        self.store_schedule(out);
        answer(request, Answer::Done, out);
    }

    fn store_schedule(&self, out: &mut Out) {
        out.write(registry::maintenance(self.machines.record().as_ref()));
    }

    /// Looks anew which machine an agent is on. When that is away at another time than was told, its offers are void.
    pub(super) fn place_agent(&mut self, now: Mono, id: &AgentId, out: &mut Out) {
        let place = |agent: &Agent| self.machines.place(&agent.info.hostname, agent.ip);
        let place = self.agents.get(id.as_str()).and_then(place);
        let before = self.machines.unavailability(id);
        let after = place.as_ref().map(|place| place.unavailability);
        match place {
            Some(place) => drop(self.machines.on.insert(id.clone(), place)),
            None => drop(self.machines.on.remove(id)),
        }
        if before != after {
            self.rescind_agent(id, now, out);
            self.withdraw_inverse(id, out);
        }
    }

    /// Sees to it that no agent of a machine that is down registers; whether it was one. What runs there is ended. An agent
    /// that is nobody yet, and runs nothing, may go on asking until the machine is up: its node need not end for that.
    pub(super) fn keep_out(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        node: NodeId,
        register: &RegisterAgent,
        out: &mut Out,
    ) -> bool {
        let info = &register.agent_info;
        if !self.machines.is_down(&info.hostname, told_ip(register)) {
            return false;
        }
        let is_nobody = info.id.as_ref().is_none_or(|id| id.value.is_empty());
        if is_nobody && register.tasks.is_empty() && register.executors.is_empty() {
            self.metrics.add("slaves_refused");
            self.link_closed(cx, link, out);
            out.act(Act::RefuseLink { link, node, why: IS_DOWN.into() });
        } else {
            self.turn_away(link, IS_DOWN.into(), out);
        }
        true
    }

    /// The schedule, and how far its machines are.
    pub fn maintenance(&self) -> (Arc<Schedule>, ClusterStatus) {
        let machines = &self.machines;
        let mut statuses: BTreeMap<&MachineKey, Vec<InverseOfferStatus>> = BTreeMap::new();
        for (agent, place) in &machines.on {
            statuses.entry(&place.machine).or_default().extend(self.inverse.statuses(agent));
        }
        let draining = machines.in_mode(Mode::Draining).map(|(key, id)| DrainingMachine {
            id: id.clone(),
            statuses: statuses.remove(key).unwrap_or_default(),
        });
        let draining_machines = draining.collect();
        let down_machines = machines.in_mode(Mode::Down).map(|(_, id)| id.clone()).collect();
        (machines.schedule(), ClusterStatus { draining_machines, down_machines })
    }
}

/// The address that an agent tells; [`check`](super::registration) has seen that it is one.
pub(super) fn told_ip(register: &RegisterAgent) -> Option<IpAddr> {
    register.ip.as_ref().and_then(|ip| ip.parse().ok())
}
