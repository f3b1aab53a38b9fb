//! Marathon: services that are kept running. An ordinary framework over the scheduler port; it knows no master and no agent.
//!
//! Decisions are in `core`, what clients send and see in `model` and `validate`, HTTP in `api`, the shell in `service`.

pub mod core;
pub mod model;
