//! Marathon's session: what it is told, and what it calls.

use super::MARATHON;
use crate::marathon::core::InstanceId;
use crate::marathon::core::io::Input;
use crate::master::core::io::SessionId;
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
        name: "marathon".into(),
        id: (!id.is_empty()).then(|| crate::mesos::make::framework_id(id)),
        checkpoint: Some(true),
        failover_timeout: Some(604_800.0),
        capabilities: vec![
            capability(capability::Type::PartitionAware),
            capability(capability::Type::TaskKillingState),
        ],
        ..Default::default()
    }
}

impl World {
    /// Marathon's shell looks at where it stands, and clients send something.
    pub(in crate::sim) fn marathon_tick(&mut self) {
        let pause = self.between(TICK / 4, TICK);
        self.after(pause, What::MarathonTick);
        let now = self.now;
        let Some(marathon) = self.marathon.as_ref().filter(|m| m.driven.is_some()) else { return };
        let (heard, subscribed) = (marathon.heard, marathon.subscribed);
        match marathon.session.clone() {
            None => self.marathon_subscribes(),
            Some(session) if now.since(heard) > SILENCE_MAX => {
                self.cut_session(&session);
                self.marathon_session_lost(&session);
            }
            Some(_) if subscribed || self.rng.chance(1, 10) => self.clients_act(),
            Some(_) => {}
        }
    }

    fn marathon_subscribes(&mut self) {
        let now = self.now;
        let Some(marathon) = self.marathon.as_mut() else { return };
        marathon.heard = now;
        let info = framework(marathon.id());
        let call = Call {
            framework_id: info.id.clone(),
            r#type: Some(call::Type::Subscribe as i32),
            subscribe: Some(call::Subscribe { framework_info: info, ..Default::default() }),
            ..Default::default()
        };
        let session = self.open_session(MARATHON, call);
        if let Some(marathon) = self.marathon.as_mut() {
            (marathon.session, marathon.subscribed) = (session, false);
        }
    }

    /// Its session is gone; it subscribes again some time.
    pub(in crate::sim) fn marathon_session_lost(&mut self, session: &SessionId) {
        let Some(marathon) = self.marathon.as_mut() else { return };
        if marathon.session.as_ref() == Some(session) {
            (marathon.session, marathon.subscribed) = (None, false);
            self.tell_marathon(Input::Disconnected);
        }
    }

    pub(in crate::sim) fn marathon_told(&mut self, session: &SessionId, event: &Arc<Event>) {
        let now = self.now;
        let Some(marathon) = self.marathon.as_mut() else { return };
        if marathon.driven.is_none() || marathon.session.as_ref() != Some(session) {
            return;
        }
        marathon.heard = now;
        if let Some(subscribed) = &event.subscribed {
            marathon.subscribed = true;
            let had = Some(marathon.id().to_string()).filter(|id| !id.is_empty());
            let had = had.map(|id| crate::base::ids::FrameworkId::from(id.as_str()));
            let leads = self.leads(session);
            let id = subscribed.framework_id.value.clone();
            self.see(&Seen::Subscribed { framework: &id, had: had.as_ref(), leads });
            let master = subscribed.master_info.clone().map(Box::new);
            return self.tell_marathon(Input::Subscribed { framework_id: id.into(), master });
        }
        if let Some(error) = &event.error {
            return self.violated("removed", format!("Marathon was sent away: {}", error.message));
        }
        if let Some(update) = &event.update {
            return self.marathon_updated(&update.status, event);
        }
        let offers = event.offers.is_some();
        if offers && self.profile.mutation == Some(Mutation::NoOffers) && self.calm {
            return;
        }
        self.tell_marathon(Input::Event(event.clone()));
    }

    fn marathon_updated(&mut self, status: &v1::TaskStatus, event: &Arc<Event>) {
        let Some(marathon) = self.marathon.as_mut() else { return };
        let id = marathon.id().to_string();
        let task = status.task_id.value.clone();
        // Nobody else names tasks like that. It may ask for one whose launch never got out.
        let own = InstanceId::of_task(&task).is_some();
        if let Some(uuid) = &status.uuid {
            marathon.told.insert((task, uuid.clone()), status.clone());
        }
        self.see(&Seen::Told { framework: &id, status, own });
        let mut event = (**event).clone();
        if let Some(update) = &mut event.update {
            let state = match (self.profile.mutation, status.state()) {
                (Some(Mutation::TellRunning), TaskState::TaskStarting) => TaskState::TaskRunning,
                (Some(Mutation::TellKilled), TaskState::TaskKilling) => TaskState::TaskKilled,
                (_, state) => state,
            };
            update.status.state = state as i32;
        }
        self.tell_marathon(Input::Event(Arc::new(event)));
    }

    /// The core calls the master; now and then the call does not get out.
    pub(super) fn marathon_calls(&mut self, call: Call) {
        let session =
            self.marathon.as_ref().filter(|m| m.subscribed).and_then(|m| m.session.clone());
        let lost = self.chance(10);
        let Some(session) = session.filter(|_| !lost) else {
            return self.tell_marathon(Input::Undelivered(Box::new(call)));
        };
        if let Some(acknowledge) = &call.acknowledge {
            self.marathon_acknowledges(acknowledge);
        }
        let operations = call.accept.iter().flat_map(|a| &a.operations);
        let tasks = operations.flat_map(|o| o.launch.iter().flat_map(|l| &l.task_infos));
        for task in tasks.cloned().collect::<Vec<_>>() {
            let checked = task.health_check.is_some();
            self.see(&Seen::Launched { task: &task.task_id.value, checked });
        }
        self.show_kill(&call);
        self.send_call(MARATHON, &session, call);
    }

    fn marathon_acknowledges(&mut self, acknowledge: &call::Acknowledge) {
        let Some(marathon) = self.marathon.as_mut() else { return };
        let id = marathon.id().to_string();
        let key = (acknowledge.task_id.value.clone(), acknowledge.uuid.clone());
        if let Some(status) = marathon.told.remove(&key) {
            self.report.acknowledged += 1;
            self.see(&Seen::Acknowledged { framework: &id, status: &status });
        }
    }
}
