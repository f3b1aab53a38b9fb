//! The agent's decisions, as one deterministic machine: tasks, executors, status-update streams,
//! checkpoints, recovery, checks, sandbox collection.
//!
//! No I/O: containers, executors and the master are known by id; files by path. What is to be
//! remembered is written to the agent's own database before anything that depends on it is done.

mod changing;
mod checks;
mod command;
mod container;
mod disk;
pub mod docker;
mod drain;
mod environment;
mod executor_api;
mod executor_events;
mod gc;
mod group;
pub mod io;
mod kill;
pub mod limits;
mod nested;
pub mod options;
mod ports;
mod records;
mod recovery;
mod registration;
mod restore;
mod run;
mod shutdown;
mod status;
pub mod tables;
#[cfg(test)]
mod tests;
mod updates;
pub mod view;
mod volumes;
mod words;

use crate::base::ids::{AgentId, ContainerId};
use crate::base::kv::Op;
use crate::base::rng::Rng;
use crate::base::time::{Mono, Wall};
use crate::machine::timers::Timers;
use crate::machine::{Cx, Effects, Machine};
use crate::mesos::internal::AgentDrain;
use crate::mesos::v1;
use io::{Act, Input, SessionId, WhichCheck};
use options::Options;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tables::{ExecutorKey, Tables, TaskKey};

pub use updates::{RETRY_MAX, RETRY_MIN, STREAM_MAX};

/// What goes off when.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Send the registration again.
    Register,
    /// No ping came in time.
    Ping,
    /// Executors had their time to come back after a restart.
    Reconnect,
    /// Send the head of a stream again.
    Resend(TaskKey),
    /// SIGKILL what is left.
    Kill(TaskKey),
    /// `max_completion_time` is over.
    Overtime(TaskKey),
    /// Do a check.
    Check(TaskKey, WhichCheck),
    /// A custom executor had its time to subscribe.
    Subscribe(ExecutorKey),
    /// A custom executor had its time to end itself.
    Shutdown(ExecutorKey),
    /// Ask again for a container to be destroyed.
    Destroy(ContainerId),
    /// Send a heartbeat.
    Heartbeat(SessionId),
    /// Measure the disk.
    Disk,
    /// Measure what a container's sandbox takes.
    Sandbox(ContainerId),
    /// Look at the ports that tasks listen on.
    Ports,
    /// The next sandbox is old enough.
    Collect,
    /// Stop, whatever is not acknowledged yet.
    Leave,
}

/// Who this agent is: the record `agent`.
#[derive(Clone, Debug)]
struct Identity {
    info: Arc<v1::AgentInfo>,
    epoch: u64,
    boot_id: String,
    /// Its tasks are ended and no new ones are taken.
    drain: Option<AgentDrain>,
}

impl Identity {
    fn id(&self) -> Option<AgentId> {
        self.info.id.as_ref().map(|id| AgentId::from(id.value.as_str()))
    }
}

/// How the agent ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    /// Told to stop with its tasks.
    Asked,
    /// The master does not want it: its id is given up too.
    Unwanted,
    /// Done: nothing is decided any more.
    Stopped,
}

/// What a handler may know of the world and where it asks for effects.
struct Step<'a> {
    now: Mono,
    wall: Wall,
    rng: &'a mut Rng,
    out: &'a mut Effects<AgentCore>,
}

impl Step<'_> {
    /// Asks for a durable change.
    fn write(&mut self, op: Op) {
        self.out.write(op);
    }

    /// Asks for an act after all writes so far.
    fn act(&mut self, act: Act) {
        self.out.act(act);
    }
}

/// The agent's core.
pub struct AgentCore {
    options: Options,
    identity: Identity,
    master: registration::Link,
    tables: Tables,
    streams: updates::Streams,
    sandboxes: gc::Sandboxes,
    remembered: volumes::Remembered,
    history: view::History,
    pictures: RefCell<view::Pictures>,
    timers: Timers<Timer>,
    counters: BTreeMap<&'static str, u64>,
    /// How many tasks were launched: their order.
    launches: u64,
    /// Custom executors still have time to come back: no registration before.
    reconnecting: bool,
    /// When it began to recover, and how long that took once it is done.
    recovery: (Mono, Option<Duration>),
    stopping: Option<Stopping>,
}

impl AgentCore {
    fn count(&mut self, what: &'static str) {
        *self.counters.entry(what).or_default() += 1;
    }

    fn handle(&mut self, s: &mut Step<'_>, input: Input) {
        match input {
            Input::MasterConnected { link } => self.connected(s, link),
            Input::MasterLost { link } => self.lost(link),
            Input::FromMaster { link, message } => self.heard(s, link, *message),
            Input::Progress { container, message } => self.progressed(s, &container, message),
            Input::Inspected { container, inspected } => self.inspected(&container, inspected),
            Input::Stray { container } => self.stray(s, container),
            Input::Prepared { container, result } => self.prepared(s, &container, result),
            Input::Joined { container, networks } => self.joined(s, &container, networks),
            Input::SandboxUsage { container, bytes } => self.sandbox_usage(s, &container, bytes),
            Input::Listening { all } => self.listening(s, &all),
            Input::Created { container, result } => self.created(s, &container, result),
            Input::Started { container, result } => self.started(s, &container, result),
            Input::Resized { container, result } => self.resized(s, &container, result),
            Input::Exited { container, exit } => self.exited(s, &container, &exit),
            Input::Destroyed { container } => self.destroyed(s, &container),
            Input::Checked { container, task_id, which, outcome } => {
                self.checked(s, &container, &task_id, which, outcome);
            }
            Input::ExecutorSubscribe { request, session, call } => {
                self.subscribe(s, request, session, *call);
            }
            Input::ExecutorCall { request, call } => self.executor_call(s, request, *call),
            Input::ExecutorClosed { session } => self.executor_closed(session),
            Input::LaunchContainer { request, wanted } => self.launch_nested(s, request, *wanted),
            Input::WaitContainer { request, id } => self.wait_nested(s, request, &id),
            Input::KillContainer { request, id, signal } => {
                self.kill_nested(s, request, &id, signal);
            }
            Input::RemoveContainer { request, id } => self.remove_nested(s, request, &id),
            Input::VolumesSettled { removed } => self.volumes_settled(s, &removed),
            Input::DiskUsage { used } => self.disk_usage(s, used),
            Input::SandboxRemoved { path, result } => self.sandbox_removed(s, &path, result),
            Input::Stop { kill_tasks } => self.stop(s, kill_tasks),
        }
    }

    fn due(&mut self, s: &mut Step<'_>, timer: Timer) {
        match timer {
            Timer::Register => self.register(s),
            Timer::Ping => self.ping_timeout(s),
            Timer::Reconnect => self.reconnect_timeout(s),
            Timer::Resend(key) => self.forward(s, &key),
            Timer::Kill(key) => self.escalate(s, &key),
            Timer::Overtime(key) => self.overtime(s, &key),
            Timer::Check(key, which) => self.check(s, &key, which),
            Timer::Subscribe(key) => self.subscribe_timeout(s, &key),
            Timer::Shutdown(key) => self.shutdown_timeout(s, &key),
            Timer::Destroy(container) => self.destroy_again(s, &container),
            Timer::Heartbeat(session) => self.heartbeat(s, session),
            Timer::Disk => self.measure(s),
            Timer::Sandbox(container) => self.measure_sandbox(s, &container),
            Timer::Ports => self.look_at_ports(s),
            Timer::Collect => self.collect(s),
            Timer::Leave => self.leave(s),
        }
    }
}

impl Machine for AgentCore {
    type Input = Input;
    type Write = Op;
    type Act = Act;

    fn step(&mut self, cx: &mut Cx<'_>, input: Input, out: &mut Effects<Self>) {
        if self.stopping != Some(Stopping::Stopped) {
            let mut s = Step { now: cx.now, wall: cx.wall, rng: cx.rng, out };
            self.handle(&mut s, input);
        }
    }

    fn wake(&mut self, cx: &mut Cx<'_>, out: &mut Effects<Self>) {
        while self.stopping != Some(Stopping::Stopped) {
            let Some(timer) = self.timers.pop(cx.now) else { return };
            let mut s = Step { now: cx.now, wall: cx.wall, rng: cx.rng, out };
            self.due(&mut s, timer);
        }
    }

    fn wake_at(&self) -> Option<Mono> {
        if self.stopping == Some(Stopping::Stopped) { None } else { self.timers.first() }
    }
}
