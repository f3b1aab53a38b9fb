//! Sessions of frameworks with masters: calls one way, events the other, in order, lost when the connection breaks.

use super::chronos::CHRONOS;
use super::invariants::Seen;
use super::marathon::MARATHON;
use super::queue::What;
use super::world::World;
use crate::base::time::Mono;
use crate::master::core::io::{Answer, Input, RequestId, SessionId};
use crate::mesos::v1::scheduler::{Call, Event, call};
use std::sync::Arc;

pub(super) struct Session {
    pub scheduler: usize,
    pub master: u64,
    cut: bool,
    at_scheduler: bool,
    at_master: bool,
    to_scheduler: Mono,
    to_master: Mono,
}

/// A call that waits for its answer.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub scheduler: usize,
    pub session: SessionId,
    pub call: call::Type,
    /// The framework's id, for a TEARDOWN.
    pub framework: String,
}

impl World {
    /// Marathon and Chronos are with a master of their node; others look for one.
    fn find_master_for(&mut self, scheduler: usize) -> Option<u64> {
        let home = match scheduler {
            MARATHON => self.marathon.as_ref().and_then(|m| m.home),
            CHRONOS => self.chronos.as_ref().and_then(|c| c.home),
            _ => None,
        };
        let Some(home) = home else { return self.find_master(None) };
        let own = self.masters.iter().find(|(_, m)| m.epoch == home.epoch);
        own.map(|(proc, _)| *proc)
    }

    /// A new session with some master, if there is one.
    pub(super) fn open_session(&mut self, scheduler: usize, call: Call) -> Option<SessionId> {
        let master = self.find_master_for(scheduler)?;
        let session = SessionId(format!("session-{}", self.fresh()).into());
        let now = self.now;
        let link = Session {
            scheduler,
            master,
            cut: false,
            at_scheduler: true,
            at_master: true,
            to_scheduler: now,
            to_master: now,
        };
        self.sessions.insert(session.clone(), link);
        self.send_call(scheduler, &session, call);
        Some(session)
    }

    pub(super) fn send_call(&mut self, scheduler: usize, session: &SessionId, call: Call) {
        let delay = self.delay();
        let request = RequestId(self.fresh());
        let Some(link) = self.sessions.get_mut(session).filter(|s| !s.cut) else { return };
        let at = (self.now + delay).max(link.to_master);
        link.to_master = at;
        let framework = call.framework_id.as_ref().map_or("", |id| &id.value).to_string();
        let kind = call.r#type();
        let asked = Asked { scheduler, session: session.clone(), call: kind, framework };
        self.requests.insert(request.0, asked);
        let (call, principal) = (Box::new(call), None);
        let input = if kind == call::Type::Subscribe {
            Input::Subscribe { request, session: session.clone(), call, principal }
        } else {
            Input::Call { request, session: Some(session.clone()), call, principal }
        };
        self.queue.push(at, What::Call { session: session.clone(), input: Box::new(input) });
    }

    /// A framework asks for a task to be killed.
    pub(super) fn show_kill(&mut self, call: &Call) {
        if let (Some(kill), Some(id)) = (&call.kill, &call.framework_id) {
            self.see(&Seen::KillAsked { framework: &id.value, task: &kill.task_id.value });
        }
    }

    pub(super) fn call_reaches_master(&mut self, session: &SessionId, input: Input) {
        let Some(link) = self.sessions.get(session).filter(|s| !s.cut) else { return };
        self.tell_master(link.master, input);
    }

    pub(super) fn send_answer(&mut self, request: RequestId, answer: Answer) {
        let delay = self.delay();
        let Some(asked) = self.requests.remove(&request.0) else { return };
        if let Some(link) = self.sessions.get_mut(&asked.session).filter(|s| !s.cut) {
            let at = (self.now + delay).max(link.to_scheduler);
            self.queue.push(at, What::Answered { asked: Box::new(asked), answer });
        }
    }

    pub(super) fn send_event(&mut self, session: SessionId, event: Arc<Event>) {
        let delay = self.delay();
        let Some(link) = self.sessions.get_mut(&session).filter(|s| !s.cut) else { return };
        let at = (self.now + delay).max(link.to_scheduler);
        link.to_scheduler = at;
        self.queue.push(at, What::Told { session, event });
    }

    /// Whose session this is, while something can come over it.
    pub(super) fn hearer(&self, session: &SessionId) -> Option<usize> {
        self.sessions.get(session).filter(|s| !s.cut && s.at_scheduler).map(|s| s.scheduler)
    }

    /// Whether the session is with the newest master.
    pub(super) fn leads(&self, session: &SessionId) -> bool {
        let master = self.sessions.get(session).and_then(|s| self.masters.get(&s.master));
        master.is_some_and(|m| m.epoch == self.log.epoch)
    }

    pub(super) fn cut_session(&mut self, session: &SessionId) {
        let (there, here) = (self.notice(), self.notice());
        let Some(link) = self.sessions.get_mut(session).filter(|s| !s.cut) else { return };
        link.cut = true;
        let scheduler = link.scheduler;
        self.after(there, What::SessionEndAtMaster(session.clone()));
        self.after(here, What::SessionEndAtScheduler(session.clone()));
        self.disconnected(scheduler);
    }

    /// The master ends the session after what it sent before.
    pub(super) fn master_ends_session(&mut self, session: SessionId) {
        let Some(link) = self.sessions.get_mut(&session) else { return };
        link.at_master = false;
        let at = self.now.max(link.to_scheduler);
        self.queue.push(at, What::SessionEndAtScheduler(session));
    }

    pub(super) fn session_ends_at_master(&mut self, session: SessionId) {
        let Some(link) = self.sessions.get_mut(&session).filter(|s| s.at_master) else { return };
        link.at_master = false;
        let master = link.master;
        self.tell_master(master, Input::SessionClosed { session: session.clone() });
        self.drop_session(&session);
    }

    pub(super) fn session_ends_at_scheduler(&mut self, session: SessionId) {
        let Some(link) = self.sessions.get_mut(&session).filter(|s| s.at_scheduler) else { return };
        (link.at_scheduler, link.cut) = (false, true);
        let scheduler = link.scheduler;
        self.session_lost(scheduler, &session);
        self.drop_session(&session);
    }

    fn drop_session(&mut self, session: &SessionId) {
        if self.sessions.get(session).is_some_and(|s| !s.at_scheduler && !s.at_master) {
            self.sessions.remove(session);
        }
    }
}
