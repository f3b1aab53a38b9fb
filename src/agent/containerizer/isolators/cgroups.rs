//! One cgroup a container, under a common parent: made, limited, joined, killed, removed; v1 and v2. What
//! it uses is read elsewhere.
//!
//! Joining on v1 writes `0` into `tasks` instead of a pid into `cgroup.procs`: a single-threaded process that moves
//! itself needs no global lock, which on an idle machine costs an RCU grace period (1.6 ms against 8 to 12 ms for four
//! hierarchies, Linux 6.18). On v2 the process is cloned into the cgroup, with the same effect.

use super::numbers::{one, pids, table};
use super::probe::{self, Found, V2_CONTROLLERS};
use crate::agent::containerizer::record::{CgroupVersion, OomInfo};
use crate::agent::containerizer::rootless;
use crate::agent::containerizer::spec::{CFS_PERIOD_US, Limits};
use crate::base::error::{Code, Error, Result};
use nix::sys::eventfd::{EfdFlags, EventFd};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

/// The cgroup below a delegated one into which processes are moved that were in it.
pub const LEAF: &str = "agent";
/// How much of `memory.stat` an exit record keeps, in bytes.
const MEMORY_STAT_BYTES_MAX: usize = 8192;

/// The hierarchies, and the parent of all containers in them.
#[derive(Clone, Debug)]
pub struct Cgroups {
    found: Found,
    /// Relative to each mount point.
    parent: PathBuf,
}

/// A failure with the path it happened at.
pub(super) fn at(path: &Path, e: &io::Error) -> Error {
    Error::new(Code::System, format!("cgroup {}: {e}", path.display()))
}

fn write(path: &Path, value: impl ToString) -> Result<()> {
    fs::write(path, value.to_string()).map_err(|e| at(path, &e))
}

/// Makes a directory and says whether it was missing.
pub(super) fn mkdir(path: &Path) -> Result<bool> {
    match fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(at(path, &e)),
    }
}

impl Cgroups {
    /// What this machine offers, with `parent` (relative) above all containers.
    pub fn probe(parent: &str) -> Cgroups {
        if rootless::entered() {
            return Cgroups::new(rootless::delegated::find(), parent);
        }
        let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Cgroups::new(probe::mounts(&text), parent)
    }

    /// From hierarchies already found.
    pub fn new(found: Found, parent: &str) -> Cgroups {
        Cgroups { found, parent: PathBuf::from(parent.trim_matches('/')) }
    }

    /// The version in use; the reason when there is none.
    pub fn version(&self) -> std::result::Result<CgroupVersion, &str> {
        match &self.found {
            Found::V1(_, hybrid) => Ok(CgroupVersion::V1 { hybrid: *hybrid }),
            Found::V2(_) => Ok(CgroupVersion::V2),
            Found::None(why) => Err(why),
        }
    }

    /// Mount points, each once.
    fn mounts(&self) -> Vec<&Path> {
        match &self.found {
            Found::V1(map, _) => {
                map.values().map(PathBuf::as_path).collect::<BTreeSet<_>>().into_iter().collect()
            }
            Found::V2(root) => vec![root],
            Found::None(_) => Vec::new(),
        }
    }

    /// Makes the parent in all hierarchies and, on v2, hands the controllers down to it. Says whether it was missing.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn make_parent(&self) -> Result<bool> {
        let mut made = false;
        for mount in self.mounts() {
            let mut path = mount.to_owned();
            for part in &self.parent {
                if matches!(self.found, Found::V2(_)) {
                    // Only the root of all has none of those files: a delegated one is a cgroup like others.
                    let root = path == mount && !path.join("cgroup.events").exists();
                    hand_down(&path, root)?;
                }
                path.push(part);
                made |= mkdir(&path)?;
            }
            if matches!(self.found, Found::V2(_)) {
                hand_down(&path, false)?;
            }
        }
        Ok(made)
    }

    /// Removes the parent (and what is above it up to the mount) where it is empty; what is in use stays.
    pub fn remove_parent(&self) {
        for mount in self.mounts() {
            let mut parent = self.parent.as_path();
            while !parent.as_os_str().is_empty() && fs::remove_dir(mount.join(parent)).is_ok() {
                parent = parent.parent().unwrap_or(Path::new(""));
            }
        }
    }

    /// The cgroup of a container, whether or not it exists.
    pub fn of(&self, id: &str) -> Cgroup {
        let name = self.parent.join(id);
        match &self.found {
            Found::V1(map, _) => {
                Cgroup::V1(map.iter().map(|(c, m)| (c.clone(), m.join(&name))).collect())
            }
            Found::V2(root) => Cgroup::V2(root.join(name)),
            Found::None(_) => Cgroup::V1(BTreeMap::new()),
        }
    }

    /// The one that those of all containers are in.
    pub fn root(&self) -> Cgroup {
        self.of("")
    }
}

/// Enables our controllers below `path`. Where processes are in the way (v2 allows none beside controllers) they are
/// moved into a leaf of it, as a delegated service does at its start.
pub(super) fn hand_down(path: &Path, root: bool) -> Result<()> {
    let control = path.join("cgroup.subtree_control");
    let has = fs::read_to_string(&control).unwrap_or_default();
    let wanted: Vec<_> =
        V2_CONTROLLERS.iter().filter(|c| !has.split_whitespace().any(|h| h == **c)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let text: Vec<_> = wanted.iter().map(|c| format!("+{c}")).collect();
    match fs::write(&control, text.join(" ")) {
        Err(e) if e.kind() == ErrorKind::ResourceBusy && !root => {
            let leaf = path.join(LEAF);
            mkdir(&leaf)?;
            for pid in pids(&path.join("cgroup.procs")) {
                // One that ended meanwhile is in nobody's way.
                let _ = fs::write(leaf.join("cgroup.procs"), pid.to_string());
            }
            write(&control, text.join(" "))
        }
        other => other.map_err(|e| at(&control, &e)),
    }
}

/// A container's cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cgroup {
    /// Controller to directory.
    V1(BTreeMap<String, PathBuf>),
    /// The directory.
    V2(PathBuf),
}

impl Cgroup {
    pub(super) fn dirs(&self) -> BTreeSet<&Path> {
        match self {
            Cgroup::V1(map) => map.values().map(PathBuf::as_path).collect(),
            Cgroup::V2(dir) => BTreeSet::from([dir.as_path()]),
        }
    }

    /// All its directories.
    pub fn directories(&self) -> Vec<PathBuf> {
        self.dirs().into_iter().map(Path::to_path_buf).collect()
    }

    /// The directory of a controller (all in one on v2).
    pub fn dir(&self, controller: &str) -> &Path {
        match self {
            Cgroup::V1(map) => map.get(controller).map_or(Path::new(""), PathBuf::as_path),
            Cgroup::V2(dir) => dir,
        }
    }

    /// Its path below another one; none where it is not below it.
    pub fn below_of(&self, root: &Cgroup) -> Option<&Path> {
        self.dir("memory").strip_prefix(root.dir("memory")).ok()
    }

    /// Makes it and sets the limits. Nothing is left behind on failure.
    ///
    /// # Errors
    /// `Conflict` if it exists; else the path and the kernel's reason.
    pub fn make(&self, limits: &Limits) -> Result<()> {
        let mut made = Vec::new();
        let done = self.dirs().into_iter().try_for_each(|dir| {
            if !mkdir(dir)? {
                let cause = format!("cgroup {} exists already", dir.display());
                return Err(Error::new(Code::Conflict, cause));
            }
            made.push(dir);
            Ok(())
        });
        done.and_then(|()| self.limit(limits)).inspect_err(|_| {
            for dir in &made {
                let _ = fs::remove_dir(dir);
            }
        })
    }

    /// Gives it, with all that is in it, another one's name, and limits where it had none; v1 only. It keeps its name on
    /// failure.
    ///
    /// # Errors
    /// `Conflict` if there is one of that name; else the path and the kernel's reason.
    pub fn become_cgroup(&self, other: &Cgroup, limits: &Limits) -> Result<()> {
        let (Cgroup::V1(from), Cgroup::V1(to)) = (self, other) else {
            return Err(Error::new(Code::Internal, "a cgroup of v2 cannot be renamed"));
        };
        let pairs: BTreeSet<_> =
            from.iter().filter_map(|(controller, dir)| Some((dir, to.get(controller)?))).collect();
        let mut moved = Vec::new();
        let done = pairs.into_iter().try_for_each(|(from, to)| {
            if to.exists() {
                let cause = format!("cgroup {} exists already", to.display());
                return Err(Error::new(Code::Conflict, cause));
            }
            fs::rename(from, to).map_err(|e| at(from, &e))?;
            moved.push((from, to));
            Ok(())
        });
        done.and_then(|()| other.limit(limits)).inspect_err(|_| {
            for (from, to) in &moved {
                // One that stays under the new name is found by it.
                let _ = fs::rename(to, from);
            }
        })
    }

    /// Sets other limits. A hard memory limit is raised or lifted, never lowered: what runs in it was promised it.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn resize(&self, limits: &Limits) -> Result<()> {
        let file = match self {
            Cgroup::V1(_) => self.dir("memory").join("memory.limit_in_bytes"),
            Cgroup::V2(_) => self.dir("memory").join("memory.max"),
        };
        let mut limits = limits.clone();
        match (limits.mem_bytes, super::numbers::one(&file)) {
            (Some(wanted), Some(now)) if wanted < now => limits.mem_bytes = Some(now),
            // v2 says "max", which is no number: there is no limit, and none is set now.
            (Some(_), None) => limits.mem_bytes = None,
            (None, Some(_)) => write(&file, self.unlimited())?,
            _ => {}
        }
        self.lift(&limits)?;
        self.limit(&limits)
    }

    /// Takes back the limits that there are none of any more; the memory's is seen to by the caller.
    fn lift(&self, l: &Limits) -> Result<()> {
        let (cpu, memory) = (self.dir("cpu"), self.dir("memory"));
        let (quota, soft) = match self {
            Cgroup::V1(_) => {
                let soft = (memory.join("memory.soft_limit_in_bytes"), "-1".to_string());
                ((cpu.join("cpu.cfs_quota_us"), "-1".to_string()), soft)
            }
            Cgroup::V2(_) => {
                let quota = (cpu.join("cpu.max"), format!("max {CFS_PERIOD_US}"));
                (quota, (memory.join("memory.low"), "0".to_string()))
            }
        };
        if l.quota_us().is_none() {
            write(&quota.0, quota.1)?;
        }
        if l.mem_soft_bytes.is_none() {
            write(&soft.0, soft.1)?;
        }
        match l.pids_max {
            None => write(&self.dir("pids").join("pids.max"), "max"),
            Some(_) => Ok(()),
        }
    }

    fn unlimited(&self) -> &'static str {
        match self {
            Cgroup::V1(_) => "-1",
            Cgroup::V2(_) => "max",
        }
    }

    fn limit(&self, l: &Limits) -> Result<()> {
        let cpu = self.dir("cpu");
        let memory = self.dir("memory");
        match self {
            Cgroup::V1(_) => {
                write(&cpu.join("cpu.shares"), l.shares())?;
                if let Some(quota) = l.quota_us() {
                    write(&cpu.join("cpu.cfs_period_us"), CFS_PERIOD_US)?;
                    write(&cpu.join("cpu.cfs_quota_us"), quota)?;
                }
                if let Some(bytes) = l.mem_bytes {
                    write(&memory.join("memory.limit_in_bytes"), bytes)?;
                }
                if let Some(bytes) = l.mem_soft_bytes {
                    write(&memory.join("memory.soft_limit_in_bytes"), bytes)?;
                }
            }
            Cgroup::V2(_) => {
                write(&cpu.join("cpu.weight"), weight(l.shares()))?;
                if let Some(quota) = l.quota_us() {
                    write(&cpu.join("cpu.max"), format!("{quota} {CFS_PERIOD_US}"))?;
                }
                if let Some(bytes) = l.mem_bytes {
                    write(&memory.join("memory.max"), bytes)?;
                }
                if let Some(bytes) = l.mem_soft_bytes {
                    write(&memory.join("memory.low"), bytes)?;
                }
                // Memory that runs out ends the whole container, as Mesos does; on v1 the supervisor sees to it.
                write(&memory.join("memory.oom.group"), 1)?;
            }
        }
        match l.pids_max {
            // One more for our keeper, which the task did not ask for.
            Some(n) => write(&self.dir("pids").join("pids.max"), n.saturating_add(1)),
            None => Ok(()),
        }
    }

    /// Moves the calling process, which must have one thread, into it.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn join(&self) -> Result<()> {
        let file = match self {
            Cgroup::V1(_) => "tasks",
            Cgroup::V2(_) => "cgroup.procs",
        };
        self.dirs().into_iter().try_for_each(|dir| write(&dir.join(file), 0))
    }

    /// A handle to clone into; v2 only.
    pub fn handle(&self) -> Option<File> {
        match self {
            Cgroup::V1(_) => None,
            Cgroup::V2(dir) => File::open(dir).ok(),
        }
    }

    /// All processes in it.
    pub fn pids(&self) -> Vec<i32> {
        let mut all = pids(&self.dir("pids").join("cgroup.procs"));
        if all.is_empty() {
            all = pids(&self.dir("memory").join("cgroup.procs"));
        }
        all
    }

    /// Kills all processes in it, once. Whoever forks meanwhile is met by the next call.
    pub fn kill(&self) {
        if let Cgroup::V2(dir) = self
            && fs::write(dir.join("cgroup.kill"), "1").is_ok()
        {
            return;
        }
        for pid in self.pids() {
            // A process that ended meanwhile needs no signal.
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
    }

    /// Removes it; false while something is still in it.
    ///
    /// # Errors
    /// What is not a matter of waiting.
    pub fn remove(&self) -> Result<bool> {
        let mut gone = true;
        for dir in self.dirs() {
            match fs::remove_dir(dir) {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) if e.kind() == ErrorKind::ResourceBusy => gone = false,
                Err(e) => return Err(at(dir, &e)),
            }
        }
        Ok(gone)
    }

    /// How often the kernel killed in it for want of memory.
    pub fn oom_kills(&self) -> u64 {
        let file = match self {
            Cgroup::V1(_) => "memory.oom_control",
            Cgroup::V2(_) => "memory.events",
        };
        table(&self.dir("memory").join(file)).get("oom_kill").unwrap_or(0)
    }

    /// An eventfd that fires when memory runs out; v1 only (v2 kills the whole group itself).
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn watch_oom(&self) -> Result<Option<EventFd>> {
        let Cgroup::V1(_) = self else { return Ok(None) };
        let dir = self.dir("memory");
        let control = dir.join("memory.oom_control");
        let fd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|e| Error::new(Code::System, format!("eventfd: {e}")))?;
        let file = File::open(&control).map_err(|e| at(&control, &e))?;
        let pair = format!("{} {}", fd.as_fd().as_raw_fd(), file.as_raw_fd());
        write(&dir.join("cgroup.event_control"), pair)?;
        Ok(Some(fd))
    }

    /// The evidence, if the kernel killed in it for want of memory. To be read before it is removed.
    pub fn oom(&self) -> Option<OomInfo> {
        (self.oom_kills() > 0).then(|| self.evidence())
    }

    /// How many processes and threads it may have, if it was refused more. To be read before it is removed.
    pub fn crowded(&self) -> Option<u64> {
        let dir = self.dir("pids");
        table(&dir.join("pids.events")).get("max").filter(|times| *times > 0)?;
        // Our own keeper is not counted, as in what it uses.
        Some(one(&dir.join("pids.max"))?.saturating_sub(1))
    }

    /// What it had and used when memory ran out.
    pub fn evidence(&self) -> OomInfo {
        let dir = self.dir("memory");
        let (limit, max, now) = match self {
            Cgroup::V1(_) => ("memory.limit_in_bytes", "memory.max_usage_in_bytes", None),
            Cgroup::V2(_) => ("memory.max", "memory.peak", Some("memory.current")),
        };
        let mut stat = fs::read_to_string(dir.join("memory.stat")).unwrap_or_default();
        stat.truncate(MEMORY_STAT_BYTES_MAX);
        let max = one(&dir.join(max)).or_else(|| one(&dir.join(now?)));
        OomInfo {
            limit_bytes: one(&dir.join(limit)).unwrap_or(0),
            max_usage_bytes: max.unwrap_or(0),
            memory_stat: stat,
        }
    }
}

/// v1's shares (2..=262144) in v2's scale (1..=10000): the linear map of the OCI runtimes.
pub fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}
