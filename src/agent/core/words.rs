//! How the original writes durations, sizes and the ends of processes; frameworks read these texts.

use std::time::Duration;

/// A duration in its coarsest unit that keeps it whole: `5secs`, `1mins`, `2weeks`.
pub fn duration(d: Duration) -> String {
    const UNITS: [(&str, u128); 8] = [
        ("weeks", 7 * 24 * 3600 * 1_000_000_000),
        ("days", 24 * 3600 * 1_000_000_000),
        ("hrs", 3600 * 1_000_000_000),
        ("mins", 60 * 1_000_000_000),
        ("secs", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1000),
        ("ns", 1),
    ];
    let ns = d.as_nanos();
    if ns == 0 {
        return "0ns".into();
    }
    // The last unit divides everything.
    let (name, unit) =
        UNITS.iter().find(|(_, unit)| ns.is_multiple_of(*unit)).unwrap_or(&("ns", 1));
    format!("{}{name}", ns / unit)
}

/// A size in its coarsest unit that keeps it whole: `64MB`, `67100672B`.
pub fn bytes(n: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TB", 40), ("GB", 30), ("MB", 20), ("KB", 10)];
    for (name, shift) in UNITS {
        if n > 0 && n.is_multiple_of(1 << shift) {
            return format!("{}{name}", n >> shift);
        }
    }
    format!("{n}B")
}

/// The exit code of a raw wait status, if the process exited by itself.
pub fn exit_code(status: i32) -> Option<i32> {
    (status & 0x7f == 0).then_some((status >> 8) & 0xff)
}

/// How a raw wait status is told: `exited with status 1`, `terminated with signal Killed`.
pub fn wait_status(status: i32) -> String {
    match exit_code(status) {
        Some(code) => format!("exited with status {code}"),
        None => {
            let core = if status & 0x80 != 0 { " (core dumped)" } else { "" };
            format!("terminated with signal {}{core}", signal(status & 0x7f))
        }
    }
}

/// A signal's name as `strsignal(3)` gives it.
fn signal(number: i32) -> String {
    const NAMES: [&str; 31] = [
        "Hangup",
        "Interrupt",
        "Quit",
        "Illegal instruction",
        "Trace/breakpoint trap",
        "Aborted",
        "Bus error",
        "Floating point exception",
        "Killed",
        "User defined signal 1",
        "Segmentation fault",
        "User defined signal 2",
        "Broken pipe",
        "Alarm clock",
        "Terminated",
        "Stack fault",
        "Child exited",
        "Continued",
        "Stopped (signal)",
        "Stopped",
        "Stopped (tty input)",
        "Stopped (tty output)",
        "Urgent I/O condition",
        "CPU time limit exceeded",
        "File size limit exceeded",
        "Virtual timer expired",
        "Profiling timer expired",
        "Window changed",
        "I/O possible",
        "Power failure",
        "Bad system call",
    ];
    let at = usize::try_from(number).unwrap_or(0).wrapping_sub(1);
    match NAMES.get(at) {
        Some(name) => (*name).into(),
        None if (34..=64).contains(&number) => format!("Real-time signal {}", number - 34),
        None => format!("Unknown signal {number}"),
    }
}
