//! Making a container's processes. Everything here runs in a short-lived, single-threaded child of the supervisor.
//!
//! ```text
//! supervisor ── builder (exits when the container is parked)
//!     └──────── keeper: first process of the container, outside the reach of the task's signals
//!                  └── the task
//! ```
//! The keeper reaps orphans, and writes the task's wait status to a file it holds open: so the status survives a crash
//! of the supervisor. Mesos's executor has the same place: a task is never the first process of its pid namespace,
//! where the kernel would drop signals it does not catch.

pub mod account;
mod errors;
pub mod exec;
pub mod gate;
mod image;
pub mod keeper;
pub mod later;
pub mod mesos;
pub mod posix;
mod prepare;
pub mod program;
pub mod report;
pub mod rlimits;
pub mod streams;
pub mod volumes;
pub mod within;

pub use gate::GATE_FILE;

use super::isolators::Cgroup;
use super::spec::{Backend, Command, ContainerSpec};
use crate::base::error::{Code, Error, Result};
use nix::unistd::{ForkResult, fork};
use report::Report;
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The name of the file in a container's directory that the keeper writes the wait status to.
pub const STATUS_FILE: &str = "status";
/// `CLONE_INTO_CGROUP` (Linux 5.7); libc's constant is too narrow for it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// Where a builder finds its report pipe.
pub const REPORT_FD: RawFd = 3;
/// Where it finds its gate.
pub const GATE_FD: RawFd = 4;

/// The container that one is nested in.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Its first process.
    pub keeper: i32,
    /// Whether it has a network of its own.
    pub network: bool,
    /// The directory of the outermost container, with its files for the network.
    pub outermost: PathBuf,
}

/// A launch under way.
pub struct Launched {
    /// The builder (mesos) or the keeper itself (posix).
    pub child: i32,
    /// Where it reports.
    pub report: OwnedFd,
    /// One byte lets a posix container go; end of file ends it. A container's terminal comes by it, and to one made ahead of
    /// need what it is.
    pub gate: Option<OwnedFd>,
}

/// Forks the process that makes a container. Its directory must exist, and its cgroup be made.
///
/// # Errors
/// The kernel's reason, when there is no child at all; all else comes by the report pipe.
pub fn launch(
    spec: &ContainerSpec,
    dir: &Path,
    cgroup: Option<&Cgroup>,
    joined: Option<&Joined>,
) -> Result<Launched> {
    let (report, report_tx) = pipe()?;
    // Descriptors go by it.
    let hands = spec.terminal.is_some() || spec.command == Command::Later;
    let (gate_rx, gate) = match hands {
        false => pipe()?,
        true => streams::pair().map_err(|why| Error::new(Code::System, why))?,
    };
    // Plug-ins are run outside of it.
    let inside = cgroup.filter(|_| !spec.linux.leaves_something());
    let handle = inside.and_then(Cgroup::handle);
    let (child, inside) = match split(handle.as_ref().map(AsRawFd::as_raw_fd))? {
        Split::Parent(child) => {
            let needed = spec.backend == Backend::Posix || hands;
            let gate = needed.then_some(gate);
            return Ok(Launched { child, report, gate });
        }
        Split::Child { inside } => (report_tx.into_raw_fd(), inside),
    };
    let gate = gate_rx.into_raw_fd();
    prepare::in_child(child, gate);
    let mut report = Report::at(REPORT_FD);
    match spec.backend {
        Backend::Mesos => {
            errors::to_report(REPORT_FD);
            let made = mesos::build(spec, dir, cgroup, inside, joined);
            match made {
                Ok(pid) => report.made(pid),
                Err(text) => report.failed(&text),
            }
            prepare::leave(0)
        }
        Backend::Posix => posix::run(spec, dir, &mut report),
    }
}

/// The two sides of a fork.
pub enum Split {
    /// With the child's pid.
    Parent(i32),
    /// `inside`: it is in the cgroup already.
    Child {
        /// Whether the kernel put it there.
        inside: bool,
    },
}

/// Forks, into a v2 cgroup if one is given and the kernel can.
///
/// # Errors
/// The kernel's reason.
pub fn split(cgroup: Option<RawFd>) -> Result<Split> {
    if let Some(fd) = cgroup
        && let Some(split) = clone_into(fd)
    {
        return Ok(split);
    }
    // SAFETY: the supervisor has one thread, so the child may do what it likes.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => Ok(Split::Parent(child.as_raw())),
        Ok(ForkResult::Child) => Ok(Split::Child { inside: false }),
        Err(e) => Err(Error::new(Code::System, format!("fork: {e}"))),
    }
}

/// `clone3` with `CLONE_INTO_CGROUP`; none when the kernel refuses it, and a plain fork is to be tried.
fn clone_into(fd: RawFd) -> Option<Split> {
    // SAFETY: an all-zero clone_args is a valid one.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_INTO_CGROUP;
    args.exit_signal = libc::SIGCHLD as u64;
    args.cgroup = fd as u64;
    // SAFETY: without CLONE_VM this is a fork; the process has one thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &args, size_of::<libc::clone_args>()) };
    match pid {
        0 => Some(Split::Child { inside: true }),
        p if p > 0 => Some(Split::Parent(p as i32)),
        _ => None,
    }
}

/// Does something in a child; its pid. It ends well if the work did, and else says why to our errors.
///
/// # Errors
/// The kernel's reason, when there is no child.
pub fn aside(work: impl FnOnce() -> std::result::Result<(), String>) -> Result<i32> {
    match split(None)? {
        Split::Parent(pid) => Ok(pid),
        Split::Child { .. } => {
            prepare::unblock();
            match work() {
                Ok(()) => prepare::leave(0),
                Err(why) => {
                    eprintln!("{why}");
                    prepare::leave(1)
                }
            }
        }
    }
}

/// A pipe, closed on exec, its reading end not blocking.
///
/// # Errors
/// The kernel's reason.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
        .map_err(|e| Error::new(Code::System, format!("pipe: {e}")))
}

/// Makes a directory only its owner can enter.
///
/// # Errors
/// The path and the kernel's reason.
pub fn private_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|e| Error::new(Code::System, format!("{}: {e}", path.display())))
}

/// Opens the status file of a container for its keeper.
fn open_status(dir: &Path) -> std::result::Result<RawFd, String> {
    use std::os::unix::fs::OpenOptionsExt;
    let path: PathBuf = dir.join(STATUS_FILE);
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map(IntoRawFd::into_raw_fd)
        .map_err(|e| format!("{}: {e}", path.display()))
}

/// Takes over a descriptor a child was given at a known number.
pub(crate) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: called once for a descriptor that nothing else owns.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
