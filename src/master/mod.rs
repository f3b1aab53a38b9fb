//! The Mesos master: who may use which agent's resources, and what became of their tasks.
//!
//! Decisions are in [`core`] and [`allocator`]; [`service`] gives them their inputs, [`api`] is the HTTP face, [`state`] keeps
//! frameworks' own state.

pub mod allocator;
pub mod api;
pub mod core;
pub mod options;
pub mod service;
pub mod state;
pub mod streams;
