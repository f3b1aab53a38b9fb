//! What a container is to be: pure data, built by the agent's core, stored by the supervisor. No I/O.

use super::linux::Linux;
use crate::base::error::{Code, Error, Result};
use crate::base::ids::{self, ContainerId};
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

/// Environment variables of one container, at most.
pub const ENV_MAX: usize = 4096;
/// Arguments of one command, at most.
pub const ARGS_MAX: usize = 4096;
/// Mounts of one container beside the ones we make, at most.
pub const MOUNTS_MAX: usize = 256;
/// Rotated files kept of one stream, at most.
pub const ROTATED_FILES_MAX: u32 = 100;
/// The smallest size at which a log may be rotated, in bytes.
pub const ROTATE_BYTES_MIN: u64 = 4096;
/// The least CPU weight (Mesos: `MIN_CPU_SHARES`).
pub const CPU_SHARES_MIN: u64 = 2;
/// CPU weight of one CPU (Mesos: `CPU_SHARES_PER_CPU`).
pub const CPU_SHARES_PER_CPU: f64 = 1024.0;
/// The period of the hard CPU limit, in microseconds (Mesos: `CPU_CFS_PERIOD`).
pub const CFS_PERIOD_US: u64 = 100_000;
/// The smallest hard CPU limit in a period, in microseconds (Mesos: `MIN_CPU_CFS_QUOTA`).
pub const CFS_QUOTA_US_MIN: u64 = 1000;
/// The search path of a container whose environment names none.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What a process is called that waits.
pub const PAUSE: &str = "mesolith-pause";
/// The capabilities of a task that asks for none: Docker's set less `CAP_NET_RAW` and `CAP_MKNOD` (no cgroup keeps a task
/// from the devices it could make).
pub const DEFAULT_CAPABILITIES: [&str; 12] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Who makes the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backend {
    /// Namespaces and cgroups; needs root.
    Mesos,
    /// A process tree in a session of its own, without isolation; needs nothing.
    Posix,
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// `/bin/sh -c <text>`.
    Shell(String),
    /// A program (a path, or a name looked up in the container's `PATH`) and its arguments, `argv[0]` first.
    /// Without arguments `argv[0]` is the program.
    Exec {
        /// Path or name.
        program: String,
        /// All arguments, `argv[0]` included.
        argv: Vec<String>,
    },
    /// Nothing: the container is there for those nested in it, until it is signalled.
    Pause,
    /// What is not known yet: the container is made ahead of need. Nobody asks for it but the supervisor.
    Later,
}

impl Command {
    /// The program and its arguments (`argv[0]` first).
    pub fn resolve(&self) -> (String, Vec<String>) {
        match self {
            Command::Shell(text) => {
                ("/bin/sh".into(), vec!["sh".into(), "-c".into(), text.clone()])
            }
            Command::Exec { program, argv } if argv.is_empty() => {
                (program.clone(), vec![program.clone()])
            }
            Command::Exec { program, argv } => (program.clone(), argv.clone()),
            Command::Pause | Command::Later => (PAUSE.into(), vec![PAUSE.into()]),
        }
    }
}

/// The least and the greatest adjustment of who may have more memory than was asked for; the kernel's own greatest is left to
/// those who asked for none, as by Mesos and Kubernetes.
const OOM_SCORES: (i32, i32) = (2, 1000);

/// What a container may use. The posix backend measures but does not enforce these; its
/// `Capabilities` say so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// CPUs asked for: a weight (1024 × cpus, at least 2).
    pub cpus: f64,
    /// CPUs never exceeded, enforced each 100 ms; none: the weight alone.
    pub cpu_hard: Option<f64>,
    /// Memory in bytes above which the kernel kills; none: no limit.
    pub mem_bytes: Option<u64>,
    /// Memory in bytes the kernel tries to leave it under pressure.
    pub mem_soft_bytes: Option<u64>,
    /// Processes and threads; none: no limit.
    pub pids_max: Option<u64>,
}

impl Limits {
    /// The CPU weight in v1's scale.
    pub fn shares(&self) -> u64 {
        ((self.cpus.max(0.0) * CPU_SHARES_PER_CPU) as u64).max(CPU_SHARES_MIN)
    }

    /// The hard CPU limit in microseconds a period, if there is one.
    pub fn quota_us(&self) -> Option<u64> {
        self.cpu_hard.map(|c| ((c * CFS_PERIOD_US as f64) as u64).max(CFS_QUOTA_US_MIN))
    }

    /// How gladly the kernel takes it when the machine's `memory` (bytes) runs out: who may have more than was asked for
    /// goes before who may not, and the less was asked for the sooner. None, and nothing is adjusted, for who may not.
    pub fn oom_score_adj(&self, memory: u64) -> Option<i32> {
        let asked = self.mem_soft_bytes?;
        let more = self.mem_bytes.is_none_or(|most| most > asked);
        let share = (u128::from(asked) * 1000).checked_div(memory.into())?.min(1000);
        let score = OOM_SCORES.1 - i32::try_from(share).ok()?;
        more.then_some(score.clamp(OOM_SCORES.0, OOM_SCORES.1 - 1))
    }
}

/// A POSIX resource limit; `None` is "unlimited".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// The kernel's name: `RLIMIT_NOFILE` and its kin.
    pub name: String,
    /// What is enforced.
    pub soft: Option<u64>,
    /// How far the task itself may raise it.
    pub hard: Option<u64>,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}

impl Default for Window {
    /// What every terminal was once.
    fn default() -> Self {
        Window { rows: 24, columns: 80 }
    }
}

/// The network a container sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// The agent's.
    #[default]
    Host,
    /// A namespace of its own: its loopback device, and the networks it joins.
    Own,
}

/// Which capabilities the task has; `None`: [`DEFAULT_CAPABILITIES`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilitySets {
    /// Effective and permitted ones.
    pub effective: Option<Vec<String>>,
    /// The bounding set.
    pub bounding: Option<Vec<String>>,
}

/// When an output file is rotated: at `max_bytes` it becomes `<name>.1`, `.1` becomes `.2`, up to `files`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Size in bytes; see `logs` for how closely it is kept.
    pub max_bytes: u64,
    /// Rotated files kept; 0: what is too old is dropped.
    pub files: u32,
}

/// A directory or file of the host shown in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindMount {
    /// On the host, absolute.
    pub source: PathBuf,
    /// In the container, absolute; made if missing.
    pub target: PathBuf,
    /// Whether the container may only read it.
    pub read_only: bool,
}

/// What a container has of the one that it is nested in: the network, ipc and the host name always.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nested {
    /// The container it is in; its own name begins with that one's and a period.
    pub parent: ContainerId,
    /// Whether it sees its parent's processes beside its own.
    pub share_pid: bool,
    /// Whether its limits are its own, within its parent's; else only the parent's hold, and it has a weight among others.
    pub own_limits: bool,
}

/// The layers of an image, ready to be put together: made by the provisioner, mounted by the container's builder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Its folder.
    pub folder: PathBuf,
    /// How many links to layers there are in it; none: it holds a copy.
    pub layers: Option<u32>,
}

/// A root file system from an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRoot {
    /// The layers.
    pub root: Root,
    /// Where the sandbox is seen.
    pub sandbox: PathBuf,
    /// The working directory; made if missing.
    pub cwd: PathBuf,
    /// The user, where the image names one and the task does not: uid, gid, all groups.
    pub account: Option<(u32, u32, Vec<u32>)>,
}

/// An image shown in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageVolume {
    /// The layers.
    pub root: Root,
    /// In the container, absolute.
    pub target: PathBuf,
    /// Whether the container may only read it.
    pub read_only: bool,
}

/// A container as the agent asks for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Never used twice.
    pub id: ContainerId,
    /// Who makes it.
    pub backend: Backend,
    /// The sandbox on the host, an existing directory: working directory, and home of `stdout` and `stderr`.
    pub sandbox: PathBuf,
    /// What is run.
    pub command: Command,
    /// The whole environment, but for `PATH` and `MESOS_SANDBOX`, which are added when missing.
    pub env: Vec<(String, String)>,
    /// The user it runs as, by name; none: the agent's.
    pub user: Option<String>,
    /// What it may use.
    pub limits: Limits,
    /// POSIX limits.
    pub rlimits: Vec<Rlimit>,
    /// Its network.
    pub network: Network,
    /// Its host name; none: the agent's.
    pub hostname: Option<String>,
    /// Its capabilities.
    pub capabilities: CapabilitySets,
    /// Whether set-user-id programs and the like are disarmed.
    pub no_new_privs: bool,
    /// How `stdout` is rotated; none: it grows.
    pub stdout: Option<Rotation>,
    /// How `stderr` is rotated; none: it grows.
    pub stderr: Option<Rotation>,
    /// Whether it sees the host's file system, and not an image's.
    pub host_root: bool,
    /// More mounts.
    pub mounts: Vec<BindMount>,
    /// The container it is nested in; none: it is by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nested: Option<Nested>,
    /// On a terminal of that size, whose output goes to `stdout`; none: without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Window>,
    /// The image it sees instead of the host's file system.
    #[serde(default)]
    pub image: Option<ImageRoot>,
    /// Images that are shown in it.
    #[serde(default)]
    pub image_volumes: Vec<ImageVolume>,
    /// What only the mesos backend can do.
    #[serde(default)]
    pub linux: Linux,
}

fn invalid<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::new(Code::Invalid, text))
}

fn has_nul(text: &str) -> bool {
    text.contains('\0')
}

/// Absolute, without `..`.
fn plain_path(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|c| c == Component::ParentDir)
}

impl ContainerSpec {
    /// Whether it can be carried out as written, as far as that shows without looking at the machine.
    ///
    /// # Errors
    /// `Invalid`, with the field and the reason.
    pub fn validate(&self) -> Result<()> {
        if let Err(e) = ids::check(self.id.as_str()) {
            return invalid(format!("container id: {e}"));
        }
        if !plain_path(&self.sandbox) {
            return invalid(format!("sandbox '{}' is not absolute", self.sandbox.display()));
        }
        if let Some(nested) = &self.nested {
            let own = self.id.as_str().strip_prefix(nested.parent.as_str());
            let own = own.and_then(|rest| rest.strip_prefix('.')).filter(|own| !own.is_empty());
            if own.is_none_or(|own| own.contains('.')) {
                return invalid(format!(
                    "container {} is not named as in {}",
                    self.id, nested.parent
                ));
            }
        }
        self.validate_command()?;
        self.validate_limits()?;
        self.validate_mounts()?;
        self.linux.validate()?;
        if self.network == Network::Host && !self.linux.networks.is_empty() {
            return invalid("networks can only be joined from a network of its own");
        }
        for rotation in [self.stdout, self.stderr].into_iter().flatten() {
            if rotation.max_bytes < ROTATE_BYTES_MIN || rotation.files > ROTATED_FILES_MAX {
                return invalid(format!(
                    "log rotation needs at least {ROTATE_BYTES_MIN} bytes and at most \
                     {ROTATED_FILES_MAX} files"
                ));
            }
        }
        if self.backend == Backend::Posix {
            self.validate_posix()?;
        }
        self.validate_images()
    }

    fn validate_images(&self) -> Result<()> {
        if self.host_root == self.image.is_some() {
            return invalid("a container sees either the host's file system or an image's");
        }
        if self.image_volumes.len() > MOUNTS_MAX {
            return invalid(format!("more than {MOUNTS_MAX} images as volumes"));
        }
        let own = self.image.iter().flat_map(|i| [&i.root.folder, &i.sandbox, &i.cwd]);
        let volumes = self.image_volumes.iter().flat_map(|v| [&v.root.folder, &v.target]);
        let mut targets = self.image.iter().map(|i| &i.sandbox);
        let mut more = self.image_volumes.iter().map(|v| &v.target);
        match own.chain(volumes).find(|p| !plain_path(p)) {
            Some(path) => {
                let path = path.display();
                invalid(format!("path '{path}' of an image must be absolute, without '..'"))
            }
            None if targets.any(|t| t == Path::new("/")) || more.any(|t| t == Path::new("/")) => {
                invalid("the root itself cannot be mounted over")
            }
            None => Ok(()),
        }
    }

    /// Where the sandbox is within the container.
    pub fn sandbox_inside(&self) -> &Path {
        self.image.as_ref().map_or(&self.sandbox, |image| &image.sandbox)
    }

    /// The working directory within the container.
    pub fn cwd(&self) -> &Path {
        self.image.as_ref().map_or(&self.sandbox, |image| &image.cwd)
    }

    fn validate_command(&self) -> Result<()> {
        if self.command == Command::Later {
            return invalid("there is no command");
        }
        let (program, argv) = self.command.resolve();
        if program.is_empty() {
            return invalid("the command is empty");
        }
        if argv.len() > ARGS_MAX || self.env.len() > ENV_MAX {
            return invalid(format!(
                "more than {ARGS_MAX} arguments or {ENV_MAX} environment variables"
            ));
        }
        if has_nul(&program) || argv.iter().any(|a| has_nul(a)) {
            return invalid("the command contains a zero byte");
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains('=') || has_nul(name) || has_nul(value) {
                return invalid(format!("environment variable {name:?} is not valid"));
            }
        }
        match &self.hostname {
            Some(h) if h.is_empty() || h.len() > 64 || has_nul(h) => {
                invalid(format!("host name {h:?} is not valid"))
            }
            _ => Ok(()),
        }
    }

    fn validate_limits(&self) -> Result<()> {
        let l = &self.limits;
        if !l.cpus.is_finite() || l.cpus < 0.0 {
            return invalid("cpus is not a number of CPUs");
        }
        if l.cpu_hard.is_some_and(|c| !c.is_finite() || c <= 0.0) {
            return invalid("the CPU limit is not a number of CPUs");
        }
        if l.pids_max == Some(0) || l.mem_bytes == Some(0) {
            return invalid("a limit of zero leaves no room to start");
        }
        for r in &self.rlimits {
            // No limit is above every limit.
            let (soft, hard) = (r.soft.unwrap_or(u64::MAX), r.hard.unwrap_or(u64::MAX));
            if soft > hard {
                return invalid(format!("{}: the soft limit is above the hard limit", r.name));
            }
        }
        Ok(())
    }

    fn validate_mounts(&self) -> Result<()> {
        if self.mounts.len() > MOUNTS_MAX {
            return invalid(format!("more than {MOUNTS_MAX} mounts"));
        }
        for m in &self.mounts {
            if !plain_path(&m.source) || !plain_path(&m.target) || m.target == Path::new("/") {
                return invalid(format!(
                    "mount of '{}' on '{}': both must be absolute, without '..'",
                    m.source.display(),
                    m.target.display()
                ));
            }
        }
        Ok(())
    }

    fn validate_posix(&self) -> Result<()> {
        let refused = [
            (self.network == Network::Own, "a network of its own"),
            (self.hostname.is_some(), "a host name of its own"),
            (!self.mounts.is_empty(), "mounts"),
            (self.image.is_some() || !self.image_volumes.is_empty(), "images"),
            (self.capabilities != CapabilitySets::default(), "capabilities"),
            (self.linux != Linux::default(), "namespaces, devices, volumes or a seccomp profile"),
        ];
        match refused.iter().find(|(asked, _)| *asked) {
            Some((_, what)) => {
                invalid(format!("a container of the posix containerizer cannot have {what}"))
            }
            None => Ok(()),
        }
    }

    /// The capabilities its task begins with, as root.
    pub fn effective_capabilities(&self) -> Vec<String> {
        let usual = || DEFAULT_CAPABILITIES.iter().map(|c| (*c).to_owned()).collect();
        self.capabilities.effective.clone().unwrap_or_else(usual)
    }

    /// The environment it gets: as asked, with `PATH` and `MESOS_SANDBOX` when missing.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut env = self.env.clone();
        let mut default = |name: &str, value: String| {
            if !env.iter().any(|(n, _)| n == name) {
                env.push((name.into(), value));
            }
        };
        default("PATH", DEFAULT_PATH.into());
        default("MESOS_SANDBOX", self.sandbox_inside().display().to_string());
        env
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_have_more_memory_goes_before_who_may_not() {
        let score = |soft: Option<u64>, hard: Option<u64>, machine| {
            let limits = Limits { mem_soft_bytes: soft, mem_bytes: hard, ..Limits::default() };
            limits.oom_score_adj(machine)
        };
        assert_eq!(score(None, None, 1000), None);
        assert_eq!(score(Some(100), Some(100), 1000), None);
        assert_eq!(score(Some(100), Some(200), 1000), Some(900));
        assert_eq!(score(Some(100), None, 1000), Some(900));
        assert_eq!(score(Some(900), None, 1000), Some(100));
        // Never so gladly as who asked for nothing, nor so little as who may not have more.
        assert_eq!(score(Some(0), None, 1000), Some(999));
        assert_eq!(score(Some(999), None, 1000), Some(2));
        assert_eq!(score(Some(u64::MAX), None, 1000), Some(2));
        assert_eq!(score(Some(1), None, 0), None);
    }
}
