//! Ending tasks: because a client says so, because an instance is not wanted any more, or because it never ran.

use super::change::Way;
use super::ids::InstanceId;
use super::io::{Answer, Kill, KillWhat, NotFound};
use super::records::{Changed, Goal};
use super::tree::Diff;
use super::view::{Condition, InstanceView};
use super::{MarathonCore, Out, Timer};
use crate::machine::Cx;
use crate::marathon::model::PathId;
use crate::mesos::v1::scheduler::{Call, call};
use std::collections::BTreeMap;
use std::sync::Arc;

impl MarathonCore {
    pub(super) fn kill(&mut self, cx: &mut Cx<'_>, kill: &Kill, out: &mut Out) -> Answer {
        let victims = match &kill.what {
            KillWhat::Tasks { tasks, app } => {
                let ids = tasks.iter().filter_map(|task| {
                    let id = InstanceId::of_task(task.as_str())?;
                    let instance = self.instances.get(&id)?;
                    let wanted = instance.is_launched() && instance.task() == *task;
                    let here = app.as_ref().is_none_or(|app| instance.spec.id == *app);
                    (wanted && here).then_some(id)
                });
                let mut ids: Vec<InstanceId> = ids.collect();
                ids.sort();
                ids.dedup();
                ids
            }
            KillWhat::App { app, host } => {
                if self.tree.app(app).is_none() {
                    return Answer::NotFound(NotFound::App(app.clone()));
                }
                let at = |i: &super::instances::Instance| {
                    let place = i.placement.as_deref();
                    host.as_ref().is_none_or(|host| place.is_some_and(|p| p.host == *host))
                };
                let all = self.instances.of(app).filter(|i| i.is_launched() && at(i));
                all.map(|i| i.id.clone()).collect()
            }
        };
        if kill.scale && !victims.is_empty() {
            return self.kill_and_scale(cx, &victims, kill.force, out);
        }
        let seen = |id: &InstanceId| self.instances.get(id).map(|i| i.view().clone());
        let killed: Vec<Arc<InstanceView>> = victims.iter().filter_map(seen).collect();
        for id in &victims {
            if kill.wipe {
                self.decommission(cx, id, out);
            } else {
                self.end_task(cx, id, out);
            }
        }
        Answer::Killed(killed)
    }

    fn kill_and_scale(
        &mut self,
        cx: &mut Cx<'_>,
        victims: &[InstanceId],
        force: bool,
        out: &mut Out,
    ) -> Answer {
        let mut fewer: BTreeMap<PathId, u32> = BTreeMap::new();
        for instance in victims.iter().filter_map(|id| self.instances.get(id)) {
            *fewer.entry(instance.spec.id.clone()).or_default() += 1;
        }
        let mut diff = Diff::default();
        for (id, count) in fewer {
            let Some(app) = self.tree.app(&id) else { continue };
            let mut less = (**app).clone();
            less.instances = less.instances.saturating_sub(count);
            let changed = Changed { before: Some(app.clone()), after: Some(Arc::new(less)) };
            diff.apps.insert(id, changed);
        }
        let answer = self.deploy(cx, diff, &Way { force, ..Way::default() }, out);
        if matches!(answer, Answer::Deploying(_)) {
            victims.iter().for_each(|id| self.decommission(cx, id, out));
        }
        answer
    }

    /// The instance is not wanted any more.
    pub(super) fn decommission(&mut self, cx: &Cx<'_>, id: &InstanceId, out: &mut Out) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        if instance.goal == Goal::Decommissioned {
            return;
        }
        instance.goal = Goal::Decommissioned;
        match instance.condition {
            Condition::Scheduled => self.forget(id, out),
            Condition::Unreachable | Condition::UnreachableInactive => self.expunge(cx, id, out),
            _ => self.end_task_anew(id, out),
        }
    }

    /// The instance's task is to end; the instance gets another one.
    pub(super) fn end_task(&mut self, cx: &Cx<'_>, id: &InstanceId, out: &mut Out) {
        let Some(instance) = self.instances.get(id) else { return };
        match instance.condition {
            // Nobody could kill it there. It is forgotten, and killed when it comes back.
            Condition::Unreachable | Condition::UnreachableInactive => self.expunge(cx, id, out),
            Condition::Scheduled => {}
            _ if instance.kill => {}
            _ => self.end_task_anew(id, out),
        }
    }

    /// Remembered before it is done, so that it is done also after a crash.
    fn end_task_anew(&mut self, id: &InstanceId, out: &mut Out) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        instance.kill = true;
        out.write(instance.row());
        let app = instance.spec.id.clone();
        self.kills.add(id);
        self.touch(&app);
    }

    /// A launched task did not come to run in time.
    pub(super) fn overdue(&mut self, cx: &Cx<'_>, id: &InstanceId, out: &mut Out) {
        let late = self.instances.get(id).is_some_and(|i| {
            matches!(i.condition, Condition::Provisioned | Condition::Staging | Condition::Starting)
        });
        if late {
            self.count("instances.launch-overdue.counter", 1);
            self.end_task(cx, id, out);
        }
    }

    /// Asks the master for the kills whose turn it is.
    pub(super) fn send_kills(&mut self, cx: &Cx<'_>, out: &mut Out) {
        if !self.session.subscribed {
            return;
        }
        for id in self.kills.take(self.options.kill_chunk_size) {
            let Some(instance) = self.instances.get(&id) else { continue };
            let place = instance.placement.as_deref();
            let kill = Some(call::Kill {
                task_id: (&instance.task()).into(),
                agent_id: place.map(|p| (&p.agent_id).into()),
                kill_policy: None,
            });
            self.call(call::Type::Kill, Call { kill, ..Default::default() }, out);
            self.timers.set(Timer::Kill(id), cx.now + self.options.kill_retry_timeout);
        }
    }
}
