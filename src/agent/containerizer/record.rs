//! What is told about containers: how they ended, what they use, what this machine can do. Pure data.

use super::isolators::Cgroup;
use super::linux::PortMapping;
use crate::base::ids::ContainerId;
use crate::base::time::Wall;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// That the kernel killed for want of memory within the container's limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OomInfo {
    /// The limit, in bytes.
    pub limit_bytes: u64,
    /// The most it ever used, in bytes (on cgroup v2 before Linux 5.19: the use when last looked at).
    pub max_usage_bytes: u64,
    /// The kernel's `memory.stat` at the end.
    pub memory_stat: String,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The raw wait status of the task's process (`WEXITSTATUS`, `WTERMSIG`); none: it could not be learnt.
    pub status: Option<i32>,
    /// Whether memory ran out, even if the status is an ordinary one.
    pub oom: Option<OomInfo>,
    /// Its limit of processes and threads, if the kernel refused it more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
    /// When the end was noticed.
    pub at: Wall,
}

impl ExitRecord {
    /// The exit code, if it exited by itself.
    pub fn code(&self) -> Option<i32> {
        self.status.filter(|s| s & 0x7f == 0).map(|s| (s >> 8) & 0xff)
    }

    /// The signal that ended it, if one did.
    pub fn signal(&self) -> Option<i32> {
        self.status.map(|s| s & 0x7f).filter(|s| *s != 0 && *s != 0x7f)
    }
}

/// What became of a container, as found after a restart of the agent or the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Made, not started; or still being made.
    Created,
    /// Its process runs (the pid is the host's).
    Running {
        /// The task's process.
        pid: i32,
    },
    /// It ended, and the record was not yet forgotten.
    Exited(ExitRecord),
    /// It was asked for, but nothing of it is left and nobody knows how it ended.
    Gone,
}

/// One container the supervisor knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Which.
    pub id: ContainerId,
    /// What became of it.
    pub state: State,
    /// The network of its own, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<OwnNetwork>,
}

/// The network namespace of a container that does not use the agent's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnNetwork {
    /// A process in it.
    pub pid: i32,
    /// The networks it was connected with.
    pub joined: Vec<Joined>,
}

/// A network that a container has joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// As the task calls it.
    pub name: String,
    /// The container's device in it.
    pub device: String,
    /// The container's addresses in it.
    pub addresses: Vec<IpAddr>,
    /// Ports of the host that lead into the container.
    pub ports: Vec<PortMapping>,
    /// What the last plug-in answered, as JSON, for those that end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// What a container uses now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU seconds in user mode.
    pub cpu_user_secs: f64,
    /// CPU seconds in the kernel.
    pub cpu_system_secs: f64,
    /// Periods of the hard CPU limit that passed.
    pub cpu_nr_periods: Option<u64>,
    /// Periods in which it was throttled.
    pub cpu_nr_throttled: Option<u64>,
    /// Seconds it was throttled.
    pub cpu_throttled_secs: Option<f64>,
    /// All memory charged to it, in bytes (posix: the same as `mem_rss_bytes`).
    pub mem_total_bytes: u64,
    /// Anonymous memory, in bytes.
    pub mem_rss_bytes: u64,
    /// Page cache, in bytes.
    pub mem_cache_bytes: Option<u64>,
    /// Mapped files, in bytes.
    pub mem_mapped_file_bytes: Option<u64>,
    /// Swap, in bytes.
    pub mem_swap_bytes: Option<u64>,
    /// The memory limit, in bytes, if there is one.
    pub mem_limit_bytes: Option<u64>,
    /// Processes, our own keeper not counted.
    pub processes: u64,
    /// Threads of those processes.
    pub threads: u64,
}

/// Where it is read what a container uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The path of its cgroup below [`Places::root`].
    pub path: String,
    /// Whether its CPU time is limited.
    pub quota: bool,
}

/// Where it is read what containers use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// The cgroup that all of them are in.
    pub root: Cgroup,
    /// In the order asked; none for one that does not run, or has no cgroup.
    pub all: Vec<Option<Place>>,
}

/// How a command run in a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecOutcome {
    /// The raw wait status; none: it was killed at its timeout.
    pub status: Option<i32>,
    /// Standard output and error together, invalid UTF-8 replaced.
    pub output: String,
    /// Whether there was more output than is kept.
    pub truncated: bool,
}

/// Which signal targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// The task's first process.
    Init,
    /// Every process of the container.
    Tree,
}

/// Which cgroups this machine offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CgroupVersion {
    /// One hierarchy a controller; `hybrid`: a bare unified one beside them.
    V1 {
        /// Whether a cgroup2 mount is there too.
        hybrid: bool,
    },
    /// The unified hierarchy.
    V2,
}

/// What this machine can do, probed at the start of the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Whether containers of the mesos backend can be made here.
    pub mesos: bool,
    /// Whether that is done in a user namespace, since the agent is not root.
    #[serde(default)]
    pub user_namespace: bool,
    /// Which isolators are in force for the mesos backend, by Mesos's names.
    pub isolators: Vec<String>,
    /// The cgroup version in use.
    pub cgroups: Option<CgroupVersion>,
    /// For each thing this machine lacks: what, and why.
    pub missing: Vec<(String, String)>,
}

/// What happens without being asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A container ended. Told again after each re-attachment until it is forgotten.
    Exited {
        /// Which.
        id: ContainerId,
        /// How.
        record: ExitRecord,
    },
    /// A container that bears this node's mark was found after the agent had looked for those of an earlier run.
    Stray {
        /// Which.
        id: ContainerId,
    },
    /// The supervisor is not there any more, or the connection is lost. Its containers may run on: the next call
    /// starts a new supervisor, which adopts them; ask `recover` then.
    SupervisorLost,
}
