//! What the core decides, on a world of one process.

mod chaos;
mod dependencies;
mod jobs;
mod launching;
mod outcomes;
mod planning;
mod recovering;
pub(in crate::chronos) mod world;
