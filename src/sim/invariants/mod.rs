//! What must hold in every world, one rule a file. They look at what crosses the borders of the cores, never inside.

mod admitted;
mod answered;
mod asked_once;
mod fencing;
mod forward;
mod isolation;
mod jobs;
mod launched_once;
mod least_in_service;
mod majority;
mod most_there;
mod never_lost;
mod no_overlap;
mod one_attempt;
mod one_history;
mod outcomes;
mod removed;
mod resources;
mod services;
mod undisturbed;
mod uuids;
mod voters;

use crate::base::ids::FrameworkId;
use crate::base::kv::Op;
use crate::base::time::Mono;
use crate::mesos::internal::StatusUpdate;
use crate::mesos::v1::TaskStatus;
use std::collections::{BTreeMap, BTreeSet};

pub(super) use services::Bounds;

/// What one running container may use.
pub(super) struct Use {
    pub framework: String,
    pub checkpoint: bool,
    pub task: String,
    pub cpus: f64,
    pub bytes: u64,
}

/// What can be seen.
pub(super) enum Seen<'a> {
    /// A batch was committed to the replicated log.
    Committed { batch: &'a [Op] },
    /// An agent's batch was synced, as the disk told it.
    Synced { node: usize, batch: &'a [Op] },
    /// An agent took a message of an epoch while it had stored another.
    Heard { node: usize, epoch: u64, stored: u64, obeyed: bool },
    /// An agent sends an update.
    Sent { node: usize, update: &'a StatusUpdate },
    /// A task's command was started.
    Started { node: usize, framework: &'a str, task: &'a str },
    /// What all running containers of a machine may use, and the cpus and bytes that there are.
    Running { node: usize, used: &'a [Use], total: (f64, u64) },
    /// A new epoch has begun.
    Elected,
    /// A framework was told SUBSCRIBED, by the leader or by one that was it.
    Subscribed { framework: &'a str, had: Option<&'a FrameworkId>, leads: bool },
    /// A framework may be held as disconnected from now on.
    Disconnected { framework: &'a str },
    /// A framework was told that it has ended.
    Refused { framework: &'a str, timeout: f64 },
    /// A framework sends a TEARDOWN.
    TeardownAsked { framework: &'a str },
    /// A framework's TEARDOWN was accepted.
    TornDown { framework: &'a str },
    /// A framework was told of a task.
    Told { framework: &'a str, status: &'a TaskStatus, own: bool },
    /// A framework acknowledges an update, now or later.
    Acknowledged { framework: &'a str, status: &'a TaskStatus },
    /// Marathon or Chronos sends a LAUNCH of that task, with or without a health check.
    Launched { task: &'a str, checked: bool },
    /// Marathon has decided something; the writes are on their way to its store.
    Decided { batch: &'a [Op] },
    /// Marathon starts, with these rows.
    Remembered { rows: &'a BTreeMap<String, Vec<u8>> },
    /// So many instances of an app are wanted, or may be; or nothing else is.
    Wanted { app: &'a str, bounds: Bounds, alone: bool },
    /// The app is deleted.
    Unwanted { app: &'a str },
    /// A batch reached Chronos's store; it was decided then, on Chronos's clock, in milliseconds since 1970.
    JobsStored { batch: &'a [Op], decided: i64 },
    /// The tasks of Chronos that run now, on all machines.
    JobsRunning { tasks: &'a [String] },
    /// A client asks that all tasks of the app are killed.
    Spared { app: &'a str },
    /// A framework asks for a task to be killed.
    KillAsked { framework: &'a str, task: &'a str },
    /// The running command of a task is ended from outside. Only where nothing but its framework may want that.
    Ended { node: usize, framework: &'a str, task: &'a str },
    /// A node is elected, or leads at the end; the entries of its log.
    Leads { node: usize, log: &'a [usize] },
    /// A leader holds an entry of the log for committed.
    Chosen { node: usize, index: u64, entry: usize },
    /// Whoever wrote an entry was told that it is committed.
    Answered { entry: usize },
    /// So many voters there are, and the most that the policy allows.
    Voters { voters: usize, most: usize },
    /// A leader begins to change the voters: whose majorities count before, who shall vote, who has just answered.
    Stepped {
        node: usize,
        before: &'a [BTreeSet<usize>],
        after: &'a BTreeSet<usize>,
        sure: &'a BTreeSet<usize>,
    },
}

/// One rule.
trait Invariant {
    fn name(&self) -> &'static str;

    /// Looks at one thing.
    fn see(&mut self, at: Mono, seen: &Seen<'_>) -> Result<(), String>;

    /// Whether anything is owed when everything has come to rest.
    fn end(&self) -> Result<(), String> {
        Ok(())
    }
}

/// All rules.
pub(super) struct Invariants(Vec<Box<dyn Invariant>>);

impl Default for Invariants {
    fn default() -> Self {
        Self(vec![
            Box::<resources::Resources>::default(),
            Box::<launched_once::LaunchedOnce>::default(),
            Box::<never_lost::NeverLost>::default(),
            Box::<forward::Forward>::default(),
            Box::<isolation::Isolation>::default(),
            Box::<removed::Removed>::default(),
            Box::<admitted::Admitted>::default(),
            Box::<fencing::Fencing>::default(),
            Box::<uuids::Uuids>::default(),
            Box::<asked_once::AskedOnce>::default(),
            Box::<least_in_service::LeastInService>::default(),
            Box::<most_there::MostThere>::default(),
            Box::<outcomes::Outcomes>::default(),
            Box::<one_attempt::OneAttempt>::default(),
            Box::<no_overlap::NoOverlap>::default(),
            Box::<one_history::OneHistory>::default(),
            Box::<answered::Answered>::default(),
            Box::<majority::Majority>::default(),
            Box::<voters::Voters>::default(),
            Box::<undisturbed::Undisturbed>::default(),
        ])
    }
}

impl Invariants {
    pub fn see(&mut self, at: Mono, seen: &Seen<'_>) -> Result<(), (&'static str, String)> {
        for rule in &mut self.0 {
            rule.see(at, seen).map_err(|what| (rule.name(), what))?;
        }
        Ok(())
    }

    pub fn end(&self) -> Result<(), (&'static str, String)> {
        self.0.iter().try_for_each(|rule| rule.end().map_err(|what| (rule.name(), what)))
    }
}

/// Framework and task of a key `<room>/<framework>/<task>/…`.
fn task_key<'k>(key: &'k str, room: &str) -> Option<(&'k str, &'k str)> {
    let mut parts = key.strip_prefix(room)?.split('/');
    Some((parts.next()?, parts.next()?))
}
