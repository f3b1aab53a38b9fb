//! What Chronos remembers over a restart. Keys, records, and nothing else: a value is a schema number (one byte) and JSON.

use super::entry::State;
use super::row::Row;
use super::run::Run;
use crate::base::error::{Code, Error, Result};
use crate::base::kv::Op;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const FRAMEWORK: &str = "framework";
const JOBS: &str = "jobs/";
const STATES: &str = "states/";
const RUNS: &str = "runs/";
const HISTORY: &str = "history/";
const DYING: &str = "dying/";

/// The schema this program writes, and the oldest it reads.
const SCHEMA: u8 = 1;

/// A job as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its place among all jobs.
    pub number: u64,
    /// As clients are shown it.
    pub job: serde_json::Value,
    /// Its schedule with a start that does not depend on when it is read.
    #[serde(default)]
    pub schedule: Option<String>,
    /// The schedule as the client wrote it.
    #[serde(default)]
    pub given: Option<String>,
}

/// A task that is to end though its job is gone or another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dying {
    /// Of which job it was.
    pub job: String,
    /// On which agent.
    pub agent_id: String,
}

/// Who Chronos is to the master.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct FrameworkRecord {
    id: String,
}

/// One record, read.
pub(super) enum Record {
    Framework(String),
    Job(String, Box<JobRecord>),
    State(String, Box<State>),
    Run(Box<Run>),
    Row(String, Box<Row>),
    Dying(String, Dying),
}

/// Reads one key and its value.
///
/// # Errors
/// [`Code::Corrupt`] for a key or value that is none of this program's.
pub(super) fn read(key: &str, value: &[u8]) -> Result<Record> {
    if key == FRAMEWORK {
        return Ok(Record::Framework(decode::<FrameworkRecord>(key, value)?.id));
    }
    if let Some(name) = key.strip_prefix(JOBS) {
        return Ok(Record::Job(name.into(), Box::new(decode(key, value)?)));
    }
    if let Some(name) = key.strip_prefix(STATES) {
        return Ok(Record::State(name.into(), Box::new(decode(key, value)?)));
    }
    if key.starts_with(RUNS) {
        return Ok(Record::Run(Box::new(decode(key, value)?)));
    }
    if let Some((name, _)) = key.strip_prefix(HISTORY).and_then(|rest| rest.split_once('/')) {
        return Ok(Record::Row(name.into(), Box::new(decode(key, value)?)));
    }
    if let Some(id) = key.strip_prefix(DYING) {
        return Ok(Record::Dying(id.into(), decode(key, value)?));
    }
    Err(corrupt(key, "is of no kind this program knows"))
}

fn corrupt(key: &str, why: impl std::fmt::Display) -> Error {
    Error::new(Code::Corrupt, format!("the record {key:?} of Chronos {why}"))
        .hint("start the version of mesolith that wrote it, or a newer one")
}

fn decode<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T> {
    match value.split_first() {
        Some((&SCHEMA, body)) => {
            serde_json::from_slice(body).map_err(|e| corrupt(key, format!("cannot be read: {e}")))
        }
        Some((schema, _)) => {
            Err(corrupt(key, format!("has schema {schema}; this program reads {SCHEMA}")))
        }
        None => Err(corrupt(key, "is empty")),
    }
}

fn put<T: Serialize>(key: String, value: &T) -> Op {
    let mut bytes = vec![SCHEMA];
    // Records hold no maps with keys other than texts and nothing that refuses to be written, so this cannot fail.
    let _ = serde_json::to_writer(&mut bytes, value);
    Op::put(key, bytes)
}

/// Times in keys are in order as texts.
fn timed(prefix: &str, job: &str, due: i64) -> String {
    format!("{prefix}{job}/{due:020}")
}

pub(super) fn framework(id: &str) -> Op {
    put(FRAMEWORK.into(), &FrameworkRecord { id: id.into() })
}

pub(super) fn forget_framework() -> Op {
    Op::delete(FRAMEWORK)
}

pub(super) fn job(name: &str, record: &JobRecord) -> Op {
    put(format!("{JOBS}{name}"), record)
}

pub(super) fn forget_job(name: &str) -> [Op; 2] {
    [Op::delete(format!("{JOBS}{name}")), Op::delete(format!("{STATES}{name}"))]
}

pub(super) fn state(name: &str, state: &State) -> Op {
    put(format!("{STATES}{name}"), state)
}

pub(super) fn run(run: &Run) -> Op {
    put(timed(RUNS, &run.job, run.due), run)
}

pub(super) fn forget_run(job: &str, due: i64) -> Op {
    Op::delete(timed(RUNS, job, due))
}

pub(super) fn row(job: &str, row: &Row) -> Op {
    put(timed(HISTORY, job, row.due), row)
}

pub(super) fn forget_row(job: &str, due: i64) -> Op {
    Op::delete(timed(HISTORY, job, due))
}

pub(super) fn dying(task_id: &str, record: &Dying) -> Op {
    put(format!("{DYING}{task_id}"), record)
}

pub(super) fn forget_dying(task_id: &str) -> Op {
    Op::delete(format!("{DYING}{task_id}"))
}
