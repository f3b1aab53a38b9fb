//! Who holds what: the one place where tasks and executors enter and leave the tables of their
//! framework and their agent, and where their resources go back to the allocator.
//!
//! What was offered is already allocated in the allocator's eyes, so a launch tells it nothing;
//! only what comes back.

use super::MasterCore;
use super::frameworks::Executor;
use super::tasks::Task;
use crate::base::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use crate::base::resources::Resources;
use crate::base::time::Mono;

/// Where the record of a task goes that leaves the live ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shelf {
    Completed,
    Unreachable,
}

impl MasterCore {
    /// Takes a task into the tables.
    pub(super) fn add_task(&mut self, framework_id: &FrameworkId, task: Task) {
        let id = TaskId::from(task.record.task_id.value.as_str());
        let Some(framework) = self.frameworks.change(framework_id) else { return };
        if let Some(agent) = self.agents.change(&task.agent) {
            agent.tasks.insert((framework_id.clone(), id.clone()));
            if task.is_live() {
                agent.charge(framework_id, &task.resources);
                framework.used += &task.resources;
            }
        }
        self.marks.task(framework_id, &id);
        self.streams.task_added(&task.record);
        framework.tasks.insert(id, task);
    }

    /// Takes an executor into the tables.
    pub(super) fn add_executor(
        &mut self,
        framework_id: &FrameworkId,
        agent_id: &AgentId,
        executor: Executor,
    ) {
        let id = ExecutorId::from(executor.info.executor_id.value.as_str());
        let Some(framework) = self.frameworks.change(framework_id) else { return };
        let Some(agent) = self.agents.change(agent_id) else { return };
        agent.executors.insert((framework_id.clone(), id.clone()));
        agent.charge(framework_id, &executor.resources);
        framework.used += &executor.resources;
        framework.executors.insert((agent_id.clone(), id), executor);
    }

    /// What tasks or executors used is free.
    pub(super) fn free(
        &mut self,
        framework_id: &FrameworkId,
        agent_id: &AgentId,
        resources: &Resources,
        now: Mono,
    ) {
        if let Some(framework) = self.frameworks.change(framework_id) {
            framework.used -= resources;
        }
        if let Some(agent) = self.agents.change(agent_id) {
            agent.discharge(framework_id, resources);
            self.give_back(framework_id, agent_id, resources, None, now);
        }
    }

    /// Takes a task out of the tables and shelves its record. Frees what it used, if it had not
    /// ended.
    pub(super) fn shelve_task(
        &mut self,
        framework_id: &FrameworkId,
        task_id: &TaskId,
        shelf: Shelf,
        now: Mono,
    ) {
        let Some(framework) = self.frameworks.change(framework_id) else { return };
        let Some(task) = framework.tasks.remove(task_id) else { return };
        self.marks.task(framework_id, task_id);
        if shelf == Shelf::Unreachable {
            let max = self.options.max_unreachable_tasks_per_framework;
            framework.unreachable.add(task.record.clone(), max);
        } else {
            let max = self.options.max_completed_tasks_per_framework;
            framework.completed.add(task.record.clone(), max);
        }
        let key = (framework_id.clone(), task_id.clone());
        if let Some(agent) = self.agents.change(&task.agent) {
            agent.tasks.remove(&key);
            agent.kills.remove(&key);
        }
        if task.is_live() {
            self.free(framework_id, &task.agent, &task.resources, now);
        }
    }

    /// Takes an executor out of the tables and frees what it used. Tells whether there was one.
    pub(super) fn drop_executor(
        &mut self,
        framework_id: &FrameworkId,
        agent_id: &AgentId,
        executor_id: &ExecutorId,
        now: Mono,
    ) -> bool {
        if let Some(agent) = self.agents.change(agent_id) {
            agent.executors.remove(&(framework_id.clone(), executor_id.clone()));
        }
        let Some(framework) = self.frameworks.change(framework_id) else {
            return false;
        };
        let key = (agent_id.clone(), executor_id.clone());
        let Some(executor) = framework.executors.remove(&key) else { return false };
        self.free(framework_id, agent_id, &executor.resources, now);
        true
    }
}
