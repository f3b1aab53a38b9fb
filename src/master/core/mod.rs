//! The master's decisions, as one deterministic machine: agents, frameworks, offers, tasks, reconciliation, recovery.
//!
//! No I/O: agents and schedulers are links and sessions known by number; the registry is a list of writes.

pub mod io;
pub mod view;
