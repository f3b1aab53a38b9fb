//! The master's decisions, as one deterministic machine: agents, frameworks, offers, tasks,
//! reconciliation, recovery.
//!
//! No I/O: agents and schedulers are links and sessions known by number; the registry is a list of
//! writes. What is told outside waits for the registry writes before it; only heartbeats and pings
//! do not wait.
//!
//! The state lies in four tables ([`agents`], [`frameworks`], [`offers`], the allocator); each
//! other file is one concern's rules over them.

mod accept;
mod account;
mod accounting;
mod agents;
mod asking;
mod audit;
pub mod binding;
mod calls;
pub mod changes;
mod disconnect;
mod drain;
mod events;
mod frameworks;
mod gone;
mod identity;
mod inverse;
pub mod io;
mod kill;
mod launch;
mod launch_group;
mod lost;
mod machines;
mod maintenance;
mod metrics;
mod offers;
mod operations;
pub mod options;
mod partition;
mod picture;
mod reconcile;
mod recovery;
mod registration;
pub mod registry;
mod removal;
mod removal_rate;
mod reregistration;
mod reserving;
mod states;
mod status;
pub mod streams;
mod subscribe;
mod tasks;
mod teardown;
mod update_framework;
mod validate;
pub mod view;

#[cfg(test)]
mod tests;

pub use identity::Identity;
pub use options::*;

use crate::base::ids::{AgentId, FrameworkId, OfferId};
use crate::base::kv::Op;
use crate::base::time::Mono;
use crate::machine::timers::Timers;
use crate::machine::{Cx, Effects, Machine};
use crate::master::allocator::Allocator;
use crate::mesos::internal::MasterMessage;
use crate::mesos::v1::scheduler::Event;
use io::{Act, Answer, Input, LinkId, RequestId, SessionId, StreamId};
use std::sync::Arc;

/// The master's core.
pub struct MasterCore {
    options: Options,
    identity: Identity,
    mint: identity::Mint,
    agents: agents::Agents,
    frameworks: frameworks::Frameworks,
    offers: offers::Offers,
    allocator: Allocator,
    timers: Timers<Timer>,
    metrics: metrics::Metrics,
    marks: changes::Marks,
    asked: asking::Asked,
    streams: streams::Streams,
    machines: machines::Machines,
    inverse: inverse::InverseOffers,
}

/// What the core waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The next HEARTBEAT of a session.
    Heartbeat(SessionId),
    /// The next HEARTBEAT of an operator's stream.
    StreamHeartbeat(StreamId),
    /// The next ping of an agent with a link.
    Ping(AgentId),
    /// A registered agent without a link must be back.
    Reregister(AgentId),
    /// It is an agent's turn to be marked unreachable.
    Remove(AgentId),
    /// It is an unreachable agent's turn to have its tasks told lost to those who know no partitions.
    Lost(AgentId),
    /// Tasks are to be gone from an agent that is asked back.
    Clear(AgentId),
    /// All agents that the registry told of must be back.
    Recovered,
    /// A framework without a session must be back.
    Failover(FrameworkId),
    /// An offer must be answered.
    Offer(OfferId),
    /// An inverse offer must be answered, or may be made again.
    InverseOffer(AgentId, FrameworkId),
    /// Time to forget old unreachable and gone agents.
    RegistryGc,
}

type Out = Effects<MasterCore>;

impl Machine for MasterCore {
    type Input = Input;
    type Write = Op;
    type Act = Act;

    fn step(&mut self, cx: &mut Cx<'_>, input: Input, out: &mut Out) {
        match input {
            Input::FromAgent { link, node, message } => {
                self.agent_message(cx, link, node, *message, out);
            }
            Input::LinkClosed { link } => self.link_closed(cx, link, out),
            Input::Subscribe { request, session, call, principal } => {
                self.subscribe(cx, request, session, *call, principal, out);
            }
            Input::Call { request, session, call, principal } => {
                self.call(cx, request, session, *call, principal, out);
            }
            Input::SessionClosed { session } => self.session_closed(cx, &session, out),
            Input::Teardown { request, framework_id } => {
                self.operator_teardown(cx, request, &framework_id, out);
            }
            Input::KillTask { request, framework_id, task_id, grace } => {
                self.operator_kill(cx, request, &framework_id, &task_id, grace, out);
            }
            Input::DrainAgent { request, agent_id, config } => {
                self.drain_agent(cx, request, &agent_id, config, out);
            }
            Input::DeactivateAgent { request, agent_id } => {
                self.deactivate_agent(cx, request, &agent_id, out);
            }
            Input::ReactivateAgent { request, agent_id } => {
                self.reactivate_agent(request, &agent_id, out);
            }
            Input::AskBack { agents } => self.ask_back(cx, agents, out),
            Input::OperateAgent { request, agent_id, operation, principal } => {
                let principal = principal.as_deref();
                self.operate_agent(cx, request, &agent_id, &operation, principal, out);
            }
            Input::UpdateSchedule { request, schedule } => {
                self.update_schedule(cx, request, *schedule, out);
            }
            Input::MachinesDown { request, machines } => {
                self.machines_down(cx, request, &machines, out);
            }
            Input::MachinesUp { request, machines } => self.machines_up(request, &machines, out),
            Input::MarkAgentGone { request, agent_id } => {
                self.mark_agent_gone(cx, request, &agent_id, out);
            }
            Input::OpenStream { stream } => self.open_stream(stream),
            Input::StreamClosed { stream } => self.stream_closed(stream),
        }
    }

    fn wake(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        while let Some(timer) = self.timers.pop(cx.now) {
            match timer {
                Timer::Heartbeat(session) => self.heartbeat(cx, session, out),
                Timer::StreamHeartbeat(stream) => self.stream_heartbeat(cx, stream, out),
                Timer::Ping(agent) => self.ping(cx, &agent, out),
                Timer::Reregister(agent) => self.reregister_timed_out(cx, &agent, out),
                Timer::Remove(agent) => self.removal_due(cx, &agent, out),
                Timer::Lost(agent) => self.lost_due(cx, &agent, out),
                Timer::Clear(agent) => self.clear_due(cx, &agent, out),
                Timer::Recovered => self.recovered_timed_out(cx, out),
                Timer::Failover(framework) => self.failover_timed_out(cx, &framework, out),
                Timer::Offer(offer) => self.offer_timed_out(cx, &offer, out),
                Timer::InverseOffer(agent, framework) => {
                    self.inverse_due(&agent, &framework, out);
                }
                Timer::RegistryGc => self.registry_gc(cx, out),
            }
        }
    }

    fn settle(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        self.ask_frameworks(cx, out);
        self.finish_drains(cx, out);
        self.make_offers(cx, out);
        self.ask_for_maintenance(cx, out);
        self.tell_changes(out);
        self.tell_streams(cx, out);
    }

    fn wake_at(&self) -> Option<Mono> {
        [self.timers.first(), self.allocator.wake_at()].into_iter().flatten().min()
    }
}

impl MasterCore {
    /// Sends an event to a framework, after all writes so far. One without a session misses it.
    fn send(&self, framework: &FrameworkId, event: Event, out: &mut Out) {
        let session = self.frameworks.registered.get(framework).and_then(|f| f.session.clone());
        if let Some(session) = session {
            out.act(Act::Event { session, event: Arc::new(event) });
        }
    }

    /// A message to an agent, with the epoch: every one carries it.
    fn message(&self) -> MasterMessage {
        MasterMessage { epoch: self.identity.epoch, ..MasterMessage::default() }
    }

    /// Sends to an agent, after all writes so far. One without a link misses it.
    fn to_agent(&self, agent: &AgentId, message: MasterMessage, out: &mut Out) {
        if let Some(link) = self.agents.link(agent.as_str()) {
            to_link(link, message, out);
        }
    }
}

fn to_link(link: LinkId, message: MasterMessage, out: &mut Out) {
    out.act(Act::ToAgent { link, message: Box::new(message) });
}

fn answer(request: RequestId, answer: Answer, out: &mut Out) {
    out.act(Act::Answer { request, answer });
}

fn refuse(request: RequestId, status: u16, text: impl Into<String>, out: &mut Out) {
    answer(request, Answer::Refused { status, text: text.into() }, out);
}
