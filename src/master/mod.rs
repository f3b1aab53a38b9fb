//! The Mesos master: who may use which agent's resources, and what became of their tasks.

pub mod allocator;

pub mod core;
