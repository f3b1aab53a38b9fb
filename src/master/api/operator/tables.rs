//! Calls about tasks, executors, roles, and all together.

use super::{agents, frameworks, of};
use crate::master::core::view::{FrameworkView, View};
use crate::mesos::convert::{Format, resources_to_v1};
use crate::mesos::v1;
use crate::mesos::v1::master::Response;
use crate::mesos::v1::master::response::{self, Type, get_executors::Executor};
use std::sync::Arc;

/// Of all frameworks, also ended ones.
pub(super) fn tasks(view: &View) -> Response {
    Response { get_tasks: Some(task_list(view)), ..of(Type::GetTasks) }
}

fn task_list(view: &View) -> response::GetTasks {
    let all = || view.frameworks.iter().chain(&view.completed_frameworks);
    let of_all = |part: fn(&FrameworkView) -> &Vec<Arc<v1::Task>>| {
        all().flat_map(|f| part(f)).map(|task| (**task).clone()).collect()
    };
    response::GetTasks {
        tasks: of_all(|f| &f.tasks),
        unreachable_tasks: of_all(|f| &f.unreachable_tasks),
        completed_tasks: of_all(|f| &f.completed_tasks),
        ..Default::default()
    }
}

/// Frameworks' own executors.
pub(super) fn executors(view: &View) -> Response {
    Response { get_executors: Some(executor_list(view)), ..of(Type::GetExecutors) }
}

fn executor_list(view: &View) -> response::GetExecutors {
    let executors = view.frameworks.iter().flat_map(|f| &f.executors);
    let executor = |(agent, info): &(crate::base::ids::AgentId, Arc<v1::ExecutorInfo>)| Executor {
        executor_info: (**info).clone(),
        agent_id: agent.into(),
    };
    response::GetExecutors { executors: executors.map(executor).collect(), ..Default::default() }
}

/// There are none yet: every operation but LAUNCH is refused.
pub(super) fn operations() -> Response {
    Response { get_operations: Some(Default::default()), ..of(Type::GetOperations) }
}

/// Every role with a framework, an allocation, a reservation or a weight.
pub(super) fn roles(view: &View) -> Response {
    let role = |r: &crate::master::core::view::RoleView| v1::Role {
        name: r.name.to_string(),
        weight: r.weight,
        frameworks: r.frameworks.iter().map(Into::into).collect(),
        resources: {
            let mut all = r.allocated.clone();
            all += &r.offered;
            resources_to_v1(&all, Format::Post)
        },
    };
    let roles = view.roles.iter().map(role).collect();
    Response { get_roles: Some(response::GetRoles { roles }), ..of(Type::GetRoles) }
}

/// Roles whose weight is not 1.
pub(super) fn weights(view: &View) -> Response {
    let set = view.roles.iter().filter(|r| (r.weight - 1.0).abs() > f64::EPSILON);
    let weight = |r: &crate::master::core::view::RoleView| v1::WeightInfo {
        weight: r.weight,
        role: Some(r.name.to_string()),
    };
    let weight_infos = set.map(weight).collect();
    Response { get_weights: Some(response::GetWeights { weight_infos }), ..of(Type::GetWeights) }
}

/// All of it.
pub(super) fn state(view: &View) -> Response {
    let get_state = Some(response::GetState {
        get_tasks: Some(task_list(view)),
        get_executors: Some(executor_list(view)),
        get_frameworks: Some(frameworks::list(view)),
        get_agents: Some(agents::list(view)),
    });
    Response { get_state, ..of(Type::GetState) }
}
