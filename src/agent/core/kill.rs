//! Killing tasks: SIGTERM to the whole tree, SIGKILL to what is left after the grace period.

use super::environment::shutdown_grace;
use super::io::Act;
use super::status::Report;
use super::tables::{Kill, Phase, TaskKey, aware, capable};
use super::{AgentCore, Step, Timer, records};
use crate::base::ids::{FrameworkId, TaskId};
use crate::mesos::internal::KillTask;
use crate::mesos::internal::kill_record::Cause;
use crate::mesos::v1::{self, TaskState, framework_info::capability, task_status::Reason};
use std::time::Duration;

/// How long a task may take to end after SIGTERM, unless it or the kill says otherwise.
pub const GRACE: Duration = Duration::from_secs(3);
/// What a command task has less than its executor when that is shut down.
const SHUTDOWN_MARGIN: Duration = Duration::from_secs(2);

/// What outlives SIGKILL for so long is destroyed with its container.
const LAST_RESORT: Duration = Duration::from_secs(10);

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// A wire duration; less than nothing is nothing.
pub(super) fn duration_of(d: &v1::DurationInfo) -> Duration {
    Duration::from_nanos(u64::try_from(d.nanoseconds).unwrap_or(0))
}

pub(super) fn grace_of(policy: Option<&v1::KillPolicy>) -> Option<Duration> {
    policy.and_then(|p| p.grace_period.as_ref()).map(duration_of)
}

impl AgentCore {
    /// The master asks for a task to be killed.
    pub(super) fn kill_asked(&mut self, s: &mut Step<'_>, ask: KillTask) {
        let framework = FrameworkId::from(ask.framework_id.value.as_str());
        let key = (framework, TaskId::from(ask.task_id.value.as_str()));
        if self.tables.tasks.contains_key(&key) {
            return self.kill(s, &key, Cause::Asked, ask.kill_policy, None);
        }
        if !self.streams.has(&key) {
            // Never launched here, or forgotten by everybody but this master.
            let state = aware(self.tables.framework(&key.0), TaskState::TaskDropped);
            let reason = Reason::ExecutorTerminated;
            self.report_unknown(s, &key, None, state, reason, "Cannot find executor".into());
        }
    }

    /// Kills a task. `grace` overrides every policy; a second kill can only shorten what is left.
    pub(super) fn kill(
        &mut self,
        s: &mut Step<'_>,
        key: &TaskKey,
        cause: Cause,
        policy: Option<v1::KillPolicy>,
        grace: Option<Duration>,
    ) {
        let Some(executor_key) = self.tables.executor_of(key) else { return };
        let Some(executor) = self.tables.executors.get(&executor_key) else { return };
        let (phase, command, session) = (executor.phase, executor.command_task, executor.session);
        // As the original's executors have it.
        let default = match executor.in_docker() {
            true => shutdown_grace(&self.options, &executor.info),
            false => GRACE,
        };
        let Some(task) = self.tables.tasks.get_mut(key) else { return };
        if task.is_terminal() {
            return;
        }
        if (command && matches!(phase, Phase::Preparing | Phase::Creating))
            || (!command && !task.delivered)
        {
            return self.kill_unstarted(s, key);
        }
        let grace = grace
            .or_else(|| grace_of(policy.as_ref()))
            .or_else(|| grace_of(task.info.kill_policy.as_ref()))
            .unwrap_or(default);
        let deadline = s.wall + grace;
        let first = task.kill.is_none();
        match &mut task.kill {
            Some(kill) => {
                kill.deadline = kill.deadline.min(deadline);
                kill.policy = policy.or(kill.policy.take());
            }
            None => task.kill = Some(Kill { cause, deadline, policy }),
        }
        task.checks.pause();
        s.write(records::state(key, task));
        if !command {
            if session.is_some() {
                self.send_kill(s, key);
            }
            return;
        }
        if first && cause != Cause::Overtime {
            self.report_killing(s, key);
        }
        match (first, phase) {
            // What is not started yet is told when it is.
            (true, Phase::Running) => self.terminate(s, key),
            _ => self.set_escalation(s, key),
        }
    }

    /// TASK_KILLING, for those who know the word.
    fn report_killing(&mut self, s: &mut Step<'_>, key: &TaskKey) {
        let knows = |info: &v1::FrameworkInfo| capable(info, capability::Type::TaskKillingState);
        if self.tables.framework(&key.0).is_some_and(knows) {
            self.report(s, key, Report::executor(TaskState::TaskKilling));
        }
    }

    /// SIGTERM now, SIGKILL when the grace is over.
    pub(super) fn terminate(&mut self, s: &mut Step<'_>, key: &TaskKey) {
        self.signal(s, key, SIGTERM);
        self.set_escalation(s, key);
    }

    fn signal(&self, s: &mut Step<'_>, key: &TaskKey, signal: i32) {
        let executor = self.tables.executor_of(key).and_then(|k| self.tables.executors.get(&k));
        if let Some(executor) = executor {
            s.act(Act::Signal { container: executor.container.clone(), signal });
        }
    }

    pub(super) fn set_escalation(&mut self, s: &mut Step<'_>, key: &TaskKey) {
        let kill = self.tables.tasks.get(key).and_then(|t| t.kill.as_ref());
        if let Some(kill) = kill {
            self.timers.set(Timer::Kill(key.clone()), s.now + (kill.deadline - s.wall));
        }
    }

    /// The grace is over: SIGKILL, and if that does not help, the container goes.
    pub(super) fn escalate(&mut self, s: &mut Step<'_>, key: &TaskKey) {
        let Some(task) = self.tables.tasks.get(key).filter(|t| !t.is_terminal()) else { return };
        let last = task.kill.as_ref().map_or(s.wall, |k| k.deadline) + LAST_RESORT;
        if s.wall < last {
            self.signal(s, key, SIGKILL);
            self.timers.set(Timer::Kill(key.clone()), s.now + (last - s.wall));
        } else if let Some(executor) = self.tables.executor_of(key) {
            self.destroy(s, &executor);
        }
    }

    /// `max_completion_time` is over: no grace.
    pub(super) fn overtime(&mut self, s: &mut Step<'_>, key: &TaskKey) {
        if self.tables.tasks.get(key).is_some_and(|t| t.kill.is_none()) {
            self.kill(s, key, Cause::Overtime, None, Some(Duration::ZERO));
        }
    }

    /// A task that no process was started for ends at once; an executor with nothing else to do is
    /// ended too.
    fn kill_unstarted(&mut self, s: &mut Step<'_>, key: &TaskKey) {
        let Some(executor) = self.tables.executor_of(key) else { return };
        let text = "Task killed during launch";
        let report = Report::agent(TaskState::TaskKilled, Reason::TaskKilledDuringLaunch, text);
        self.report(s, key, report);
        let others = self.tables.tasks_of(&executor);
        let idle = others
            .iter()
            .all(|k| self.tables.tasks.get(k).is_none_or(|t| t.is_terminal() && !t.delivered));
        let unused = self.tables.executors.get(&executor).is_some_and(|e| !e.used);
        if idle && unused {
            self.shutdown_executor(s, &executor);
        }
    }

    /// Ends an executor: a command task with its grace, a custom executor by SHUTDOWN.
    pub(super) fn shutdown_executor(&mut self, s: &mut Step<'_>, key: &super::tables::ExecutorKey) {
        let Some(executor) = self.tables.executors.get_mut(key) else { return };
        if matches!(executor.phase, Phase::Ending | Phase::Gone) {
            return;
        }
        let grace = shutdown_grace(&self.options, &executor.info);
        if executor.command_task {
            return match self.tables.command_task(key) {
                Some(task) if self.tables.tasks.get(&task).is_some_and(|t| !t.is_terminal()) => {
                    let grace = grace.saturating_sub(SHUTDOWN_MARGIN);
                    self.kill(s, &task, Cause::Asked, None, Some(grace));
                }
                _ => self.destroy(s, key),
            };
        }
        if executor.ending {
            return;
        }
        executor.ending = true;
        let (session, phase) = (executor.session, executor.phase);
        match (session, phase) {
            (Some(session), _) => {
                self.send_shutdown(s, session);
                self.timers.set(Timer::Shutdown(key.clone()), s.now + grace);
            }
            // Being started: destroyed as soon as that is answered.
            (None, Phase::Starting) => {}
            (None, _) => self.destroy(s, key),
        }
    }

    /// A custom executor did not end itself in time.
    pub(super) fn shutdown_timeout(&mut self, s: &mut Step<'_>, key: &super::tables::ExecutorKey) {
        self.destroy(s, key);
    }
}
