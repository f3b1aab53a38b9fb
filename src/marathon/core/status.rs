//! What the master says of tasks: each instance's state, and what follows when one ends.

use super::event::Kind;
use super::ids::InstanceId;
use super::records::{self, Goal};
use super::view::{Condition, IpAddress, TaskFailure};
use super::{MarathonCore, Out, Timer};
use crate::base::ids::{AgentId, TaskId};
use crate::base::time::Wall;
use crate::machine::Cx;
use crate::marathon::model::Timestamp;
use crate::mesos::make;
use crate::mesos::v1::scheduler::{Call, call};
use crate::mesos::v1::task_status::Reason;
use crate::mesos::v1::{self, TaskState};
use std::sync::Arc;
use std::time::Duration;

fn condition(state: TaskState) -> Condition {
    match state {
        TaskState::TaskStaging => Condition::Staging,
        TaskState::TaskStarting => Condition::Starting,
        TaskState::TaskRunning => Condition::Running,
        TaskState::TaskKilling => Condition::Killing,
        TaskState::TaskFinished => Condition::Finished,
        TaskState::TaskFailed => Condition::Failed,
        TaskState::TaskError => Condition::Error,
        TaskState::TaskKilled => Condition::Killed,
        TaskState::TaskDropped => Condition::Dropped,
        TaskState::TaskUnreachable => Condition::Unreachable,
        TaskState::TaskUnknown => Condition::Unknown,
        TaskState::TaskGone | TaskState::TaskGoneByOperator | TaskState::TaskLost => {
            Condition::Gone
        }
    }
}

fn addresses(status: &v1::TaskStatus) -> Vec<IpAddress> {
    let networks = status.container_status.iter().flat_map(|c| &c.network_infos);
    networks
        .flat_map(|network| &network.ip_addresses)
        .filter_map(|address| {
            let v6 = address.protocol == Some(v1::network_info::Protocol::IPv6 as i32);
            Some(IpAddress { address: address.ip_address.clone()?, v6 })
        })
        .collect()
}

impl MarathonCore {
    /// A status update, new or repeated, or the answer to a reconciliation.
    pub(super) fn updated(&mut self, cx: &mut Cx<'_>, status: &v1::TaskStatus, out: &mut Out) {
        let task = TaskId::from(&status.task_id);
        let id = InstanceId::of_task(task.as_str());
        let ours = id.filter(|id| {
            self.instances.get(id).is_some_and(|i| i.is_launched() && i.task() == task)
        });
        match ours {
            Some(id) => self.own_update(cx, &id, status, out),
            None => self.unknown_update(cx, &task, status, out),
        }
        self.acknowledge(status, out);
    }

    /// Sent only when what it said is durable.
    fn acknowledge(&self, status: &v1::TaskStatus, out: &mut Out) {
        let (Some(uuid), Some(agent_id)) = (&status.uuid, &status.agent_id) else { return };
        let acknowledge = Some(call::Acknowledge {
            agent_id: agent_id.clone(),
            task_id: status.task_id.clone(),
            uuid: uuid.clone(),
        });
        self.call(call::Type::Acknowledge, Call { acknowledge, ..Default::default() }, out);
    }

    /// A task that nobody wants: it was forgotten while its agent could not be reached, or ended for us long ago.
    fn unknown_update(
        &mut self,
        cx: &Cx<'_>,
        task: &TaskId,
        status: &v1::TaskStatus,
        out: &mut Out,
    ) {
        let state = status.state();
        let gone = make::is_terminal(state)
            || matches!(state, TaskState::TaskUnknown | TaskState::TaskUnreachable);
        if !gone {
            let kill = Some(call::Kill {
                task_id: status.task_id.clone(),
                agent_id: status.agent_id.clone(),
                kill_policy: None,
            });
            self.count("unknown-tasks.killed.counter", 1);
            return self.call(call::Type::Kill, Call { kill, ..Default::default() }, out);
        }
        // An earlier task of an instance that lives on is no instance that ended.
        let instance = InstanceId::of_task(task.as_str());
        let unknown = instance.filter(|id| self.instances.get(id).is_none());
        if let Some(instance) = unknown
            && let Some(app) = instance.app()
        {
            let condition = condition(state);
            self.publish(cx, Kind::UnknownInstanceTerminated { instance, app, condition }, out);
        }
    }

    fn own_update(
        &mut self,
        cx: &mut Cx<'_>,
        id: &InstanceId,
        status: &v1::TaskStatus,
        out: &mut Out,
    ) {
        let now = self.stamp(cx);
        let Some(instance) = self.instances.get_mut(id) else { return };
        let state = status.state();
        let mut next = condition(state);
        let runs = matches!(instance.condition, Condition::Running | Condition::Killing);
        if runs && matches!(next, Condition::Staging | Condition::Starting) {
            // A repeated update is older than what a reconciliation told already.
            next = instance.condition;
        }
        instance.heard = true;
        let is_news = instance.state != Some(state) || instance.condition != next;
        instance.state = Some(state);
        let addresses = addresses(status);
        let mut store = false;
        if !addresses.is_empty() && addresses != instance.ip_addresses {
            instance.ip_addresses = addresses;
            store = true;
        }
        if let Some(check) = &status.check_status {
            instance.check = Some(*check);
        }
        if state == TaskState::TaskRunning && instance.started_at.is_none() {
            let told = status.timestamp.map(|secs| Timestamp::from(Wall::from_secs(secs)));
            instance.started_at = Some(told.unwrap_or(now));
            store = true;
        }
        let app = instance.spec.id.clone();
        self.touch(&app);
        if is_news || status.uuid.is_some() {
            self.tell_update(cx, id, status, out);
        }
        store |= self.heard_health(cx, id, status, out);
        if next.is_terminal() {
            return self.ended(cx, id, next, status, out);
        }
        if next == Condition::Unreachable {
            return self.became_unreachable(cx, id, status, out);
        }
        store |= self.turn(cx, id, next, out);
        match next {
            Condition::Running | Condition::Killing => {
                self.timers.cancel(&Timer::Overdue(id.clone()));
            }
            Condition::Staging | Condition::Starting if is_news => self.wait_to_run(cx, id),
            _ => {}
        }
        self.timers.cancel(&Timer::Unreachable(id.clone()));
        if store && let Some(instance) = self.instances.get(id) {
            out.write(instance.row());
        }
    }

    /// Its task has been heard of: it has to run in time, counted from its launch.
    pub(super) fn wait_to_run(&mut self, cx: &Cx<'_>, id: &InstanceId) {
        let staged = self.instances.get(id).and_then(|i| i.staged_at);
        let passed = staged.map_or(Duration::ZERO, |at| cx.wall - Wall::from(at));
        let left = self.options.task_launch_timeout.saturating_sub(passed);
        self.timers.set(Timer::Overdue(id.clone()), cx.now + left);
    }

    /// The instance's condition is another one. Answers whether it was not that before.
    pub(super) fn turn(
        &mut self,
        cx: &Cx<'_>,
        id: &InstanceId,
        next: Condition,
        out: &mut Out,
    ) -> bool {
        let now = self.stamp(cx);
        let Some(instance) = self.instances.get_mut(id) else { return false };
        if instance.condition == next {
            return false;
        }
        (instance.condition, instance.since) = (next, now);
        let app = instance.spec.id.clone();
        self.touch(&app);
        self.tell_changed(cx, id, out);
        true
    }

    /// `instance_changed_event`.
    pub(super) fn tell_changed(&self, cx: &Cx<'_>, id: &InstanceId, out: &mut Out) {
        let Some(instance) = self.instances.get(id) else { return };
        let place = instance.placement.as_deref();
        let kind = Kind::InstanceChanged {
            instance: id.clone(),
            condition: instance.condition,
            app: instance.spec.id.clone(),
            agent_id: place.map(|p| p.agent_id.clone()),
            host: place.map(|p| p.host.clone()),
            version: instance.spec.version,
        };
        self.publish(cx, kind, out);
    }

    fn tell_update(&self, cx: &Cx<'_>, id: &InstanceId, status: &v1::TaskStatus, out: &mut Out) {
        let Some(instance) = self.instances.get(id) else { return };
        let place = instance.placement.as_deref();
        let kind = Kind::StatusUpdate {
            agent_id: status.agent_id.as_ref().map(AgentId::from),
            task_id: TaskId::from(&status.task_id),
            state: status.state(),
            message: status.message.clone().unwrap_or_default(),
            app: instance.spec.id.clone(),
            host: place.map(|p| p.host.clone()).unwrap_or_default(),
            ip_addresses: instance.ip_addresses.clone(),
            ports: instance.host_ports.clone(),
            version: instance.spec.version,
        };
        self.publish(cx, kind, out);
    }

    /// What the health check said, if the update is about that. Answers whether that is news.
    fn heard_health(
        &mut self,
        cx: &Cx<'_>,
        id: &InstanceId,
        status: &v1::TaskStatus,
        out: &mut Out,
    ) -> bool {
        let now = self.stamp(cx);
        if status.healthy.is_none() && status.health_check_results.is_empty() {
            return false;
        }
        let Some(instance) = self.instances.get_mut(id) else { return false };
        let before = instance.healthy();
        let checks = &instance.spec.health_checks;
        let failed = instance.health.heard(checks.len(), status, now);
        let failed = failed.and_then(|n| checks.get(n).cloned());
        let after = instance.healthy();
        let (app, version) = (instance.spec.id.clone(), instance.spec.version);
        self.touch(&app);
        if let Some(check) = failed {
            let (app, instance) = (app.clone(), id.clone());
            self.publish(cx, Kind::FailedHealthCheck { app, instance, check }, out);
        }
        let Some(alive) = after else { return before != after };
        if before != Some(alive) {
            let (instance, of) = (id.clone(), app.clone());
            let kind = Kind::HealthStatusChanged { app: of, instance, version, alive };
            self.publish(cx, kind, out);
            let (instance, healthy) = (id.clone(), Some(alive));
            self.publish(cx, Kind::InstanceHealthChanged { instance, app, version, healthy }, out);
        }
        before != after
    }

    /// An instance's task runs no more.
    fn ended(
        &mut self,
        cx: &mut Cx<'_>,
        id: &InstanceId,
        how: Condition,
        status: &v1::TaskStatus,
        out: &mut Out,
    ) {
        self.turn(cx, id, how, out);
        let Some(instance) = self.instances.get(id) else { return };
        let (asked, app) = (instance.kill, instance.spec.id.clone());
        let by_check = how == Condition::Killed && !asked && instance.healthy() == Some(false);
        // The launch came too late for its offers: that says nothing of the app.
        let too_late = status.reason() == Reason::InvalidOffers;
        if by_check {
            self.tell_unhealthy(cx, id, status, out);
        }
        let failed = matches!(
            how,
            Condition::Failed | Condition::Error | Condition::Dropped | Condition::Gone
        );
        if (failed && !too_late) || by_check {
            self.remember_failure(cx, id, status);
        }
        let by_itself = matches!(
            how,
            Condition::Finished | Condition::Failed | Condition::Error | Condition::Dropped
        );
        if (by_itself && !asked) || too_late {
            self.hold_back(cx, id, too_late);
        }
        if status.reason() == Reason::AgentDraining {
            // Not the app's fault, and its instances are to move on quickly.
            self.undelay(&app);
        }
        self.next_task(cx, id, out);
    }

    /// A task ended by itself: the next launch of its app may have to wait.
    fn hold_back(&mut self, cx: &Cx<'_>, id: &InstanceId, too_late: bool) {
        let Some(instance) = self.instances.get(id) else { return };
        let (started, config) = (instance.started_at, instance.config());
        let served = started.map(|at| cx.wall - Wall::from(at));
        // The first that came too late is free; should it go on like that, it must not go round and round.
        let ran = if too_late { Some(Duration::MAX) } else { served };
        let current = self.tree.app(&instance.spec.id).unwrap_or(&instance.spec).clone();
        // A former configuration says nothing of the present one.
        if current.version_info.last_config_change_at == config {
            self.queue.failed(&current, ran, cx.now);
        }
    }

    fn tell_unhealthy(&self, cx: &Cx<'_>, id: &InstanceId, status: &v1::TaskStatus, out: &mut Out) {
        let Some(instance) = self.instances.get(id) else { return };
        let place = instance.placement.as_deref();
        let kind = Kind::UnhealthyInstanceKill {
            app: instance.spec.id.clone(),
            task_id: instance.task(),
            instance: id.clone(),
            version: instance.spec.version,
            reason: status.message.clone().unwrap_or_default(),
            host: place.map(|p| p.host.clone()).unwrap_or_default(),
            agent_id: place.map(|p| p.agent_id.clone()),
        };
        self.publish(cx, kind, out);
    }

    /// The instance waits for its next task, or is forgotten if none is wanted.
    fn next_task(&mut self, cx: &Cx<'_>, id: &InstanceId, out: &mut Out) {
        let decommissioned = self.instances.get(id).is_none_or(|i| i.goal == Goal::Decommissioned);
        if decommissioned {
            return self.forget(id, out);
        }
        self.cancel_timers(id);
        if let Some(instance) = self.instances.get_mut(id) {
            instance.next_task();
        }
        self.turn(cx, id, Condition::Scheduled, out);
        if let Some(instance) = self.instances.get(id) {
            out.write(instance.row());
        }
    }

    /// The instance is no more.
    pub(super) fn forget(&mut self, id: &InstanceId, out: &mut Out) {
        self.cancel_timers(id);
        let Some(instance) = self.instances.remove(id) else { return };
        if instance.stored {
            out.write(records::no_instance(id));
        }
        self.touch(&instance.spec.id);
    }

    fn cancel_timers(&mut self, id: &InstanceId) {
        self.kills.remove(id);
        for timer in [Timer::Overdue, Timer::Unreachable, Timer::Kill] {
            self.timers.cancel(&timer(id.clone()));
        }
    }

    fn remember_failure(&mut self, cx: &Cx<'_>, id: &InstanceId, status: &v1::TaskStatus) {
        let Some(instance) = self.instances.get(id) else { return };
        let place = instance.placement.as_deref();
        let failure = TaskFailure {
            app: instance.spec.id.clone(),
            task_id: instance.task(),
            state: status.state(),
            message: status.message.clone().unwrap_or_default(),
            host: place.map(|p| p.host.clone()).unwrap_or_default(),
            agent_id: place.map(|p| p.agent_id.clone()),
            version: instance.spec.version,
            at: Timestamp::from(cx.wall),
        };
        self.failures.insert(failure.app.clone(), Arc::new(failure));
    }
}
