//! The vocabulary of the whole program, pure: ids, time, errors, seeded randomness, resources and attributes.
//!
//! Nothing here does I/O, reads a clock or knows a wire form (those are in `mesos`).

pub mod attributes;
pub mod error;
pub mod explain;
pub mod ids;
pub mod kv;
pub mod labels;
pub mod resources;
pub mod rng;
pub mod roles;
pub mod settings;
pub mod time;
pub mod units;
pub mod version;
