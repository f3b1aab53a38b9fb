//! The agent starts: what its records say is compared with the containers there are. Containers are
//! taken up again, collected, or destroyed; tasks that cannot go on are reported. Nothing is ever
//! launched a second time.

use super::io::{Act, Exit, Found, FoundState};
use super::options::{Options, ReconfigurationPolicy};
use super::restore::{self, Loaded};
use super::status::Report;
use super::tables::{Executor, ExecutorKey, Phase, aware};
use super::{AgentCore, Identity, Step, Timer, records, view};
use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
use crate::base::kv::Op;
use crate::base::resources::Ranges;
use crate::machine::timers::Timers;
use crate::machine::{Cx, Effects};
use crate::mesos::v1::{self, TaskState, task_status::Reason};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A custom executor that runs and has not come back after a restart of the agent.
pub(super) fn is_awaited(executor: &Executor) -> bool {
    executor.is_custom()
        && executor.phase == Phase::Running
        && executor.session.is_none()
        && !executor.ending
}

impl AgentCore {
    /// The agent as it starts, from its records and from the containers that the supervisor has.
    ///
    /// - A running container is taken up again; one that exited is reported with its status; one
    ///   that nobody knows is destroyed.
    /// - A container that was built and not started is destroyed and its task told TASK_DROPPED:
    ///   its command has not run a single instruction, and whatever was left of its preparation is
    ///   not known to be whole.
    /// - Tasks of frameworks that do not checkpoint end here, as their executors would in Mesos.
    ///
    /// # Errors
    /// [`Code::Corrupt`] for records that cannot be read; [`Code::Conflict`] when the agent was
    /// changed in a way that `reconfiguration_policy` does not allow while its tasks may run.
    pub fn recover(
        options: Options,
        records: Vec<(String, Vec<u8>)>,
        found: Vec<Found>,
        boot_id: &str,
        cx: &mut Cx<'_>,
        out: &mut Effects<Self>,
    ) -> Result<Self> {
        let keys: Vec<String> = records.iter().map(|(k, _)| k.clone()).collect();
        let mut loaded = restore::load(records)?;
        restore::users(&mut loaded.tables);
        let mut s = Step { now: cx.now, wall: cx.wall, rng: cx.rng, out };
        let (identity, fate) = identify(&options, &loaded, boot_id)?;
        if fate == Fate::Another {
            // Not the agent it was, and nothing of it runs: begin anew, but still collect its
            // sandboxes.
            // Volumes outlive the agent that had them made, too.
            let kept = |k: &&String| !k.starts_with("sandboxes/") && *k != records::RESOURCES;
            for key in keys.iter().filter(kept) {
                s.write(Op::delete(key));
            }
            let Loaded { sandboxes, remembered, .. } = loaded;
            loaded = Loaded { sandboxes, remembered, ..Loaded::default() };
        }
        let Loaded { agent, tables, streams, sandboxes, remembered } = loaded;
        remembered.total(&identity.info.resources)?;
        let mut core = Self {
            options,
            identity,
            master: super::registration::Link::default(),
            tables,
            streams,
            sandboxes,
            remembered,
            history: view::History::default(),
            pictures: std::cell::RefCell::default(),
            timers: Timers::default(),
            counters: BTreeMap::new(),
            launches: 0,
            reconnecting: false,
            recovery: (s.now, None),
            stopping: None,
        };
        if agent.is_some() {
            core.write_identity(&mut s);
        }
        core.launches = core.tables.tasks.values().map(|t| t.order + 1).max().unwrap_or(0);
        core.recover_volumes(&mut s);
        core.take_up(&mut s, found, fate == Fate::Rebooted);
        core.go_on_draining(&mut s);
        core.measure(&mut s);
        core.watch_ports(&mut s);
        core.collect(&mut s);
        Ok(core)
    }

    fn take_up(&mut self, s: &mut Step<'_>, found: Vec<Found>, rebooted: bool) {
        let mut found: BTreeMap<ContainerId, FoundState> =
            found.into_iter().map(|f| (f.id, f.state)).collect();
        // Before those in use, whose paths of `latest` are theirs.
        for (key, container, sandbox) in self.sandboxes.kept() {
            s.act(Act::AttachSandbox {
                framework_id: key.0.clone(),
                executor_id: key.1.clone(),
                container: container.clone(),
                sandbox: sandbox.clone(),
            });
        }
        let executors: Vec<ExecutorKey> = self.tables.executors.keys().cloned().collect();
        for key in executors {
            self.attach_sandbox(s, &key);
            let container = self.tables.executors.get(&key).map(|e| e.container.clone());
            let state = container.and_then(|c| found.remove(&c));
            self.plan(s, &key, state, rebooted);
            self.take_up_group(s, &key, &mut found);
        }
        self.take_up_named(s, &mut found);
        for (container, state) in found {
            self.count("orphans_destroyed");
            if matches!(state, FoundState::Exited(_)) {
                s.act(Act::Forget { container: container.clone() });
            }
            s.act(Act::Destroy { container });
        }
        let frameworks: Vec<_> = self.tables.frameworks.keys().cloned().collect();
        for id in frameworks {
            if self.tables.frameworks.get(&id).is_some_and(|f| f.ending) {
                self.end_framework(s, &id);
            } else {
                self.framework_done(s, &id);
            }
        }
        self.reconnecting = self.tables.executors.values().any(is_awaited);
        if self.reconnecting {
            let wait = self.options.executor_reregistration_timeout;
            self.timers.set(Timer::Reconnect, s.now + wait);
        } else {
            self.recovery.1 = Some(Duration::ZERO);
        }
    }

    fn attach_sandbox(&self, s: &mut Step<'_>, key: &ExecutorKey) {
        if let Some(executor) = self.tables.executors.get(key) {
            s.act(Act::AttachSandbox {
                framework_id: key.0.clone(),
                executor_id: key.1.clone(),
                container: executor.container.clone(),
                sandbox: executor.sandbox.clone(),
            });
        }
    }

    /// What becomes of one executor.
    fn plan(
        &mut self,
        s: &mut Step<'_>,
        key: &ExecutorKey,
        found: Option<FoundState>,
        rebooted: bool,
    ) {
        let Some(executor) = self.tables.executors.get(key) else { return };
        let (phase, container) = (executor.phase, executor.container.clone());
        let gone = |state| aware(self.tables.framework(&key.0), state);
        let checkpoint =
            self.tables.framework(&key.0).is_some_and(|f| f.checkpoint.unwrap_or(false));
        match (phase, found) {
            (Phase::Gone, _) => self.executor_done(s, key),
            (_, Some(FoundState::Exited(exit))) => self.collected(s, key, &container, &exit),
            (Phase::Ending, Some(_)) => self.destroy_again(s, &container),
            (Phase::Ending, None) => self.destroyed(s, &container),
            (Phase::Running, None) => {
                let report = if rebooted {
                    let text = "The machine was restarted while the task was running";
                    Report::agent(gone(TaskState::TaskGone), Reason::AgentRestarted, text)
                } else {
                    let text = "Abnormal executor termination: unknown container";
                    Report::agent(TaskState::TaskFailed, Reason::ExecutorTerminated, text)
                };
                self.report_all(s, key, &report);
                self.tables.containers.remove(&container);
                self.over(s, key);
            }
            (_, None) => {
                self.report_all(s, key, &launching(gone(TaskState::TaskDropped)));
                self.tables.containers.remove(&container);
                self.over(s, key);
            }
            (_, Some(FoundState::Created)) => {
                self.report_all(s, key, &launching(gone(TaskState::TaskDropped)));
                self.destroy(s, key);
            }
            (_, Some(FoundState::Running(_))) if !checkpoint => {
                let text = "The agent was restarted and the framework does not checkpoint";
                let state = gone(TaskState::TaskGone);
                self.report_all(s, key, &Report::agent(state, Reason::AgentRestarted, text));
                self.destroy(s, key);
            }
            (_, Some(FoundState::Running(pid))) => self.reattach(s, key, pid),
        }
    }

    fn report_all(&mut self, s: &mut Step<'_>, key: &ExecutorKey, report: &Report) {
        for task in self.tables.tasks_of(key) {
            self.report(s, &task, report.clone());
        }
    }

    fn collected(
        &mut self,
        s: &mut Step<'_>,
        key: &ExecutorKey,
        container: &ContainerId,
        exit: &Exit,
    ) {
        let was_ending = self.tables.executors.get(key).is_some_and(|e| e.phase == Phase::Ending);
        self.exited(s, container, exit);
        if was_ending {
            self.destroy_again(s, container);
        }
    }

    /// A container that runs goes on.
    fn reattach(&mut self, s: &mut Step<'_>, key: &ExecutorKey, pid: u32) {
        let Some(executor) = self.tables.executors.get_mut(key) else { return };
        executor.pid = Some(pid);
        executor.phase = Phase::Running;
        s.write(super::records::executor(key, executor));
        self.watch_disk(s, key);
        let Some(task_key) = self.tables.command_task(key) else {
            return self.restore_limits(key);
        };
        let Some(task) = self.tables.tasks.get_mut(&task_key) else { return };
        if task.is_terminal() {
            return self.destroy(s, key);
        }
        task.started.get_or_insert(s.wall);
        match task.kill.as_ref().map(|k| k.cause) {
            // The signal may or may not have been sent: a second SIGTERM does no harm.
            Some(_) => self.terminate(s, &task_key),
            None if task.state() == TaskState::TaskRunning => self.watch(s, &task_key),
            None => {
                let running = self.running(key);
                self.report(s, &task_key, running);
                self.watch(s, &task_key);
            }
        }
    }

    /// The limits in force are those of the tasks that were handed over: their limits were set
    /// before.
    fn restore_limits(&mut self, key: &ExecutorKey) {
        let keys = self.tables.tasks_of(key);
        let tasks = keys.iter().filter_map(|k| self.tables.tasks.get(k));
        let tasks = tasks.filter(|t| !t.is_terminal() && t.delivered);
        let tasks: Vec<Arc<v1::TaskInfo>> = tasks.map(|t| t.info.clone()).collect();
        if let Some(executor) = self.tables.executors.get_mut(key) {
            let all = tasks.iter().map(|t| &**t);
            executor.limits = super::limits::container(&self.options, &executor.info, all);
            executor.used = !tasks.is_empty();
        }
    }
}

pub(super) fn launching(state: TaskState) -> Report {
    Report::agent(state, Reason::AgentRestarted, "Task launched during agent restart")
}

/// Tasks named in one message.
const TASKS_NAMED_MAX: usize = 5;

/// What the agent is, compared with what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Same,
    Rebooted,
    Another,
}

fn identify(options: &Options, loaded: &Loaded, boot_id: &str) -> Result<(Identity, Fate)> {
    let info = v1::AgentInfo { id: None, ..options.info.clone() };
    let fresh = |epoch: u64| Identity {
        info: Arc::new(info.clone()),
        epoch,
        boot_id: boot_id.to_string(),
        drain: None,
    };
    let Some(record) = &loaded.agent else { return Ok((fresh(0), Fate::Same)) };
    let epoch = record.epoch.unwrap_or(0);
    let rebooted = record.boot_id.as_deref() != Some(boot_id);
    let Some(id) = record.agent_info.id.clone() else { return Ok((fresh(epoch), Fate::Same)) };
    if let Err(why) = compatible(options.reconfiguration_policy, &record.agent_info, &info) {
        if rebooted {
            return Ok((fresh(epoch), Fate::Another));
        }
        let in_the_way = in_the_way(loaded);
        return Err(Error::new(
            Code::Conflict,
            format!("this agent cannot keep its id {}: {why}{in_the_way}", id.value),
        )
        .hint(
            "start it with what it had before (or with --reconfiguration_policy=additive, if \
             something was only added), or begin as a new agent by removing its agent.redb: \
             tasks that run are then ended and reported as lost",
        ));
    }
    let identity = Identity {
        info: Arc::new(v1::AgentInfo { id: Some(id), ..info }),
        epoch,
        boot_id: boot_id.into(),
        drain: record.drain,
    };
    Ok((identity, if rebooted { Fate::Rebooted } else { Fate::Same }))
}

/// The tasks that run as what the agent was.
fn in_the_way(loaded: &Loaded) -> String {
    let live = loaded.tables.tasks.iter().filter(|(_, task)| !task.is_terminal());
    let mut names: Vec<String> = live.map(|((_, id), _)| format!("'{id}'")).collect();
    let more = names.len().saturating_sub(TASKS_NAMED_MAX);
    names.truncate(TASKS_NAMED_MAX);
    match (names.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!("; its tasks run with what it was: {}", names.join(", ")),
        (false, more) => {
            format!("; its tasks run with what it was: {} and {more} more", names.join(", "))
        }
    }
}

fn compatible(
    policy: ReconfigurationPolicy,
    old: &v1::AgentInfo,
    new: &v1::AgentInfo,
) -> std::result::Result<(), String> {
    let old = v1::AgentInfo { id: None, ..old.clone() };
    if old == *new {
        return Ok(());
    }
    if policy == ReconfigurationPolicy::Equal {
        return Err(changes(&old, new));
    }
    if old.hostname != new.hostname {
        return Err(format!("its host name changed from {} to {}", old.hostname, new.hostname));
    }
    if old.port != new.port {
        return Err("its port changed".into());
    }
    if old.domain.is_some() && old.domain != new.domain {
        return Err("its domain changed".into());
    }
    if let Some(lost) = old.attributes.iter().find(|a| !new.attributes.contains(a)) {
        return Err(format!("its attribute {} was changed or removed", lost.name));
    }
    if let Some(lost) = old.resources.iter().find(|r| !new.resources.iter().any(|n| holds(n, r))) {
        return Err(format!("its resource {} was reduced or removed", lost.name));
    }
    Ok(())
}

/// What is not as it was, in words; ports with both numbers, for they are the likeliest to be mistyped.
fn changes(old: &v1::AgentInfo, new: &v1::AgentInfo) -> String {
    let mut changed = Vec::new();
    if old.hostname != new.hostname {
        changed.push(format!("its host name changed from {} to {}", old.hostname, new.hostname));
    }
    if old.port() != new.port() {
        changed.push(format!("its port changed from {} to {}", old.port(), new.port()));
    }
    for (what, differs) in [
        ("resources", old.resources != new.resources),
        ("attributes", old.attributes != new.attributes),
        ("domain", old.domain != new.domain),
    ] {
        if differs {
            changed.push(format!("its {what} changed"));
        }
    }
    changed.join(", ")
}

/// Whether one resource is as much as the other or more, and the same in all else.
fn holds(new: &v1::Resource, old: &v1::Resource) -> bool {
    let bare =
        |r: &v1::Resource| v1::Resource { scalar: None, ranges: None, set: None, ..r.clone() };
    let amount = |r: &v1::Resource| r.scalar.as_ref().map_or(0.0, |s| s.value);
    let ranges = |r: &v1::Resource| {
        Ranges::new(r.ranges.iter().flat_map(|all| &all.range).map(|r| (r.begin, r.end)))
    };
    let has = |item: &String| new.set.as_ref().is_some_and(|s| s.item.contains(item));
    bare(new) == bare(old)
        && amount(new) >= amount(old)
        && ranges(new).contains(&ranges(old))
        && old.set.iter().flat_map(|s| &s.item).all(has)
}
