//! Which agents, frameworks, tasks and offers changed since the last batch, for those who watch.
//!
//! Marks are made where the tables change and looked up once a batch, so that an object that
//! changed often is told once, as it is then. It keeps no history: who was away loads everything
//! anew.

use super::drain::is_draining;
use super::frameworks::Framework;
use super::io::Act;
use super::{MasterCore, Out, states};
use crate::base::ids::{AgentId, FrameworkId, OfferId, TaskId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many objects one batch tells of by name; beyond that watchers load everything anew.
pub const CHANGES_MAX: usize = 1024;

/// An object that watchers know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// An agent.
    Agent(AgentId),
    /// A framework.
    Framework(FrameworkId),
    /// A task of a framework.
    Task(FrameworkId, TaskId),
    /// An offer.
    Offer(OfferId),
}

/// Objects and what state they are in now: `TASK_RUNNING` and its kin for tasks; `active`,
/// `deactivated`, `draining`, `drained`, `disconnected`, `recovered`, `unreachable`, `gone`, `removed` for agents; `active`, `inactive`,
/// `completed` for frameworks; `outstanding`, `gone` for offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What changed.
    pub objects: BTreeMap<Object, &'static str>,
    /// More changed than is told.
    pub overflow: bool,
}

impl Changes {
    /// Takes later changes in: the newer state stands.
    pub fn merge(&mut self, later: &Self) {
        self.overflow |= later.overflow;
        if !self.overflow {
            self.objects.extend(later.objects.iter().map(|(o, s)| (o.clone(), *s)));
            self.overflow = self.objects.len() > CHANGES_MAX;
        }
        if self.overflow {
            self.objects.clear();
        }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && !self.overflow
    }
}

/// Tasks and offers that changed; agents and frameworks are marked in their own tables.
#[derive(Debug, Default)]
pub(super) struct Marks {
    tasks: BTreeSet<(FrameworkId, TaskId)>,
    offers: BTreeSet<OfferId>,
}

impl Marks {
    pub fn task(&mut self, framework: &FrameworkId, task: &TaskId) {
        self.tasks.insert((framework.clone(), task.clone()));
    }

    pub fn offer(&mut self, offer: &OfferId) {
        self.offers.insert(offer.clone());
    }
}

impl MasterCore {
    /// Tells what changed in this batch, after its writes.
    pub(super) fn tell_changes(&mut self, out: &mut Out) {
        let marks = std::mem::take(&mut self.marks);
        let agents = self.agents.take_changed();
        let frameworks = self.frameworks.take_changed();
        let count = marks.tasks.len() + marks.offers.len() + agents.len() + frameworks.len();
        if count == 0 {
            return;
        }
        let mut changes = Changes { overflow: count > CHANGES_MAX, ..Changes::default() };
        if !changes.overflow {
            let objects = &mut changes.objects;
            objects.extend(agents.into_iter().map(|id| {
                let state = self.agent_state(&id);
                (Object::Agent(id), state)
            }));
            objects.extend(frameworks.into_iter().map(|id| {
                let state = self.framework_state(&id);
                (Object::Framework(id), state)
            }));
            objects.extend(marks.tasks.into_iter().map(|(framework, task)| {
                let state = self.task_state(&framework, &task);
                (Object::Task(framework, task), state)
            }));
            objects.extend(marks.offers.into_iter().map(|id| {
                let state = if self.offers.live.contains_key(&id) { "outstanding" } else { "gone" };
                (Object::Offer(id), state)
            }));
        }
        out.act(Act::Changed(Arc::new(changes)));
    }

    pub(super) fn agent_state(&self, id: &AgentId) -> &'static str {
        match self.agents.registered.get(id) {
            Some(agent) if agent.link.is_none() => "disconnected",
            Some(_) => match self.agents.deactivated.get(id).map(|d| &d.drain) {
                None => "active",
                Some(None) => "deactivated",
                Some(Some(drain)) if is_draining(drain) => "draining",
                Some(Some(_)) => "drained",
            },
            None if self.agents.recovered.contains_key(id) => "recovered",
            None if self.agents.unreachable.get(id.as_str()).is_some() => "unreachable",
            None if self.agents.gone.get(id.as_str()).is_some() => "gone",
            None => "removed",
        }
    }

    pub(super) fn framework_state(&self, id: &FrameworkId) -> &'static str {
        match self.frameworks.registered.get(id) {
            Some(framework) if framework.session.is_some() => "active",
            Some(_) => "inactive",
            None => "completed",
        }
    }

    pub(super) fn task_state(&self, framework_id: &FrameworkId, task: &TaskId) -> &'static str {
        let is_it =
            |f: &&Framework| f.info.id.as_ref().is_some_and(|id| id.value == framework_id.as_str());
        let ended = || self.frameworks.completed.iter().rev().map(|c| &c.framework).find(is_it);
        let framework = self.frameworks.registered.get(framework_id).or_else(ended);
        let record = framework.and_then(|f| {
            let live = f.tasks.get(task).map(|t| &t.record);
            live.or_else(|| f.unreachable.get(task.as_str()))
                .or_else(|| f.completed.get(task.as_str()))
        });
        // One that was forgotten at once (a history of length 0) is known to nobody any more.
        record.map_or("TASK_UNKNOWN", |r| states::of(r.state).as_str_name())
    }
}
