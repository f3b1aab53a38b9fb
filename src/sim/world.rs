//! The world: its parts, its clock, and the loop over what happens.

use super::chronos::Chronos;
use super::cluster::Cluster;
use super::invariants::{Invariants, Seen};
use super::leader::Master;
use super::lines::line;
use super::link::Link;
use super::log::Log;
use super::marathon::Marathon;
use super::node::Node;
use super::queue::{Queue, What};
use super::scheduler::Scheduler;
use super::session::{Asked, Session};
use super::trace::Trace;
use super::{Profile, Report, Violation};
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::master::core::io::SessionId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many events one run may take before it is held to run for ever.
const EVENTS_MAX: u64 = 5_000_000;

/// One world.
pub struct World {
    pub(super) profile: Profile,
    pub(super) rng: Rng,
    pub(super) now: Mono,
    pub(super) queue: Queue,
    pub(super) log: Log,
    pub(super) masters: BTreeMap<u64, Master>,
    pub(super) nodes: Vec<Node>,
    pub(super) links: BTreeMap<u64, Link>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) requests: BTreeMap<u64, Asked>,
    pub(super) schedulers: Vec<Scheduler>,
    pub(super) marathon: Option<Marathon>,
    pub(super) chronos: Option<Chronos>,
    /// What makes the machines one cluster; without it masters are elected by themselves, and run nowhere.
    pub(super) cluster: Option<Cluster>,
    /// Agents of nodes that leave, that know it.
    pub(super) told_to_go: BTreeSet<u64>,
    /// Agents that were told to stop, leaving their tasks.
    pub(super) stopping: BTreeSet<usize>,
    /// No faults any more; everything is to end well.
    pub(super) calm: bool,
    pub(super) finished: bool,
    pub(super) report: Report,
    invariants: Invariants,
    broken: Option<Violation>,
    trace: Trace,
    next: u64,
}

impl World {
    /// Runs a world to its end.
    ///
    /// # Errors
    /// The first rule that did not hold.
    pub fn run(seed: u64, profile: Profile) -> Result<Report, Box<Violation>> {
        let mut world = Self::new(seed, profile);
        world.begin();
        let mut handled: u64 = 0;
        while !world.finished {
            let Some((at, what)) = world.queue.pop() else { break };
            world.now = world.now.max(at);
            world.happen(what);
            handled += 1;
            if handled > EVENTS_MAX {
                world.violated("convergence", "it goes on for ever".into());
            }
            if let Some(mut violation) = world.broken.take() {
                violation.last = world.trace.take_last();
                return Err(Box::new(violation));
            }
        }
        let mut report = world.report;
        report.trace_hash = world.trace.hash();
        report.events = world.trace.events;
        report.seconds = world.now.0 / 1_000_000_000;
        report.steps = world.cluster.map_or(0, |c| c.steps);
        Ok(report)
    }

    fn new(seed: u64, profile: Profile) -> Self {
        let mut rng = Rng::new(seed);
        let nodes = (0..profile.agents).map(|n| Node::new(n, rng.below(1_000_000_000))).collect();
        let schedulers = (0..profile.frameworks).map(|n| Scheduler::new(n, &mut rng)).collect();
        let marathon = profile.marathon.then(|| Marathon::new(rng.below(1_000_000_000)));
        let chronos = profile.chronos.then(|| Chronos::new(rng.below(1_000_000_000)));
        let cluster = profile.cluster.then(|| {
            let join_within = profile.chaos / 2;
            Cluster::new(profile.agents, join_within, profile.mutation, &mut rng)
        });
        Self {
            trace: Trace::new(profile.trace),
            profile,
            rng,
            now: Mono(1),
            queue: Queue::default(),
            log: Log::default(),
            masters: BTreeMap::new(),
            nodes,
            links: BTreeMap::new(),
            sessions: BTreeMap::new(),
            requests: BTreeMap::new(),
            schedulers,
            marathon,
            chronos,
            cluster,
            told_to_go: BTreeSet::new(),
            stopping: BTreeSet::new(),
            calm: false,
            finished: false,
            report: Report::default(),
            invariants: Invariants::default(),
            broken: None,
            next: 0,
        }
    }

    fn begin(&mut self) {
        let first = if self.cluster.is_some() { What::Beat } else { What::Elect };
        self.queue.push(self.now, first);
        for n in 0..self.nodes.len() {
            let pause = self.between(0, 1000);
            self.after(pause, What::AgentUp(n));
        }
        for n in 0..self.schedulers.len() {
            let pause = self.between(0, 1000);
            self.after(pause, What::Tick(n));
        }
        if self.marathon.is_some() {
            self.after(Duration::ZERO, What::MarathonUp);
            self.after(Duration::from_millis(100), What::MarathonTick);
        }
        if self.chronos.is_some() {
            self.after(Duration::ZERO, What::ChronosUp);
            self.after(Duration::from_millis(100), What::ChronosTick);
        }
        if !self.profile.fault_every.is_zero() {
            self.after(self.profile.fault_every, What::Fault);
        }
        self.after(self.profile.chaos, What::Heal);
    }

    /// A turn that was asked for before an earlier one took its place.
    fn is_stale(&self, what: &What) -> bool {
        let set = match what {
            What::MasterTurn(proc) => self.masters.get(proc).map(|m| m.driven.turn_at),
            What::AgentTurn { node, proc } => {
                let node = self.nodes.get(*node).filter(|n| n.is(*proc));
                node.and_then(|n| n.agent.as_ref()).map(|a| a.turn_at)
            }
            What::MarathonTurn(proc) => self.marathon.as_ref().and_then(|m| m.turn_at(*proc)),
            What::ChronosTurn(proc) => self.chronos.as_ref().and_then(|c| c.turn_at(*proc)),
            _ => return false,
        };
        set != Some(Some(self.now))
    }

    fn happen(&mut self, what: What) {
        if self.is_stale(&what) {
            return;
        }
        if let Some(until) = self.held_up(&what) {
            return self.hold_up(until, what);
        }
        if !matches!(what, What::Beat | What::Replicate(_)) {
            let line = line(&what);
            self.trace.note(self.now, &line);
        }
        match what {
            What::MasterTurn(proc) => self.master_turn(proc),
            What::AgentTurn { node, proc } => self.agent_turn(node, proc),
            What::ToMaster { link, message } => self.reaches_master(link, message),
            What::ToAgent { link, epoch, message } => self.reaches_agent(link, epoch, message),
            What::LinkEndAtMaster(link) => self.link_ends_at_master(link),
            What::LinkEndAtAgent(link) => self.link_ends_at_agent(link),
            What::Connect { node, proc } => self.connect(node, proc),
            What::Call { session, input } => self.call_reaches_master(&session, *input),
            What::Answered { asked, answer } => self.answered(&asked, &answer),
            What::Told { session, event } => self.told(&session, &event),
            What::SessionEndAtScheduler(session) => self.session_ends_at_scheduler(session),
            What::SessionEndAtMaster(session) => self.session_ends_at_master(session),
            What::Propose { proc, epoch, batch } if self.cluster.is_some() => {
                self.master_writes(proc, epoch, batch);
            }
            What::Propose { proc, epoch, batch } => self.proposed(proc, epoch, &batch),
            What::Committed(proc) => self.committed(proc),
            What::Depose(proc) => self.end_master(proc),
            What::Elect => self.elect(),
            What::Lead { epoch } => self.lead(epoch),
            What::Synced { node, proc } => self.agent_synced(node, proc),
            What::AgentUp(node) => self.agent_up(node),
            What::Contain { node, proc, act, answer_at } => {
                self.contain(node, proc, *act, answer_at);
            }
            What::AgentInput { node, proc, input } => {
                if self.nodes.get(node).is_some_and(|n| n.is(proc)) {
                    self.tell_agent(node, None, *input);
                }
            }
            What::Exit { node, container, exit } => self.exited(node, container, exit),
            What::Tick(n) => self.tick(n),
            What::SchedulerUp(n) => self.scheduler_up(n),
            What::Later { scheduler, call } => self.later(scheduler, *call),
            What::MarathonTurn(proc) => self.marathon_turn(proc),
            What::MarathonSynced(proc) => self.marathon_synced(proc),
            What::MarathonUp => self.marathon_up(),
            What::MarathonTick => self.marathon_tick(),
            What::ChronosTurn(proc) => self.chronos_turn(proc),
            What::ChronosSynced(proc) => self.chronos_synced(proc),
            What::ChronosUp => self.chronos_up(),
            What::ChronosTick => self.chronos_tick(),
            What::Beat => self.beat(),
            What::Replicate(node) => self.replicate(node),
            What::HostUp(node) => self.host_up(node),
            What::HostGone(node) => self.host_gone(node),
            What::Fault => self.fault(),
            What::Heal => self.heal(),
            What::Look => self.look(),
        }
    }

    /// One more line of the trace.
    pub(super) fn note(&mut self, line: &str) {
        self.trace.note(self.now, line);
    }

    /// Shows something to all invariants.
    pub(super) fn see(&mut self, seen: &Seen<'_>) {
        if let Err((invariant, what)) = self.invariants.see(self.now, seen) {
            self.violated(invariant, what);
        }
    }

    /// Asks all invariants whether anything is still owed.
    pub(super) fn owed(&self) -> Result<(), (&'static str, String)> {
        self.invariants.end()
    }

    /// Something that must hold did not.
    pub(super) fn violated(&mut self, invariant: &'static str, what: String) {
        let at = self.now;
        self.broken.get_or_insert(Violation { invariant, what, at, last: Vec::new() });
    }

    pub(super) fn after(&mut self, pause: Duration, what: What) {
        self.queue.push(self.now + pause, what);
    }

    /// A number never used before.
    pub(super) fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A random time, in milliseconds.
    pub(super) fn between(&mut self, least: u64, most: u64) -> Duration {
        let least = Duration::from_millis(least);
        least + self.rng.up_to(Duration::from_millis(most).saturating_sub(least))
    }

    /// So many times of 1000, while there are faults.
    pub(super) fn chance(&mut self, of_1000: u64) -> bool {
        self.rng.chance(of_1000, 1000) && !self.calm
    }

    /// How long a message is on its way.
    pub(super) fn delay(&mut self) -> Duration {
        let most = self.profile.delay;
        if self.calm {
            return self.rng.up_to(most.min(Duration::from_millis(20)));
        }
        if self.rng.chance(1, 100) { self.rng.up_to(most * 20) } else { self.rng.up_to(most) }
    }
}
