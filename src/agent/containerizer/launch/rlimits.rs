//! POSIX resource limits by the kernel's names.

use crate::agent::containerizer::spec::Rlimit;
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

/// The limit of that name.
pub fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "RLIMIT_AS" => Resource::RLIMIT_AS,
        "RLIMIT_CORE" => Resource::RLIMIT_CORE,
        "RLIMIT_CPU" => Resource::RLIMIT_CPU,
        "RLIMIT_DATA" => Resource::RLIMIT_DATA,
        "RLIMIT_FSIZE" => Resource::RLIMIT_FSIZE,
        "RLIMIT_LOCKS" => Resource::RLIMIT_LOCKS,
        "RLIMIT_MEMLOCK" => Resource::RLIMIT_MEMLOCK,
        "RLIMIT_MSGQUEUE" => Resource::RLIMIT_MSGQUEUE,
        "RLIMIT_NICE" => Resource::RLIMIT_NICE,
        "RLIMIT_NOFILE" => Resource::RLIMIT_NOFILE,
        "RLIMIT_NPROC" => Resource::RLIMIT_NPROC,
        "RLIMIT_RSS" => Resource::RLIMIT_RSS,
        "RLIMIT_RTPRIO" => Resource::RLIMIT_RTPRIO,
        "RLIMIT_RTTIME" => Resource::RLIMIT_RTTIME,
        "RLIMIT_SIGPENDING" => Resource::RLIMIT_SIGPENDING,
        "RLIMIT_STACK" => Resource::RLIMIT_STACK,
        _ => return None,
    })
}

/// Sets them for the calling process.
///
/// # Errors
/// A text: the name is unknown, or the kernel refused.
pub fn apply(limits: &[Rlimit]) -> Result<(), String> {
    for l in limits {
        let which = resource(&l.name).ok_or_else(|| format!("{} is no limit", l.name))?;
        setrlimit(which, l.soft.unwrap_or(RLIM_INFINITY), l.hard.unwrap_or(RLIM_INFINITY))
            .map_err(|e| format!("{}: {e}", l.name))?;
    }
    Ok(())
}
