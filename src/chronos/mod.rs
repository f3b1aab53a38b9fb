//! Chronos: jobs that run on time, and after each other. An ordinary framework over the scheduler port; it knows no master
//! and no agent.
//!
//! Decisions are in `core`, what clients send and see in `model`, times in `schedule`, HTTP in `api`, the shell in `service`.

pub mod api;
pub mod copy;
pub mod core;
pub mod model;
pub mod options;
pub mod schedule;
pub mod service;
