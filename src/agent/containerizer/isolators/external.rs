//! Isolators outside this program: executables of the operator's, run at three points of a container's life.
//!
//! Each is run as `<program> prepare|isolate|cleanup` with one JSON object on its standard input, and has 60 s. It may be run
//! several times for one container, at the same time as for others. One that ends with another status than 0 says why on
//! its standard error: that fails the launch, or is logged in the case of `cleanup`.
//!
//! - `prepare`, before anything of the container is made. It is told `container_id`, `sandbox`, `user` (null: the agent's),
//!   `container_info` and `resources` (as in Mesos's JSON). What it answers on its standard output is added to the container, all of
//!   it optional: `{"environment": {"NAME": "value"}, "mounts": [{"source": "/a", "target": "/b", "read_only": true}],
//!   "devices": [{"path": "/dev/x", "read": true, "write": true}]}`.
//! - `isolate`, when its first process is there and waits to begin: also told that `pid`, and its `cgroups` (directories).
//! - `cleanup`, when no process of it is left; also after a `prepare` that failed or was killed.
//!
//! They run as root, in the host's namespaces and outside the container's cgroup.

use super::Cgroup;
use crate::agent::containerizer::linux::{Device, External};
use crate::agent::containerizer::network::command::{self, Ended};
use crate::agent::containerizer::spec::{BindMount, ContainerSpec};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

/// The version of what is said, told as `version`.
pub const VERSION: u32 = 1;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    environment: BTreeMap<String, String>,
    mounts: Vec<Mount>,
    devices: Vec<Device>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mount {
    source: PathBuf,
    target: PathBuf,
    #[serde(default)]
    read_only: bool,
}

fn run(
    isolator: &External,
    verb: &str,
    spec: &ContainerSpec,
    more: &Value,
) -> Result<Ended, String> {
    let wishes: Value = serde_json::from_str(&isolator.wishes).unwrap_or(Value::Null);
    let mut said = json!({
        "version": VERSION,
        "container_id": spec.id,
        "sandbox": spec.sandbox,
        "user": spec.user,
    });
    for part in [&wishes, more] {
        if let (Value::Object(said), Value::Object(part)) = (&mut said, part) {
            said.extend(part.clone());
        }
    }
    let mut program = Command::new(&isolator.program);
    program.arg(verb);
    let name = format!("the isolator '{}'", isolator.name);
    let ended = command::execute(program, &name, said.to_string().as_bytes())?;
    match ended.good {
        true => Ok(ended),
        false => Err(format!("{name} failed to {verb}: {}", ended.errors.trim())),
    }
}

/// Adds to the container what its isolators want.
///
/// # Errors
/// A text that names the isolator. [`cleanup`] is to be called for all, also then.
pub fn prepare(spec: &ContainerSpec) -> Result<ContainerSpec, String> {
    let mut all = spec.clone();
    if spec.linux.isolators.is_empty() {
        return Ok(all);
    }
    for isolator in &spec.linux.isolators {
        let ended = run(isolator, "prepare", spec, &Value::Null)?;
        let text = ended.output.trim_ascii();
        let wanted: Wanted = match text.is_empty() {
            true => Wanted::default(),
            false => serde_json::from_slice(text)
                .map_err(|e| format!("the isolator '{}' answered: {e}", isolator.name))?,
        };
        all.env.retain(|(name, _)| !wanted.environment.contains_key(name));
        all.env.extend(wanted.environment);
        all.mounts.extend(wanted.mounts.into_iter().map(|m| BindMount {
            source: m.source,
            target: m.target,
            read_only: m.read_only,
        }));
        all.linux.devices.extend(wanted.devices);
    }
    all.validate().map_err(|e| format!("what its isolators want: {}", e.cause))?;
    Ok(all)
}

/// Tells them of the container's first process, which waits.
///
/// # Errors
/// A text that names the isolator.
pub fn isolate(spec: &ContainerSpec, pid: i32, cgroup: Option<&Cgroup>) -> Result<(), String> {
    let cgroups: Vec<_> = cgroup.map(Cgroup::directories).unwrap_or_default();
    let more = json!({"pid": pid, "cgroups": cgroups});
    spec.linux.isolators.iter().try_for_each(|i| run(i, "isolate", spec, &more).map(drop))
}

/// Tells them that the container is gone, the last one first.
///
/// # Errors
/// A text: what the first one said that failed. All are told.
pub fn cleanup(spec: &ContainerSpec) -> Result<(), String> {
    let mut outcome = Ok(());
    for isolator in spec.linux.isolators.iter().rev() {
        // Each has its turn, whatever became of the one before.
        outcome = outcome.and(run(isolator, "cleanup", spec, &Value::Null).map(drop));
    }
    outcome
}
