//! The subscription, and what is asked after it: the state of every task that may exist.

use super::io::Notice;
use super::options::{RECONCILE_TASKS_MAX, RECONCILE_WAIT_MAX, RECONCILE_WAIT_MIN};
use super::run::Phase;
use super::{ChronosCore, Out, Timer, call_of, records};
use crate::base::ids::FrameworkId;
use crate::machine::Cx;
use crate::mesos::make;
use crate::mesos::v1;
use crate::mesos::v1::scheduler::{Call, call};
use std::collections::BTreeMap;
use std::time::Duration;

/// Tasks that the master was asked for and has not spoken of: each with its agent.
#[derive(Clone, Debug, Default)]
pub(super) struct Reconciling {
    open: BTreeMap<String, String>,
    wait: Duration,
}

impl Reconciling {
    /// A task of which it is not known whether it was launched.
    pub fn doubt(&mut self, task_id: &str, agent_id: &str) {
        self.open.insert(task_id.to_string(), agent_id.to_string());
    }

    /// The master has said something of a task.
    pub fn heard(&mut self, task_id: &str) {
        self.open.remove(task_id);
    }
}

impl ChronosCore {
    pub(super) fn subscribed(&mut self, cx: &mut Cx<'_>, id: FrameworkId, out: &mut Out) {
        if self.framework_id.as_ref() != Some(&id) {
            out.write(records::framework(id.as_str()));
            self.framework_id = Some(id);
        }
        self.offers.connected();
        self.publish(Notice::Connection { connected: true }, out);
        for run in self.runs.iter().filter(|run| run.killed) {
            if let Phase::Launched(task) = &run.phase {
                self.call_kill(&task.id, &task.agent_id, out);
            }
        }
        for (id, record) in &self.dying {
            self.call_kill(id, &record.agent_id, out);
        }
        self.reconcile_all(cx, out);
    }

    pub(super) fn disconnected(&mut self, why: String, out: &mut Out) {
        let was = self.offers.is_connected();
        self.offers.disconnected(why);
        self.again.clear();
        for timer in [
            Timer::Revive,
            Timer::Suppress,
            Timer::Reconcile,
            Timer::ReconcileAll,
            Timer::CallAgain,
        ] {
            self.timers.cancel(&timer);
        }
        if was {
            self.publish(Notice::Connection { connected: false }, out);
        }
    }

    /// Asks for every task, and for those that this framework has and Chronos knows nothing of.
    pub(super) fn reconcile_all(&mut self, cx: &Cx<'_>, out: &mut Out) {
        let launched = self.runs.iter().filter_map(|run| match &run.phase {
            Phase::Launched(task) => Some((task.id.clone(), task.agent_id.clone())),
            _ => None,
        });
        let dying = self.dying.iter().map(|(id, record)| (id.clone(), record.agent_id.clone()));
        self.reconciling.open = launched.chain(dying).collect();
        self.reconciling.wait = RECONCILE_WAIT_MIN;
        let reconcile = Some(call::Reconcile { tasks: Vec::new() });
        self.call(Call { reconcile, ..call_of(call::Type::Reconcile) }, out);
        self.ask(cx, out);
        let interval = self.options.reconciliation_interval;
        self.timers.set(Timer::ReconcileAll, cx.now + interval);
    }

    /// Asks again for those the master has not spoken of: it waits for their agents.
    pub(super) fn reconcile_again(&mut self, cx: &Cx<'_>, out: &mut Out) {
        // What is over by now needs no answer.
        let runs = &self.runs;
        let dying = &self.dying;
        self.reconciling.open.retain(|id, _| runs.of_task(id).is_some() || dying.contains_key(id));
        self.reconciling.wait = (self.reconciling.wait * 2).min(RECONCILE_WAIT_MAX);
        self.ask(cx, out);
    }

    /// An agent is lost. Its tasks' updates say what that means for them, if this master knew the tasks; a new one that the
    /// agent never came to knows none of them, and is asked.
    pub(super) fn agent_lost(&mut self, cx: &Cx<'_>, agent: Option<&v1::AgentId>, out: &mut Out) {
        let Some(agent) = agent else { return };
        let runs = self.runs.iter().filter_map(|run| match &run.phase {
            Phase::Launched(task) if !task.unreachable => Some((&task.id, &task.agent_id)),
            _ => None,
        });
        let dying = self.dying.iter().map(|(id, record)| (id, &record.agent_id));
        let there: Vec<String> = runs
            .chain(dying)
            .filter(|(_, on)| **on == agent.value)
            .map(|(id, _)| id.clone())
            .collect();
        if there.is_empty() {
            return;
        }
        for id in there {
            self.reconciling.doubt(&id, &agent.value);
        }
        self.ask(cx, out);
    }

    fn ask(&mut self, cx: &Cx<'_>, out: &mut Out) {
        let open: Vec<call::reconcile::Task> = self
            .reconciling
            .open
            .iter()
            .map(|(id, agent)| call::reconcile::Task {
                task_id: make::task_id(id),
                agent_id: Some(make::agent_id(agent)),
            })
            .collect();
        for tasks in open.chunks(RECONCILE_TASKS_MAX) {
            let reconcile = Some(call::Reconcile { tasks: tasks.to_vec() });
            self.call(Call { reconcile, ..call_of(call::Type::Reconcile) }, out);
        }
        if !open.is_empty() {
            self.timers.set(Timer::Reconcile, cx.now + self.reconciling.wait);
        }
    }
}
