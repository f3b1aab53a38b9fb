//! What Marathon remembers, as rows of its namespace: keys, records, and nothing else.
//!
//! | key | what |
//! |---|---|
//! | `framework` | the framework's id |
//! | `groups/<path>` | a group, without what is in it |
//! | `apps/<path>@<version>` | one version of an app |
//! | `current/<path>` | which version of the app counts |
//! | `roots/<version>` | what that version of the root group changed |
//! | `deployments/<id>` | a running deployment: its plan and where it is |
//! | `instances/<id>` | an instance, from before its launch until it is forgotten |
//!
//! A value is a schema number (one byte) and JSON. One row for each thing, so that no value grows with the cluster.

use super::ids::{DeploymentId, InstanceId};
use super::view::{Condition, IpAddress, Placement, Step};
use crate::base::error::{Code, Error, Result};
use crate::base::kv::Op;
use crate::marathon::model::{App, PathId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The schema this program writes.
const SCHEMA: u8 = 1;
/// The oldest schema this program reads.
const SCHEMA_MIN: u8 = 1;

/// Changes in one commit: what a state port takes at once.
pub const COMMIT_OPS_MAX: usize = 1024;
/// Bytes of keys and values in one commit, a little below what a state port takes at once.
pub const COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024 - 64 * 1024;

const FRAMEWORK: &str = "framework";
const GROUPS: &str = "groups";
const APPS: &str = "apps";
const CURRENT: &str = "current";
const ROOTS: &str = "roots/";
const DEPLOYMENTS: &str = "deployments/";
const INSTANCES: &str = "instances/";

/// A group without what is in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct GroupMeta {
    /// Apps and groups that are deployed before it.
    pub dependencies: Vec<PathId>,
    /// Whether services below it get its role.
    pub enforce_role: bool,
}

/// A group's row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GroupRecord {
    #[serde(flatten)]
    pub meta: GroupMeta,
    pub version: Timestamp,
}

/// Before and after; none where it was not, or is no more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Changed<T> {
    pub before: Option<T>,
    pub after: Option<T>,
}

/// What one version of the root group changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Delta {
    /// The version that it changed.
    pub previous: Timestamp,
    /// Versions of apps.
    pub apps: BTreeMap<PathId, Changed<Timestamp>>,
    /// Groups.
    pub groups: BTreeMap<PathId, Changed<GroupMeta>>,
}

/// A running deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct DeploymentRecord {
    pub version: Timestamp,
    pub steps: Vec<Step>,
    /// The step under way, from 0.
    pub at: usize,
    /// Versions of the apps it holds.
    pub apps: BTreeMap<PathId, Changed<Timestamp>>,
    pub groups: BTreeMap<PathId, Changed<GroupMeta>>,
}

/// What an instance is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Goal {
    /// To run; it is launched again when it ends.
    Running,
    /// To end and be forgotten.
    Decommissioned,
}

/// An instance's row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct InstanceRecord {
    pub app: PathId,
    pub version: Timestamp,
    pub incarnation: u32,
    pub goal: Goal,
    /// The present task was told to end.
    pub kill: bool,
    pub condition: Condition,
    pub since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_ports: Vec<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<IpAddress>,
    /// What its health checks said last: whoever takes over goes on from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
}

/// One row, read.
pub(super) enum Record {
    Framework(String),
    Group(PathId, GroupRecord),
    App(Box<App>),
    Current(PathId, Timestamp),
    Root(Timestamp, Delta),
    Deployment(DeploymentId, DeploymentRecord),
    Instance(InstanceId, InstanceRecord),
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = vec![SCHEMA];
    // Records are plain data with texts as keys: writing them to memory cannot fail.
    let _ = serde_json::to_writer(&mut out, value);
    out
}

fn corrupt(key: &str, why: impl std::fmt::Display) -> Error {
    Error::new(Code::Corrupt, format!("the record {key:?} {why}"))
}

fn decode<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T> {
    match value.split_first() {
        Some((schema, body)) if (SCHEMA_MIN..=SCHEMA).contains(schema) => {
            serde_json::from_slice(body).map_err(|e| corrupt(key, format!("cannot be read: {e}")))
        }
        Some((schema, _)) => {
            let why = format!("has schema {schema}; this program reads {SCHEMA_MIN} to {SCHEMA}");
            let hint = "start the version of mesolith that wrote it, or a newer one";
            Err(corrupt(key, why).hint(hint))
        }
        None => Err(corrupt(key, "is empty")),
    }
}

fn path(key: &str, text: &str) -> Result<PathId> {
    PathId::parse(text).map_err(|e| corrupt(key, format!("names no id: {e}")))
}

/// Reads one row. A key that is none of ours is corrupt too: the namespace is Marathon's alone.
pub(super) fn read(key: &str, value: &[u8]) -> Result<Record> {
    let below = |folder: &str| key.strip_prefix(folder).filter(|rest| rest.starts_with('/'));
    if key == FRAMEWORK {
        Ok(Record::Framework(decode(key, value)?))
    } else if let Some(version) = key.strip_prefix(ROOTS) {
        let millis = version.parse().map_err(|_| corrupt(key, "has no version"))?;
        Ok(Record::Root(Timestamp::from_millis(millis), decode(key, value)?))
    } else if let Some(id) = key.strip_prefix(DEPLOYMENTS) {
        Ok(Record::Deployment(id.into(), decode(key, value)?))
    } else if let Some(id) = key.strip_prefix(INSTANCES) {
        let id = InstanceId::parse(id).ok_or_else(|| corrupt(key, "names no instance"))?;
        Ok(Record::Instance(id, decode(key, value)?))
    } else if let Some(id) = below(GROUPS) {
        Ok(Record::Group(path(key, id)?, decode(key, value)?))
    } else if let Some(id) = below(CURRENT) {
        Ok(Record::Current(path(key, id)?, decode(key, value)?))
    } else if below(APPS).is_some() {
        Ok(Record::App(Box::new(decode(key, value)?)))
    } else {
        Err(corrupt(key, "is not known to this program"))
    }
}

/// What makes the rows forget the framework's id: the master does not want it any more.
pub fn forget_framework() -> Vec<Op> {
    vec![Op::delete(FRAMEWORK)]
}

pub(super) fn framework(id: &str) -> Op {
    Op::put(FRAMEWORK, encode(&id))
}

pub(super) fn group(id: &PathId, record: &GroupRecord) -> Op {
    Op::put(format!("{GROUPS}{id}"), encode(record))
}

pub(super) fn no_group(id: &PathId) -> Op {
    Op::delete(format!("{GROUPS}{id}"))
}

fn version_key(id: &PathId, version: Timestamp) -> String {
    format!("{APPS}{id}@{}", version.millis())
}

pub(super) fn app(app: &App) -> Op {
    Op::put(version_key(&app.id, app.version), encode(app))
}

pub(super) fn no_app(id: &PathId, version: Timestamp) -> Op {
    Op::delete(version_key(id, version))
}

pub(super) fn current(id: &PathId, version: Timestamp) -> Op {
    Op::put(format!("{CURRENT}{id}"), encode(&version))
}

pub(super) fn no_current(id: &PathId) -> Op {
    Op::delete(format!("{CURRENT}{id}"))
}

fn root_key(version: Timestamp) -> String {
    // Padded, so that keys are in the order of time.
    format!("{ROOTS}{:016}", version.millis())
}

pub(super) fn root(version: Timestamp, delta: &Delta) -> Op {
    Op::put(root_key(version), encode(delta))
}

pub(super) fn no_root(version: Timestamp) -> Op {
    Op::delete(root_key(version))
}

pub(super) fn deployment(id: &DeploymentId, record: &DeploymentRecord) -> Op {
    Op::put(format!("{DEPLOYMENTS}{id}"), encode(record))
}

pub(super) fn no_deployment(id: &DeploymentId) -> Op {
    Op::delete(format!("{DEPLOYMENTS}{id}"))
}

pub(super) fn instance(id: &InstanceId, record: &InstanceRecord) -> Op {
    Op::put(format!("{INSTANCES}{id}"), encode(record))
}

pub(super) fn no_instance(id: &InstanceId) -> Op {
    Op::delete(format!("{INSTANCES}{id}"))
}

fn key(op: &Op) -> &str {
    match op {
        Op::Put { key, .. } | Op::Delete { key } => key,
    }
}

fn bytes(op: &Op) -> usize {
    match op {
        Op::Put { key, value } => key.len() + value.len(),
        Op::Delete { key } => key.len(),
    }
}

pub(super) fn bytes_of(ops: &[Op]) -> usize {
    ops.iter().map(bytes).sum()
}

/// Whether a commit may end between two changes. A change of definitions is written as: its deployment, groups, apps,
/// and at last the root's version; it is never cut, so that a crash leaves all of it or nothing.
fn may_cut(before: &Op, after: &Op) -> bool {
    let of_tree =
        |op: &Op| [GROUPS, APPS, CURRENT].iter().any(|folder| key(op).starts_with(folder));
    let ends = |op: &Op| key(op).starts_with(ROOTS);
    let plans = |op: &Op| key(op).starts_with(DEPLOYMENTS);
    let inside = of_tree(before) && (of_tree(after) || ends(after));
    let begins = plans(before) && (of_tree(after) || ends(after));
    !inside && !begins
}

/// Cuts a batch of writes into commits that a state port takes, in order. A key that is written twice in one commit
/// is written once, as it was last.
pub fn commits(writes: Vec<Op>) -> Vec<Vec<Op>> {
    let mut all: Vec<Vec<Op>> = Vec::new();
    let mut unit: Vec<Op> = Vec::new();
    let mut writes = writes.into_iter().peekable();
    while let Some(op) = writes.next() {
        let ends = writes.peek().is_none_or(|next| may_cut(&op, next));
        unit.push(op);
        if !ends {
            continue;
        }
        let unit = std::mem::take(&mut unit);
        match all.last_mut() {
            Some(open)
                if open.len() + unit.len() <= COMMIT_OPS_MAX
                    && bytes_of(open) + bytes_of(&unit) <= COMMIT_BYTES_MAX =>
            {
                open.extend(unit);
            }
            _ => all.push(unit),
        }
    }
    all.into_iter().map(last_of_each_key).collect()
}

fn last_of_each_key(ops: Vec<Op>) -> Vec<Op> {
    let mut seen = std::collections::BTreeSet::new();
    let mut kept: Vec<Op> = Vec::with_capacity(ops.len());
    for op in ops.into_iter().rev() {
        if seen.insert(key(&op).to_string()) {
            kept.push(op);
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str) -> Op {
        Op::put(key, vec![1])
    }

    fn keys(commits: &[Vec<Op>]) -> Vec<Vec<&str>> {
        commits.iter().map(|ops| ops.iter().map(key).collect()).collect()
    }

    #[test]
    fn a_key_is_written_once_in_a_commit() {
        let writes = vec![
            put("instances/a"),
            put("instances/b"),
            Op::delete("instances/a"),
            put("framework"),
        ];
        let commits = commits(writes);
        assert_eq!(keys(&commits), [["instances/b", "instances/a", "framework"]]);
        assert_eq!(commits[0][1], Op::delete("instances/a"));
    }

    #[test]
    fn a_change_of_definitions_is_never_cut() {
        let mut writes: Vec<Op> = (0..1000).map(|n| put(&format!("instances/{n}"))).collect();
        writes.push(put("deployments/d"));
        writes.extend((0..40).map(|n| put(&format!("apps/{n}@1"))));
        writes.push(put("current/0"));
        writes.push(put("roots/1"));
        writes.push(put("instances/x"));
        let commits = commits(writes);
        assert_eq!(commits.len(), 2);
        assert_eq!(commits[0].len(), 1000);
        assert_eq!(key(&commits[1][0]), "deployments/d");
        assert_eq!(commits[1].len(), 44);
        assert!(commits.iter().all(|c| c.len() <= COMMIT_OPS_MAX));
    }

    #[test]
    fn bytes_count_too() {
        let big = |n: usize| Op::put(format!("instances/{n}"), vec![0; 1024 * 1024]);
        let commits = commits((0..9).map(big).collect());
        assert_eq!(commits.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3]);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_key() {
        for (key, value, words) in [
            ("framework", &[][..], "is empty"),
            ("framework", &[9, b'1'], "has schema 9"),
            ("framework", &[1, b'{'], "cannot be read"),
            ("instances/x", &[1, b'1'], "names no instance"),
            ("roots/x", &[1, b'1'], "has no version"),
            ("groups/A", &[1, b'1'], "names no id"),
            ("else", &[1, b'1'], "is not known"),
        ] {
            let error = read(key, value).err().expect("an error");
            assert_eq!(error.code, Code::Corrupt);
            assert!(error.cause.contains(key) && error.cause.contains(words), "{}", error.cause);
        }
    }
}
