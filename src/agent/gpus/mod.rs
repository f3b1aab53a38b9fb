//! NVIDIA GPUs: which there are, which the agent offers, and which container has which (`gpu/nvidia`). No library of the
//! vendor is used: what its driver shows in `/dev` and `/proc` tells enough. Other makers' are not looked for, and what a
//! program in a container needs beside the device files (libraries of the driver's version) its image must have.

pub mod find;
pub mod grant;
pub mod leases;
pub mod offer;

pub use find::{Gpu, Machine, Node};
pub use leases::Leases;
