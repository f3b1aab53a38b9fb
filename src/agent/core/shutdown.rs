//! Ends: of one executor, of a framework, of the whole agent.

use super::io::{Act, LinkId};
use super::records;
use super::tables::TaskKey;
use super::{AgentCore, Step, Stopping, Timer};
use crate::base::ids::{ExecutorId, FrameworkId};
use crate::base::kv::Op;
use crate::mesos::internal::{AgentMessage, ShutdownExecutor, UnregisterAgent};
use std::time::Duration;

/// How long an agent that leaves waits for the last acknowledgements of what it told.
const LEAVE_WAIT: Duration = Duration::from_secs(1);

impl AgentCore {
    pub(super) fn shutdown_executor_asked(&mut self, s: &mut Step<'_>, ask: &ShutdownExecutor) {
        let framework = FrameworkId::from(ask.framework_id.value.as_str());
        let key = (framework, ExecutorId::from(ask.executor_id.value.as_str()));
        self.shutdown_executor(s, &key);
    }

    /// A framework is gone: its tasks are ended and nothing of it is reported any more.
    pub(super) fn shutdown_framework(&mut self, s: &mut Step<'_>, id: &FrameworkId) {
        let waiting: Vec<TaskKey> =
            self.streams.keys().into_iter().filter(|(f, _)| f == id).collect();
        for key in waiting {
            for number in self.streams.drop_stream(&key) {
                s.write(Op::delete(records::update_key(&key, number)));
            }
            self.timers.cancel(&Timer::Resend(key));
        }
        let Some(framework) = self.tables.frameworks.get_mut(id) else { return };
        framework.ending = true;
        s.write(records::framework(id, framework));
        self.end_framework(s, id);
    }

    /// Goes on ending a framework that is written down as ending.
    pub(super) fn end_framework(&mut self, s: &mut Step<'_>, id: &FrameworkId) {
        let ended: Vec<TaskKey> = self
            .tables
            .of_framework(id)
            .filter(|(_, t)| t.is_terminal())
            .map(|(k, _)| k.clone())
            .collect();
        for key in ended {
            self.remove_task(s, &key);
        }
        for key in self.tables.executors_of(id) {
            self.shutdown_executor(s, &key);
        }
        self.framework_done(s, id);
    }

    /// The master does not want this agent: everything ends, and its id is given up.
    pub(super) fn unwanted(&mut self, s: &mut Step<'_>, _why: &str) {
        self.count("shutdowns_asked");
        self.stopping = Some(Stopping::Unwanted);
        self.end_all(s);
    }

    /// The node stops.
    pub(super) fn stop(&mut self, s: &mut Step<'_>, kill_tasks: bool) {
        if !kill_tasks {
            self.stopping = Some(Stopping::Stopped);
            let left = self.tables.tasks.values().filter(|t| !t.is_terminal()).count();
            return s.act(Act::Stopped { tasks_left: left });
        }
        self.stopping.get_or_insert(Stopping::Asked);
        self.end_all(s);
    }

    fn end_all(&mut self, s: &mut Step<'_>) {
        let all: Vec<_> = self.tables.executors.keys().cloned().collect();
        for key in all {
            self.shutdown_executor(s, &key);
        }
        self.end_standalone(s);
        self.stopped(s);
    }

    /// Once nothing runs any more, an agent that is to stop has stopped.
    pub(super) fn stopped(&mut self, s: &mut Step<'_>) {
        if self.tables.executors.values().any(|e| !e.is_over()) || self.has_standalone() {
            return;
        }
        match (self.stopping, self.master.ready()) {
            (None | Some(Stopping::Stopped), _) => return,
            (Some(Stopping::Unwanted), _) => self.forget_all(s),
            // What is not acknowledged yet may be in a moment; if not, it is told after the next start.
            (Some(Stopping::Asked), Some(_)) if self.streams.len() > 0 => {
                return self.timers.set(Timer::Leave, s.now + LEAVE_WAIT);
            }
            (Some(Stopping::Asked), Some(link)) => self.unregister(s, link),
            // The master hears nothing: it is told all after the next start.
            (Some(Stopping::Asked), None) => {}
        }
        self.end(s);
    }

    /// The last acknowledgements did not come in time: they are asked for again after the next start.
    pub(super) fn leave(&mut self, s: &mut Step<'_>) {
        if self.stopping == Some(Stopping::Asked) {
            self.end(s);
        }
    }

    fn end(&mut self, s: &mut Step<'_>) {
        self.stopping = Some(Stopping::Stopped);
        s.act(Act::Stopped { tasks_left: 0 });
    }

    /// Leaves the cluster: whatever the master still holds of this agent is lost, and who comes back is another agent. Its
    /// id is given up first, so that it is never used after the master has struck it out.
    fn unregister(&mut self, s: &mut Step<'_>, link: LinkId) {
        self.forget_all(s);
        let message = AgentMessage { unregister: Some(UnregisterAgent {}), ..Default::default() };
        s.act(Act::ToMaster { link, message: Box::new(message) });
    }

    /// Deletes all records but those of sandboxes, which are still to be collected.
    pub(super) fn forget_all(&mut self, s: &mut Step<'_>) {
        for key in self.streams.keys() {
            for number in self.streams.drop_stream(&key) {
                s.write(Op::delete(records::update_key(&key, number)));
            }
        }
        let tables = std::mem::take(&mut self.tables);
        for key in tables.tasks.keys() {
            s.write(Op::delete(records::task_key(key)));
            s.write(Op::delete(records::state_key(key)));
        }
        for key in tables.executors.keys() {
            s.write(Op::delete(records::executor_key(key)));
        }
        for id in tables.named.keys() {
            s.write(Op::delete(records::named_key(id)));
        }
        for id in tables.frameworks.keys() {
            s.write(Op::delete(records::framework_key(id)));
        }
        s.write(Op::delete(records::AGENT));
    }
}
