//! The agent is drained: its tasks are ended, each in its own time or the drain's if that is
//! shorter; no new ones are taken. The master says when that begins and when it is over; a restart
//! in between changes nothing.

use super::kill::{GRACE, duration_of, grace_of};
use super::tables::{TaskKey, capable};
use super::{AgentCore, Step};
use crate::mesos::internal::AgentDrain;
use crate::mesos::internal::kill_record::Cause;
use crate::mesos::v1::{self, TaskState, TaskStatus, framework_info::capability};
use v1::task_status::Reason;

impl AgentCore {
    /// What the master has: whether this agent is to be drained, and how.
    pub(super) fn set_drain(&mut self, s: &mut Step<'_>, config: Option<v1::DrainConfig>) {
        let before = self.identity.drain.map(|d| d.config);
        if before == config {
            return;
        }
        let since = self.identity.drain.map_or(s.wall.0, |d| d.since);
        self.identity.drain = config.map(|config| AgentDrain { config, since });
        self.write_identity(s);
        self.go_on_draining(s);
    }

    /// Ends every task. One that is being ended already has at most as long as this allows.
    pub(super) fn go_on_draining(&mut self, s: &mut Step<'_>) {
        let Some(drain) = self.identity.drain else { return };
        let live = self.tables.tasks.iter().filter(|(_, task)| !task.is_terminal());
        let live: Vec<TaskKey> = live.map(|(key, _)| key.clone()).collect();
        for key in live {
            let policy = self.drain_policy(&key, &drain.config);
            self.kill(s, &key, Cause::Asked, policy, None);
        }
    }

    /// How long a task gets; its own time unless the drain has a limit.
    fn drain_policy(&self, key: &TaskKey, config: &v1::DrainConfig) -> Option<v1::KillPolicy> {
        let limit = duration_of(config.max_grace_period.as_ref()?);
        let task = self.tables.tasks.get(key)?;
        let own = grace_of(task.info.kill_policy.as_ref()).unwrap_or(GRACE);
        let nanoseconds = i64::try_from(own.min(limit).as_nanos()).unwrap_or(i64::MAX);
        Some(v1::KillPolicy { grace_period: Some(v1::DurationInfo { nanoseconds }) })
    }

    /// The status of a task that ends because of the drain says so; where the agent is gone
    /// afterwards, those who know partitions are told that, too.
    pub(super) fn as_drained(&self, key: &TaskKey, status: TaskStatus) -> TaskStatus {
        let Some(drain) = self.identity.drain else { return status };
        let mut status = status;
        match status.state() {
            TaskState::TaskKilled => {
                let framework = self.tables.framework(&key.0);
                let knows = |f: &v1::FrameworkInfo| capable(f, capability::Type::PartitionAware);
                if drain.config.mark_gone() && framework.is_some_and(knows) {
                    status.state = TaskState::TaskGoneByOperator as i32;
                }
                status.reason = Some(Reason::AgentDraining as i32);
            }
            TaskState::TaskKilling => status.reason = Some(Reason::AgentDraining as i32),
            _ => {}
        }
        status
    }
}
