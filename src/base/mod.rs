//! The vocabulary of the whole program, pure: ids, time, errors, seeded randomness, resources and attributes.
//!
//! Nothing here does I/O, reads a clock or knows a wire form (those are in `mesos`).

pub mod error;
pub mod ids;
pub mod kv;
pub mod rng;
pub mod time;
pub mod units;
