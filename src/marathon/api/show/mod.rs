//! What readers see of apps, tasks, groups, deployments and the queue: Marathon's JSON, with its fields and no others.

mod app;
mod deployment;
mod group;
mod queue;
mod stats;
mod task;

pub(super) use app::{AppInfo, created};
pub(super) use deployment::deployment;
pub(super) use group::group;
pub(super) use queue::{Embed, queue_item};
pub(super) use task::{Address, is_task, task};
