//! A job as JSON: the keys of both of the original's versions together, in its order, so that no client misses one.

use super::{Fetch, Job, When};
use crate::chronos::schedule;
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Serialize, Serializer};

/// What the scheduler counts of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Runs that succeeded.
    pub success_count: u64,
    /// Runs whose last attempt failed.
    pub error_count: u64,
    /// Of those, since one succeeded.
    pub errors_since_last_success: u64,
    /// When one last succeeded; milliseconds since 1970.
    pub last_success: Option<i64>,
    /// When one last failed.
    pub last_error: Option<i64>,
}

impl Counters {
    /// `fresh`, `success` or `failure`: how the last run went.
    pub fn last(&self) -> &'static str {
        match (self.last_success, self.last_error) {
            (None, None) => "fresh",
            (Some(_), None) => "success",
            (None, Some(_)) => "failure",
            (Some(success), Some(error)) if success > error => "success",
            (Some(_), Some(_)) => "failure",
        }
    }
}

/// A job in its JSON form.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown<'a> {
    name: &'a str,
    command: &'a str,
    shell: bool,
    epsilon: &'a str,
    executor: &'a str,
    executor_flags: &'a str,
    task_info_data: &'a str,
    retries: u64,
    owner: &'a str,
    owner_name: &'a str,
    description: &'a str,
    #[serde(rename = "async")]
    is_async: bool,
    success_count: u64,
    error_count: u64,
    last_success: String,
    last_error: String,
    cpus: f64,
    disk: f64,
    mem: f64,
    disabled: bool,
    soft_error: bool,
    data_processing_job_type: bool,
    errors_since_last_success: u64,
    fetch: Vec<Download<'a>>,
    uris: Vec<&'a str>,
    environment_variables: Vec<Variable<'a>>,
    arguments: &'a [String],
    high_priority: bool,
    run_as_user: &'a str,
    concurrent: bool,
    max_completion_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a super::Container>,
    #[serde(serialize_with = "constraints")]
    constraints: &'a [super::Constraint],
    #[serde(skip_serializing_if = "Option::is_none")]
    parents: Option<Vec<&'a String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule_time_zone: Option<&'a str>,
}

#[derive(Clone, Debug, Serialize)]
struct Download<'a> {
    uri: &'a str,
    executable: bool,
    cache: bool,
    extract: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    output_file: &'a str,
}

#[derive(Clone, Debug, Serialize)]
struct Variable<'a> {
    name: &'a str,
    value: &'a str,
}

fn constraints<S: Serializer>(all: &[super::Constraint], s: S) -> Result<S::Ok, S::Error> {
    let mut list = s.serialize_seq(Some(all.len()))?;
    for one in all {
        list.serialize_element(&one.parts())?;
    }
    list.end()
}

/// The JSON form; `through` is how far its planned times have been dealt with.
pub fn show<'a>(job: &'a Job, counters: &Counters, through: i64) -> Shown<'a> {
    let time = |at: Option<i64>| at.map(schedule::print).unwrap_or_default();
    let (parents, schedule, zone) = match &job.when {
        When::Dependent { parents } => (Some(parents.iter().collect()), None, None),
        When::Scheduled { schedule, zone } => {
            (None, Some(schedule.shown(through)), Some(zone.as_str()))
        }
    };
    Shown {
        name: &job.name,
        command: &job.command,
        shell: job.shell,
        epsilon: job.epsilon.text(),
        executor: &job.executor,
        executor_flags: &job.executor_flags,
        task_info_data: &job.task_info_data,
        retries: job.retries,
        owner: &job.owner,
        owner_name: &job.owner_name,
        description: &job.description,
        is_async: job.is_async,
        success_count: counters.success_count,
        error_count: counters.error_count,
        last_success: time(counters.last_success),
        last_error: time(counters.last_error),
        cpus: job.cpus,
        disk: job.disk,
        mem: job.mem,
        disabled: job.disabled,
        soft_error: job.soft_error,
        data_processing_job_type: job.data_processing,
        errors_since_last_success: counters.errors_since_last_success,
        fetch: job.fetch.iter().map(download).collect(),
        uris: job.uris.iter().map(String::as_str).collect(),
        environment_variables: job
            .environment
            .iter()
            .map(|(name, value)| Variable { name, value })
            .collect(),
        arguments: &job.arguments,
        high_priority: job.high_priority,
        run_as_user: &job.run_as_user,
        concurrent: job.concurrent,
        max_completion_time: job.max_completion_time,
        container: job.container.as_ref(),
        constraints: &job.constraints,
        parents,
        schedule,
        schedule_time_zone: zone,
    }
}

fn download(fetch: &Fetch) -> Download<'_> {
    Download {
        uri: &fetch.uri,
        executable: fetch.executable,
        cache: fetch.cache,
        extract: fetch.extract,
        output_file: &fetch.output_file,
    }
}

impl Shown<'_> {
    /// As the list of all jobs has it: downloads are shown in both forms.
    pub fn with_both_downloads(mut self) -> Self {
        if self.fetch.is_empty() {
            let both = self.uris.iter().copied().map(|uri| Download {
                uri,
                executable: false,
                cache: false,
                extract: true,
                output_file: "",
            });
            self.fetch = both.collect();
        } else if self.uris.is_empty() {
            self.uris = self.fetch.iter().map(|fetch| fetch.uri).collect();
        }
        self
    }
}
