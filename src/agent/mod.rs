//! The Mesos agent: runs tasks in containers on this machine and tells the master what becomes of them.

pub mod core;
