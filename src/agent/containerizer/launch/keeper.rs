//! The first process of a container: starts the task, reaps orphans, records how the task ended, and ends with it.

use super::prepare::{default_signals, leave};
use super::report::Report;
use super::{GATE_FD, program, streams};
use crate::agent::containerizer::spec::Window;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::WaitPidFlag;
use nix::unistd::{ForkResult, Pid, fork};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Where a keeper keeps our side of its task's terminal: the next supervisor takes it from there.
pub const TERMINAL_FD: RawFd = 1;

/// What a keeper starts and where it tells of it.
pub struct Task<'a> {
    /// Path or name.
    pub program: &'a str,
    /// Arguments.
    pub argv: &'a [String],
    /// Environment.
    pub env: &'a [(String, String)],
    /// The status file's descriptor.
    pub status: RawFd,
    /// The report pipe's descriptor.
    pub report: RawFd,
    /// On a terminal of that size, which goes to the supervisor by the gate.
    pub terminal: Option<Window>,
    /// Instead of a program: it waits for a signal.
    pub pause: bool,
}

/// How all that was started ends with the task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The kernel ends the pid namespace with its first process.
    Namespace,
    /// The keeper, a subreaper, kills what is left.
    Sweep,
}

/// Starts the task, keeps it, and ends as it ended. `last` is done in the task's process before its program is executed.
pub fn keep(task: &Task<'_>, end: End, last: impl FnOnce() -> Result<(), String>) -> ! {
    // Nothing may end the keeper but SIGKILL, least of all a signal meant for the whole tree.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
    if end == End::Sweep {
        // SAFETY: a flag of this process.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    }
    let sides = match task.terminal.map(open_terminal).transpose() {
        Ok(sides) => sides,
        Err(why) => {
            Report::at(task.report).not_executed(&why);
            leave(126)
        }
    };
    // SAFETY: one thread.
    match unsafe { fork() } {
        Err(e) => {
            let why = format!("the task's process cannot be forked: {e}");
            Report::at(task.report).not_executed(&why);
            leave(126)
        }
        Ok(ForkResult::Child) => {
            let why = become_task(task, sides.as_ref().map(|(_, slave)| slave), last);
            Report::at(task.report).not_executed(&why);
            // Where whoever looks for the reason looks first; best effort.
            let text = format!("{why}\n");
            let _ = nix::unistd::write(std::io::stderr(), text.as_bytes());
            leave(127)
        }
        Ok(ForkResult::Parent { child }) => {
            watch(child, task.status, sides.map(|(master, _)| master), end)
        }
    }
}

/// A terminal, of which the supervisor gets its side. The keeper keeps it too, so that neither the supervisor's end nor
/// a restart of it hangs the task up.
fn open_terminal(window: Window) -> Result<(OwnedFd, OwnedFd), String> {
    let (master, slave) = streams::open(window, nix::unistd::getuid().as_raw())?;
    streams::send(GATE_FD, &[master.as_raw_fd()])?;
    Ok((master, slave))
}

fn become_task(
    task: &Task<'_>,
    terminal: Option<&OwnedFd>,
    last: impl FnOnce() -> Result<(), String>,
) -> String {
    // A session of its own: it has no terminal, and its group can be signalled apart from the keeper.
    let _ = nix::unistd::setsid();
    if let Some(Err(why)) = terminal.map(streams::take) {
        return why;
    }
    close_on_exec();
    default_signals();
    if let Err(e) = last() {
        return e;
    }
    if task.pause {
        pause();
    }
    match program::find(task.program, task.env) {
        Ok(path) => program::execute(&path, task.argv, task.env),
        Err(e) => e,
    }
}

/// The process of a container in which others are nested. That it runs is told by the end of the report.
fn pause() -> ! {
    // SAFETY: plain calls; nothing of ours is used any more.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0);
        libc::prctl(libc::PR_SET_NAME, c"mesolith-pause".as_ptr());
        loop {
            libc::pause();
        }
    }
}

/// Nothing but the three standard descriptors reaches the task.
fn close_on_exec() {
    // SAFETY: marks descriptors only.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}

fn watch(child: Pid, status: RawFd, terminal: Option<OwnedFd>, end: End) -> ! {
    // SAFETY: plain descriptor calls; the keeper uses nothing but the status file from here on, and keeps the terminal.
    unsafe {
        libc::dup2(status, 0);
        if let Some(master) = &terminal {
            libc::dup2(master.as_raw_fd(), TERMINAL_FD);
        }
        let first = if terminal.is_some() { TERMINAL_FD + 1 } else { TERMINAL_FD };
        std::mem::forget(terminal);
        libc::syscall(libc::SYS_close_range, first, u32::MAX, 0);
        libc::prctl(libc::PR_SET_NAME, c"mesolith-keeper".as_ptr());
        libc::chdir(c"/".as_ptr());
    }
    loop {
        let mut raw = 0;
        // SAFETY: waits for children only; `raw` outlives the call.
        let pid = unsafe { libc::waitpid(-1, &mut raw, 0) };
        if pid == child.as_raw() {
            let bytes = raw.to_le_bytes();
            // SAFETY: four bytes of ours. Unwritten, our own exit code still tells most of it.
            unsafe { libc::pwrite(0, bytes.as_ptr().cast(), bytes.len(), 0) };
            if end == End::Sweep {
                sweep();
            }
            let signal = raw & 0x7f;
            leave(if signal == 0 { (raw >> 8) & 0xff } else { 128 + signal });
        }
        if pid < 0 && Errno::last() == Errno::ECHILD {
            // Cannot be: the task is our child until it was waited for.
            leave(126);
        }
    }
}

/// Kills all descendants: children first, theirs become ours, until there are none.
fn sweep() {
    let me = Pid::this().as_raw();
    loop {
        for pid in super::posix::children(me) {
            // One that ended meanwhile needs no signal.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        match nix::sys::wait::waitpid(None, Some(WaitPidFlag::empty())) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}
