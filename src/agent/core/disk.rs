//! What containers have for themselves: the networks they joined, and how much their sandboxes take (`disk/du`).

use super::io::Act;
use super::status::Report;
use super::tables::{ExecutorKey, Phase};
use super::{AgentCore, Step, Timer, limits, records, words};
use crate::base::ids::ContainerId;
use crate::mesos::v1::{self, TaskState, task_status::Reason};

const MB: f64 = 1_048_576.0;

impl AgentCore {
    pub(super) fn joined(
        &mut self,
        s: &mut Step<'_>,
        container: &ContainerId,
        networks: Vec<v1::NetworkInfo>,
    ) {
        let Some(key) = self.tables.of_container(container) else { return };
        let Some(executor) = self.tables.executors.get_mut(&key) else { return };
        executor.networks = networks;
        s.write(records::executor(&key, executor));
    }

    /// From now on the sandbox of this executor is measured from time to time.
    pub(super) fn watch_disk(&mut self, s: &mut Step<'_>, key: &ExecutorKey) {
        let Some(interval) = self.options.container_disk_watch_interval else { return };
        if let Some(executor) = self.tables.executors.get(key) {
            self.timers.set(Timer::Sandbox(executor.container.clone()), s.now + interval);
        }
    }

    pub(super) fn measure_sandbox(&mut self, s: &mut Step<'_>, container: &ContainerId) {
        let Some(key) = self.tables.of_container(container) else { return };
        let Some(executor) = self.tables.executors.get(&key) else { return };
        if executor.phase == Phase::Running {
            let path = executor.sandbox.clone();
            s.act(Act::MeasureSandbox { container: container.clone(), path });
        }
    }

    /// What an executor's container may take on disk, in bytes; nothing where no disk was asked for. Persistent volumes
    /// are not part of the sandbox.
    pub(super) fn disk_quota(&self, key: &ExecutorKey) -> Option<u64> {
        let of = |resources: &[v1::Resource]| {
            let own = resources.iter().filter(|r| {
                r.disk.as_ref().is_none_or(|d| d.persistence.is_none() && d.volume.is_none())
            });
            limits::sum(own, "disk")
        };
        let executor = self.tables.executors.get(key)?;
        let keys = self.tables.tasks_of(key);
        let tasks = keys.iter().filter_map(|k| self.tables.tasks.get(k));
        let tasks = tasks.filter(|t| !t.is_terminal()).map(|t| of(&t.info.resources));
        let mb = of(&executor.info.resources) + tasks.sum::<f64>();
        (mb > 0.0).then_some((mb * MB) as u64)
    }

    /// A sandbox was measured: what is over its quota ends, if quotas are enforced.
    pub(super) fn sandbox_usage(
        &mut self,
        s: &mut Step<'_>,
        container: &ContainerId,
        bytes: Option<u64>,
    ) {
        let Some(key) = self.tables.of_container(container) else { return };
        let quota = self.disk_quota(&key);
        let Some(executor) = self.tables.executors.get_mut(&key) else { return };
        executor.disk_used = bytes.or(executor.disk_used);
        executor.disk_limit = quota;
        if executor.phase != Phase::Running {
            return;
        }
        self.watch_disk(s, &key);
        let (Some(used), Some(quota)) = (bytes, quota) else { return };
        if self.options.enforce_container_disk_quota && used > quota {
            self.over_disk(s, &key, used, quota);
        }
    }

    fn over_disk(&mut self, s: &mut Step<'_>, key: &ExecutorKey, used: u64, quota: u64) {
        let text =
            format!("Disk usage ({}) exceeds quota ({})", words::bytes(used), words::bytes(quota));
        let reason = Reason::ContainerLimitationDisk;
        let mut report = Report::agent(TaskState::TaskFailed, reason, text.clone());
        report.limitation = Some(v1::TaskResourceLimitation {
            resources: vec![limits::resource("disk", used as f64 / MB)],
        });
        for task in self.tables.tasks_of(key) {
            self.report(s, &task, report.clone());
        }
        self.end_executor(s, key, TaskState::TaskFailed, reason, text);
    }
}
