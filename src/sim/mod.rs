//! The deterministic world: masters over a model of the replicated log, agents over a disk that loses what was not
//! synced, containers, links, scripted frameworks; one thread, virtual time, one seed. Drives the cores that run in
//! production.
//!
//! It is no test of the shells: real consensus, real databases and real containers have tests of their own. What does not
//! hold is a value, [`Violation`]; nothing here ends the process.

mod chronos;
mod cluster;
mod containers;
mod driven;
mod fault;
mod heal;
mod invariants;
mod leader;
mod lines;
mod link;
mod log;
mod marathon;
mod node;
mod operator;
mod profile;
mod queue;
mod scheduler;
mod session;
mod trace;
mod violation;
mod world;

pub use profile::{Mutation, Profile};
pub use violation::{Report, Violation};
pub use world::World;
