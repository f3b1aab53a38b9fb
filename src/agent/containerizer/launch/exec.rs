//! Running a command beside a container's task: in its namespaces, cgroup, environment, and as its user.
//!
//! A helper enters the namespaces and clones the command's process as its own sibling, so that it is the supervisor's
//! child, and tells its pid before letting it go.

use super::prepare::{default_signals, in_child, leave, undumpable};
use super::report::Report;
use super::{GATE_FD, REPORT_FD, Split, account, mesos, own, pipe, posix, program, split, streams};
use crate::agent::containerizer::isolators::{Cgroup, seccomp};
use crate::agent::containerizer::rootless;
use crate::agent::containerizer::spec::{Backend, ContainerSpec, Window};
use crate::base::error::{Code, Error, Result};
use libcontainer::capabilities::{drop_privileges, reset_effective};
use libcontainer::oci_spec::runtime::LinuxCapabilities;
use libcontainer::syscall::syscall::create_syscall;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// What becomes of a command's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// It reads nothing; what it writes comes by one pipe.
    Gathered,
    /// Three pipes, handed over by a socket.
    Piped,
    /// A terminal, handed over by a socket.
    Terminal(Window),
}

/// What is run.
pub struct Exec<'a> {
    /// The container.
    pub spec: &'a ContainerSpec,
    /// Its first process.
    pub keeper: i32,
    /// The cgroup it runs in.
    pub cgroup: Option<&'a Cgroup>,
    /// Program and arguments.
    pub argv: &'a [String],
    /// The whole environment.
    pub env: &'a [(String, String)],
    /// Working directory.
    pub cwd: &'a str,
    /// Whom it runs as; none: the container's user.
    pub user: Option<&'a str>,
    /// Its streams.
    pub streams: Streams,
}

/// Forks the helper: its report pipe, and the command's output or the socket that its streams come by.
///
/// # Errors
/// The kernel's reason, when there is no helper at all.
pub fn exec(e: &Exec<'_>) -> Result<(OwnedFd, OwnedFd)> {
    let (report, report_tx) = pipe()?;
    let (output, output_tx) = match e.streams {
        Streams::Gathered => pipe()?,
        _ => streams::pair().map_err(|why| Error::new(Code::System, why))?,
    };
    let handle = e.cgroup.and_then(Cgroup::handle);
    match split(handle.as_ref().map(AsRawFd::as_raw_fd))? {
        Split::Parent(_) => Ok((report, output)),
        Split::Child { inside } => {
            in_child(report_tx.into_raw_fd(), output_tx.into_raw_fd());
            undumpable();
            let mut report = Report::at(REPORT_FD);
            // Before the container is entered: its files must not say who is who.
            let account = match e.user {
                Some(name) if rootless::entered() => {
                    let spec = ContainerSpec { user: Some(name.into()), ..e.spec.clone() };
                    account::of(&spec)
                }
                Some(_) => account::resolve(e.user),
                None => account::of(e.spec),
            };
            let spawned = account.and_then(|account| {
                enter(e, inside).and_then(|()| spawn(e, &account, &mut report))
            });
            if let Err(why) = spawned {
                report.failed(&why);
            }
            leave(0)
        }
    }
}

fn enter(e: &Exec<'_>, inside: bool) -> std::result::Result<(), String> {
    if let Some(cgroup) = e.cgroup
        && !inside
    {
        cgroup.join().map_err(|e| e.cause)?;
    }
    if e.spec.backend != Backend::Mesos {
        return Ok(());
    }
    let fd = pidfd(e.keeper).map_err(|e| e.cause)?;
    setns(&fd, namespaces(e.keeper)).map_err(|e| format!("entering the container: {e}"))
}

/// The namespaces of a process that are not ours. The others may be of the host, which in a user namespace we could not enter.
fn namespaces(pid: i32) -> CloneFlags {
    let all = [
        ("user", CloneFlags::CLONE_NEWUSER),
        ("mnt", CloneFlags::CLONE_NEWNS),
        ("pid", CloneFlags::CLONE_NEWPID),
        ("ipc", CloneFlags::CLONE_NEWIPC),
        ("uts", CloneFlags::CLONE_NEWUTS),
        ("net", CloneFlags::CLONE_NEWNET),
    ];
    let of = |who: &str, kind: &str| std::fs::read_link(format!("/proc/{who}/ns/{kind}")).ok();
    let theirs = pid.to_string();
    let ours = |kind: &str| of("self", kind).is_some_and(|own| of(&theirs, kind) == Some(own));
    let entered = rootless::entered();
    // As root there is one user namespace, and entering one's own again is refused.
    let others = all.into_iter().filter(|(kind, _)| match entered {
        true => !ours(kind),
        false => *kind != "user",
    });
    others.map(|(_, flag)| flag).collect()
}

/// A handle to a process that stays that process.
///
/// # Errors
/// `NotFound` when it ended.
pub fn pidfd(pid: i32) -> Result<OwnedFd> {
    // SAFETY: returns a descriptor or an error.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    match nix::errno::Errno::result(fd) {
        // SAFETY: just opened, owned by nobody else.
        Ok(fd) => Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }),
        Err(e) => Err(Error::new(Code::NotFound, format!("process {pid}: {e}"))),
    }
}

fn spawn(
    e: &Exec<'_>,
    account: &account::Account,
    report: &mut Report,
) -> std::result::Result<(), String> {
    let (go, gate) = pipe().map_err(|e| e.cause)?;
    // SAFETY: a fork whose child is our parent's; this process has one thread.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_PARENT | libc::SIGCHLD, 0, 0, 0, 0) };
    match nix::errno::Errno::result(pid).map_err(|e| format!("clone: {e}"))? {
        0 => {
            drop(gate);
            let mut byte = [0; 1];
            if nix::unistd::read(go.as_raw_fd(), &mut byte) != Ok(1) {
                leave(126);
            }
            let why = run(e, account);
            report.not_executed(&why);
            leave(127)
        }
        pid => {
            report.made(pid as i32);
            nix::unistd::write(&gate, b"g").map(drop).map_err(|e| format!("gate: {e}"))
        }
    }
}

/// In the command's process, to the end.
fn run(e: &Exec<'_>, account: &account::Account) -> String {
    let ready = || -> std::result::Result<(), String> {
        let _ = nix::unistd::setsid();
        connect(e.streams, account.uid)?;
        nix::unistd::chdir(e.cwd).map_err(|err| format!("{}: {err}", e.cwd))?;
        if e.spec.no_new_privs {
            posix::no_new_privs()?;
        }
        match e.spec.backend {
            Backend::Posix => account::become_user(account)?,
            Backend::Mesos => confine(e.spec, account)?,
        }
        if e.streams != Streams::Gathered {
            // It ends with the supervisor, since nobody could end it afterwards. Set last: a change of user undoes it.
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
                .map_err(|e| format!("the signal of our death: {e}"))?;
        }
        // SAFETY: marks descriptors only.
        unsafe {
            libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        }
        default_signals();
        let calls = &e.spec.linux.seccomp;
        seccomp::filters(calls, &e.spec.effective_capabilities())?.load()
    };
    let name = e.argv.first().map(String::as_str).unwrap_or_default();
    match ready().and_then(|()| program::find(name, e.env)) {
        Ok(path) => program::execute(&path, e.argv, e.env),
        Err(why) => why,
    }
}

/// Puts the command's streams in their places.
fn connect(streams: Streams, user: u32) -> std::result::Result<(), String> {
    match streams {
        Streams::Gathered => {
            let null = File::open("/dev/null").map_err(|e| format!("/dev/null: {e}"))?;
            for (fd, place) in [(null.as_raw_fd(), 0), (GATE_FD, 1), (GATE_FD, 2)] {
                nix::unistd::dup2(fd, place).map_err(|e| format!("dup2: {e}"))?;
            }
        }
        Streams::Piped => streams::pipes(GATE_FD)?,
        Streams::Terminal(window) => {
            let (master, slave) = streams::open(window, user)?;
            streams::send(GATE_FD, &[master.as_raw_fd()])?;
            streams::take(&slave)?;
        }
    }
    drop(own(GATE_FD));
    Ok(())
}

/// User and capabilities, in the order that lets each step be done.
fn confine(spec: &ContainerSpec, account: &account::Account) -> std::result::Result<(), String> {
    let sets: LinuxCapabilities = serde_json::from_value(mesos::capabilities(spec))
        .map_err(|e| format!("capabilities: {e}"))?;
    let calls = create_syscall();
    let groups: Vec<_> = account.groups.iter().map(|g| nix::unistd::Gid::from_raw(*g)).collect();
    // In a user namespace nobody may set them.
    if !rootless::entered() {
        nix::unistd::setgroups(&groups).map_err(|e| format!("setgroups: {e}"))?;
    }
    let (uid, gid) =
        (nix::unistd::Uid::from_raw(account.uid), nix::unistd::Gid::from_raw(account.gid));
    calls.set_id(uid, gid).map_err(|e| format!("user: {e}"))?;
    reset_effective(calls.as_ref()).map_err(|e| format!("capabilities: {e}"))?;
    drop_privileges(&sets, calls.as_ref()).map_err(|e| format!("capabilities: {e}"))
}

/// Kills a command that took too long, and what it started in its session.
pub fn kill(pid: i32) {
    // Its group and itself: it may not have made the group yet. One that ended needs no signal.
    let _ = nix::sys::signal::killpg(Pid::from_raw(pid), Signal::SIGKILL);
    let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
}
