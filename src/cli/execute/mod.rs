//! `mesos-execute`: runs one task, shows what becomes of it and what it writes, and ends as it ended.
//!
//! The flags and the lines on standard output are the original's. Departures, all on purpose:
//!
//! - the task's own output is shown, standard output on standard output and standard error on standard error;
//! - the exit code is the task's: `N` for `Command exited with status N`, 128 + n for signal n, 137 for a killed task,
//!   130 after Ctrl-C; failures of this program itself, wrong flags too, give 125 (the original: 0 and 1);
//! - when no offer fits for two seconds it says why; without `--master` it asks 127.0.0.1:5050, or brings a cluster of
//!   its own up (`--local`);
//! - It follows one task, and there is no HDFS: `--task_group`, `--package` and their kin are refused with the reason.
//!
//! [`core`] decides, [`run`] does.

pub mod container;
pub mod core;
pub mod lines;
mod main;
pub mod options;
pub mod output;
pub mod plan;
pub mod run;
mod shortfall;

#[cfg(test)]
mod tests;

pub use main::{WithMaster, main};
pub use options::ExecuteOptions;
pub use run::{World, run};

/// The exit code for a failure of this program, not of the task.
pub const OWN_FAILURE: i32 = 125;
/// The exit code after Ctrl-C.
pub const INTERRUPTED: i32 = 130;
/// The exit code of a task that was killed.
pub const KILLED: i32 = 137;
