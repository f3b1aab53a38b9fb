//! A container without isolation: a session of its own, POSIX limits, and a keeper that collects its descendants.

use super::keeper::{End, Task, keep};
use super::prepare::leave;
use super::report::Report;
use super::{GATE_FD, REPORT_FD, account, open_status, own, rlimits};
use crate::agent::containerizer::logs;
use crate::agent::containerizer::record::Usage;
use crate::agent::containerizer::spec::{Command, ContainerSpec};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

/// The keeper's whole life: prepare, park, keep.
pub fn run(spec: &ContainerSpec, dir: &Path, report: &mut Report) -> ! {
    let prepared = prepare(spec, dir);
    let (account, status) = match prepared {
        Ok(both) => both,
        Err(why) => {
            report.failed(&why);
            leave(126)
        }
    };
    report.made(nix::unistd::Pid::this().as_raw());
    let mut go = [0; 1];
    let mut gate = fs::File::from(own(GATE_FD));
    if gate.read(&mut go).unwrap_or(0) == 0 {
        // The supervisor is gone, or does not want us any more.
        leave(126);
    }
    // A terminal goes that way yet.
    std::mem::forget(gate);
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
    keep(&task, End::Sweep, || {
        rlimits::apply(&spec.rlimits)?;
        account::become_user(&account)?;
        if spec.no_new_privs {
            no_new_privs()?;
        }
        Ok(())
    })
}

fn prepare(spec: &ContainerSpec, dir: &Path) -> Result<(account::Account, i32), String> {
    let _ = nix::unistd::setsid();
    // SAFETY: a flag of this process.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    for l in &spec.rlimits {
        rlimits::resource(&l.name).ok_or_else(|| format!("{} is no limit", l.name))?;
    }
    let account = account::resolve(spec.user.as_deref())?;
    let streams = logs::open_streams(&spec.sandbox, account.uid, account.gid)?;
    let status = open_status(dir)?;
    let null = fs::File::open("/dev/null").map_err(|e| format!("/dev/null: {e}"))?;
    use std::os::fd::AsRawFd;
    for (fd, place) in
        [(null.as_raw_fd(), 0), (streams.0.as_raw_fd(), 1), (streams.1.as_raw_fd(), 2)]
    {
        nix::unistd::dup2(fd, place).map_err(|e| format!("dup2: {e}"))?;
    }
    nix::unistd::chdir(&spec.sandbox)
        .map_err(|e| format!("sandbox {}: {e}", spec.sandbox.display()))?;
    Ok((account, status))
}

/// Disarms set-user-id programs for this process and what it starts.
///
/// # Errors
/// A text: the kernel refused.
pub fn no_new_privs() -> Result<(), String> {
    nix::sys::prctl::set_no_new_privs().map_err(|e| format!("no_new_privs: {e}"))
}

/// Direct children of a process.
pub fn children(pid: i32) -> Vec<i32> {
    match fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")) {
        Ok(text) => text.split_whitespace().filter_map(|p| p.parse().ok()).collect(),
        // A kernel without that file: look at everybody's parent.
        Err(_) => {
            processes().into_iter().filter(|(_, p)| p.parent == pid).map(|(c, _)| c).collect()
        }
    }
}

/// What `/proc/<pid>/stat` tells of a process.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// Its state letter.
    pub state: char,
    /// Its parent.
    pub parent: i32,
    /// CPU in user mode, in clock ticks.
    pub user_ticks: u64,
    /// CPU in the kernel, in clock ticks.
    pub system_ticks: u64,
    /// Threads.
    pub threads: u64,
    /// When it started, in clock ticks since boot.
    pub start_time: u64,
    /// Resident pages.
    pub rss_pages: u64,
}

/// What the kernel tells of a process; none: it does not exist.
pub fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain anything: fields are counted from its end.
    let fields: Vec<&str> = text.get(text.rfind(')')? + 2..)?.split(' ').collect();
    let number = |n: usize| fields.get(n)?.parse::<u64>().ok();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        user_ticks: number(11)?,
        system_ticks: number(12)?,
        threads: number(17)?,
        start_time: number(19)?,
        rss_pages: number(21)?,
    })
}

fn processes() -> BTreeMap<i32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .collect()
}

/// All descendants of a process, the process itself not included.
pub fn descendants(root: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        let below = children(pid);
        found.extend(&below);
        next.extend(below);
    }
    found
}

/// What the descendants of a keeper use. CPU of those that ended and were waited for by the task itself is not seen.
pub fn usage(keeper: i32) -> Usage {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    let (ticks, page) = (ticks.unwrap_or(100) as f64, page.unwrap_or(4096) as u64);
    let mut usage = Usage::default();
    for s in descendants(keeper).into_iter().filter_map(stat) {
        usage.cpu_user_secs += s.user_ticks as f64 / ticks;
        usage.cpu_system_secs += s.system_ticks as f64 / ticks;
        usage.mem_rss_bytes += s.rss_pages * page;
        usage.processes += 1;
        usage.threads += s.threads;
    }
    usage.mem_total_bytes = usage.mem_rss_bytes;
    usage
}
