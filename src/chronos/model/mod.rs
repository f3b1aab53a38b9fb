//! Jobs as clients send and see them: what is read is acted on, or refused naming the field; unknown keys are ignored, as in
//! the original.
//!
//! Nothing here plans or launches.

mod constraint;
mod container;
mod fields;
pub mod name;
mod problem;
mod read;
mod show;

#[cfg(test)]
mod tests;

pub use constraint::{Constraint, Operator};
pub use container::{Container, Engine, External, Network, NetworkInfo, Pair, Volume};
pub use name::Era;
pub use problem::Problem;
pub use read::{Rules, read, read_text};
pub use show::{Counters, Shown, show};

use super::schedule::{Period, Schedule};
use std::collections::BTreeSet;

/// The largest job, in bytes of its JSON.
pub const JOB_BYTES_MAX: usize = 256 * 1024;

/// How many parents a job may have.
pub const PARENTS_MAX: usize = 1000;

/// How often one run may be tried again.
pub const RETRIES_MAX: u64 = 1000;

/// A job.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Which job it is.
    pub name: String,
    /// When it runs.
    pub when: When,
    /// A shell line, or with `shell: false` a program.
    pub command: String,
    /// Whether `/bin/sh -c` runs it.
    pub shell: bool,
    /// More arguments.
    pub arguments: Vec<String>,
    /// How late a planned run may begin to be dealt with.
    pub epsilon: Period,
    /// The command of a custom executor; empty: none.
    pub executor: String,
    /// What a custom executor is given before the command.
    pub executor_flags: String,
    /// What a custom executor is given instead of the flags and the command.
    pub task_info_data: String,
    /// How often a failed run is tried again.
    pub retries: u64,
    /// Addresses, with commas. Kept and shown; mails are not sent.
    pub owner: String,
    /// Free text.
    pub owner_name: String,
    /// Free text.
    pub description: String,
    /// The end of its task is not the end of its run: somebody reports that.
    pub is_async: bool,
    /// It does not run by itself.
    pub disabled: bool,
    /// When all attempts have failed its children run all the same.
    pub soft_error: bool,
    /// It may report progress.
    pub data_processing: bool,
    /// It goes before jobs that are not.
    pub high_priority: bool,
    /// Its runs may overlap.
    pub concurrent: bool,
    /// Cpus.
    pub cpus: f64,
    /// Megabytes.
    pub mem: f64,
    /// Megabytes.
    pub disk: f64,
    /// Seconds after which a run is killed and has failed; 0: none.
    pub max_completion_time: u64,
    /// What is fetched, in the older form.
    pub uris: Vec<String>,
    /// What is fetched.
    pub fetch: Vec<Fetch>,
    /// Variables, in order.
    pub environment: Vec<(String, String)>,
    /// Whose the task is; empty: the framework's user.
    pub run_as_user: String,
    /// What it runs in, if not on the agent itself.
    pub container: Option<Container>,
    /// Where it may run: all must hold.
    pub constraints: Vec<Constraint>,
}

/// When a job runs.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// At planned times.
    Scheduled {
        /// Which.
        schedule: Schedule,
        /// The zone's name as it was given; may be empty.
        zone: String,
    },
    /// When all of these have succeeded.
    Dependent {
        /// Their names, never empty.
        parents: BTreeSet<String>,
    },
}

/// One thing to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// From where.
    pub uri: String,
    /// Whether it may be executed.
    pub executable: bool,
    /// Whether the agent may keep it.
    pub cache: bool,
    /// Whether it is unpacked.
    pub extract: bool,
    /// Its name in the sandbox; empty: as in the URI.
    pub output_file: String,
}

impl Job {
    /// The schedule, if it has one.
    pub fn schedule(&self) -> Option<&Schedule> {
        match &self.when {
            When::Scheduled { schedule, .. } => Some(schedule),
            When::Dependent { .. } => None,
        }
    }

    /// The parents; none of a scheduled job.
    pub fn parents(&self) -> impl Iterator<Item = &String> {
        let parents = match &self.when {
            When::Scheduled { .. } => None,
            When::Dependent { parents } => Some(parents),
        };
        parents.into_iter().flatten()
    }

    /// Whether that job is one of its parents.
    pub fn has_parent(&self, name: &str) -> bool {
        matches!(&self.when, When::Dependent { parents } if parents.contains(name))
    }
}
