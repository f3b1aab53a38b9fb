//! Marathon's decisions, as one deterministic machine: definitions and their versions, deployments, instances, offers.

pub mod event;
pub mod ids;
pub mod io;
pub mod options;
pub mod view;

pub use ids::{DeploymentId, InstanceId};
pub use options::{AcceptedRoles, GpuScheduling, Options};

mod backoff;
mod checks;
mod constraints;
mod container;
mod env;
mod host_ports;
mod instances;
mod matcher;
mod planner;
mod records;
mod rollout;
mod service_ports;
mod task;
mod tree;
