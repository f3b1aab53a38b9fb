//! Chronos's session: what it is told, and what it calls.

use super::{CHRONOS, NAME};
use crate::chronos::core::io::Input;
use crate::chronos::model::name::parse_task_id;
use crate::master::core::io::SessionId;
use crate::mesos::make;
use crate::mesos::v1::scheduler::{Call, Event, call};
use crate::mesos::v1::{self, TaskState, framework_info::capability};
use crate::sim::Mutation;
use crate::sim::invariants::Seen;
use crate::sim::queue::What;
use crate::sim::world::World;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks.
const TICK: u64 = 2000;
/// Without an event for so long, a session is given up.
const SILENCE_MAX: Duration = Duration::from_secs(45);

fn framework(id: &str) -> v1::FrameworkInfo {
    let capability =
        |t: capability::Type| v1::framework_info::Capability { r#type: Some(t as i32) };
    v1::FrameworkInfo {
        user: "root".into(),
        name: NAME.into(),
        id: (!id.is_empty()).then(|| make::framework_id(id)),
        checkpoint: Some(true),
        failover_timeout: Some(604_800.0),
        roles: vec!["*".into()],
        capabilities: vec![
            capability(capability::Type::PartitionAware),
            capability(capability::Type::TaskKillingState),
            capability(capability::Type::MultiRole),
            capability(capability::Type::ReservationRefinement),
        ],
        ..Default::default()
    }
}

impl World {
    /// Chronos's shell looks at where it stands, and clients send something.
    pub(in crate::sim) fn chronos_tick(&mut self) {
        let pause = self.between(TICK / 4, TICK);
        self.after(pause, What::ChronosTick);
        let now = self.now;
        let Some(chronos) = self.chronos.as_ref().filter(|c| c.driven.is_some()) else { return };
        let (heard, session) = (chronos.heard, chronos.session.clone());
        match session {
            None => self.chronos_subscribes(),
            Some(session) if now.since(heard) > SILENCE_MAX => {
                self.cut_session(&session);
                self.chronos_session_lost(&session);
            }
            Some(_) => {}
        }
        // Clients need no master.
        self.job_clients_act();
    }

    fn chronos_subscribes(&mut self) {
        let now = self.now;
        let Some(chronos) = self.chronos.as_mut() else { return };
        chronos.heard = now;
        let info = framework(chronos.id());
        let suppressed_roles = info.roles.clone();
        let call = Call {
            framework_id: info.id.clone(),
            r#type: Some(call::Type::Subscribe as i32),
            subscribe: Some(call::Subscribe {
                framework_info: info,
                suppressed_roles,
                ..Default::default()
            }),
            ..Default::default()
        };
        let session = self.open_session(CHRONOS, call);
        if let Some(chronos) = self.chronos.as_mut() {
            (chronos.session, chronos.subscribed) = (session, false);
        }
    }

    /// Its session is gone; it subscribes again some time.
    pub(in crate::sim) fn chronos_session_lost(&mut self, session: &SessionId) {
        let Some(chronos) = self.chronos.as_mut() else { return };
        if chronos.session.as_ref() == Some(session) {
            (chronos.session, chronos.subscribed) = (None, false);
            self.tell_chronos(Input::Disconnected { why: "the session has ended".into() });
        }
    }

    pub(in crate::sim) fn chronos_told(&mut self, session: &SessionId, event: &Arc<Event>) {
        let now = self.now;
        let Some(chronos) = self.chronos.as_mut() else { return };
        if chronos.driven.is_none() || chronos.session.as_ref() != Some(session) {
            return;
        }
        chronos.heard = now;
        if let Some(subscribed) = &event.subscribed {
            chronos.subscribed = true;
            let had = Some(chronos.id().to_string()).filter(|id| !id.is_empty());
            let had = had.map(|id| crate::base::ids::FrameworkId::from(id.as_str()));
            let leads = self.leads(session);
            let id = subscribed.framework_id.value.clone();
            self.see(&Seen::Subscribed { framework: &id, had: had.as_ref(), leads });
            return self.tell_chronos(Input::Subscribed { framework_id: id.as_str().into() });
        }
        if let Some(error) = &event.error {
            return self.violated("removed", format!("Chronos was sent away: {}", error.message));
        }
        if let Some(update) = &event.update {
            return self.chronos_updated(&update.status, event);
        }
        self.tell_chronos(Input::Event(event.clone()));
    }

    fn chronos_updated(&mut self, status: &v1::TaskStatus, event: &Arc<Event>) {
        let Some(chronos) = self.chronos.as_mut() else { return };
        let id = chronos.id().to_string();
        let task = status.task_id.value.clone();
        // Nobody else names tasks like that. It may ask for one whose launch never got out.
        let own = parse_task_id(&task).is_some();
        if let Some(uuid) = &status.uuid {
            chronos.told.insert((task, uuid.clone()), status.clone());
        }
        self.see(&Seen::Told { framework: &id, status, own });
        let mut event = (**event).clone();
        if let Some(update) = &mut event.update {
            let state = match (self.profile.mutation, status.state()) {
                (Some(Mutation::TellFailed), TaskState::TaskRunning) => TaskState::TaskFailed,
                (Some(Mutation::TellFinished), TaskState::TaskRunning) => TaskState::TaskFinished,
                (_, state) => state,
            };
            update.status.state = state as i32;
        }
        self.tell_chronos(Input::Event(Arc::new(event)));
    }

    /// The core calls the master; now and then the call does not get out.
    pub(super) fn chronos_calls(&mut self, mut call: Call) {
        let Some(chronos) = self.chronos.as_ref() else { return };
        let session = chronos.session.clone().filter(|_| chronos.subscribed);
        let id = make::framework_id(chronos.id());
        let lost = self.chance(10);
        let Some(session) = session.filter(|_| !lost) else {
            return self.tell_chronos(Input::Undelivered(Box::new(call)));
        };
        if let Some(acknowledge) = &call.acknowledge {
            self.chronos_acknowledges(acknowledge);
        }
        let operations = call.accept.iter().flat_map(|a| &a.operations);
        let tasks = operations.flat_map(|o| o.launch.iter().flat_map(|l| &l.task_infos));
        for task in tasks {
            self.see(&Seen::Launched { task: &task.task_id.value, checked: false });
        }
        call.framework_id = Some(id);
        self.show_kill(&call);
        self.send_call(CHRONOS, &session, call);
    }

    fn chronos_acknowledges(&mut self, acknowledge: &call::Acknowledge) {
        let Some(chronos) = self.chronos.as_mut() else { return };
        let id = chronos.id().to_string();
        let key = (acknowledge.task_id.value.clone(), acknowledge.uuid.clone());
        if let Some(status) = chronos.told.remove(&key) {
            self.report.acknowledged += 1;
            self.see(&Seen::Acknowledged { framework: &id, status: &status });
        }
    }

    /// A container was started somewhere: which tasks of Chronos run now, on all machines.
    pub(in crate::sim) fn show_job_tasks(&mut self) {
        if self.chronos.is_none() {
            return;
        }
        let containers = self.nodes.iter().flat_map(|node| node.containers.values());
        let ours = containers.filter(|c| c.is_running() && c.launch.framework.name == NAME);
        let tasks: Vec<String> =
            ours.map(|c| c.launch.executor.executor_id.value.clone()).collect();
        self.see(&Seen::JobsRunning { tasks: &tasks });
    }
}
