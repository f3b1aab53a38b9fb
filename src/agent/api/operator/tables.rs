//! Calls about what runs here: frameworks, executors, tasks, the agent itself, and all together.

use super::of;
use crate::agent::core::view::{ExecutorState, ExecutorView, FrameworkView, View};
use crate::mesos::v1::agent::Response;
use crate::mesos::v1::agent::response::get_executors::Executor;
use crate::mesos::v1::agent::response::get_frameworks::Framework;
use crate::mesos::v1::agent::response::{self, Type};
use crate::mesos::{make, v1};
use std::sync::Arc;

fn live(view: &View) -> impl Iterator<Item = &Arc<FrameworkView>> {
    view.frameworks.iter()
}

fn all(view: &View) -> impl Iterator<Item = &Arc<FrameworkView>> {
    view.frameworks.iter().chain(&view.completed_frameworks)
}

/// Those that have something here, and those that had.
pub(super) fn frameworks(view: &View) -> Response {
    Response { get_frameworks: Some(framework_list(view)), ..of(Type::GetFrameworks) }
}

fn framework_list(view: &View) -> response::GetFrameworks {
    let framework = |f: &Arc<FrameworkView>| Framework { framework_info: (*f.info).clone() };
    response::GetFrameworks {
        frameworks: view.frameworks.iter().map(framework).collect(),
        completed_frameworks: view.completed_frameworks.iter().map(framework).collect(),
    }
}

/// Those that run, and those that ended.
pub(super) fn executors(view: &View) -> Response {
    Response { get_executors: Some(executor_list(view)), ..of(Type::GetExecutors) }
}

fn executor_list(view: &View) -> response::GetExecutors {
    let executor = |e: &Arc<ExecutorView>| Executor { executor_info: (*e.info).clone() };
    let over = |e: &&Arc<ExecutorView>| e.state == ExecutorState::Terminated;
    let present = || live(view).flat_map(|f| &f.executors);
    let completed = all(view).flat_map(|f| &f.completed_executors).chain(present().filter(over));
    response::GetExecutors {
        executors: present().filter(|e| !over(e)).map(executor).collect(),
        completed_executors: completed.map(executor).collect(),
    }
}

/// Tasks by how far they are.
pub(super) fn tasks(view: &View) -> Response {
    Response { get_tasks: Some(task_list(view)), ..of(Type::GetTasks) }
}

fn task_list(view: &View) -> response::GetTasks {
    let mut list = response::GetTasks::default();
    for framework in all(view) {
        for executor in &framework.executors {
            let queued = executor.queued_tasks.iter().map(|info| queued(framework, executor, info));
            list.queued_tasks.extend(queued);
            for task in &executor.tasks {
                match make::is_terminal(task.state()) {
                    true => list.terminated_tasks.push((**task).clone()),
                    false => list.launched_tasks.push((**task).clone()),
                }
            }
        }
        let executors = framework.executors.iter().chain(&framework.completed_executors);
        let completed = executors.flat_map(|e| &e.completed_tasks);
        list.completed_tasks.extend(completed.map(|task| (**task).clone()));
    }
    list
}

/// A task that waits for its executor.
fn queued(framework: &FrameworkView, executor: &ExecutorView, info: &v1::TaskInfo) -> v1::Task {
    v1::Task {
        name: info.name.clone(),
        task_id: info.task_id.clone(),
        framework_id: (&framework.id).into(),
        executor_id: Some(executor.info.executor_id.clone()),
        agent_id: info.agent_id.clone(),
        state: v1::TaskState::TaskStaging as i32,
        resources: info.resources.clone(),
        labels: info.labels.clone(),
        discovery: info.discovery.clone(),
        container: info.container.clone(),
        ..Default::default()
    }
}

/// The agent itself.
pub(super) fn agent(view: &View) -> Response {
    let time = |at: crate::base::time::Wall| v1::TimeInfo {
        nanoseconds: i64::try_from(at.0).unwrap_or(i64::MAX),
    };
    let get_agent = Some(response::GetAgent {
        agent_info: Some((*view.agent).clone()),
        drain_config: view.drain.map(|(config, _)| config),
        estimated_drain_start_time: view.drain.map(|(_, since)| time(since)),
    });
    Response { get_agent, ..of(Type::GetAgent) }
}

/// There are none: this agent is told of no operation.
pub(super) fn operations() -> Response {
    Response { get_operations: Some(Default::default()), ..of(Type::GetOperations) }
}

/// There are none: this agent has no resource providers.
pub(super) fn resource_providers() -> Response {
    let get_resource_providers = Some(Default::default());
    Response { get_resource_providers, ..of(Type::GetResourceProviders) }
}

/// All of it.
pub(super) fn state(view: &View) -> Response {
    let get_state = Some(response::GetState {
        get_tasks: Some(task_list(view)),
        get_executors: Some(executor_list(view)),
        get_frameworks: Some(framework_list(view)),
    });
    Response { get_state, ..of(Type::GetState) }
}
