//! An executor that a task of LAUNCH brings.

use super::super::frameworks::Framework;
use super::{command, resources};
use crate::base::ids::{self, AgentId, ExecutorId, FrameworkId};
use crate::base::resources::Resources;
use crate::mesos::v1;
use v1::executor_info::Type;

/// Checks it; what it uses, if it is not running yet.
pub fn check(
    executor: &v1::ExecutorInfo,
    framework_id: &FrameworkId,
    framework: &Framework,
    agent: &AgentId,
) -> Result<Option<Resources>, String> {
    match executor.r#type() {
        Type::Unknown | Type::Custom => check_any(executor, framework_id, framework, agent, false),
        Type::Default => {
            Err("'ExecutorInfo.type' must not be 'DEFAULT' for a LAUNCH operation".into())
        }
    }
}

/// What holds for one of a group as for any other; `own`: it is the agent's, and has no command.
pub fn check_any(
    executor: &v1::ExecutorInfo,
    framework_id: &FrameworkId,
    framework: &Framework,
    agent: &AgentId,
    own: bool,
) -> Result<Option<Resources>, String> {
    let id = &executor.executor_id.value;
    ids::check(id).map_err(|why| format!("Executor ID is invalid: {why}"))?;
    let claimed = executor.framework_id.as_ref().map_or("", |id| id.value.as_str());
    if claimed != framework_id.as_str() {
        return Err(format!(
            "ExecutorInfo has an invalid FrameworkID (Actual: {claimed} vs Expected: \
             {framework_id})"
        ));
    }
    match &executor.command {
        None if own => {}
        None => return Err("'ExecutorInfo.command' must be set for a 'CUSTOM' executor".into()),
        Some(run) => command::check(run)
            .map_err(|why| format!("Executor's `CommandInfo` is invalid: {why}"))?,
    }
    if let Some(container) = &executor.container {
        command::check_container(container)
            .map_err(|why| format!("Executor's `ContainerInfo` is invalid: {why}"))?;
    }
    if executor.shutdown_grace_period.is_some_and(|grace| grace.nanoseconds < 0) {
        return Err("ExecutorInfo's 'shutdown_grace_period' must be non-negative".into());
    }
    let uses = resources::read("Executor", &executor.resources)?;
    if uses.iter().any(|r| r.shared) {
        return Err("Executor resources must not contain shared resources".into());
    }
    check_compatible(executor, framework, agent, id).map(|running| (!running).then_some(uses))
}

/// Whether both say the same. Of the agent's own, the agent fills in the command.
pub fn same(one: &v1::ExecutorInfo, other: &v1::ExecutorInfo) -> bool {
    let bare = |info: &v1::ExecutorInfo| match info.r#type() {
        Type::Default => v1::ExecutorInfo { command: None, ..info.clone() },
        _ => info.clone(),
    };
    bare(one) == bare(other)
}

/// One executor of an id runs on an agent; further tasks of it must bring the same ExecutorInfo.
fn check_compatible(
    executor: &v1::ExecutorInfo,
    framework: &Framework,
    agent: &AgentId,
    id: &str,
) -> Result<bool, String> {
    let running = framework.executors.get(&(agent.clone(), ExecutorId::from(id)));
    match running {
        None => Ok(false),
        Some(running) if same(&running.info, executor) => Ok(true),
        Some(_) => Err(format!(
            "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID \
             '{id}': tasks of one executor must bring the same ExecutorInfo"
        )),
    }
}
