//! The container an app's command runs in.

use super::network::PortMapping;
use serde::{Deserialize, Serialize};

/// Which containerizer of the agent makes the container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Engine {
    /// Mesos's own.
    Mesos,
    /// The Docker daemon.
    #[default]
    Docker,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Who makes it.
    #[serde(rename = "type")]
    pub engine: Engine,
    /// The image; always there for [`Engine::Docker`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker: Option<Docker>,
    /// What of the agent's files is seen inside.
    pub volumes: Vec<HostVolume>,
    /// Ports on a bridge or a network of its own. None on the host's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_mappings: Option<Vec<PortMapping>>,
    /// Settings of the kernel's isolation; [`Engine::Mesos`] only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linux_info: Option<LinuxInfo>,
}

/// A Docker image and how it is run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Docker {
    /// Pull even if the agent has it.
    pub force_pull_image: bool,
    /// Its name.
    pub image: String,
    /// Long options of `docker run`, in order; [`Engine::Docker`] only.
    pub parameters: Vec<Parameter>,
    /// `docker run --privileged`.
    pub privileged: bool,
}

/// One option of `docker run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Without dashes.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Whether a volume may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ReadMode {
    /// Read only.
    Ro,
    /// Read and written.
    Rw,
}

/// A folder or file of the agent, seen in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostVolume {
    /// Where it is seen.
    pub container_path: String,
    /// Where it is; a relative path is in the sandbox.
    pub host_path: String,
    /// Whether it may be written.
    pub mode: ReadMode,
}

/// Settings of the kernel's isolation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinuxInfo {
    /// The filter of system calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Seccomp>,
    /// Shared memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipc_info: Option<IpcInfo>,
}

/// The filter of system calls: a profile, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seccomp {
    /// The profile's name on the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    /// No filter.
    pub unconfined: bool,
}

/// Whose shared memory a container sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum IpcMode {
    /// Its own.
    Private,
    /// Its parent's.
    ShareParent,
}

/// Shared memory of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpcInfo {
    /// Whose.
    pub mode: IpcMode,
    /// The size of `/dev/shm` in MiB; only with [`IpcMode::Private`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<u32>,
}
