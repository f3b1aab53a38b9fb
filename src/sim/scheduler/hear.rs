//! What scripted frameworks make of what they are told.

use crate::base::ids::FrameworkId;
use crate::master::core::io::{Answer, SessionId};
use crate::mesos::make;
use crate::mesos::v1::scheduler::{Event, call};
use crate::mesos::v1::{TaskState, TaskStatus};
use crate::sim::Mutation;
use crate::sim::chronos::CHRONOS;
use crate::sim::invariants::Seen;
use crate::sim::marathon::MARATHON;
use crate::sim::session::Asked;
use crate::sim::world::World;
use std::sync::Arc;

impl World {
    pub(in crate::sim) fn told(&mut self, session: &SessionId, event: &Arc<Event>) {
        let Some(mut n) = self.hearer(session) else { return };
        if n == MARATHON {
            return self.marathon_told(session, event);
        }
        if n == CHRONOS {
            return self.chronos_told(session, event);
        }
        let now = self.now;
        let Some(scheduler) = self.schedulers.get_mut(n) else { return };
        if !scheduler.up || scheduler.session.as_ref() != Some(session) {
            return;
        }
        scheduler.heard = now;
        if let Some(subscribed) = &event.subscribed {
            let id = subscribed.framework_id.clone();
            let had = scheduler.info.id.replace(id.clone());
            scheduler.subscribed = true;
            let had = had.map(|id| FrameworkId::from(&id));
            let leads = self.leads(session);
            self.see(&Seen::Subscribed { framework: &id.value, had: had.as_ref(), leads });
        }
        if let Some(error) = &event.error {
            self.refused(n, &error.message);
        }
        for offer in event.offers.iter().flat_map(|o| &o.offers) {
            self.offered(n, offer);
        }
        if let Some(update) = &event.update {
            let mut status = update.status.clone();
            match self.profile.mutation {
                Some(Mutation::Misdeliver) => n = (n + 1) % self.schedulers.len(),
                Some(Mutation::GoBack) if make::is_terminal(status.state()) => {
                    self.updated(n, &status);
                    status.state = TaskState::TaskStaging as i32;
                }
                _ => {}
            }
            self.updated(n, &status);
        }
    }

    fn updated(&mut self, n: usize, status: &TaskStatus) {
        let Some(scheduler) = self.schedulers.get_mut(n) else { return };
        let id = scheduler.id().to_string();
        let task = &status.task_id.value;
        let own = scheduler.tasks.contains_key(task);
        if let Some(belief) = scheduler.tasks.get_mut(task)
            && !belief.ended
        {
            belief.state = status.state();
            belief.ended = status.uuid.is_some() && make::is_terminal(status.state());
        }
        self.see(&Seen::Told { framework: &id, status, own });
        if own {
            self.acknowledge(n, status);
        }
    }

    fn refused(&mut self, n: usize, why: &str) {
        if why != "Framework has been removed" {
            return;
        }
        let Some(scheduler) = self.schedulers.get_mut(n) else { return };
        let id = scheduler.id().to_string();
        let timeout = scheduler.info.failover_timeout();
        scheduler.begin_anew();
        self.see(&Seen::Refused { framework: &id, timeout });
    }

    /// The answer to a call has come.
    pub(in crate::sim) fn answered(&mut self, asked: &Asked, answer: &Answer) {
        if self.hearer(&asked.session) != Some(asked.scheduler) {
            return;
        }
        let n = asked.scheduler;
        match (asked.call, answer) {
            (call::Type::Teardown, Answer::Accepted | Answer::Done) => {
                self.see(&Seen::TornDown { framework: &asked.framework });
                let session = asked.session.clone();
                self.cut_session(&session);
                if let Some(scheduler) = self.schedulers.get_mut(n)
                    && scheduler.id() == asked.framework
                    && self.rng.chance(1, 2)
                {
                    scheduler.begin_anew();
                } else {
                    // It does not believe it, and will be refused.
                    self.session_lost(n, &session);
                }
            }
            (call::Type::Subscribe, Answer::Refused { status, text }) => {
                self.violated("sessions", format!("SUBSCRIBE was refused: {status} {text}"));
            }
            _ => {}
        }
    }

    /// Some master may hold the framework as disconnected from now on.
    pub(in crate::sim) fn disconnected(&mut self, n: usize) {
        let id = match (&self.marathon, &self.chronos) {
            (Some(marathon), _) if n == MARATHON => marathon.id().to_string(),
            (_, Some(chronos)) if n == CHRONOS => chronos.id().to_string(),
            _ => self.schedulers.get(n).map_or(String::new(), |s| s.id().to_string()),
        };
        self.see(&Seen::Disconnected { framework: &id });
    }
}
