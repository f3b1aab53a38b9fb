//! The agent's own database: which key holds what, and how state is written there.
//!
//! Ids hold no `/` (they are checked before anything is written), so keys are plain paths.

use super::Identity;
use super::tables::{Executor, ExecutorKey, Framework, Named, Phase, Task, TaskKey};
use super::volumes::Remembered;
use crate::base::ids::{ContainerId, FrameworkId};
use crate::base::kv::Op;
use crate::base::time::Wall;
use crate::mesos::internal::{
    AgentRecord, EndRecord, ExecutorRecord, HostedFramework, KillRecord, NestedRecord,
    SandboxRecord, TaskRecord, TaskStateRecord, UpdateRecord, executor_record,
};
use crate::mesos::stored;
use crate::mesos::v1;
use std::path::Path;

/// The key of the agent's own record.
pub(super) const AGENT: &str = "agent";

/// The key of what is remembered of its resources.
pub(super) const RESOURCES: &str = "resources";

/// Key of a framework.
pub(super) fn framework_key(id: &FrameworkId) -> String {
    format!("frameworks/{id}")
}

/// Key of an executor.
pub(super) fn executor_key((f, e): &ExecutorKey) -> String {
    format!("executors/{f}/{e}")
}

/// Key of a task.
pub(super) fn task_key((f, t): &TaskKey) -> String {
    format!("tasks/{f}/{t}")
}

/// Key of a task's state.
pub(super) fn state_key((f, t): &TaskKey) -> String {
    format!("states/{f}/{t}")
}

/// Key of a status update; the number sorts as text.
pub(super) fn update_key((f, t): &TaskKey, number: u64) -> String {
    format!("updates/{f}/{t}/{number:020}")
}

/// Key of a container that was launched by its name.
pub(super) fn named_key(id: &ContainerId) -> String {
    format!("containers/{id}")
}

/// Writes a container that was launched by its name.
pub(super) fn named(id: &ContainerId, named: &Named) -> Op {
    let record = NestedRecord {
        sandbox: named.sandbox.display().to_string(),
        failed: named.failed.clone(),
        user: named.user.clone(),
    };
    Op::put(named_key(id), stored::encode(&record))
}

/// Key of a sandbox nobody uses.
pub(super) fn sandbox_key((f, e): &ExecutorKey, container: &ContainerId) -> String {
    format!("sandboxes/{f}/{e}/{container}")
}

/// Writes who this agent is.
pub(super) fn agent(identity: &Identity) -> Op {
    let record = AgentRecord {
        agent_info: (*identity.info).clone(),
        epoch: Some(identity.epoch),
        boot_id: Some(identity.boot_id.clone()),
        drain: identity.drain,
    };
    Op::put(AGENT, stored::encode(&record))
}

/// Writes what is remembered of this agent's resources.
pub(super) fn resources(remembered: &Remembered) -> Op {
    Op::put(RESOURCES, stored::encode(&remembered.record()))
}

/// Writes a framework.
pub(super) fn framework(id: &FrameworkId, framework: &Framework) -> Op {
    let record = HostedFramework {
        framework_info: (*framework.info).clone(),
        ending: Some(framework.ending),
    };
    Op::put(framework_key(id), stored::encode(&record))
}

/// Writes an executor.
pub(super) fn executor(key: &ExecutorKey, executor: &Executor) -> Op {
    use executor_record::Phase as Stored;
    let phase = match executor.phase {
        Phase::Gone => Stored::Gone,
        Phase::Ending => Stored::Ending,
        Phase::Running => Stored::Running,
        Phase::Preparing | Phase::Creating | Phase::Starting => Stored::Launching,
    };
    let end = executor.end.as_ref().map(|end| EndRecord {
        state: end.state as i32,
        reason: end.reason as i32,
        message: end.message.clone(),
    });
    let record = ExecutorRecord {
        executor_info: (*executor.info).clone(),
        container_id: executor.container.as_str().into(),
        sandbox: executor.sandbox.display().to_string(),
        command_task: executor.command_task,
        phase: phase as i32,
        pid: executor.pid,
        registered: Some(executor.registered),
        end,
        launched: Some(executor.launched.0),
        networks: executor.networks.clone(),
        volumes: executor.volumes.iter().map(|path| path.display().to_string()).collect(),
    };
    Op::put(executor_key(key), stored::encode(&record))
}

/// Writes a task as it was launched.
pub(super) fn task(key: &TaskKey, task: &Task) -> Op {
    let record = TaskRecord {
        task: (*task.info).clone(),
        executor_id: task.executor.as_str().into(),
        order: Some(task.order),
        group: task.group,
    };
    Op::put(task_key(key), stored::encode(&record))
}

/// Writes what became of a task.
pub(super) fn state(key: &TaskKey, task: &Task) -> Op {
    let kill = task.kill.as_ref().map(|kill| KillRecord {
        cause: kill.cause as i32,
        deadline: kill.deadline.0,
        kill_policy: kill.policy,
    });
    let record = TaskStateRecord {
        state: task.shown.state,
        statuses: task.shown.statuses.clone(),
        status_update_state: task.shown.status_update_state,
        status_update_uuid: task.shown.status_update_uuid.clone(),
        delivered: Some(task.delivered),
        started: task.started.map(|t| t.0),
        kill,
        received: task.received.iter().cloned().collect(),
        container_id: task.process.as_ref().map(|p| p.container.as_str().into()),
    };
    Op::put(state_key(key), stored::encode(&record))
}

/// Writes a status update.
pub(super) fn update(key: &TaskKey, number: u64, status: &v1::TaskStatus) -> Op {
    let record = UpdateRecord { status: status.clone() };
    Op::put(update_key(key, number), stored::encode(&record))
}

/// Writes a sandbox that nobody uses any more.
pub(super) fn sandbox(key: &ExecutorKey, id: &ContainerId, path: &Path, ended: Wall) -> Op {
    let record = SandboxRecord { path: path.display().to_string(), ended: ended.0 };
    Op::put(sandbox_key(key, id), stored::encode(&record))
}
