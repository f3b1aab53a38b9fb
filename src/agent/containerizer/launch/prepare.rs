//! What every child of the supervisor does first: forget the supervisor.

use super::{GATE_FD, REPORT_FD};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction};
use std::fs;
use std::os::fd::RawFd;

/// Moves the two pipes to their places, closes everything else, and undoes the supervisor's signal and oom settings.
pub fn in_child(report: RawFd, gate: RawFd) {
    // Above both places first, so that neither overwrites the other.
    // SAFETY: plain descriptor calls on numbers we know; all other descriptors are of no use here.
    unsafe {
        let report = libc::fcntl(report, libc::F_DUPFD, 10);
        let gate = libc::fcntl(gate, libc::F_DUPFD, 11);
        libc::dup2(report, REPORT_FD);
        libc::dup2(gate, GATE_FD);
        libc::syscall(libc::SYS_close_range, GATE_FD + 1, u32::MAX, 0);
    }
    unblock();
    // The supervisor is protected from the OOM killer; what it starts is not. Unprivileged, there was nothing to undo.
    let _ = fs::write("/proc/self/oom_score_adj", "0");
}

/// Nobody in the container may look into this process, or at the files it has open, until it executes a program: it is of the
/// host, whatever user it is.
pub fn undumpable() {
    // SAFETY: a flag of this process.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
}

/// No signal blocked.
pub fn unblock() {
    // Cannot fail with a valid mask.
    let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// The signals as a fresh program expects them.
pub fn default_signals() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        if !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
            // SAFETY: the default action runs no code of ours.
            let _ = unsafe { sigaction(signal, &default) };
        }
    }
    unblock();
}

/// Ends this process at once: no destructors, no handlers of the image it was forked from.
pub fn leave(code: i32) -> ! {
    // SAFETY: never returns, touches no memory.
    unsafe { libc::_exit(code) }
}
