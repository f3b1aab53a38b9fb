//! What limits and measures a container: cgroups, v1 and v2.

mod below;
pub mod cgroups;
mod numbers;
pub mod probe;
#[cfg(test)]
mod tests;

pub use cgroups::{Cgroup, Cgroups};
