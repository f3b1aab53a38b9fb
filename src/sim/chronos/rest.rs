//! The end of a run for Chronos: its jobs run on for a while in a world without faults; then they are disabled and what
//! runs is killed, and every run is over.

use crate::chronos::core::io::Command;
use crate::chronos::core::run::Run;
use crate::chronos::model::{Era, Job};
use crate::sim::world::World;
use std::time::Duration;

/// How long jobs run on when all faults have ended.
const RUN_ON: Duration = Duration::from_secs(90);

impl World {
    /// Whether Chronos has come to rest after its jobs were stopped.
    ///
    /// # Errors
    /// What is not so, in a sentence.
    pub(in crate::sim) fn chronos_at_rest(&mut self) -> Result<(), String> {
        let Some(chronos) = self.chronos.as_ref() else { return Ok(()) };
        let core = chronos.core().ok_or("Chronos does not run")?;
        if !chronos.subscribed {
            return Err("Chronos is not subscribed".into());
        }
        if self.now.since(self.healed_at()) < RUN_ON {
            return Err("jobs run on".into());
        }
        let jobs = core.view().jobs;
        let enabled: Vec<Job> = jobs
            .iter()
            .map(|j| &j.entry.job)
            .filter(|j| !j.disabled)
            .map(|j| (**j).clone())
            .collect();
        let open: Vec<_> = core.runs().into_iter().filter(|run| !self.is_run_beyond(run)).collect();
        if let Some(job) = enabled.first() {
            let why = format!("{} is being disabled", job.name);
            for job in enabled {
                let job = Box::new(Job { disabled: true, ..job });
                self.ask_chronos(Command::Upload { job, counters: None, era: Era::Two });
            }
            return Err(why);
        }
        if let Some(run) = open.first() {
            let why = format!("{} of {} is not over: {}", run.due, run.job, run.state());
            for run in &open {
                self.ask_chronos(Command::Kill { name: run.job.clone() });
            }
            return Err(why);
        }
        if !chronos.unsynced.is_empty() {
            return Err("Chronos waits for its store".into());
        }
        match chronos.rows.keys().find(|key| key.starts_with("dying/")) {
            Some(key) if !self.is_dying_beyond(key) => Err(format!("{key} is left")),
            _ => Ok(()),
        }
    }

    /// Whether its task is on an agent that never comes back under the id it had: nobody can say more of the task.
    fn is_run_beyond(&self, run: &Run) -> bool {
        run.task().is_some_and(|task| task.unreachable && !self.is_agent(&task.agent_id))
    }

    fn is_dying_beyond(&self, key: &str) -> bool {
        let value = self.chronos.as_ref().and_then(|c| c.rows.get(key));
        let row = value.and_then(|value| value.get(1..));
        let row: serde_json::Value =
            row.and_then(|row| serde_json::from_slice(row).ok()).unwrap_or_default();
        row.get("agent_id").and_then(|id| id.as_str()).is_some_and(|id| !self.is_agent(id))
    }

    fn is_agent(&self, id: &str) -> bool {
        let agents = self.nodes.iter().filter_map(|node| node.agent.as_ref());
        let ids = agents.filter_map(|agent| agent.machine.view().agent.id.clone());
        ids.into_iter().any(|known| known.value == id)
    }
}
