//! A group of tasks and its executor, against what is left of the offers.

use super::task::{self, Place};
use super::{executor, resources};
use crate::base::resources::Resources;
use crate::mesos::v1;
use std::collections::BTreeSet;
use v1::executor_info::Type;

/// The most tasks of one group.
pub const GROUP_MAX: usize = 256;
/// The least an executor of a group may have of cpus.
const CPUS_MIN: f64 = 0.01;
/// The least it may have of memory, in MB.
const MEM_MIN: f64 = 32.0;

/// What a valid group takes of the offers.
#[derive(Debug)]
pub struct Charge {
    /// In the order of the tasks.
    pub tasks: Vec<Resources>,
    /// Of its executor, if that has to be started.
    pub executor: Option<Resources>,
}

/// All rules, in the original's words.
pub fn check(
    place: &Place<'_>,
    info: &v1::ExecutorInfo,
    tasks: &[v1::TaskInfo],
) -> Result<Charge, String> {
    if tasks.is_empty() {
        return Err("Task group cannot be empty".into());
    }
    if tasks.len() > GROUP_MAX {
        return Err(format!("Task group has more than {GROUP_MAX} tasks"));
    }
    let of_executor = check_executor(place, info)?;
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    let mut total = of_executor.clone().unwrap_or_default();
    for task in tasks {
        let id = &task.task_id.value;
        let invalid = |why: String| format!("Task '{id}' is invalid: {why}");
        if !names.insert(id) {
            return Err(invalid(format!("Task has duplicate ID: {id}")));
        }
        let uses = check_task(place, info, task).map_err(invalid)?;
        if let Some(other) = all.iter().chain(&of_executor).find(|o| task::overlap(&uses, o)) {
            return Err(format!(
                "There are overlapping resources in the task resources {uses} and other resources \
                 {other} of its group"
            ));
        }
        total += &uses;
        all.push(uses);
    }
    resources::check_revocable("Task group", &total)?;
    resources::check_allocation("Task group and executor", &total)?;
    if !place.available.contains(&total) {
        return Err(format!(
            "Total resources {total} required by task group and its executor is more than \
             available {}",
            place.available
        ));
    }
    Ok(Charge { tasks: all, executor: of_executor })
}

/// What the executor uses, if it is not running yet.
fn check_executor(place: &Place<'_>, info: &v1::ExecutorInfo) -> Result<Option<Resources>, String> {
    let id = &info.executor_id.value;
    let own = match info.r#type() {
        Type::Unknown => {
            return Err("'ExecutorInfo.type' must be set for a LAUNCH_GROUP operation".into());
        }
        Type::Custom => false,
        Type::Default => true,
    };
    if own {
        check_default(info)?;
    }
    let Place { framework_id, framework, agent_id, .. } = place;
    let uses = executor::check_any(info, framework_id, framework, agent_id, own)?;
    let Some(uses) = uses else { return Ok(None) };
    let (cpus, mem) = (uses.cpus().as_f64(), uses.mem().as_f64());
    if cpus < CPUS_MIN {
        return Err(format!(
            "Executor '{id}' uses less CPUs ({cpus}) than the minimum required ({CPUS_MIN})"
        ));
    }
    if mem < MEM_MIN {
        return Err(format!(
            "Executor '{id}' uses less memory ({mem}MB) than the minimum required ({MEM_MIN}MB)"
        ));
    }
    Ok(Some(uses))
}

fn check_default(info: &v1::ExecutorInfo) -> Result<(), String> {
    if info.command.is_some() {
        return Err("'ExecutorInfo.command' must not be set for 'DEFAULT' executor".into());
    }
    let Some(container) = &info.container else { return Ok(()) };
    if container.r#type() != v1::container_info::Type::Mesos {
        return Err("'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor".into());
    }
    if container.mesos.as_ref().is_some_and(|mesos| mesos.image.is_some()) {
        return Err(
            "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor".into()
        );
    }
    if container.tty_info.is_some() {
        return Err(
            "'ExecutorInfo.container.tty_info' must not be set for 'DEFAULT' executor: it \
                    runs no program"
                .into(),
        );
    }
    Ok(())
}

fn check_task(
    place: &Place<'_>,
    info: &v1::ExecutorInfo,
    task: &v1::TaskInfo,
) -> Result<Resources, String> {
    if task.executor.as_ref().is_some_and(|own| !executor::same(own, info)) {
        return Err("The `ExecutorInfo` of task is different from executor in the group".into());
    }
    if info.r#type() == Type::Default && task.command.is_none() {
        return Err("Task should have a CommandInfo: its executor runs nothing else".into());
    }
    if let Some(container) = &task.container {
        if !container.network_infos.is_empty() {
            return Err("NetworkInfos must not be set on the task".into());
        }
        if container.r#type() == v1::container_info::Type::Docker {
            return Err("Docker ContainerInfo is not supported on the task".into());
        }
    }
    task::check_parts(place, task)
}
