//! One task of a LAUNCH, against what is left of the offers it is launched with.

use super::super::agents::Agent;
use super::super::frameworks::Framework;
use super::super::options::TASKS_PER_FRAMEWORK_MAX;
use super::{checks, command, executor, resources};
use crate::base::ids::{self, AgentId, FrameworkId};
use crate::base::resources::{Resources, Value};
use crate::mesos::v1;

/// Where and for whom the task is to run.
pub struct Place<'a> {
    pub framework_id: &'a FrameworkId,
    pub framework: &'a Framework,
    pub agent_id: &'a AgentId,
    pub agent: &'a Agent,
    /// What is left of the offers.
    pub available: &'a Resources,
}

/// What a valid task takes of the offers.
#[derive(Debug)]
pub struct Charge {
    pub task: Resources,
    /// Of its executor, if that has to be started.
    pub executor: Option<Resources>,
}

/// All rules, in the original's order.
pub fn check(place: &Place<'_>, task: &v1::TaskInfo) -> Result<Charge, String> {
    check_names(place, task)?;
    if task.executor.is_some() == task.command.is_some() {
        return Err("Task should have at least one (but not both) of CommandInfo or ExecutorInfo \
                    present"
            .into());
    }
    if let Some(container) = &task.container {
        check_cgroups(container)?;
    }
    let uses = check_contents(place, task)?;
    check_total(place, task, uses)
}

/// What holds for a task of a group as for any other; what it uses.
pub fn check_parts(place: &Place<'_>, task: &v1::TaskInfo) -> Result<Resources, String> {
    check_names(place, task)?;
    check_contents(place, task)
}

fn check_names(place: &Place<'_>, task: &v1::TaskInfo) -> Result<(), String> {
    ids::check(&task.task_id.value)?;
    check_unique(place, &task.task_id.value)?;
    if task.agent_id.value != place.agent_id.as_str() {
        return Err(format!(
            "Task uses invalid agent {} while agent {} is expected",
            task.agent_id.value, place.agent_id
        ));
    }
    Ok(())
}

fn check_contents(place: &Place<'_>, task: &v1::TaskInfo) -> Result<Resources, String> {
    check_times(task)?;
    if let Some(check) = &task.check {
        checks::check_check(check).map_err(|why| format!("Task uses invalid check: {why}"))?;
    }
    for check in task.health_check.iter().chain(&task.further_health_checks) {
        checks::check_health(check)
            .map_err(|why| format!("Task uses invalid health check: {why}"))?;
    }
    if let Some(run) = &task.command {
        command::check(run).map_err(|why| format!("Task's `CommandInfo` is invalid: {why}"))?;
    }
    if let Some(container) = &task.container {
        command::check_container(container)
            .map_err(|why| format!("Task's `ContainerInfo` is invalid: {why}"))?;
    }
    let uses = resources::read("Task", &task.resources)?;
    if uses.is_empty() {
        return Err("Task uses no resources".into());
    }
    check_limits(place.agent, task, &uses)?;
    Ok(uses)
}

fn check_unique(place: &Place<'_>, id: &str) -> Result<(), String> {
    if place.framework.tasks.contains_key(id) {
        return Err(format!("Task has duplicate ID: {id}"));
    }
    if place.framework.unreachable.get(id).is_some() {
        return Err(format!("Task reuses the ID of an unreachable task: {id}"));
    }
    if place.framework.tasks.len() >= TASKS_PER_FRAMEWORK_MAX {
        return Err(format!("Framework has {TASKS_PER_FRAMEWORK_MAX} tasks, the most allowed"));
    }
    Ok(())
}

fn check_times(task: &v1::TaskInfo) -> Result<(), String> {
    let grace = task.kill_policy.as_ref().and_then(|p| p.grace_period.as_ref());
    if grace.is_some_and(|grace| grace.nanoseconds < 0) {
        return Err("Task's 'kill_policy.grace_period' must be non-negative".into());
    }
    if task.max_completion_time.is_some_and(|time| time.nanoseconds < 0) {
        return Err("Task's `max_completion_time` must be non-negative".into());
    }
    Ok(())
}

fn check_cgroups(container: &v1::ContainerInfo) -> Result<(), String> {
    if container.linux_info.as_ref().is_some_and(|linux| !linux.share_cgroups()) {
        return Err(
            "'share_cgroups' set to 'false' is only allowed for tasks of a task group".into()
        );
    }
    Ok(())
}

/// Limits are for cpus and mem, not below the request, and only where the agent keeps them.
fn check_limits(agent: &Agent, task: &v1::TaskInfo, uses: &Resources) -> Result<(), String> {
    if task.limits.is_empty() {
        return Ok(());
    }
    if !agent.capabilities.iter().any(|c| c == "TASK_RESOURCE_LIMITS") {
        return Err("Agent is not capable of handling task resource limits".into());
    }
    for (name, limit) in &task.limits {
        let (long, title, request) = match name.as_str() {
            "cpus" => ("CPU", "CPU", uses.cpus()),
            "mem" => ("memory", "memory", uses.mem()),
            _ => return Err(format!("Task resource limit '{name}' is not supported")),
        };
        if request.is_zero() {
            return Err(format!(
                "When a {title} limit is specified, a {title} request must also be specified"
            ));
        }
        if limit.value.is_nan() || limit.value < request.as_f64() {
            return Err(format!(
                "The {long} limit must be greater than or equal to the {long} request"
            ));
        }
    }
    Ok(())
}

/// Task and executor together: consistent, and not more than there is.
fn check_total(place: &Place<'_>, task: &v1::TaskInfo, uses: Resources) -> Result<Charge, String> {
    let of_executor = match &task.executor {
        Some(info) => executor::check(info, place.framework_id, place.framework, place.agent_id)?,
        None => None,
    };
    let mut total = uses.clone();
    if let Some(of_executor) = &of_executor {
        check_overlap(&uses, of_executor)?;
        total += of_executor;
        resources::check_revocable("Task", &total)?;
        resources::check_allocation("Task and its executor", &total)?;
    }
    if !place.available.contains(&total) {
        return Err(format!(
            "Total resources {total} required by task and its executor is more than available {}",
            place.available
        ));
    }
    Ok(Charge { task: uses, executor: of_executor })
}

/// Ranges and sets cannot be used twice.
fn check_overlap(task: &Resources, executor: &Resources) -> Result<(), String> {
    if overlap(task, executor) {
        return Err(format!(
            "There are overlapping resources in the task resources {task} and executor \
             resources {executor}"
        ));
    }
    Ok(())
}

/// Whether a part of a range or a set is in both.
pub fn overlap(one: &Resources, other: &Resources) -> bool {
    one.iter().any(|a| {
        other.iter().filter(|b| b.name == a.name).any(|b| match (&a.value, &b.value) {
            (Value::Ranges(a), Value::Ranges(b)) => !a.intersection(b).is_empty(),
            (Value::Set(a), Value::Set(b)) => a.intersection(b).next().is_some(),
            _ => false,
        })
    })
}
