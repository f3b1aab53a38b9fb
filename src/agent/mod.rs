//! The Mesos agent: runs tasks in containers on this machine and tells the master what becomes of them.
//!
//! Decisions are in [`core`]; containers are made and held by [`containerizer`].

pub mod containerizer;
pub mod core;
