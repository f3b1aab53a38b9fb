//! What limits, measures and confines a container: cgroups (v1 and v2), seccomp; and the names isolators go by.

mod below;
pub mod cgroups;
pub mod external;
pub mod names;
mod numbers;
pub mod probe;
pub mod seccomp;
#[cfg(test)]
mod tests;
pub mod usage;

pub use cgroups::{Cgroup, Cgroups};
