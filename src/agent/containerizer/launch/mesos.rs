//! A container of namespaces, made by libcontainer.
//!
//! The builder works in a mount namespace of its own, so that nothing it mounts is ever seen on the host: whatever
//! dies when, the kernel drops those mounts with the last process in it. There it binds the host's root under the
//! bundle, or puts an image together there, and hides the cgroup file systems from libcontainer: cgroups are ours (it
//! would join every controller the machine has, the slow way). What hides them is a file system in memory that has all
//! libcontainer needs: its bundle, its state, and the place where the container's root is put together.

use super::keeper::{End, Task, keep};
use super::prepare::{leave, undumpable};
use super::report::Report;
use super::{
    GATE_FD, Joined, REPORT_FD, account, gate, image, later, open_status, private_dir, program,
    rlimits, volumes, within,
};
use crate::agent::containerizer::isolators::seccomp::{self, Filters, Seccomp};
use crate::agent::containerizer::isolators::{Cgroup, external, probe};
use crate::agent::containerizer::linux::Device;
use crate::agent::containerizer::logs;
use crate::agent::containerizer::network;
use crate::agent::containerizer::rootless;
use crate::agent::containerizer::spec::{Command, ContainerSpec, Network};
use account::Account;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::notify_socket::{NOTIFY_FILE, NotifySocket};
use libcontainer::oci_spec::runtime::Spec;
use libcontainer::syscall::syscall::SyscallType;
use libcontainer::workload::ExecutorValidationError;
use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// libcontainer's name for the only container under its state directory.
const OCI_ID: &str = "c";
const CGROUP_MOUNT: &str = "/sys/fs/cgroup";
/// Where the builder's own file system is: libcontainer takes a file system in memory there for one without cgroups.
const SCRATCH: &str = CGROUP_MOUNT;
const SHM: &str = "/dev/shm";
const NOBODY: Option<&str> = None;

/// Makes the container and parks it; its first process is a child of our parent. `inside`: we are in its cgroup already.
///
/// # Errors
/// A text: what failed and why.
pub fn build(
    asked: &ContainerSpec,
    dir: &Path,
    cgroup: Option<&Cgroup>,
    inside: bool,
    joined: Option<&Joined>,
) -> Result<i32, String> {
    rootless::check(asked)?;
    // Before we are called otherwise, and before any namespace that is to be the container's.
    let account = account::of(asked)?;
    if rootless::entered() {
        rootless::rename(account.uid, account.gid)?;
    }
    let mut spec = external::prepare(asked)?;
    // Before anything of the container's own: plug-ins are not counted against it.
    let files = match joined {
        Some(parent) => within::network(&mut spec, parent)?,
        None => network::enter(&spec, dir)?,
    };
    let spec = &spec;
    if let Some(cgroup) = cgroup.filter(|_| !inside) {
        cgroup.join().map_err(|e| e.cause)?;
    }
    let (streams, status) = match spec.command {
        // Told when it becomes somebody.
        Command::Later => ((null()?, null()?), -1),
        _ => {
            let streams = logs::open_streams(&spec.sandbox, account.uid, account.gid)?;
            (streams, open_status(dir)?)
        }
    };
    let gate = gate::make(dir)?;
    own_mounts()?;
    let scratch = Path::new(SCRATCH);
    let root = scratch.join("rootfs");
    private_dir(&root).map_err(|e| e.cause)?;
    let read_only = match &spec.image {
        None => bind_host_root(&root, spec.network)?,
        Some(own) => {
            image::mount_root(own, &root)?;
            Vec::new()
        }
    };
    for volume in &spec.image_volumes {
        image::mount_volume(volume, spec, &account)?;
    }
    let shm = match joined.filter(|_| spec.linux.share_ipc) {
        Some(parent) => within::shm(parent, scratch)?,
        None => spec.linux.share_ipc.then(|| SHM.into()),
    };
    let mut mounts = mounts(spec, shm.as_deref());
    mounts.extend(files);
    mounts.extend(volumes::prepare(spec, &account, scratch)?);
    let config = config(spec, &account, &root, read_only, mounts, joined)?;
    let bundle = scratch.join("config.json");
    fs::write(bundle, config.to_string()).map_err(|e| format!("config: {e}"))?;
    let filters = seccomp::filters(&spec.linux.seccomp, &spec.effective_capabilities())?;
    let executor = TaskExecutor { spec: Box::new(spec.clone()), status, gate, filters };
    let pid = create(executor, scratch, streams)?;
    external::isolate(spec, pid, cgroup)?;
    Ok(pid)
}

fn null() -> Result<OwnedFd, String> {
    let options = fs::OpenOptions::new().read(true).write(true).open("/dev/null");
    options.map(OwnedFd::from).map_err(|e| format!("/dev/null: {e}"))
}

fn create(
    executor: TaskExecutor,
    scratch: &Path,
    (stdout, stderr): (OwnedFd, OwnedFd),
) -> Result<i32, String> {
    let state = scratch.join("state");
    private_dir(&state).map_err(|e| e.cause)?;
    let container = ContainerBuilder::new(OCI_ID.into(), SyscallType::default())
        .with_root_path(&state)
        .map_err(|e| chain(&e))?
        .with_executor(executor)
        .with_stdin(null()?)
        .with_stdout(stdout)
        .with_stderr(stderr)
        .as_init(scratch)
        .with_systemd(false)
        .as_sibling(true)
        .build()
        .map_err(|e| chain(&e))?;
    // On to the gate, where it waits from here on.
    let socket = state.join(OCI_ID).join(NOTIFY_FILE);
    NotifySocket::new(socket).notify_container_start().map_err(|e| chain(&e))?;
    container.pid().map(|p| p.as_raw()).ok_or_else(|| "no first process".into())
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(e) = next {
        let more = e.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = e.source();
    }
    text
}

pub(super) fn mounting(what: &str) -> impl Fn(nix::Error) -> String {
    move |e| format!("mounting {what}: {e}")
}

/// A mount namespace of our own, in which no cgroups are seen.
fn own_mounts() -> Result<(), String> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)
        .map_err(|e| format!("a mount namespace: {e}"))?;
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    mount(NOBODY, "/", NOBODY, slave, NOBODY).map_err(mounting("/"))?;
    // All of the usual place at once, which is cheaper, and then what is elsewhere.
    match umount2(CGROUP_MOUNT, MntFlags::MNT_DETACH) {
        Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => {}
        Err(e) => return Err(format!("hiding cgroups: {e}")),
    }
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(|e| format!("mounts: {e}"))?;
    for point in probe::mount_points(&table).iter().rev() {
        match umount2(point, MntFlags::MNT_DETACH) {
            Ok(()) => {}
            // What a user namespace has from outside stays, and is mounted over.
            Err(nix::Error::EINVAL) if rootless::entered() => {}
            Err(e) => return Err(format!("hiding cgroups: {e}")),
        }
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), SCRATCH, Some("tmpfs"), flags, Some("mode=0700"))
        .map_err(mounting(SCRATCH))?;
    // Not part of a container that has the host's tree.
    mount(NOBODY, SCRATCH, NOBODY, MsFlags::MS_UNBINDABLE, NOBODY).map_err(mounting(SCRATCH))
}

/// The host's tree under `root`, with a read-only `/sys`; what the kernel could not make read-only at once.
fn bind_host_root(root: &Path, network: Network) -> Result<Vec<&'static str>, String> {
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some("/"), root, NOBODY, bind, NOBODY).map_err(mounting("the host's root"))?;
    if network == Network::Own {
        // The host's shows the host's network devices.
        let flags =
            MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        match mount(Some("sysfs"), &root.join("sys"), Some("sysfs"), flags, NOBODY) {
            Ok(()) => return Ok(Vec::new()),
            // Where parts of the host's are hidden, the kernel shows a user namespace no whole one.
            Err(nix::Error::EPERM) if rootless::entered() => {}
            Err(e) => return Err(mounting("/sys")(e)),
        }
    }
    if rootless::entered() {
        // What could not be taken away is covered.
        let cgroups = root.join("sys/fs/cgroup");
        mount(Some("tmpfs"), &cgroups, Some("tmpfs"), MsFlags::MS_RDONLY, NOBODY)
            .map_err(mounting(CGROUP_MOUNT))?;
    }
    Ok(match read_only(&root.join("sys")) {
        Ok(()) => Vec::new(),
        Err(_) => vec!["/sys"],
    })
}

/// Makes a tree of mounts read-only (Linux 5.12): a task, root or not, changes neither kernel nor cgroup settings.
fn read_only(path: &Path) -> Result<(), nix::Error> {
    use std::os::unix::ffi::OsStrExt;
    let path =
        std::ffi::CString::new(path.as_os_str().as_bytes()).map_err(|_| nix::Error::EINVAL)?;
    // SAFETY: an all-zero mount_attr is valid.
    let mut attr: libc::mount_attr = unsafe { std::mem::zeroed() };
    attr.attr_set = libc::MOUNT_ATTR_RDONLY;
    // SAFETY: path and attr outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_RECURSIVE,
            &attr,
            size_of::<libc::mount_attr>(),
        )
    };
    nix::errno::Errno::result(done).map(drop)
}

/// The container in OCI's words.
fn config(
    spec: &ContainerSpec,
    account: &Account,
    root: &Path,
    read_only: Vec<&'static str>,
    mounts: Vec<Value>,
    joined: Option<&Joined>,
) -> Result<Value, String> {
    let mut limits = Vec::new();
    for l in &spec.rlimits {
        rlimits::resource(&l.name).ok_or_else(|| format!("{} is no limit", l.name))?;
        let (soft, hard) = (l.soft.unwrap_or(u64::MAX), l.hard.unwrap_or(u64::MAX));
        limits.push(json!({"type": l.name, "soft": soft, "hard": hard}));
    }
    // The network's, if it has its own, was entered before. What it has of its parent is the parent's.
    let nested = spec.nested.as_ref();
    let share_pid = nested.map_or(spec.linux.share_pid, |nested| nested.share_pid);
    let namespace = |kind: &'static str| match joined {
        Some(parent) => json!({"type": kind, "path": parent.namespace(kind)}),
        None => json!({"type": kind}),
    };
    let mut namespaces = vec![json!({"type": "mount"}), namespace("uts")];
    match (joined, share_pid) {
        (Some(_), true) => namespaces.push(namespace("pid")),
        (_, false) => namespaces.push(json!({"type": "pid"})),
        (None, true) => {}
    }
    match (joined, spec.linux.share_ipc) {
        (Some(_), true) => namespaces.push(namespace("ipc")),
        (_, false) => namespaces.push(json!({"type": "ipc"})),
        (None, true) => {}
    }
    let devices = spec.linux.devices.iter().filter(|d| !is_usual(&d.path));
    let devices = devices.map(device).collect::<Result<Vec<_>, _>>()?;
    let mut protected =
        vec!["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
    protected.extend(read_only);
    let mut masked = vec!["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi"];
    if spec.image.is_some() {
        masked.extend(image::MASKED);
    }
    let (program, _) = spec.command.resolve();
    Ok(json!({
        "ociVersion": "1.0.2",
        "root": {"path": root, "readonly": false},
        "hostname": match spec.network {
            _ if joined.is_some() => None,
            Network::Own => Some(network::files::hostname(spec)),
            Network::Host => spec.hostname.as_deref(),
        },
        "process": {
            "terminal": false,
            "user": {"uid": account.uid, "gid": account.gid, "additionalGids": account.groups},
            "args": [program],
            "env": [],
            "cwd": spec.cwd(),
            "capabilities": capabilities(spec),
            "rlimits": limits,
            "noNewPrivileges": spec.no_new_privs,
        },
        "mounts": mounts,
        "linux": {
            "namespaces": namespaces,
            "devices": devices,
            "rootfsPropagation": "slave",
            "maskedPaths": masked,
            "readonlyPaths": protected,
        },
    }))
}

/// Devices that every container has.
fn is_usual(path: &Path) -> bool {
    let usual = ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"];
    usual.iter().any(|name| path == Path::new("/dev").join(name))
}

/// A device of the host in OCI's words.
fn device(device: &Device) -> Result<Value, String> {
    let path = &device.path;
    let failed = |why: &str| format!("device {}: {why}", path.display());
    let (kind, major, minor) = match device.number {
        Some((major, minor)) => ("c", major, minor),
        None => {
            let meta = fs::metadata(path).map_err(|e| failed(&e.to_string()))?;
            let kind = match meta.file_type() {
                t if t.is_char_device() => "c",
                t if t.is_block_device() => "b",
                _ => return Err(failed("it is no device")),
            };
            let number = meta.rdev();
            (kind, nix::sys::stat::major(number), nix::sys::stat::minor(number))
        }
    };
    let mode = if device.read { 0o444 } else { 0 } | if device.write { 0o222 } else { 0 };
    Ok(json!({
        "path": path,
        "type": kind,
        "major": major,
        "minor": minor,
        "fileMode": mode,
        "uid": 0,
        "gid": 0,
    }))
}

/// The capability sets in OCI's words. Without ambient ones, a task that is not root has none after exec.
pub fn capabilities(spec: &ContainerSpec) -> Value {
    let effective = spec.effective_capabilities();
    // What is not bounded cannot be effective after exec; without a bound of its own it is the effective set.
    let bounding = spec.capabilities.bounding.clone().unwrap_or_else(|| effective.clone());
    let kept = if spec.linux.ambient { effective.clone() } else { Vec::new() };
    json!({
        "bounding": bounding,
        "effective": effective,
        "permitted": effective,
        "inheritable": kept,
        "ambient": kept,
    })
}

fn mounts(spec: &ContainerSpec, shm: Option<&Path>) -> Vec<Value> {
    let mount = |target: &str, kind: &str, options: &[&str]| {
        json!({
            "destination": target, "type": kind, "source": kind, "options": options,
        })
    };
    let size = spec.linux.shm_bytes.map(|bytes| format!("size={bytes}"));
    let mut shared = vec!["nosuid", "noexec", "nodev", "mode=1777"];
    shared.extend(size.as_deref());
    let mut terminals = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    // The group of terminals is not mapped in a user namespace.
    terminals.extend((!rootless::entered()).then_some("gid=5"));
    let mut all = vec![
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", &terminals),
        match shm {
            Some(shm) => json!({
                "destination": SHM, "type": "bind", "source": shm,
                "options": ["rbind", "rw", "nosuid", "noexec", "nodev"],
            }),
            None => mount(SHM, "tmpfs", &shared),
        },
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ];
    let bind = |source: &Path, target: &Path, read_only: bool| {
        let access = if read_only { "ro" } else { "rw" };
        json!({
            "destination": target,
            "type": "bind",
            "source": source,
            "options": ["rbind", access, "rslave"],
        })
    };
    if let Some(own) = &spec.image {
        all.push(match rootless::entered() {
            false => mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            // One of its own goes with a network of its own alone.
            true => json!({
                "destination": "/sys", "type": "bind", "source": "/sys", "options": ["rbind", "rro"],
            }),
        });
        if rootless::entered() {
            // The host's, with what of it could not be taken away.
            all.push(mount(CGROUP_MOUNT, "tmpfs", &["nosuid", "noexec", "nodev", "ro"]));
        }
        all.push(bind(&spec.sandbox, &own.sandbox, false));
        if spec.network == Network::Host {
            all.extend(image::names().map(|(source, target)| bind(&source, target, true)));
        }
    }
    let volumes = spec.image_volumes.iter();
    all.extend(volumes.map(|v| bind(&image::merged(&v.root), &v.target, v.read_only)));
    all.extend(spec.mounts.iter().map(|m| bind(&m.source, &m.target, m.read_only)));
    all
}

/// The last step inside the container: not the task's program but its keeper.
#[derive(Clone)]
struct TaskExecutor {
    spec: Box<ContainerSpec>,
    status: RawFd,
    gate: RawFd,
    filters: Filters,
}

impl Executor for TaskExecutor {
    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        if matches!(self.spec.command, Command::Pause | Command::Later) {
            return Ok(());
        }
        let (name, _) = self.spec.command.resolve();
        program::find(&name, &self.spec.environment())
            .map(drop)
            .map_err(ExecutorValidationError::ArgValidationError)
    }

    /// The last thing before the container is parked. (The environment goes to the task's program alone.)
    fn setup_envs(&self, _: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        match self.filters_early() {
            true => self.filters.load().map_err(ExecutorSetEnvsError::Other),
            false => Ok(()),
        }
    }

    fn exec(&self, _: &Spec) -> Result<(), ExecutorError> {
        undumpable();
        let go = match self.spec.command {
            Command::Later => gate::wait_to_be_told(self.gate, GATE_FD),
            _ => gate::wait(self.gate),
        };
        if let Err(why) = go {
            Report::at(REPORT_FD).not_executed(&why);
            leave(126)
        }
        let told = match self.spec.command {
            Command::Later => Some(become_told().unwrap_or_else(|why| {
                Report::at(REPORT_FD).not_executed(&why);
                leave(126)
            })),
            _ => None,
        };
        let (spec, status) = told.as_ref().map_or((&*self.spec, self.status), |(s, fd)| (s, *fd));
        let (program, argv) = spec.command.resolve();
        let env = spec.environment();
        let task = Task {
            program: &program,
            argv: &argv,
            env: &env,
            status,
            report: REPORT_FD,
            terminal: spec.terminal,
            pause: spec.command == Command::Pause,
        };
        // Among others' processes it is nobody's first: what is left of it is not ended by the kernel.
        let shared = match &self.spec.nested {
            Some(nested) => nested.share_pid,
            None => self.spec.linux.share_pid,
        };
        let end = if shared { End::Sweep } else { End::Namespace };
        keep(&task, end, || match self.filters_early() {
            true => Ok(()),
            false => self.filters.load(),
        })
    }
}

/// What a container made ahead of need is, in its own directory and with its own streams.
fn become_told() -> Result<(ContainerSpec, RawFd), String> {
    let (spec, status) = later::hear(GATE_FD)?;
    let cwd = spec.cwd();
    std::env::set_current_dir(cwd)
        .map_err(|e| format!("working directory {}: {e}", cwd.display()))?;
    Ok((spec, status))
}

impl TaskExecutor {
    /// Whether the filters are loaded before the container is parked, since the kernel takes a millisecond to look through
    /// them: the built-in profile leaves the keeper all it needs, of the operator's nobody knows.
    fn filters_early(&self) -> bool {
        self.spec.linux.seccomp == Seccomp::Default
    }
}
