//! The table of runs that are not over, with what is asked of it all the time: which of them may be launched now, in which
//! order, and which task is whose.

use super::run::{Phase, Run};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Which run: the job's name and the run's due time.
pub(super) type RunKey = (String, i64);

/// The runs of one job.
#[derive(Clone, Debug, Default)]
struct Lane {
    /// Waiting runs in the order they are to be launched.
    waiting: BTreeMap<u64, i64>,
    /// Those of them that stand in the queue.
    queued: BTreeSet<u64>,
    /// Runs with a task.
    active: BTreeSet<i64>,
    /// Tasks of an earlier job of this name that have not ended.
    dying: usize,
    /// May overlap.
    concurrent: bool,
    /// Goes before others.
    high: bool,
}

impl Lane {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.active.is_empty() && self.dying == 0
    }
}

/// What a job has of runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Runs with a task.
    pub active: usize,
    /// Runs that wait to be launched.
    pub waiting: usize,
}

/// All runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    by_key: BTreeMap<RunKey, Arc<Run>>,
    by_task: BTreeMap<String, RunKey>,
    lanes: BTreeMap<String, Lane>,
    /// Runs that may be launched now; high priority first.
    queue: BTreeMap<(bool, u64), RunKey>,
    orders: BTreeMap<RunKey, u64>,
    ordered: u64,
    /// A run came into the queue since this was last asked.
    fresh: bool,
}

impl Runs {
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn get(&self, key: &RunKey) -> Option<&Run> {
        self.by_key.get(key).map(Arc::as_ref)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.by_key.values()
    }

    /// The runs of one job, by due time.
    pub fn of_job(&self, job: &str) -> impl Iterator<Item = &Arc<Run>> {
        let from: RunKey = (job.to_string(), i64::MIN);
        let to: RunKey = (job.to_string(), i64::MAX);
        self.by_key.range(from..=to).map(|(_, run)| run)
    }

    pub fn keys_of_job(&self, job: &str) -> Vec<RunKey> {
        self.of_job(job).map(|run| (run.job.clone(), run.due)).collect()
    }

    pub fn of_task(&self, task_id: &str) -> Option<RunKey> {
        self.by_task.get(task_id).cloned()
    }

    /// What the job allows of its runs; call when it is new or changed.
    pub fn configure(&mut self, job: &str, concurrent: bool, high: bool) {
        let lane = self.lanes.entry(job.to_string()).or_default();
        (lane.concurrent, lane.high) = (concurrent, high);
        self.unqueue_all(job);
        self.promote(job);
    }

    /// Puts a run in, or in the place of itself; its phase decides where it stands.
    pub fn put(&mut self, run: Run) {
        let key = (run.job.clone(), run.due);
        self.take_out(&key);
        if let Some(task) = run.task() {
            self.by_task.insert(task.id.clone(), key.clone());
        }
        self.ordered += 1;
        let order = self.ordered;
        let lane = self.lanes.entry(run.job.clone()).or_default();
        match run.phase {
            Phase::Waiting => {
                lane.waiting.insert(order, run.due);
                self.orders.insert(key.clone(), order);
            }
            Phase::Retrying { .. } => {}
            Phase::Launched(_) | Phase::AwaitingReport { .. } => {
                lane.active.insert(run.due);
            }
        }
        let job = run.job.clone();
        self.by_key.insert(key, Arc::new(run));
        self.promote(&job);
    }

    /// Changes what does not decide where the run stands.
    pub fn change(&mut self, key: &RunKey, change: impl FnOnce(&mut Run)) -> Option<&Run> {
        let run = Arc::make_mut(self.by_key.get_mut(key)?);
        change(run);
        Some(run)
    }

    /// Takes a run out for good.
    pub fn remove(&mut self, key: &RunKey) -> Option<Arc<Run>> {
        self.take_out(key);
        let run = self.by_key.remove(key);
        self.promote(&key.0);
        run
    }

    fn take_out(&mut self, key: &RunKey) {
        let Some(run) = self.by_key.get(key) else { return };
        if let Some(task) = run.task() {
            self.by_task.remove(&task.id);
        }
        let Some(lane) = self.lanes.get_mut(&key.0) else { return };
        lane.active.remove(&key.1);
        if let Some(order) = self.orders.remove(key) {
            lane.waiting.remove(&order);
            lane.queued.remove(&order);
            self.queue.remove(&(!lane.high, order));
        }
    }

    fn unqueue_all(&mut self, job: &str) {
        let Some(lane) = self.lanes.get_mut(job) else { return };
        // Its priority may be another now: both places are looked at.
        for order in std::mem::take(&mut lane.queued) {
            self.queue.remove(&(true, order));
            self.queue.remove(&(false, order));
        }
    }

    /// Lets those runs of the job into the queue that nothing stands in the way of.
    fn promote(&mut self, job: &str) {
        let Some(lane) = self.lanes.get_mut(job) else { return };
        let room = match lane.concurrent {
            true => usize::MAX,
            false if lane.active.is_empty() && lane.dying == 0 => 1,
            false => 0,
        };
        // A run may be found to have a task after another of its job was let in.
        while lane.queued.len() > room {
            let Some(order) = lane.queued.pop_last() else { break };
            self.queue.remove(&(!lane.high, order));
        }
        let room = room - lane.queued.len();
        let next = lane.waiting.iter().filter(|(order, _)| !lane.queued.contains(*order));
        let next: Vec<(u64, i64)> = next.take(room).map(|(order, due)| (*order, *due)).collect();
        for (order, due) in next {
            lane.queued.insert(order);
            self.queue.insert((!lane.high, order), (job.to_string(), due));
            self.fresh = true;
        }
    }

    /// Whether a run stands in the queue.
    pub fn is_queued(&self, key: &RunKey) -> bool {
        let order = self.orders.get(key);
        order.is_some_and(|order| {
            self.lanes.get(&key.0).is_some_and(|lane| lane.queued.contains(order))
        })
    }

    pub fn queue_is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many runs stand in the queue: of high priority, and of others.
    pub fn queue_lengths(&self) -> (usize, usize) {
        let high = self.queue.range(..(true, 0)).count();
        (high, self.queue.len() - high)
    }

    /// The queue, in order, at most `most` of it.
    pub fn queue(&self, most: usize) -> Vec<RunKey> {
        self.queue.values().take(most).cloned().collect()
    }

    /// Whether a run came into the queue since this was last asked.
    pub fn take_fresh(&mut self) -> bool {
        std::mem::take(&mut self.fresh)
    }

    pub fn load(&self, job: &str) -> Load {
        self.lanes.get(job).map_or(Load::default(), |lane| Load {
            active: lane.active.len(),
            waiting: lane.waiting.len(),
        })
    }

    /// A task of an earlier job of this name is still to end (`more`), or has ended.
    pub fn count_dying(&mut self, job: &str, more: bool) {
        let lane = self.lanes.entry(job.to_string()).or_default();
        lane.dying = if more { lane.dying + 1 } else { lane.dying.saturating_sub(1) };
        self.promote(job);
    }

    /// Whether tasks of an earlier job of this name have not ended.
    pub fn has_dying(&self, job: &str) -> bool {
        self.lanes.get(job).is_some_and(|lane| lane.dying > 0)
    }

    /// Forgets what the job allowed, once nothing of it is left.
    pub fn forget_job(&mut self, job: &str) {
        if self.lanes.get(job).is_some_and(Lane::is_idle) {
            self.lanes.remove(job);
        }
    }
}
