//! Containers that somebody launches by their names, in a container that runs or by themselves: launched, waited for,
//! signalled, removed. They survive a restart of the agent; how one ended stays known until its parent has ended.

use super::container::DESTROY_RETRY;
use super::io::{self, Act, Answer, Exit, FoundState, Launch, Nested, RequestId, Wanted};
use super::tables::{Named, Phase};
use super::{AgentCore, Step, Timer, environment, group, limits, records};
use crate::base::ids::ContainerId;
use crate::base::kv::Op;
use crate::mesos::v1;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Containers known by their names, ended ones included, at the most.
pub const NAMED_MAX: usize = 4096;
/// Requests that wait for one container.
pub const WAITING_MAX: usize = 256;

/// What a container in another has of it.
struct Place {
    framework: Option<Arc<v1::FrameworkInfo>>,
    nested: Nested,
    /// Whom it runs as, unless it says so itself.
    user: Option<String>,
}

fn answer(s: &mut Step<'_>, request: RequestId, answer: Answer) {
    s.act(Act::Answer { request, answer });
}

fn refuse(s: &mut Step<'_>, request: RequestId, status: u16, text: impl Into<String>) {
    answer(s, request, Answer::Refused { status, text: text.into() });
}

fn unknown(s: &mut Step<'_>, request: RequestId, id: &ContainerId) {
    refuse(s, request, 404, format!("Container '{id}' cannot be found"));
}

impl AgentCore {
    /// 200 once it runs, 202 when it was launched before, 400 when it cannot be.
    pub(super) fn launch_nested(&mut self, s: &mut Step<'_>, request: RequestId, wanted: Wanted) {
        let id = wanted.id.clone();
        if let Some(named) = self.tables.named.get_mut(&id) {
            return match &named.failed {
                None => answer(s, request, Answer::Accepted),
                Some(why) => refuse(s, request, 400, why.clone()),
            };
        }
        let taken =
            self.tables.containers.contains_key(&id) || self.tables.processes.contains_key(&id);
        let planned = match taken {
            true => Err(format!("Container '{id}' is a task's or an executor's")),
            false => self.named_launch(&wanted),
        };
        match planned {
            Err(why) => refuse(s, request, 400, why),
            Ok(launch) => {
                let launch = Arc::new(launch);
                let named = Named {
                    sandbox: launch.sandbox.clone(),
                    user: launch.user.clone(),
                    phase: Phase::Preparing,
                    pid: None,
                    launch: Some(launch.clone()),
                    exit: None,
                    failed: None,
                    launching: vec![request],
                    waiting: Vec::new(),
                };
                s.write(records::named(&id, &named));
                self.tables.named.insert(id, named);
                s.act(Act::Prepare(launch));
            }
        }
    }

    fn named_launch(&self, wanted: &Wanted) -> Result<Launch, String> {
        if self.tables.named.len() >= NAMED_MAX {
            return Err(format!("The limit of {NAMED_MAX} containers is reached"));
        }
        if self.stopping.is_some() {
            return Err("The agent is ending its tasks to stop".into());
        }
        let nobody = Arc::new(v1::FrameworkInfo::default());
        let mut inherited = None;
        let (framework, nested, sandbox) = match &wanted.parent {
            None => {
                let directory = self.options.work_dir.join("containers").join(wanted.id.as_str());
                (nobody, None, directory)
            }
            Some(parent) => {
                let place = self.named_place(parent, wanted.container.as_ref());
                let place = place.ok_or_else(|| format!("Container '{parent}' is not running"))?;
                let sandbox = group::sandbox(&place.nested.parent_sandbox, &wanted.id);
                inherited = place.user;
                (place.framework.unwrap_or(nobody), Some(place.nested), sandbox)
            }
        };
        let executor = v1::ExecutorInfo {
            executor_id: v1::ExecutorId { value: wanted.id.as_str().into() },
            container: wanted.container.clone(),
            resources: wanted.resources.clone(),
            ..Default::default()
        };
        let user = wanted.command.user.clone().or(inherited);
        let environment = environment::plain(&self.options, &wanted.command, &sandbox)?;
        let limits = self.named_limits(wanted, nested.as_ref());
        Ok(Launch {
            container: wanted.id.clone(),
            framework,
            executor: Arc::new(executor),
            task: None,
            command: Arc::new(wanted.command.clone()),
            sandbox,
            user: user.filter(|_| self.options.switch_user),
            environment,
            limits,
            nested,
            volumes: Vec::new(),
            pause: false,
            docker: None,
        })
    }

    /// What a container in that one has of it; none when that does not run.
    fn named_place(&self, parent: &ContainerId, info: Option<&v1::ContainerInfo>) -> Option<Place> {
        let tables = &self.tables;
        if !tables.runs(parent) {
            return None;
        }
        let framework = tables.outermost(parent).and_then(|key| tables.frameworks.get(&key.0));
        let of = |command: Option<&v1::CommandInfo>| {
            let own = command.and_then(|c| c.user.clone());
            own.or_else(|| framework.map(|f| f.info.user.clone()))
        };
        let task = tables.processes.get(parent).and_then(|k| tables.tasks.get(k));
        let (parent_sandbox, user) =
            match (tables.containers.get(parent), task, tables.named.get(parent)) {
                (Some(executor), ..) => {
                    let executor = tables.executors.get(executor)?;
                    (executor.sandbox.clone(), of(executor.info.command.as_ref()))
                }
                (_, Some(task), _) => {
                    (task.process.as_ref()?.sandbox.clone(), of(task.info.command.as_ref()))
                }
                (_, _, Some(named)) => (named.sandbox.clone(), named.user.clone()),
                _ => return None,
            };
        let nested = Nested {
            parent: parent.clone(),
            parent_sandbox,
            parent_volumes: self.volumes_in(parent),
            share_pid: group::share_pid(info),
            own_limits: group::own_limits(info),
        };
        Some(Place { framework: framework.map(|f| f.info.clone()), nested, user })
    }

    fn named_limits(&self, wanted: &Wanted, nested: Option<&Nested>) -> io::Limits {
        if nested.is_some_and(|nested| !nested.own_limits) {
            let cpus = limits::scalar(&wanted.resources, "cpus");
            return io::Limits { cpus, ..io::Limits::default() };
        }
        let task = v1::TaskInfo {
            resources: wanted.resources.clone(),
            limits: wanted.limits.clone(),
            ..Default::default()
        };
        limits::container(&self.options, &v1::ExecutorInfo::default(), std::iter::once(&task))
    }

    fn named_in(&mut self, id: &ContainerId, phase: Phase) -> Option<&mut Named> {
        self.tables.named.get_mut(id).filter(|named| named.phase == phase)
    }

    pub(super) fn named_prepared(
        &mut self,
        s: &mut Step<'_>,
        id: &ContainerId,
        result: Result<(), String>,
    ) {
        let Some(named) = self.named_in(id, Phase::Preparing) else { return };
        let launch = named.launch.take();
        match (result, launch) {
            (Ok(()), Some(launch)) => {
                named.phase = Phase::Creating;
                s.act(Act::Create(launch));
            }
            (Err(why), _) => self.named_failed(s, id, &why),
            (Ok(()), None) => {}
        }
    }

    pub(super) fn named_created(
        &mut self,
        s: &mut Step<'_>,
        id: &ContainerId,
        result: Result<(), String>,
    ) {
        let Some(named) = self.named_in(id, Phase::Creating) else { return };
        match result {
            Ok(()) => {
                named.phase = Phase::Starting;
                s.act(Act::Start { container: id.clone() });
            }
            Err(why) => self.named_failed(s, id, &why),
        }
    }

    pub(super) fn named_started(
        &mut self,
        s: &mut Step<'_>,
        id: &ContainerId,
        result: Result<u32, String>,
    ) {
        let Some(named) = self.named_in(id, Phase::Starting) else { return };
        match result {
            Ok(pid) => {
                (named.phase, named.pid) = (Phase::Running, Some(pid));
                for request in std::mem::take(&mut named.launching) {
                    answer(s, request, Answer::Done);
                }
            }
            Err(why) => self.named_failed(s, id, &why),
        }
    }

    /// It could not be launched: whoever asked is told, and nothing of it stays.
    fn named_failed(&mut self, s: &mut Step<'_>, id: &ContainerId, why: &str) {
        let text = format!("Failed to launch container: {why}");
        self.count("container_launch_errors");
        let Some(named) = self.tables.named.get_mut(id) else { return };
        named.failed = Some(text.clone());
        s.write(records::named(id, named));
        for request in std::mem::take(&mut named.launching) {
            refuse(s, request, 400, text.clone());
        }
        for request in std::mem::take(&mut named.waiting) {
            answer(s, request, Answer::Ended(Box::default()));
        }
        self.destroy_named(s, id);
    }

    fn destroy_named(&mut self, s: &mut Step<'_>, id: &ContainerId) {
        let Some(named) = self.tables.named.get_mut(id) else { return };
        if matches!(named.phase, Phase::Ending | Phase::Gone) {
            return;
        }
        named.phase = Phase::Ending;
        self.timers.set(Timer::Destroy(id.clone()), s.now + DESTROY_RETRY);
        s.act(Act::Destroy { container: id.clone() });
    }

    /// A container that does not go: asked again.
    pub(super) fn destroy_inside_again(&mut self, s: &mut Step<'_>, id: &ContainerId) {
        let phase = match self.tables.processes.get(id) {
            Some(task) => self.tables.container_of(task).map(|(_, phase)| phase),
            None => self.tables.named.get(id).map(|named| named.phase),
        };
        if phase == Some(Phase::Ending) {
            self.count("container_destroy_retries");
            self.timers.set(Timer::Destroy(id.clone()), s.now + DESTROY_RETRY);
            s.act(Act::Destroy { container: id.clone() });
        }
    }

    pub(super) fn named_exited(&mut self, s: &mut Step<'_>, id: &ContainerId, exit: &Exit) {
        let Some(named) = self.tables.named.get_mut(id) else { return };
        if named.exit.is_none() {
            named.exit = Some(exit.clone());
            for request in std::mem::take(&mut named.launching) {
                answer(s, request, Answer::Done);
            }
            for request in std::mem::take(&mut named.waiting) {
                answer(s, request, Answer::Ended(Box::new(exit.clone())));
            }
        }
        self.destroy_named(s, id);
    }

    pub(super) fn named_destroyed(&mut self, s: &mut Step<'_>, id: &ContainerId) {
        self.timers.cancel(&Timer::Destroy(id.clone()));
        let Some(named) = self.tables.named.get_mut(id) else { return };
        named.phase = Phase::Gone;
        // Nobody saw it exit.
        for request in std::mem::take(&mut named.waiting) {
            answer(s, request, Answer::Ended(Box::default()));
        }
        self.stopped(s);
    }

    /// Ends those that are by themselves; others go with what they are in.
    pub(super) fn end_standalone(&mut self, s: &mut Step<'_>) {
        for (id, _) in self.standalone() {
            self.destroy_named(s, &id);
        }
    }

    /// Whether one that is by itself is still there.
    pub(super) fn has_standalone(&self) -> bool {
        let alone = self.tables.named.iter().filter(|(id, _)| !id.as_str().contains('.'));
        alone.into_iter().any(|(_, named)| named.phase != Phase::Gone)
    }

    pub(super) fn wait_nested(&mut self, s: &mut Step<'_>, request: RequestId, id: &ContainerId) {
        let Some(named) = self.tables.named.get_mut(id) else { return unknown(s, request, id) };
        match (&named.exit, &named.failed, named.phase) {
            (Some(exit), ..) => answer(s, request, Answer::Ended(Box::new(exit.clone()))),
            (None, Some(_), _) | (None, None, Phase::Gone) => {
                answer(s, request, Answer::Ended(Box::default()));
            }
            _ => {
                named.waiting.push(request);
                // Nobody says when he waits no more: it is the first who gives way.
                if named.waiting.len() > WAITING_MAX {
                    let first = named.waiting.remove(0);
                    let text = format!("More than {WAITING_MAX} wait for this container");
                    refuse(s, first, 503, text);
                }
            }
        }
    }

    pub(super) fn kill_nested(
        &mut self,
        s: &mut Step<'_>,
        request: RequestId,
        id: &ContainerId,
        signal: i32,
    ) {
        let Some(named) = self.tables.named.get(id) else { return unknown(s, request, id) };
        match named.phase {
            Phase::Ending | Phase::Gone => {}
            Phase::Running => s.act(Act::Signal { container: id.clone(), signal }),
            // Nothing runs that could be signalled: it will not.
            Phase::Preparing | Phase::Creating | Phase::Starting => {
                self.named_failed(s, id, "it was killed before");
            }
        }
        answer(s, request, Answer::Done);
    }

    pub(super) fn remove_nested(&mut self, s: &mut Step<'_>, request: RequestId, id: &ContainerId) {
        let Some(named) = self.tables.named.get(id) else { return unknown(s, request, id) };
        if named.phase != Phase::Gone {
            let text = format!("Container '{id}' has not terminated");
            return refuse(s, request, 500, text);
        }
        self.forget_named(s, id);
        answer(s, request, Answer::Done);
    }

    fn forget_named(&mut self, s: &mut Step<'_>, id: &ContainerId) {
        self.timers.cancel(&Timer::Destroy(id.clone()));
        let Some(named) = self.tables.named.remove(id) else { return };
        for request in named.waiting.into_iter().chain(named.launching) {
            answer(s, request, Answer::Ended(Box::default()));
        }
        s.write(Op::delete(records::named_key(id)));
        s.act(Act::Forget { container: id.clone() });
        if !id.as_str().contains('.') {
            // One by itself takes its sandbox along; others' are in their parents'.
            s.act(Act::RemoveSandbox { path: named.sandbox });
        }
    }

    /// The container of an executor is gone: so is all that was in it.
    pub(super) fn forget_inside(&mut self, s: &mut Step<'_>, container: &ContainerId) {
        let prefix = format!("{container}.");
        let inside = |id: &&ContainerId| id.as_str().starts_with(&prefix);
        let named: Vec<ContainerId> = self.tables.named.keys().filter(inside).cloned().collect();
        for id in named {
            self.forget_named(s, &id);
        }
        let processes: Vec<ContainerId> =
            self.tables.processes.keys().filter(inside).cloned().collect();
        for id in processes {
            self.timers.cancel(&Timer::Destroy(id.clone()));
            self.tables.processes.remove(&id);
            s.act(Act::Forget { container: id });
        }
    }

    /// After a start: those that were launched by their names.
    pub(super) fn take_up_named(
        &mut self,
        s: &mut Step<'_>,
        found: &mut BTreeMap<ContainerId, FoundState>,
    ) {
        let ids: Vec<ContainerId> = self.tables.named.keys().cloned().collect();
        for id in ids {
            let root = ContainerId::from(id.as_str().split('.').next().unwrap_or_default());
            let alone = root == id || self.tables.named.contains_key(&root);
            let parent = self.tables.of_container(&root);
            let lives = parent.and_then(|key| self.tables.executors.get(&key));
            if !alone && !lives.is_some_and(|e| e.phase == Phase::Running) {
                // Its container is among those that nobody knows, if it is there.
                self.tables.named.remove(&id);
                s.write(Op::delete(records::named_key(&id)));
                continue;
            }
            let state = found.remove(&id);
            let Some(named) = self.tables.named.get_mut(&id) else { continue };
            match state {
                Some(FoundState::Running(pid)) => {
                    (named.phase, named.pid) = (Phase::Running, Some(pid));
                }
                Some(FoundState::Exited(exit)) => self.named_exited(s, &id, &exit),
                Some(FoundState::Created) => self.named_failed(s, &id, "the agent was restarted"),
                None => named.phase = Phase::Gone,
            }
        }
    }

    /// The sandboxes of containers by themselves, for who asks.
    pub fn standalone(&self) -> Vec<(ContainerId, PathBuf)> {
        let alone = self.tables.named.iter().filter(|(id, _)| !id.as_str().contains('.'));
        alone.map(|(id, named)| (id.clone(), named.sandbox.clone())).collect()
    }

    /// The containers that run by their own names.
    pub fn named_running(&self) -> Vec<(ContainerId, Option<u32>)> {
        let running = self.tables.named.iter().filter(|(_, n)| n.phase == Phase::Running);
        running.map(|(id, named)| (id.clone(), named.pid)).collect()
    }

    /// The containers of default executors' tasks that run.
    pub fn processes(&self) -> Vec<(ContainerId, Option<u32>)> {
        let tasks = self.tables.tasks.values().filter_map(|task| task.process.as_ref());
        let running = tasks.filter(|process| process.phase == Phase::Running);
        running.map(|process| (process.container.clone(), process.pid)).collect()
    }

    /// Whether a name is that of a container launched by it.
    pub fn is_named(&self, id: &ContainerId) -> bool {
        self.tables.named.contains_key(id)
    }
}
