//! What this machine has to offer, found by itself where the operator names nothing. The shares that are left to the
//! system are the original's.

use crate::base::error::{Code, Error, Result};
use crate::base::resources::{Ranges, Reservation, Resource, Resources, Value};
use std::fs;
use std::path::Path;

/// Ports that are offered when none are named.
pub const PORTS: (u64, u64) = (31_000, 32_000);
/// Memory left to the system, in MB, on machines with at least twice that.
const MEM_KEPT_MB: u64 = 1024;
/// Disk left to the system, in MB, on disks with at least twice that.
const DISK_KEPT_MB: u64 = 5 * 1024;

fn system(what: &str, e: impl std::fmt::Display) -> Error {
    Error::new(Code::System, format!("cannot find out {what}: {e}"))
        .hint("name what to offer with --resources")
}

/// The named resources, and of cpus, mem, disk and ports those that are not named as found.
///
/// # Errors
/// [`Code::System`] when the machine does not tell what it has.
pub fn resources(
    named: Option<&Resources>,
    default_role: &str,
    work_dir: &Path,
) -> Result<Resources> {
    let mut all = named.cloned().unwrap_or_default();
    let is_named = |name: &str| named.is_some_and(|n| n.names().contains(&name));
    let mut found = Vec::new();
    if !is_named("cpus") {
        found.push(Resource::scalar("cpus", cpus()?));
    }
    if !is_named("mem") {
        found.push(Resource::scalar("mem", left(memory()? >> 20, MEM_KEPT_MB)));
    }
    if !is_named("disk") {
        found.push(Resource::scalar("disk", left(disk_mb(work_dir)?, DISK_KEPT_MB)));
    }
    if !is_named("ports") {
        found.push(Resource::new("ports", Value::Ranges(Ranges::new([PORTS]))));
    }
    for resource in found {
        all.add_one(with_role(resource, default_role));
    }
    Ok(all)
}

/// Reserved for the role that resources have which nobody gave one.
pub fn with_role(mut resource: Resource, default_role: &str) -> Resource {
    if default_role != "*" {
        resource.reservations = vec![Reservation::fixed(default_role)];
    }
    resource
}

/// What is left of `total` when the system has its part.
fn left(total: u64, kept: u64) -> f64 {
    let left = if total >= 2 * kept { total - kept } else { total / 2 };
    left as f64
}

fn cpus() -> Result<f64> {
    let n = std::thread::available_parallelism().map_err(|e| system("the number of cpus", e))?;
    Ok(n.get() as f64)
}

/// This machine's memory in bytes.
///
/// # Errors
/// [`Code::System`] when the kernel does not tell.
pub fn memory() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").map_err(|e| system("the size of memory", e))?;
    let kb = text.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    kb.map(|kb| kb * 1024).ok_or_else(|| system("the size of memory", "no MemTotal"))
}

fn disk_mb(path: &Path) -> Result<u64> {
    let disk = nix::sys::statvfs::statvfs(path).map_err(|e| system("the size of the disk", e))?;
    Ok(disk.blocks() * disk.fragment_size() / 1024 / 1024)
}

/// The kernel's id of this boot: after another one nothing that ran before runs.
///
/// # Errors
/// [`Code::System`] when the kernel does not tell.
pub fn boot_id() -> Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    let text = fs::read_to_string(path).map_err(|e| system("the boot id", e))?;
    Ok(text.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_found() {
        let named = Resources::parse("cpus:1.5;mem:64", "*").expect("text");
        let all = resources(Some(&named), "*", Path::new("/")).expect("found");
        assert_eq!(all.cpus().as_f64(), 1.5);
        assert_eq!(all.mem().as_f64(), 64.0);
        assert!(all.disk().as_f64() > 0.0);
        assert_eq!(all.ports().to_string(), "[31000-32000]");
    }

    #[test]
    fn the_system_keeps_its_part() {
        assert_eq!(left(4096, MEM_KEPT_MB), 3072.0);
        assert_eq!(left(1000, MEM_KEPT_MB), 500.0);
    }

    #[test]
    fn found_resources_have_the_default_role() {
        let all = resources(None, "ops", Path::new("/")).expect("found");
        assert!(all.unreserved().is_empty());
        assert!(!all.reserved("ops").is_empty());
    }
}
