//! Machines with an agent: its process, which comes and goes, and its disk, which loses what was not synced.

use super::driven::{Clocks, Driven, Turn};
use super::invariants::Seen;
use super::log::apply;
use super::queue::What;
use super::world::World;
use super::{Mutation, containers::Container};
use crate::agent::core::AgentCore;
use crate::agent::core::io::{Act, CheckOutcome, Input};
use crate::agent::core::options::Options;
use crate::base::ids::ContainerId;
use crate::base::kv::Op;
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::machine::{Cx, Effects};
use crate::mesos::internal::{AgentMessage, AgentRecord};
use crate::mesos::{make, stored, v1};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// What every machine has.
pub(super) const CPUS: f64 = 4.0;
pub(super) const MEM_MB: f64 = 1024.0;

pub(super) struct Node {
    pub agent: Option<Driven<AgentCore>>,
    pub link: Option<u64>,
    pub containers: BTreeMap<ContainerId, Container>,
    /// When the last operation asked for on a container is over.
    pub busy: BTreeMap<ContainerId, Mono>,
    /// Containers to be destroyed before they are made.
    pub given_up: BTreeSet<ContainerId>,
    /// The newest epoch that is on the disk.
    pub epoch: u64,
    pub disk: BTreeMap<String, Vec<u8>>,
    unsynced: VecDeque<Vec<Op>>,
    last_sync: Mono,
    boots: u64,
    /// How far its clock goes before, in nanoseconds.
    pub skew: u64,
    options: Options,
}

impl Node {
    pub fn new(number: usize, skew: u64) -> Self {
        let info = v1::AgentInfo {
            hostname: format!("node{number}"),
            port: Some(5051),
            resources: vec![make::scalar("cpus", CPUS), make::scalar("mem", MEM_MB)],
            ..Default::default()
        };
        Self {
            agent: None,
            link: None,
            containers: BTreeMap::new(),
            busy: BTreeMap::new(),
            given_up: BTreeSet::new(),
            epoch: 0,
            disk: BTreeMap::new(),
            unsynced: VecDeque::new(),
            last_sync: Mono(0),
            boots: 1,
            skew,
            options: Options::new(info, "127.0.0.1", "/work"),
        }
    }

    pub fn is(&self, proc: u64) -> bool {
        self.agent.as_ref().is_some_and(|agent| agent.proc == proc)
    }

    pub fn proc(&self) -> Option<u64> {
        self.agent.as_ref().map(|agent| agent.proc)
    }
}

impl World {
    /// The agent's process starts, from what is on the disk and in the supervisor.
    pub(super) fn agent_up(&mut self, n: usize) {
        if self.cluster.as_ref().is_some_and(|cluster| !cluster.belongs(n)) {
            return;
        }
        let proc = self.fresh();
        let mut rng = Rng::new(self.rng.next_u64());
        let now = self.now;
        let Some(node) = self.nodes.get_mut(n).filter(|node| node.agent.is_none()) else { return };
        let clocks = Clocks::new(now, node.skew, &mut self.rng);
        let records = node.disk.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let found = node.found();
        let boot = format!("boot-{}", node.boots);
        let mut cx = Cx { now: clocks.mono(now), wall: clocks.wall(now), rng: &mut rng };
        let mut out = Effects::default();
        let options = node.options.clone();
        match AgentCore::recover(options, records, found, &boot, &mut cx, &mut out) {
            Ok(core) => {
                let mut driven = Driven::new(core, proc, clocks, rng);
                let first = driven.carry_out(out);
                (node.agent, node.link, node.last_sync) = (Some(driven), None, now);
                self.agent_did(n, proc, first);
                let pause = self.between(1, 1000);
                self.after(pause, What::Connect { node: n, proc });
            }
            Err(e) => self.violated("recovery", format!("agent {n} cannot be built: {e}")),
        }
    }

    pub(super) fn tell_agent(&mut self, n: usize, mark: Option<u64>, input: Input) {
        let at = self.now + self.rng.up_to(Duration::from_millis(1));
        let Some(agent) = self.nodes.get_mut(n).and_then(|node| node.agent.as_mut()) else {
            return;
        };
        agent.mail(mark, input);
        let proc = agent.proc;
        self.wake_agent(n, proc, at);
    }

    fn wake_agent(&mut self, n: usize, proc: u64, at: Mono) {
        let Some(agent) = self.nodes.get_mut(n).and_then(|node| node.agent.as_mut()) else {
            return;
        };
        if agent.turn_at.is_none_or(|set| at < set) {
            agent.turn_at = Some(at);
            self.queue.push(at, What::AgentTurn { node: n, proc });
        }
    }

    pub(super) fn agent_turn(&mut self, n: usize, proc: u64) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(n).filter(|node| node.is(proc)) else { return };
        let stored = node.epoch;
        let Some(agent) = node.agent.as_mut().filter(|a| a.turn_at == Some(now)) else { return };
        agent.turn_at = None;
        let turn = agent.turn(now);
        for (epoch, obeyed) in &turn.heard {
            self.see(&Seen::Heard { node: n, epoch: *epoch, stored, obeyed: *obeyed });
        }
        self.agent_did(n, proc, turn);
    }

    fn agent_did(&mut self, n: usize, proc: u64, turn: Turn<AgentCore>) {
        if let Some(batch) = turn.batch {
            let mut delay = self.rng.up_to(self.profile.sync);
            if !self.calm && self.rng.chance(1, 100) {
                delay += self.between(0, 3000);
            }
            let now = self.now;
            if let Some(node) = self.nodes.get_mut(n) {
                node.unsynced.push_back(batch);
                let at = (now + delay).max(node.last_sync);
                node.last_sync = at;
                self.queue.push(at, What::Synced { node: n, proc });
            }
        }
        self.agent_acts(n, proc, turn.acts);
        let now = self.now;
        let agent = self.nodes.get(n).filter(|node| node.is(proc)).and_then(|n| n.agent.as_ref());
        if let Some(at) = agent.and_then(Driven::wake_at) {
            self.wake_agent(n, proc, at.max(now));
        }
    }

    /// The oldest batch is on the disk.
    pub(super) fn agent_synced(&mut self, n: usize, proc: u64) {
        if self.nodes.get(n).is_none_or(|node| !node.is(proc)) {
            return;
        }
        self.sync_one(n);
        let agent = self.nodes.get_mut(n).and_then(|node| node.agent.as_mut());
        let acts = agent.map(Driven::synced).unwrap_or_default();
        self.agent_acts(n, proc, acts);
    }

    fn sync_one(&mut self, n: usize) {
        let forgets = self.profile.mutation == Some(Mutation::ForgetSynced);
        let forgotten = forgets && self.rng.chance(1, 2);
        let Some(node) = self.nodes.get_mut(n) else { return };
        let Some(batch) = node.unsynced.pop_front() else { return };
        let kept: Vec<Op> = if forgotten {
            batch.iter().filter(|op| !is_update(op)).cloned().collect()
        } else {
            batch.clone()
        };
        apply(&mut node.disk, &kept);
        if let Some(value) = node.disk.get("agent")
            && let Ok(record) = stored::decode::<AgentRecord>("agent", value)
        {
            node.epoch = node.epoch.max(record.epoch.unwrap_or(0));
        }
        self.see(&Seen::Synced { node: n, batch: &batch });
    }

    /// The process ends without a word. Some of what was on its way to the disk got there.
    pub(super) fn agent_crash(&mut self, n: usize) {
        let Some(node) = self.nodes.get_mut(n) else { return };
        if node.agent.take().is_none() {
            return;
        }
        node.busy.clear();
        node.given_up.clear();
        let (link, waiting) = (node.link.take(), node.unsynced.len());
        for _ in 0..self.rng.below(waiting as u64 + 1) {
            self.sync_one(n);
        }
        if let Some(node) = self.nodes.get_mut(n) {
            node.unsynced.clear();
        }
        if let Some(link) = link {
            self.cut_link(link);
        }
        let most = if !self.calm && self.rng.chance(1, 5) { 100_000 } else { 3000 };
        let pause = self.between(10, most);
        self.after(pause, What::AgentUp(n));
    }

    /// The machine restarts: no container is left.
    pub(super) fn reboot(&mut self, n: usize) {
        if let Some(node) = self.nodes.get_mut(n) {
            node.boots += 1;
            node.containers.clear();
        }
        self.agent_crash(n);
    }

    fn agent_acts(&mut self, n: usize, proc: u64, acts: Vec<Act>) {
        for act in acts {
            self.agent_act(n, proc, act);
        }
    }

    fn agent_act(&mut self, n: usize, proc: u64, act: Act) {
        match act {
            Act::ToMaster { link, message } => self.agent_says(n, link.0, *message),
            Act::LeaveMaster { link } => self.agent_leaves(link.0),
            Act::MeasureDisk => {
                let used = self.rng.below(100) as f64 / 100.0;
                self.answer_agent(n, proc, Input::DiskUsage { used });
            }
            Act::RemoveSandbox { path } => {
                let fails = self.chance(self.profile.container_failures);
                let result = if fails { Err("busy".to_string()) } else { Ok(()) };
                self.answer_agent(n, proc, Input::SandboxRemoved { path, result });
            }
            Act::SettleVolumes { remove, .. } => {
                let removed = remove.into_iter().map(|volume| volume.path).collect();
                self.answer_agent(n, proc, Input::VolumesSettled { removed });
            }
            Act::Check { container, task_id, which, .. } => {
                let outcome = CheckOutcome::Command(0);
                let input = Input::Checked { container, task_id, which, outcome };
                self.answer_agent(n, proc, input);
            }
            Act::Stopped { .. } => self.agent_stopped(n),
            Act::ExecutorEvent { .. }
            | Act::CloseExecutor { .. }
            | Act::Answer { .. }
            | Act::AttachSandbox { .. } => {}
            other => self.ask_container(n, proc, other),
        }
    }

    /// No agent is told to stop in these worlds but by its own shell.
    fn agent_stopped(&mut self, n: usize) {
        let asked = self
            .nodes
            .get(n)
            .is_some_and(|node| self.stopping.contains(&n) && node.agent.is_some());
        if !asked {
            return self.violated("registry", format!("agent {n} was sent away by a master"));
        }
        self.stopping.remove(&n);
        // It ends in good order: all is synced.
        while self.nodes.get(n).is_some_and(|node| !node.unsynced.is_empty()) {
            self.sync_one(n);
        }
        if !self.agent_goes(n) {
            self.agent_crash(n);
        }
    }

    fn answer_agent(&mut self, n: usize, proc: u64, input: Input) {
        let pause = self.between(0, 100);
        self.after(pause, What::AgentInput { node: n, proc, input: Box::new(input) });
    }

    fn agent_says(&mut self, n: usize, link: u64, mut message: AgentMessage) {
        if let Some(update) = &mut message.status_update {
            let changes = self.profile.mutation == Some(Mutation::NewUuid);
            if changes && self.rng.chance(1, 3) {
                update.status.uuid = Some(self.rng.uuid_bytes().to_vec());
            }
            self.see(&Seen::Sent { node: n, update });
        }
        self.send_to_master(link, message);
    }
}

fn is_update(op: &Op) -> bool {
    matches!(op, Op::Put { key, .. } if key.starts_with("updates/"))
}
