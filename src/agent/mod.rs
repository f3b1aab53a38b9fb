//! The Mesos agent: runs tasks in containers on this machine and tells the master what becomes of them.
//!
//! Decisions are in [`core`]; [`service`] gives it its inputs and carries out its acts; containers are made and held by
//! [`containerizer`], their images by [`provisioner`]; [`api`] is the HTTP face.

pub mod api;
pub mod checks;
pub mod containerizer;
pub mod containers;
pub mod core;
pub mod fetcher;
pub mod gpus;
pub mod images;
pub mod isolation;
pub mod options;
pub mod ports;
pub mod probe;
pub mod provisioner;
pub mod sandbox;
pub mod service;
pub mod sessions;
pub mod volumes;

/// What this agent can do, by the original's names.
pub const CAPABILITIES: &[&str] = &[
    "MULTI_ROLE",
    "HIERARCHICAL_ROLE",
    "RESERVATION_REFINEMENT",
    "AGENT_DRAINING",
    "TASK_RESOURCE_LIMITS",
];
