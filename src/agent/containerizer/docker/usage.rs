//! What a container uses, from the engine's statistics.

use crate::agent::containerizer::record::Usage;
use bollard::models::ContainerStatsResponse;

/// A limit above this is none.
const NO_LIMIT: u64 = 1 << 50;

/// The statistics in our terms; `processes`: counted elsewhere.
pub(super) fn usage(stats: &ContainerStatsResponse, processes: Option<u64>) -> Usage {
    let seconds = |nanos: Option<u64>| nanos.unwrap_or(0) as f64 / 1e9;
    let cpu = stats.cpu_stats.clone().unwrap_or_default();
    let time = cpu.cpu_usage.unwrap_or_default();
    let throttling = cpu.throttling_data.unwrap_or_default();
    let memory = stats.memory_stats.clone().unwrap_or_default();
    let detail = memory.stats.unwrap_or_default();
    // The first name is that of cgroup v1, the second of v2.
    let of = |v1: &str, v2: &str| detail.get(v1).or_else(|| detail.get(v2)).copied();
    let tasks = stats.pids_stats.as_ref().and_then(|pids| pids.current).unwrap_or(0);
    Usage {
        cpu_user_secs: seconds(time.usage_in_usermode),
        cpu_system_secs: seconds(time.usage_in_kernelmode),
        cpu_nr_periods: throttling.periods,
        cpu_nr_throttled: throttling.throttled_periods,
        cpu_throttled_secs: throttling.throttled_time.map(|nanos| seconds(Some(nanos))),
        mem_total_bytes: memory.usage.unwrap_or(0),
        mem_rss_bytes: of("rss", "anon").unwrap_or(0),
        mem_cache_bytes: of("cache", "file"),
        mem_mapped_file_bytes: of("mapped_file", "file_mapped"),
        mem_swap_bytes: of("swap", "swap"),
        mem_limit_bytes: memory.limit.filter(|limit| *limit < NO_LIMIT),
        processes: processes.unwrap_or(tasks),
        threads: tasks,
    }
}

/// The processes in the cgroup of that process; none where that cannot be read.
pub(super) fn processes(pid: i32) -> Option<u64> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let root = match controllers {
            "" if std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() => "",
            "pids" => "/pids",
            _ => return None,
        };
        Some(format!("/sys/fs/cgroup{root}{path}/cgroup.procs"))
    })?;
    let list = std::fs::read_to_string(path).ok()?;
    u64::try_from(list.lines().count()).ok()
}
