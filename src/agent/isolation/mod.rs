//! What a task's ContainerInfo asks of the mesos containerizer, in that one's terms, within what the operator allows. Every
//! field is acted on or refused by name.

mod capabilities;
mod devices;
mod networks;
pub mod options;
mod seccomp;
#[cfg(test)]
mod tests;
mod volumes;

pub use capabilities::parse as parse_capabilities;
pub use devices::parse as parse_devices;
pub use networks::status;
pub use volumes::{persistent, through};

use crate::agent::containerizer::isolators::names::Isolation;
use crate::agent::containerizer::linux::{Bridge, Device, External};
use crate::agent::containerizer::{Backend, ContainerSpec, Rlimit};
use crate::mesos::v1;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use v1::container_info::Type;
use v1::linux_info::IpcMode;
use v1::r_limit_info::r_limit::Type as LimitType;

/// The name by which tasks ask for the built-in bridge, unless a CNI network has it: the one Marathon uses.
pub const BRIDGE_NAME: &str = "mesos-bridge";

/// What the operator allows and wants.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The optional isolators that are in force.
    pub isolation: Isolation,
    /// Capabilities of tasks that name none (`CAP_…`).
    pub effective: Option<Vec<String>>,
    /// Capabilities that no task has more than.
    pub bounding: Option<Vec<String>>,
    /// Where seccomp profiles are.
    pub seccomp_dir: Option<PathBuf>,
    /// The profile of tasks that name none; none: the built-in one.
    pub seccomp_profile: Option<String>,
    /// Where isolators outside this program are.
    pub isolators_dir: PathBuf,
    /// Devices beside the usual ones.
    pub devices: Vec<Device>,
    /// Size of `/dev/shm` of tasks that name none, in bytes.
    pub shm_bytes: Option<u64>,
    /// Whether a task may ask for the agent's pid namespace.
    pub share_pid: bool,
    /// Whether a task may ask for the agent's ipc namespace.
    pub share_ipc: bool,
    /// Below which directories missing host paths are made.
    pub host_path_roots: Vec<PathBuf>,
    /// Where configurations of CNI networks are.
    pub cni_config: Option<PathBuf>,
    /// Where CNI plug-ins are.
    pub cni_plugins: Vec<PathBuf>,
    /// The built-in bridge.
    pub bridge: Bridge,
}

/// The built-in bridge, unless the operator wants another one.
pub fn default_bridge() -> Bridge {
    Bridge { device: "mesolith0".into(), subnet: Ipv4Addr::new(10, 231, 0, 0), prefix: 16 }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            isolation: Isolation::default(),
            effective: None,
            bounding: None,
            seccomp_dir: None,
            seccomp_profile: None,
            isolators_dir: PathBuf::new(),
            devices: Vec::new(),
            shm_bytes: None,
            share_pid: true,
            share_ipc: true,
            host_path_roots: Vec::new(),
            cni_config: None,
            cni_plugins: Vec::new(),
            bridge: default_bridge(),
        }
    }
}

impl Policy {
    /// Makes of a container what its ContainerInfo asks; `resources` are all that it was given, `parent` is the sandbox of
    /// the one it is nested in. Reads profiles and networks from the operator's folders. The terminal is the caller's matter.
    ///
    /// # Errors
    /// The text for the task's status: what cannot be, and why.
    pub fn apply(
        &self,
        info: Option<&v1::ContainerInfo>,
        resources: &[&v1::Resource],
        parent: Option<&Path>,
        spec: &mut ContainerSpec,
    ) -> Result<(), String> {
        if let Some(info) = info {
            check(info)?;
            spec.rlimits = rlimits(info.rlimit_info.as_ref())?;
        }
        if spec.backend == Backend::Posix {
            return posix(info, spec.nested.is_some());
        }
        let empty = v1::LinuxInfo::default();
        let linux = info.and_then(|i| i.linux_info.as_ref()).unwrap_or(&empty);
        spec.hostname = info.and_then(|i| i.hostname.clone());
        let networks = info.map_or(&[][..], |i| &i.network_infos);
        if spec.nested.is_some()
            && (spec.hostname.is_some() || networks.iter().any(|n| n.name.is_some()))
        {
            return Err(
                "a nested container has the network and the name of the one it is in".into()
            );
        }
        spec.no_new_privs = self.isolation.no_new_privs;
        self.namespaces(linux, spec)?;
        self.capabilities(linux, spec)?;
        self.seccomp(linux.seccomp.as_ref(), spec)?;
        if self.isolation.devices {
            spec.linux.devices = self.devices.clone();
        }
        self.external(info, resources, spec);
        let Some(info) = info else { return Ok(()) };
        for volume in &info.volumes {
            let made = self.volume(volume, parent, spec);
            made.map_err(|why| format!("volume '{}': {why}", volume.container_path))?;
        }
        self.networks(info, resources, spec)
    }

    fn external(
        &self,
        info: Option<&v1::ContainerInfo>,
        resources: &[&v1::Resource],
        spec: &mut ContainerSpec,
    ) {
        if self.isolation.external.is_empty() {
            return;
        }
        let wishes = serde_json::json!({"container_info": info, "resources": resources});
        let wishes = wishes.to_string();
        spec.linux.isolators = self
            .isolation
            .external
            .iter()
            .map(|name| External {
                name: name.clone(),
                program: self.isolators_dir.join(name),
                wishes: wishes.clone(),
            })
            .collect();
    }

    fn namespaces(&self, linux: &v1::LinuxInfo, spec: &mut ContainerSpec) -> Result<(), String> {
        if spec.nested.is_some() {
            return self.namespaces_within(linux, spec);
        }
        spec.linux.share_pid = linux.share_pid_namespace();
        if spec.linux.share_pid && !self.share_pid {
            return Err("Sharing agent pid namespace with container is disallowed".into());
        }
        let asked = linux.shm_size.map(|mb| u64::from(mb) << 20);
        spec.linux.share_ipc = linux.ipc_mode() == IpcMode::ShareParent;
        if spec.linux.share_ipc {
            if !self.share_ipc {
                return Err("Sharing agent IPC namespace with container is disallowed".into());
            }
            if asked.is_some() {
                return Err("'shm_size' cannot be set with the IPC mode SHARE_PARENT".into());
            }
        } else {
            spec.linux.shm_bytes = asked.or(self.shm_bytes);
        }
        if asked == Some(0) {
            return Err("'shm_size' must be greater than zero".into());
        }
        Ok(())
    }

    /// Those of a nested container: what it shares is its parent's. Its processes are the caller's matter.
    fn namespaces_within(
        &self,
        linux: &v1::LinuxInfo,
        spec: &mut ContainerSpec,
    ) -> Result<(), String> {
        let asked = linux.shm_size.map(|mb| u64::from(mb) << 20);
        spec.linux.share_ipc = match linux.ipc_mode() {
            IpcMode::ShareParent => true,
            IpcMode::Private => false,
            IpcMode::Unknown => asked.is_none(),
        };
        match (spec.linux.share_ipc, asked) {
            (true, Some(_)) => {
                Err("'shm_size' cannot be set with the IPC mode SHARE_PARENT".into())
            }
            (_, Some(0)) => Err("'shm_size' must be greater than zero".into()),
            (true, None) => Ok(()),
            (false, asked) => {
                spec.linux.shm_bytes = asked.or(self.shm_bytes);
                Ok(())
            }
        }
    }
}

/// What no backend does.
fn check(info: &v1::ContainerInfo) -> Result<(), String> {
    if info.r#type() == Type::Docker {
        return Err("a container of type DOCKER is not for the mesos containerizer".into());
    }
    Ok(())
}

/// A process tree has no namespaces to put anything into.
fn posix(info: Option<&v1::ContainerInfo>, nested: bool) -> Result<(), String> {
    let Some(info) = info else { return Ok(()) };
    // One within another is asked for what it has in any case: the same processes, and no limits of its own.
    let usual = |linux: &v1::LinuxInfo| {
        let rest =
            v1::LinuxInfo { share_pid_namespace: None, share_cgroups: None, ..linux.clone() };
        nested && rest == v1::LinuxInfo::default()
    };
    let asked = [
        (info.hostname.is_some(), "hostname"),
        (!info.volumes.is_empty(), "volumes"),
        (info.linux_info.as_ref().is_some_and(|linux| !usual(linux)), "linux_info"),
        (info.network_infos.iter().any(|n| n.name.is_some()), "network_infos"),
    ];
    match asked.iter().find(|(asked, _)| *asked) {
        Some((_, what)) => Err(format!(
            "ContainerInfo.{what} needs containers, and tasks are plain processes on this agent"
        )),
        None => Ok(()),
    }
}

fn rlimits(info: Option<&v1::RLimitInfo>) -> Result<Vec<Rlimit>, String> {
    let all = info.map_or(&[][..], |info| &info.rlimits);
    all.iter()
        .map(|limit| {
            let name = match limit.r#type() {
                LimitType::Unknown => return Err("Unknown rlimit type".to_string()),
                known => known.as_str_name().replacen("RLMT_", "RLIMIT_", 1),
            };
            if limit.soft.is_some() != limit.hard.is_some() {
                return Err(format!(
                    "{name}: a limit has both a soft and a hard value, or neither"
                ));
            }
            Ok(Rlimit { name, soft: limit.soft, hard: limit.hard })
        })
        .collect()
}
