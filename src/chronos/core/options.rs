//! What the core of Chronos is told when it is built, and its limits.

use crate::chronos::model::Rules;
use crate::chronos::schedule::Period;
use std::time::Duration;

/// How many jobs there may be.
pub const JOBS_MAX: usize = 50_000;

/// How many runs of one job may wait, run or be between two attempts.
pub const RUNS_PER_JOB_MAX: usize = 100;

/// How many such runs there may be of all jobs.
pub const RUNS_MAX: usize = 100_000;

/// How many planned times within epsilon one job makes up for at once; older ones are missed.
pub const CATCH_UP_MAX: u64 = 60;

/// How many rows of history are kept of all jobs: with many jobs each keeps fewer than its limit.
pub const HISTORY_TOTAL_MAX: usize = 200_000;

/// The rows a job keeps however many jobs there are.
pub const HISTORY_MIN: usize = 5;

/// How often a run is launched anew because its task was never started; then the attempt counts as failed.
pub const LAUNCHES_MAX: u32 = 10;

/// The wait before a run is launched anew for the second time; doubled each further time.
pub const LAUNCH_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// How many due jobs and runs are dealt with in one step.
pub const DUE_PER_STEP_MAX: usize = 256;

/// How many runs are looked at for one batch of offers.
pub const MATCH_SCAN_MAX: usize = 20_000;

/// How many tasks one ACCEPT launches.
pub const LAUNCHES_PER_OFFER_MAX: usize = 500;

/// How many agents are remembered by their last offer, to explain why a run waits.
pub const AGENTS_SEEN_MAX: usize = 1000;

/// How many characters of a task's message are kept.
pub const MESSAGE_CHARS_MAX: usize = 500;

/// How many tasks one RECONCILE names.
pub const RECONCILE_TASKS_MAX: usize = 1000;

/// How long the end of an asynchronous run is waited for after its task has ended.
pub const REPORT_WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// The longest wait before another attempt.
pub const RETRY_WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// How many calls that did not arrive are kept to be made again.
pub const CALLS_AGAIN_MAX: usize = 10_000;

/// Before a call that did not arrive is made again.
pub const CALL_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Idle for so long, Chronos wants no offers.
pub const SUPPRESS_AFTER: Duration = Duration::from_secs(1);

/// The first wait for the answer to a RECONCILE; doubled up to the next.
pub const RECONCILE_WAIT_MIN: Duration = Duration::from_secs(5);

/// The longest such wait.
pub const RECONCILE_WAIT_MAX: Duration = Duration::from_secs(60);

/// The wall clock is looked at at least so often while something is due by it, so that a clock that was set is noticed.
pub const CLOCK_CHECK: Duration = Duration::from_secs(10);

/// The options.
#[derive(Clone, Debug)]
pub struct Options {
    /// What holds for jobs that do not say otherwise.
    pub rules: Rules,
    /// In which role it takes offers.
    pub role: String,
    /// Before another attempt.
    pub failure_retry: Duration,
    /// By how much that wait grows with each further attempt; 1 is the original's constant wait.
    pub failure_retry_factor: f64,
    /// A job is disabled after so many failed runs in a row; 0: never.
    pub disable_after_failures: u64,
    /// How many runs of a job are remembered one by one.
    pub history_limit: usize,
    /// How long a declined offer stays away.
    pub decline_offer_duration: Duration,
    /// Between two calls for offers.
    pub min_revive_offers_interval: Duration,
    /// Between two reconciliations of all tasks.
    pub reconciliation_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let epsilon = Period::of_seconds(60);
        Self {
            rules: Rules { epsilon, cpus: 0.1, mem: 128.0, disk: 256.0, user: "root".into() },
            role: "*".into(),
            failure_retry: Duration::from_secs(60),
            failure_retry_factor: 1.0,
            disable_after_failures: 0,
            history_limit: 100,
            decline_offer_duration: Duration::from_secs(5),
            min_revive_offers_interval: Duration::from_millis(50),
            reconciliation_interval: Duration::from_secs(600),
        }
    }
}
