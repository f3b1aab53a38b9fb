//! The Mesos agent: runs tasks in containers on one machine.
//!
//! Decisions are in `core`; containers are made and held by [`containerizer`].

pub mod containerizer;
