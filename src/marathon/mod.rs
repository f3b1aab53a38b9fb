//! Marathon: services that are kept running. An ordinary framework over the scheduler port; it knows no master and no agent.
//!
//! Decisions are in `core`, what clients send and see in `model` and `validate`, what a request makes of the tree
//! of groups in `change`, HTTP in `api`, the shell in `service`.

pub mod api;
pub mod change;
pub mod copy;
pub mod core;
pub mod model;
pub mod options;
pub mod service;
pub mod validate;
