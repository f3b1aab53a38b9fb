//! Definitions of jobs: what a file says, with what the flags say put over it. Whether it is valid is Chronos's to say.

use crate::base::error::{Code, Error, Result};
use crate::cli::files;
use crate::cli::output::{list, text};
use clap::Args;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A job on the command line.
#[derive(Debug, Default, Args)]
pub struct DefinitionArgs {
    /// Command that a shell runs
    #[arg(long, value_name = "COMMAND")]
    pub command: Option<String>,
    /// When, as R[COUNT]/[START]/PERIOD, e.g. R/2030-01-01T02:00:00Z/P1D or R//PT5M
    #[arg(long, value_name = "ISO8601", conflicts_with = "parents")]
    pub schedule: Option<String>,
    /// Time zone of the schedule's start, e.g. Europe/Paris
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// Jobs after whose success it runs
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub parents: Vec<String>,
    /// How late a run may begin, e.g. PT5M
    #[arg(long, value_name = "PERIOD")]
    pub epsilon: Option<String>,
    /// How often a failed run is tried again
    #[arg(long, value_name = "N")]
    pub retries: Option<u32>,
    /// Share of cpus
    #[arg(long, value_name = "N")]
    pub cpus: Option<f64>,
    /// Memory in MiB
    #[arg(long, value_name = "MIB")]
    pub mem: Option<f64>,
    /// Disk in MiB
    #[arg(long, value_name = "MIB")]
    pub disk: Option<f64>,
    /// Environment variable; may be given several times
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// What to fetch into the sandbox; may be given several times
    #[arg(long, value_name = "URI")]
    pub uri: Vec<String>,
    /// User to run as
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Address of whom it belongs to
    #[arg(long, value_name = "ADDRESS")]
    pub owner: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Register it without running it
    #[arg(long)]
    pub disabled: bool,
}

/// The definition: `file` (an object) if there is one, with the flags over it. It has a `name`.
///
/// # Errors
/// [`Code::Invalid`] when there is no name, when a flag is malformed, or when the file is no job.
pub fn definition(file: Option<Value>, name: Option<&str>, args: &DefinitionArgs) -> Result<Value> {
    let mut job = match file {
        None => Map::new(),
        Some(Value::Object(object)) => object,
        Some(_) => {
            return Err(Error::new(Code::Invalid, "the file holds no JSON object: it is no job")
                .hint("several jobs are taken by `mesolith apply FILE`"));
        }
    };
    for (key, value) in [
        ("name", name.map(|v| json!(v))),
        ("command", args.command.as_ref().map(|v| json!(v))),
        ("schedule", args.schedule.as_ref().map(|v| json!(v))),
        ("scheduleTimeZone", args.time_zone.as_ref().map(|v| json!(v))),
        ("epsilon", args.epsilon.as_ref().map(|v| json!(v))),
        ("retries", args.retries.map(|v| json!(v))),
        ("cpus", args.cpus.map(|v| json!(v))),
        ("mem", args.mem.map(|v| json!(v))),
        ("disk", args.disk.map(|v| json!(v))),
        ("runAsUser", args.user.as_ref().map(|v| json!(v))),
        ("owner", args.owner.as_ref().map(|v| json!(v))),
        ("description", args.description.as_ref().map(|v| json!(v))),
        ("disabled", args.disabled.then_some(json!(true))),
        ("uris", (!args.uri.is_empty()).then(|| json!(args.uri))),
        ("parents", (!args.parents.is_empty()).then(|| json!(args.parents))),
    ] {
        if let Some(value) = value {
            job.insert(key.into(), value);
        }
    }
    // A job has either of them; the one that was said last counts.
    if args.schedule.is_some() {
        job.remove("parents");
    }
    if !args.parents.is_empty() {
        job.remove("schedule");
    }
    let given = files::pairs("--env", &args.env)?;
    if !given.is_empty() {
        let variables = job.entry("environmentVariables").or_insert_with(|| json!([]));
        let present = variables.as_array().cloned().unwrap_or_default();
        let kept = present.into_iter().filter(|v| !given.contains_key(&text(v, "name")));
        let added = given.iter().map(|(name, value)| json!({"name": name, "value": value}));
        *variables = kept.chain(added).collect();
    }
    let job = Value::Object(job);
    match text(&job, "name") {
        name if name.is_empty() => {
            Err(Error::new(Code::Invalid, "the job has no name").hint("give it one with --name"))
        }
        _ => Ok(job),
    }
}

/// Whether the job depends on others, and on nothing else.
fn is_dependent(job: &Value) -> bool {
    !job["parents"].is_null()
}

/// Whether it runs once, at once.
pub fn runs_once_now(job: &Value) -> bool {
    let schedule = text(job, "schedule");
    !is_dependent(job)
        && job["disabled"] != true
        && (schedule.is_empty() || schedule.starts_with("R1//"))
}

/// Where a job is uploaded to.
pub fn upload_path(job: &Value) -> &'static str {
    if is_dependent(job) { "/v1/scheduler/dependency" } else { "/v1/scheduler/iso8601" }
}

/// Puts jobs in an order in which each comes after its parents; otherwise they stay as they are. The indices of `jobs`.
///
/// # Errors
/// [`Code::Invalid`] for jobs that wait for one another in a circle.
pub fn after_parents(jobs: &[&Value]) -> Result<Vec<usize>> {
    let by_name: BTreeMap<String, usize> =
        jobs.iter().enumerate().map(|(n, job)| (text(job, "name"), n)).collect();
    let parents = |job: &Value| -> Vec<usize> {
        list(job, "parents").iter().filter_map(|p| by_name.get(p.as_str()?).copied()).collect()
    };
    let (mut order, mut placed) = (Vec::new(), BTreeSet::new());
    while order.len() < jobs.len() {
        let ready: Vec<usize> = (0..jobs.len())
            .filter(|n| !placed.contains(n) && parents(jobs[*n]).iter().all(|p| placed.contains(p)))
            .collect();
        if ready.is_empty() {
            let left = (0..jobs.len()).filter(|n| !placed.contains(n));
            let names: Vec<String> = left.map(|n| text(jobs[n], "name")).collect();
            let cause = format!("jobs wait for one another in a circle: {}", names.join(", "));
            return Err(
                Error::new(Code::Invalid, cause).hint("take a name out of their \"parents\"")
            );
        }
        placed.extend(ready.iter().copied());
        order.extend(ready);
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_make_a_job() {
        let args = DefinitionArgs {
            command: Some("date".into()),
            schedule: Some("R//PT5S".into()),
            env: vec!["A=1".into()],
            ..DefinitionArgs::default()
        };
        let job = definition(None, Some("tick"), &args).unwrap();
        assert_eq!(
            job,
            json!({"name": "tick", "command": "date", "schedule": "R//PT5S",
                "environmentVariables": [{"name": "A", "value": "1"}]})
        );
        assert_eq!(upload_path(&job), "/v1/scheduler/iso8601");
    }

    #[test]
    fn what_is_said_last_decides_between_schedule_and_parents() {
        let file = json!({"name": "a", "schedule": "R//PT1H", "environmentVariables":
            [{"name": "A", "value": "0"}, {"name": "B", "value": "2"}]});
        let args = DefinitionArgs {
            parents: vec!["x".into(), "y".into()],
            env: vec!["A=1".into()],
            ..DefinitionArgs::default()
        };
        let job = definition(Some(file), None, &args).unwrap();
        assert_eq!(
            job,
            json!({"name": "a", "parents": ["x", "y"], "environmentVariables":
                [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]})
        );
        assert_eq!(upload_path(&job), "/v1/scheduler/dependency");
    }

    #[test]
    fn a_job_without_a_name_and_a_file_without_a_job_are_refused() {
        let none = DefinitionArgs::default();
        assert_eq!(
            definition(Some(json!({"command": "x"})), None, &none).unwrap_err().code,
            Code::Invalid
        );
        assert_eq!(definition(Some(json!([1])), Some("a"), &none).unwrap_err().code, Code::Invalid);
    }

    #[test]
    fn only_a_run_that_begins_at_once_is_one_to_watch() {
        let once = |job: Value| runs_once_now(&job);
        assert!(once(json!({"name": "a"})));
        assert!(once(json!({"name": "a", "schedule": "R1//PT1H"})));
        assert!(!once(json!({"name": "a", "schedule": "R1/2099-01-01T00:00:00Z/PT1H"})));
        assert!(!once(json!({"name": "a", "schedule": "R//PT1H"})));
        assert!(!once(json!({"name": "a", "parents": ["b"]})));
        assert!(!once(json!({"name": "a", "disabled": true})));
    }

    #[test]
    fn jobs_come_after_their_parents() {
        let job = |name: &str, parents: &[&str]| json!({"name": name, "parents": parents});
        let jobs = [job("c", &["b", "far"]), job("b", &["a"]), job("z", &[]), job("a", &[])];
        let refs: Vec<&Value> = jobs.iter().collect();
        assert_eq!(after_parents(&refs), Ok(vec![2, 3, 1, 0]));
        let circle = [job("a", &["b"]), job("b", &["a"]), job("c", &[])];
        let error = after_parents(&circle.iter().collect::<Vec<_>>()).unwrap_err();
        assert!(error.cause.ends_with("a, b"), "{error:?}");
    }
}
