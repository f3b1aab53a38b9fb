//! Marathon's decisions, as one deterministic machine: definitions and their versions, deployments, instances, offers.

pub mod event;
pub mod ids;
pub mod io;
pub mod options;
pub mod view;

pub use ids::{DeploymentId, InstanceId};
pub use options::{AcceptedRoles, GpuScheduling, Options};
