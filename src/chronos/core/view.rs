//! Pictures of the core between two steps, from which answers are written off the control thread. A picture of all jobs costs
//! a few words for each.

use super::agenda::Due;
use super::entry::Entry;
use super::run::Run;
use super::{ChronosCore, Load};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All jobs.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// In the order they were registered.
    pub jobs: Vec<JobView>,
}

/// One job.
#[derive(Clone, Debug)]
pub struct JobView {
    /// The job, its state and its last runs.
    pub entry: Arc<Entry>,
    /// How many of its runs have a task, and how many wait to be launched.
    pub load: Load,
    /// Its next planned time, if it is enabled.
    pub next: Option<i64>,
}

impl JobView {
    /// `idle`, `queued`, or how many run; with `plain` only whether.
    pub fn state(&self, plain: bool) -> String {
        match self.load {
            Load { active: 0, waiting: 0 } => "idle".into(),
            Load { active: 0, .. } => "queued".into(),
            _ if plain => "running".into(),
            Load { active, .. } => format!("{active} running"),
        }
    }
}

/// One job with its runs that are not over.
#[derive(Clone, Debug)]
pub struct JobDetail {
    /// The job.
    pub job: JobView,
    /// By due time.
    pub runs: Vec<Arc<Run>>,
}

/// Numbers for `/metrics`.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Jobs.
    pub jobs: usize,
    /// Runs that are not over.
    pub runs: usize,
    /// Of those that may be launched now: of high priority.
    pub high_queue: usize,
    /// The others.
    pub queue: usize,
    /// Rows of history.
    pub rows: usize,
    /// Subscribed with the master.
    pub connected: bool,
    /// What was counted since the core was built.
    pub counts: BTreeMap<&'static str, u64>,
}

impl ChronosCore {
    /// All jobs.
    pub fn view(&self) -> View {
        View { jobs: self.entries.iter().map(|entry| self.job_view(entry)).collect() }
    }

    fn job_view(&self, entry: &Arc<Entry>) -> JobView {
        let name = &entry.job.name;
        JobView {
            entry: entry.clone(),
            load: self.runs.load(name),
            next: self.agenda.at(&Due::Planned(name.clone())),
        }
    }

    /// One job; `None` if there is none of that name.
    pub fn job(&self, name: &str) -> Option<JobDetail> {
        let entry = self.entries.get(name)?;
        let runs = self.runs.of_job(name).cloned().collect();
        Some(JobDetail { job: self.job_view(entry), runs })
    }

    /// All runs that are not over, by job and due time.
    pub fn runs(&self) -> Vec<Arc<Run>> {
        self.runs.iter().cloned().collect()
    }

    /// The id it is known to the master by, once it has one: to be given when it subscribes.
    pub fn framework_id(&self) -> Option<&crate::base::ids::FrameworkId> {
        self.framework_id.as_ref()
    }

    /// What makes the rows forget the framework's id: the master does not want it any more.
    pub fn forget_id() -> Vec<crate::base::kv::Op> {
        vec![super::records::forget_framework()]
    }

    /// Numbers for `/metrics`.
    pub fn numbers(&self) -> Numbers {
        let (high_queue, queue) = self.runs.queue_lengths();
        Numbers {
            jobs: self.entries.len(),
            runs: self.runs.len(),
            high_queue,
            queue,
            rows: self.rows,
            connected: self.offers.is_connected(),
            counts: self.counts.clone(),
        }
    }
}
