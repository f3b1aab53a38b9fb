//! Ports of the machine (`network/ports`): tasks on the agent's network that listen on one they were not given.

use super::io::Act;
use super::status::Report;
use super::tables::{Executor, ExecutorKey, Phase};
use super::{AgentCore, Step, Timer};
use crate::base::ids::ContainerId;
use crate::base::resources::Ranges;
use crate::mesos::make;
use crate::mesos::v1::{self, TaskState, task_status::Reason};

/// The ports among these resources. Ranges that cannot be are none.
fn granted<'a>(resources: impl Iterator<Item = &'a v1::Resource>) -> Ranges {
    let ranges = resources.filter(|r| r.name == "ports").filter_map(|r| r.ranges.as_ref());
    Ranges::new(ranges.flat_map(|r| &r.range).map(|r| (r.begin, r.end)))
}

impl Executor {
    /// Whether its tasks share the machine's ports, as far as is known here.
    fn on_hosts_ports(&self) -> bool {
        self.phase == Phase::Running && self.networks.is_empty() && !self.in_docker()
    }
}

impl AgentCore {
    /// Looks from now on, if it is to.
    pub(super) fn watch_ports(&mut self, s: &mut Step<'_>) {
        if let Some(watch) = &self.options.ports_watch {
            self.timers.set(Timer::Ports, s.now + watch.interval);
        }
    }

    pub(super) fn look_at_ports(&mut self, s: &mut Step<'_>) {
        let executors = self.tables.executors.iter().filter(|(_, e)| e.on_hosts_ports());
        let containers: Vec<ContainerId> = executors.map(|(_, e)| e.container.clone()).collect();
        if containers.is_empty() {
            return self.watch_ports(s);
        }
        s.act(Act::LookAtPorts { containers });
    }

    /// Ports that containers listen on: whoever has one that it was not given ends, if that is enforced.
    pub(super) fn listening(&mut self, s: &mut Step<'_>, all: &[(ContainerId, Ranges)]) {
        self.watch_ports(s);
        for (container, ports) in all {
            let Some(key) = self.tables.of_container(container) else { continue };
            let strange = self.strange_ports(&key, ports);
            if strange.is_empty() {
                continue;
            }
            let text =
                format!("Container {container} is listening on unallocated port(s): {strange}");
            match self.options.ports_watch.as_ref().is_some_and(|watch| watch.enforce) {
                true => self.end_for_ports(s, &key, &strange, text),
                false => s.act(Act::Warn { text }),
            }
        }
    }

    /// Those of the ports that its executor and tasks were not given, as far as they count.
    fn strange_ports(&self, key: &ExecutorKey, ports: &Ranges) -> Ranges {
        let executor = self.tables.executors.get(key).filter(|e| e.on_hosts_ports());
        let (Some(executor), Some(watch)) = (executor, &self.options.ports_watch) else {
            return Ranges::default();
        };
        let keys = self.tables.tasks_of(key);
        // Of one that has just ended something may still be there.
        let tasks = keys.iter().filter_map(|k| self.tables.tasks.get(k));
        let tasks = tasks.flat_map(|t| &t.info.resources);
        let strange = ports.minus(&granted(executor.info.resources.iter().chain(tasks)));
        let offered = || granted(self.identity.info.resources.iter());
        match &watch.range {
            _ if watch.of_agent => strange.intersection(&offered()),
            Some(range) => strange.intersection(range),
            None => strange,
        }
    }

    fn end_for_ports(
        &mut self,
        s: &mut Step<'_>,
        key: &ExecutorKey,
        strange: &Ranges,
        text: String,
    ) {
        let reason = Reason::ContainerLimitation;
        let mut report = Report::agent(TaskState::TaskFailed, reason, text.clone());
        let ports: Vec<(u64, u64)> = strange.iter().collect();
        report.limitation =
            Some(v1::TaskResourceLimitation { resources: vec![make::ranges("ports", &ports)] });
        for task in self.tables.tasks_of(key) {
            self.report(s, &task, report.clone());
        }
        self.end_executor(s, key, TaskState::TaskFailed, reason, text);
    }
}
