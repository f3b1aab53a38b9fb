//! The end of a run for Marathon: every app has the instances it wants and nothing else runs; then all apps are removed. In a
//! cluster one more is deployed after that, and removed.

use super::Ending;
use crate::marathon::core::view::Condition;
use crate::sim::world::World;
use std::collections::BTreeSet;

impl World {
    /// Whether Marathon has come to rest, and was emptied after that.
    ///
    /// # Errors
    /// What is not so, in a sentence.
    pub(in crate::sim) fn marathon_at_rest(&mut self) -> Result<(), String> {
        let Some(marathon) = self.marathon.as_ref() else { return Ok(()) };
        let ending = marathon.ending;
        let core = marathon.core().ok_or("Marathon does not run")?;
        if !marathon.subscribed {
            return Err("Marathon is not subscribed".into());
        }
        let view = core.view();
        if let Some(deployment) = view.deployments.first() {
            let waits = deployment.current_actions.first().map_or("", |a| a.waits_for.as_str());
            let apps = &deployment.affected;
            return Err(format!("Marathon deploys {apps:?}: {waits}"));
        }
        if let Some(instance) = view.leaving.first() {
            return Err(format!("{} is still there, {:?}", instance.id, instance.condition));
        }
        let mut held = BTreeSet::new();
        for app in view.apps.values() {
            let running =
                app.instances.iter().filter(|i| i.condition == Condition::Running).count();
            let wanted = app.app.instances as usize;
            if running != wanted || app.instances.len() != wanted {
                let all: Vec<_> = app.instances.iter().map(|i| i.condition).collect();
                return Err(format!("{} wants {wanted} and has {all:?}", app.app.id));
            }
            held.extend(app.instances.iter().map(|i| i.task_id.to_string()));
        }
        self.nothing_else_runs(&held)?;
        let none = view.apps.is_empty();
        let next = match ending {
            Ending::Serves => Ending::Emptied,
            Ending::Emptied if none && self.cluster.is_some() => Ending::Last,
            Ending::Last if none => return Err("the last app is missing".into()),
            Ending::Last => Ending::Over,
            Ending::Emptied | Ending::Over if none => return Ok(()),
            Ending::Emptied | Ending::Over => return Err("apps are left".into()),
        };
        if let Some(marathon) = self.marathon.as_mut() {
            marathon.ending = next;
        }
        if next == Ending::Last {
            self.deploy_last()
        } else {
            self.remove_all()
        }
        Err(format!("Marathon's end is at {next:?}"))
    }

    /// What the leader holds of Marathon's tasks is what Marathon holds.
    fn nothing_else_runs(&self, held: &BTreeSet<String>) -> Result<(), String> {
        let id = self.marathon.as_ref().map_or("", |m| m.id());
        let leader = self.masters.values().find(|m| m.epoch == self.log.epoch);
        let view = leader.ok_or("nobody leads")?.driven.machine.view();
        let is_ours = |f: &&std::sync::Arc<crate::master::core::view::FrameworkView>| {
            f.info.id.as_ref().is_some_and(|known| known.value == id)
        };
        let known = view.frameworks.iter().find(is_ours).ok_or("Marathon is not registered")?;
        if !known.connected {
            return Err("Marathon is not connected".into());
        }
        let tasks: BTreeSet<String> = known.tasks.iter().map(|t| t.task_id.value.clone()).collect();
        match tasks.symmetric_difference(held).next() {
            Some(task) => Err(format!("{task} is known to only one of master and Marathon")),
            None => Ok(()),
        }
    }
}
