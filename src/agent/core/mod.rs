//! The agent's decisions, as one deterministic machine: tasks, executors, status-update streams, checkpoints,
//! recovery, checks, sandbox collection.
//!
//! No I/O: containers, executors and the master are known by id; files by path.

pub mod io;
