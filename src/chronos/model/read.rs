//! A job from JSON.

use super::container;
use super::fields::Fields;
use super::show::Counters;
use super::{Constraint, Fetch, JOB_BYTES_MAX, Job, PARENTS_MAX, Problem, RETRIES_MAX, When};
use crate::base::resources::Scalar;
use crate::base::time::Wall;
use crate::chronos::schedule::{self, Fault, Period, Schedule};
use serde_json::Value;
use std::collections::BTreeSet;

/// A hundred years: the longest time a run may be given.
const COMPLETION_SECS_MAX: u64 = 100 * 366 * 24 * 3600;

/// What holds for jobs that do not say otherwise.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `--task_epsilon`.
    pub epsilon: Period,
    /// `--mesos_task_cpu`.
    pub cpus: f64,
    /// `--mesos_task_mem`, in megabytes.
    pub mem: f64,
    /// `--mesos_task_disk`, in megabytes.
    pub disk: f64,
    /// `--user`.
    pub user: String,
}

/// Reads the text of an upload; counters are `None` unless it holds one.
///
/// # Errors
/// The first field at fault.
pub fn read_text(
    text: &[u8],
    rules: &Rules,
    now: Wall,
) -> Result<(Job, Option<Counters>), Problem> {
    if text.len() > JOB_BYTES_MAX {
        return Err(Problem::new(format!("the job is over {JOB_BYTES_MAX} bytes")));
    }
    let value = serde_json::from_slice(text)
        .map_err(|e| Problem::new(format!("the body is not valid JSON: {e}")))?;
    read(&value, rules, now)
}

/// Reads a job.
///
/// # Errors
/// The first field at fault.
pub fn read(value: &Value, rules: &Rules, now: Wall) -> Result<(Job, Option<Counters>), Problem> {
    let f = Fields::new(value, "")?;
    let name = f.required("name")?;
    let uris = f.texts("uris")?;
    let job = Job {
        when: when(&f, &name, now)?,
        command: f.text_or("command", "")?,
        shell: f.flag("shell", true)?,
        arguments: f.texts("arguments")?,
        epsilon: epsilon(&f, rules)?,
        executor: f.text_or("executor", "")?,
        executor_flags: f.text_or("executorFlags", "")?,
        task_info_data: f.text_or("taskInfoData", "")?,
        retries: f.count("retries", RETRIES_MAX)?.unwrap_or(2),
        owner: f.text_or("owner", "")?,
        owner_name: f.text_or("ownerName", "")?,
        description: f.text_or("description", "")?,
        is_async: f.flag("async", false)?,
        disabled: f.flag("disabled", false)?,
        soft_error: f.flag("softError", false)?,
        data_processing: f.flag("dataProcessingJobType", false)?,
        high_priority: f.flag("highPriority", false)?,
        concurrent: f.flag("concurrent", false)?,
        cpus: resource(&f, "cpus", rules.cpus)?,
        mem: resource(&f, "mem", rules.mem)?,
        disk: resource(&f, "disk", rules.disk)?,
        max_completion_time: f.count("maxCompletionTime", COMPLETION_SECS_MAX)?.unwrap_or(0),
        fetch: fetch(&f)?,
        environment: environment(&f)?,
        run_as_user: f.text_or("runAsUser", &rules.user)?,
        container: container::read(&f)?,
        constraints: constraints(&f)?,
        uris,
        name,
    };
    check(&f, &job)?;
    Ok((job, counters(&f)?))
}

/// What makes sense only together.
fn check(f: &Fields<'_>, job: &Job) -> Result<(), Problem> {
    // An image has a command of its own.
    if job.command.is_empty() && job.executor.is_empty() && job.container.is_none() {
        return Err(f.wrong("command", "is missing"));
    }
    for (at, uri) in job.uris.iter().enumerate() {
        if uri.trim().is_empty() {
            return Err(f.wrong(&format!("uris[{at}]"), "must not be empty"));
        }
    }
    if !job.uris.is_empty() && !job.fetch.is_empty() && !same_downloads(job) {
        let message =
            format!("Tried to add both uri (deprecated) and fetch parameters on {}", job.name);
        return Err(Problem::of("fetch", message));
    }
    Ok(())
}

/// `GET jobs` shows the one as the other when one is empty: sent back like that they are no contradiction.
fn same_downloads(job: &Job) -> bool {
    job.fetch.iter().map(|f| &f.uri).eq(&job.uris)
}

fn when(f: &Fields<'_>, name: &str, now: Wall) -> Result<When, Problem> {
    let parents: BTreeSet<String> = f.texts("parents")?.into_iter().collect();
    // An empty list beside a schedule is how a list of all jobs may show a scheduled one.
    if !parents.is_empty() || (f.get("parents").is_some() && f.get("schedule").is_none()) {
        if parents.is_empty() {
            return Err(Problem::of("parents", "Error, parent does not exist"));
        }
        if parents.len() > PARENTS_MAX {
            return Err(f.wrong("parents", format!("names more than {PARENTS_MAX} jobs")));
        }
        if parents.contains(name) {
            return Err(f.wrong("parents", "names the job itself"));
        }
        return Ok(When::Dependent { parents });
    }
    let zone = f.text_or("scheduleTimeZone", "")?;
    let text = match f.text("schedule")? {
        Some(text) => text,
        // Once, now.
        None if !f.has("schedule") => "R1//PT24H".into(),
        None => String::new(),
    };
    let schedule = Schedule::parse(&text, &zone, now).map_err(|fault| wrong(&text, &fault))?;
    Ok(When::Scheduled { schedule, zone })
}

/// In the original's words, without its last two.
fn wrong(text: &str, fault: &Fault) -> Problem {
    match fault.of_zone {
        true => Problem::of("scheduleTimeZone", fault.why.clone()),
        false => Problem::of("schedule", format!("Cannot parse schedule '{text}': {}", fault.why)),
    }
}

fn epsilon(f: &Fields<'_>, rules: &Rules) -> Result<Period, Problem> {
    match f.text("epsilon")?.filter(|text| !text.is_empty()) {
        None => Ok(rules.epsilon.clone()),
        Some(text) => Period::parse(&text)
            .map_err(|why| f.wrong("epsilon", format!("is no ISO 8601 period: {why}"))),
    }
}

/// 0 means the default, as in the original.
fn resource(f: &Fields<'_>, key: &str, default: f64) -> Result<f64, Problem> {
    let amount = f.amount(key, Scalar::MAX.as_f64())?.unwrap_or(0.0);
    if amount == 0.0 {
        return Ok(default);
    }
    if Scalar::from_f64(amount).is_zero() {
        return Err(f.wrong(key, "is below 0.001"));
    }
    Ok(amount)
}

fn fetch(f: &Fields<'_>) -> Result<Vec<Fetch>, Problem> {
    let mut all = Vec::new();
    for (at, item) in f.list("fetch")?.iter().enumerate() {
        let f = Fields::new(item, &format!("fetch[{at}]"))?;
        let one = Fetch {
            uri: f.required("uri")?,
            executable: f.flag("executable", false)?,
            cache: f.flag("cache", false)?,
            extract: f.flag("extract", true)?,
            output_file: f.text_or("output_file", "")?,
        };
        if one.uri.trim().is_empty() {
            return Err(f.wrong("uri", "must not be empty"));
        }
        let path = &one.output_file;
        if path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return Err(f.wrong("output_file", "must be a path below the sandbox"));
        }
        all.push(one);
    }
    Ok(all)
}

fn environment(f: &Fields<'_>) -> Result<Vec<(String, String)>, Problem> {
    let mut all = Vec::new();
    for (at, item) in f.list("environmentVariables")?.iter().enumerate() {
        let f = Fields::new(item, &format!("environmentVariables[{at}]"))?;
        let (name, value) = (f.required("name")?, f.required("value")?);
        if name.is_empty() || name.contains('=') {
            return Err(f.wrong("name", "must not be empty or hold '='"));
        }
        all.push((name, value));
    }
    Ok(all)
}

fn constraints(f: &Fields<'_>) -> Result<Vec<Constraint>, Problem> {
    let mut all = Vec::new();
    for (at, item) in f.list("constraints")?.iter().enumerate() {
        let key = format!("constraints[{at}]");
        let parts: Option<Vec<&str>> =
            item.as_array().and_then(|parts| parts.iter().map(Value::as_str).collect());
        let Some([attribute, operator, value]) = parts.as_deref() else {
            return Err(f.wrong(&key, "must be [attribute, operator, value], three texts"));
        };
        let one = Constraint::new(attribute, operator, value).map_err(|e| f.wrong(&key, e))?;
        all.push(one);
    }
    Ok(all)
}

/// Counters are kept over an update unless the client gives them.
fn counters(f: &Fields<'_>) -> Result<Option<Counters>, Problem> {
    let keys = ["successCount", "errorCount", "errorsSinceLastSuccess", "lastSuccess", "lastError"];
    if keys.iter().all(|key| f.get(key).is_none()) {
        return Ok(None);
    }
    let count = |key| Ok(f.count(key, i64::MAX as u64)?.unwrap_or(0));
    let time = |key| match f.text(key)?.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => {
            schedule::read(&text).map(Some).map_err(|e| f.wrong(key, format!("is no time: {e}")))
        }
    };
    Ok(Some(Counters {
        success_count: count(keys[0])?,
        error_count: count(keys[1])?,
        errors_since_last_success: count(keys[2])?,
        last_success: time(keys[3])?,
        last_error: time(keys[4])?,
    }))
}
