//! A model of the supervisor and its containers: they outlive the agent's process, take their time, fail now and then,
//! and end by a script.

use super::Mutation;
use super::invariants::{Seen, Use};
use super::node::{CPUS, MEM_MB, Node};
use super::queue::What;
use super::world::World;
use crate::agent::core::io::{Act, Exit, Found, FoundState, Input, Launch, Oom};
use crate::agent::core::limits::{COMMAND_EXECUTOR_CPUS, COMMAND_EXECUTOR_MEM};
use crate::base::ids::ContainerId;
use crate::base::time::{Mono, Wall};
use crate::mesos::v1;
use std::sync::Arc;
use std::time::Duration;

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    Created,
    Running,
    Exited(Exit),
}

pub(super) struct Container {
    pub launch: Arc<Launch>,
    pub state: State,
    /// Ends on SIGTERM.
    obedient: bool,
}

impl Container {
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }
}

impl Node {
    /// What the supervisor tells an agent that starts.
    pub fn found(&self) -> Vec<Found> {
        let state = |c: &Container| match &c.state {
            State::Created => FoundState::Created,
            State::Running => FoundState::Running(4242),
            State::Exited(exit) => FoundState::Exited(exit.clone()),
        };
        self.containers.iter().map(|(id, c)| Found { id: id.clone(), state: state(c) }).collect()
    }

    /// What each running container may use, without what the command executor is counted with: no master counts that,
    /// in Mesos neither.
    fn running(&self) -> Vec<Use> {
        let own = (COMMAND_EXECUTOR_MEM * 1024.0 * 1024.0) as u64;
        let running = self.containers.values().filter(|c| c.state == State::Running);
        let used = |c: &Container| Use {
            framework: c.launch.framework.id.as_ref().map_or(String::new(), |id| id.value.clone()),
            checkpoint: c.launch.framework.checkpoint(),
            task: c.launch.executor.executor_id.value.clone(),
            cpus: c.launch.limits.cpus - COMMAND_EXECUTOR_CPUS,
            bytes: c.launch.limits.memory_bytes.unwrap_or(0).saturating_sub(own),
        };
        running.map(used).collect()
    }
}

impl World {
    /// Puts an operation behind those that wait for this container.
    pub(super) fn ask_container(&mut self, n: usize, proc: u64, act: Act) {
        let Some(container) = subject(&act).cloned() else { return };
        let (mut work, answer) = (self.between(1, 200), self.between(0, 50));
        if !self.calm && self.rng.chance(1, 20) {
            work += self.between(0, 20_000);
        }
        let Some(node) = self.nodes.get_mut(n) else { return };
        if matches!(act, Act::Destroy { .. }) {
            node.given_up.insert(container.clone());
        }
        let free = node.busy.get(&container).copied().unwrap_or(self.now).max(self.now);
        let (at, answer_at) = (free + work, free + work + answer);
        node.busy.insert(container, answer_at);
        self.queue.push(at, What::Contain { node: n, proc, act: Box::new(act), answer_at });
    }

    /// An operation is carried out, unless the process that asked for it is gone.
    pub(super) fn contain(&mut self, n: usize, proc: u64, act: Act, answer_at: Mono) {
        if self.nodes.get(n).is_none_or(|node| !node.is(proc)) {
            return;
        }
        let fails = self.chance(self.profile.container_failures);
        let outcome = if fails { Err("no luck".to_string()) } else { Ok(()) };
        let answer = match act {
            Act::Prepare(launch) => {
                let container = launch.container.clone();
                let node = self.nodes.get(n);
                let given_up = node.is_some_and(|node| node.given_up.contains(&container));
                let result = if given_up { Err("given up".to_string()) } else { outcome };
                Some(Input::Prepared { container, result })
            }
            Act::Create(launch) => Some(self.create(n, launch, outcome)),
            Act::Start { container } => Some(self.start(n, container, outcome)),
            Act::Resize { container, .. } => Some(Input::Resized { container, result: outcome }),
            Act::Signal { container, signal } => {
                self.signal(n, &container, signal);
                None
            }
            Act::Destroy { container } => Some(self.destroy(n, container)),
            Act::Forget { container } => {
                if let Some(node) = self.nodes.get_mut(n) {
                    node.containers
                        .retain(|id, c| *id != container || !matches!(c.state, State::Exited(_)));
                }
                None
            }
            _ => None,
        };
        if let Some(input) = answer {
            let input = Box::new(input);
            self.queue.push(answer_at, What::AgentInput { node: n, proc, input });
        }
    }

    fn create(&mut self, n: usize, launch: Arc<Launch>, outcome: Result<(), String>) -> Input {
        let container = launch.container.clone();
        let obedient = self.rng.chance(4, 5);
        if outcome.is_ok()
            && let Some(node) = self.nodes.get_mut(n)
        {
            let new = Container { launch, state: State::Created, obedient };
            node.containers.insert(container.clone(), new);
        }
        Input::Created { container, result: outcome }
    }

    fn start(&mut self, n: usize, container: ContainerId, outcome: Result<(), String>) -> Input {
        let twice = self.profile.mutation == Some(Mutation::StartTwice) && self.rng.chance(1, 4);
        let found = self.nodes.get_mut(n).and_then(|node| node.containers.get_mut(&container));
        let Some(found) = found.filter(|c| c.state == State::Created) else {
            return Input::Started { container, result: Err("no such container".into()) };
        };
        if outcome.is_ok() {
            found.state = State::Running;
            let launch = Arc::clone(&found.launch);
            let framework = launch.framework.id.as_ref().map_or("", |id| &id.value);
            let task = &launch.executor.executor_id.value;
            self.report.starts += 1;
            self.report.job_starts += u64::from(launch.framework.name == super::chronos::NAME);
            for _ in 0..=usize::from(twice) {
                self.see(&Seen::Started { node: n, framework, task });
            }
            self.weigh(n);
            self.show_job_tasks();
            self.script(n, &container);
        }
        Input::Started { container, result: outcome.map(|()| 4242) }
    }

    /// Compares what runs with what there is.
    fn weigh(&mut self, n: usize) {
        let Some(used) = self.nodes.get(n).map(Node::running) else { return };
        let total = (CPUS, (MEM_MB * 1024.0 * 1024.0) as u64);
        self.see(&Seen::Running { node: n, used: &used, total });
    }

    /// What the command does if it is left alone.
    fn script(&mut self, n: usize, container: &ContainerId) {
        let found = self.nodes.get(n).and_then(|node| node.containers.get(container));
        let is_of = |name| found.is_some_and(|c| c.launch.framework.name == name);
        let (is_service, is_job) = (is_of("marathon"), is_of(super::chronos::NAME));
        if is_service && !self.chance(200) {
            // A service: it serves until it is told to end, but for a crash now and then.
            return;
        }
        let life = self.between(1, 20_000);
        let status = match self.rng.below(20) {
            0..=8 => Some(0),
            9 | 10 => Some(1 << 8),
            11 => Some(11),
            12 => Some(SIGKILL),
            13 => None,
            // It runs until it is told to end.
            _ if !self.calm && (!is_job || self.rng.chance(1, 4)) => return,
            _ => Some(0),
        };
        // The last task is to finish.
        let last = self.schedulers.last().is_some_and(|s| s.last);
        let status = if last { Some(0) } else { status };
        let limit_bytes = 32 << 20;
        let oom = Oom { limit_bytes, max_usage_bytes: limit_bytes, statistics: String::new() };
        let oom = (status == Some(SIGKILL)).then_some(oom);
        self.exit_after(n, container, life, status, oom);
    }

    fn exit_after(
        &mut self,
        n: usize,
        container: &ContainerId,
        life: Duration,
        status: Option<i32>,
        oom: Option<Oom>,
    ) {
        let time = Wall(1_700_000_000_000_000_000 + self.now.0);
        let exit = Exit { status, oom, time, ..Exit::default() };
        self.after(life, What::Exit { node: n, container: container.clone(), exit });
    }

    fn signal(&mut self, n: usize, container: &ContainerId, signal: i32) {
        let found = self.nodes.get(n).and_then(|node| node.containers.get(container));
        let Some(found) = found.filter(|c| c.state == State::Running) else { return };
        let ended = Arc::clone(&found.launch);
        let obeys = signal == SIGKILL || (signal == SIGTERM && found.obedient);
        self.show_ended(n, &ended);
        if obeys {
            let most = if signal == SIGKILL { 20 } else { 5000 };
            let life = self.between(0, most);
            self.exit_after(n, container, life, Some(signal), None);
        }
    }

    /// A command that runs is ended from outside, on a node that is part of a cluster and does not leave it.
    fn show_ended(&mut self, n: usize, launch: &Launch) {
        let framework = &launch.framework;
        let lasts = framework.checkpoint() && framework.failover_timeout() > 1000.0;
        let aware = |c: &v1::framework_info::Capability| {
            c.r#type() == v1::framework_info::capability::Type::PartitionAware
        };
        let stays = self.cluster.as_ref().is_some_and(|cluster| !cluster.leaves(n));
        if stays && lasts && framework.capabilities.iter().any(aware) {
            let id = framework.id.as_ref().map_or("", |id| &id.value);
            let task = &launch.executor.executor_id.value;
            self.see(&Seen::Ended { node: n, framework: id, task });
        }
    }

    /// For a world that is broken like that: an agent ends a task that nobody asked to end.
    pub(super) fn end_a_task(&mut self) {
        if self.profile.mutation != Some(Mutation::EndTasks) {
            return;
        }
        let running = |node: &Node| {
            node.containers.iter().find(|(_, c)| c.is_running()).map(|(id, _)| id.clone())
        };
        let first = self.nodes.iter().enumerate().find_map(|(n, node)| Some((n, running(node)?)));
        if let Some((n, container)) = first {
            self.signal(n, &container, SIGKILL);
        }
    }

    /// A command has ended: its record stays, and the agent that is there is told.
    pub(super) fn exited(&mut self, n: usize, container: ContainerId, exit: Exit) {
        let pause = self.between(0, 100);
        let runs_on = self.profile.mutation == Some(Mutation::RunOn);
        let Some(node) = self.nodes.get_mut(n) else { return };
        let Some(found) = node.containers.get_mut(&container) else { return };
        if found.state != State::Running {
            return;
        }
        if !runs_on {
            found.state = State::Exited(exit.clone());
        }
        if let Some(proc) = node.proc() {
            let input = Box::new(Input::Exited { container, exit });
            self.after(pause, What::AgentInput { node: n, proc, input });
        }
    }

    fn destroy(&mut self, n: usize, container: ContainerId) -> Input {
        let tells = self.rng.chance(1, 2);
        let runs_on = self.profile.mutation == Some(Mutation::RunOn);
        let time = Wall(1_700_000_000_000_000_000 + self.now.0);
        let found = self.nodes.get(n).and_then(|node| node.containers.get(&container));
        if let Some(ended) = found.filter(|c| c.is_running()).map(|c| Arc::clone(&c.launch)) {
            self.show_ended(n, &ended);
        }
        if let Some(node) = self.nodes.get_mut(n)
            && let Some(proc) = node.proc()
        {
            let running =
                node.containers.get(&container).is_some_and(|c| c.state == State::Running);
            if !(runs_on && running) {
                node.containers.remove(&container);
            }
            if running && tells {
                let exit = Exit { status: Some(SIGKILL), time, ..Exit::default() };
                let input = Box::new(Input::Exited { container: container.clone(), exit });
                self.queue.push(self.now, What::AgentInput { node: n, proc, input });
            }
        }
        Input::Destroyed { container }
    }
}

fn subject(act: &Act) -> Option<&ContainerId> {
    match act {
        Act::Prepare(launch) | Act::Create(launch) => Some(&launch.container),
        Act::Start { container }
        | Act::Resize { container, .. }
        | Act::Signal { container, .. }
        | Act::Destroy { container }
        | Act::Forget { container } => Some(container),
        _ => None,
    }
}
