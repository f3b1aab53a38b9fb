//! Short ways to make the messages everyone needs, and what is known of task states.

use super::v1::{self, TaskState};
use crate::base::ids;
use crate::base::resources::Scalar;

macro_rules! wire_ids {
    ($($function:ident: $base:ident => $wire:ident),* $(,)?) => {$(
        #[doc = concat!("A `", stringify!($wire), "` message.")]
        pub fn $function(value: &str) -> v1::$wire {
            v1::$wire { value: value.to_string() }
        }

        impl From<&ids::$base> for v1::$wire {
            fn from(id: &ids::$base) -> Self {
                $function(id.as_str())
            }
        }

        impl From<ids::$base> for v1::$wire {
            fn from(id: ids::$base) -> Self {
                $function(id.as_str())
            }
        }

        impl From<&v1::$wire> for ids::$base {
            fn from(id: &v1::$wire) -> Self {
                Self::from(id.value.as_str())
            }
        }
    )*};
}

wire_ids! {
    agent_id: AgentId => AgentId,
    framework_id: FrameworkId => FrameworkId,
    offer_id: OfferId => OfferId,
    task_id: TaskId => TaskId,
    executor_id: ExecutorId => ExecutorId,
}

/// A `ContainerId` message of a top-level container.
pub fn container_id(value: &str) -> v1::ContainerId {
    v1::ContainerId { value: value.to_string(), parent: None }
}

/// A `ContainerId` message of a container inside another.
pub fn nested_container_id(value: &str, parent: v1::ContainerId) -> v1::ContainerId {
    v1::ContainerId { value: value.to_string(), parent: Some(Box::new(parent)) }
}

impl From<&ids::ContainerId> for v1::ContainerId {
    /// A container in another has its parent's name before its own, with a period between.
    fn from(id: &ids::ContainerId) -> Self {
        match id.as_str().rsplit_once('.') {
            Some((parent, own)) => {
                nested_container_id(own, (&ids::ContainerId::from(parent)).into())
            }
            None => container_id(id.as_str()),
        }
    }
}

/// How deep containers may be in one another.
pub const CONTAINER_DEPTH_MAX: usize = 32;

/// The name of a container with those of all that it is in, `<outermost>.<…>.<own>`.
///
/// # Errors
/// What is wrong with one of the names, in the original's words.
pub fn flat_container_id(id: &v1::ContainerId) -> Result<ids::ContainerId, String> {
    let mut names = Vec::new();
    let mut next = Some(id);
    while let Some(one) = next {
        if names.len() >= CONTAINER_DEPTH_MAX {
            return Err(format!("it is more than {CONTAINER_DEPTH_MAX} deep"));
        }
        let name = one.value.as_str();
        ids::check(name)?;
        if name.contains(['.', ' ']) {
            return Err(format!("'ContainerID.value' '{name}' contains invalid characters"));
        }
        names.push(name);
        next = one.parent.as_deref();
    }
    names.reverse();
    let flat = names.join(".");
    ids::check(&flat).map_err(|_| "its name is too long with those it is in".to_string())?;
    Ok(ids::ContainerId::from(flat))
}

/// An unreserved scalar, rounded to three decimals.
pub fn scalar(name: &str, amount: f64) -> v1::Resource {
    let value = Scalar::from_f64(amount).as_f64();
    v1::Resource {
        name: name.to_string(),
        r#type: v1::value::Type::Scalar.into(),
        scalar: Some(v1::value::Scalar { value }),
        ..Default::default()
    }
}

/// An unreserved resource of inclusive ranges, as they are given.
pub fn ranges(name: &str, all: &[(u64, u64)]) -> v1::Resource {
    let range = all.iter().map(|(begin, end)| v1::value::Range { begin: *begin, end: *end });
    v1::Resource {
        name: name.to_string(),
        r#type: v1::value::Type::Ranges.into(),
        ranges: Some(v1::value::Ranges { range: range.collect() }),
        ..Default::default()
    }
}

/// Whether a task in that state runs no more and gives its resources back.
///
/// TASK_LOST and TASK_GONE_BY_OPERATOR count too, as in Mesos; TASK_UNREACHABLE and TASK_UNKNOWN do not.
pub fn is_terminal(state: TaskState) -> bool {
    match state {
        TaskState::TaskFinished
        | TaskState::TaskFailed
        | TaskState::TaskKilled
        | TaskState::TaskError
        | TaskState::TaskLost
        | TaskState::TaskDropped
        | TaskState::TaskGone
        | TaskState::TaskGoneByOperator => true,
        TaskState::TaskStaging
        | TaskState::TaskStarting
        | TaskState::TaskRunning
        | TaskState::TaskKilling
        | TaskState::TaskUnreachable
        | TaskState::TaskUnknown => false,
    }
}

/// The state as a framework without PARTITION_AWARE is told it: the newer ways to be lost are TASK_LOST.
pub fn state_without_partition_aware(state: TaskState) -> TaskState {
    match state {
        TaskState::TaskDropped
        | TaskState::TaskUnreachable
        | TaskState::TaskGone
        | TaskState::TaskGoneByOperator
        | TaskState::TaskUnknown => TaskState::TaskLost,
        other => other,
    }
}

/// `TASK_RUNNING` …; a number this version does not know is shown as the number.
pub fn state_name(state: i32) -> String {
    TaskState::try_from(state).map_or_else(|_| state.to_string(), |s| s.as_str_name().to_string())
}

/// `REASON_COMMAND_EXECUTOR_FAILED` …; a number this version does not know is shown as the number.
pub fn reason_name(reason: i32) -> String {
    v1::task_status::Reason::try_from(reason)
        .map_or_else(|_| reason.to_string(), |r| r.as_str_name().to_string())
}
