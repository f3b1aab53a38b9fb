//! Task states as records hold them, and as frameworks are told them.

use crate::mesos::make;
use crate::mesos::v1::TaskState;

/// The state as the framework may be told it: without PARTITION_AWARE all ways of being lost are TASK_LOST.
pub(super) fn told(state: TaskState, partition_aware: bool) -> TaskState {
    if partition_aware { state } else { make::state_without_partition_aware(state) }
}

/// The state in a record; one that this version does not know counts as lost.
pub(super) fn of(number: i32) -> TaskState {
    TaskState::try_from(number).unwrap_or(TaskState::TaskLost)
}
