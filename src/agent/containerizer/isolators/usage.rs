//! What containers use, read from their cgroups: as few files a container as will do, since each costs microseconds and a
//! machine has a thousand containers. It does not know which containers there are.
//!
//! Of v1 four files: `cpuacct.stat` (clock ticks, what Mesos reads), `memory.stat` (with the limit in force),
//! `memory.usage_in_bytes`, `pids.current`; `cpu.stat` where CPU time is limited, and `cgroup.procs` where there is more
//! than one thread. Each is opened from the directory that all containers are in, which the kernel finds sooner.

use super::Cgroup;
use super::below::SEAT;
use super::cgroups::at;
use super::numbers::{Page, each, number};
use crate::agent::containerizer::record::{Place, Usage};
use crate::base::error::Result;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{SysconfVar, sysconf};
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::Path;

/// v1's "no limit": a number of pages just below 2^63.
const V1_UNLIMITED: u64 = 0x7fff_ffff_0000_0000;
/// A clock tick where the machine does not tell: Linux has told programs no other.
const TICKS_A_SECOND: i64 = 100;

impl Cgroup {
    /// What it uses; `quota`: whether its CPU time may be limited. None: nothing runs in it, or it is gone.
    pub fn usage(&self, quota: bool) -> Option<Usage> {
        Reader::open(self).ok()?.read(&Place { path: String::new(), quota })
    }
}

/// The directories of the cgroup that those of all containers are in.
enum Root {
    V1 { cpu: File, cpuacct: File, memory: File, pids: File },
    V2(File),
}

/// Reads of many containers, one after the other.
pub struct Reader {
    root: Root,
    page: Page,
    path: String,
    ticks: f64,
}

impl Reader {
    /// For what is in that cgroup.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn open(root: &Cgroup) -> Result<Reader> {
        let dir = |dir: &Path| File::open(dir).map_err(|e| at(dir, &e));
        let root = match root {
            Cgroup::V1(_) => Root::V1 {
                cpu: dir(root.dir("cpu"))?,
                cpuacct: dir(root.dir("cpuacct"))?,
                memory: dir(root.dir("memory"))?,
                pids: dir(root.dir("pids"))?,
            },
            Cgroup::V2(path) => Root::V2(dir(path)?),
        };
        let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(TICKS_A_SECOND) as f64;
        Ok(Reader { root, page: Page::default(), path: String::new(), ticks })
    }

    /// What a container uses, its keeper not counted as a process. None: it does not run.
    ///
    /// That it runs is looked at last. A cgroup does not come back, so what was read before was of one that ran too.
    pub fn read(&mut self, place: &Place) -> Option<Usage> {
        let Reader { root, page, path, ticks } = self;
        let mut text = Text { page, path, place };
        let (usage, pids) = match root {
            Root::V1 { cpu, cpuacct, memory, pids } => {
                let cpu = place.quota.then_some(&*cpu);
                (usage_v1(&mut text, cpu, cpuacct, memory, *ticks), pids)
            }
            Root::V2(dir) => (usage_v2(&mut text, dir), dir),
        };
        // Zombies are counted here, and threads; all that is below too.
        let threads = text.number(pids, "pids.current").unwrap_or(0);
        let processes = match threads {
            // The keeper, and one more; they have memory, so are no zombies.
            2 if usage.mem_rss_bytes > 0 => 2,
            _ => text.processes(pids, usage.mem_rss_bytes > 0)?,
        };
        let but_keeper = |all: u64| all.saturating_sub(1);
        Some(Usage { processes: but_keeper(processes), threads: but_keeper(threads), ..usage })
    }
}

fn usage_v1(
    text: &mut Text<'_>,
    cpu: Option<&File>,
    cpuacct: &File,
    memory: &File,
    ticks: f64,
) -> Usage {
    let mut usage = Usage::default();
    text.each(cpuacct, "cpuacct.stat", |name, text| {
        let seconds = || number(text).unwrap_or(0) as f64 / ticks;
        match name {
            b"user" => usage.cpu_user_secs = seconds(),
            b"system" => usage.cpu_system_secs = seconds(),
            _ => {}
        }
    });
    if let Some(cpu) = cpu {
        text.each(cpu, "cpu.stat", |name, text| match name {
            b"nr_periods" => usage.cpu_nr_periods = number(text),
            b"nr_throttled" => usage.cpu_nr_throttled = number(text),
            b"throttled_time" => {
                usage.cpu_throttled_secs = number(text).map(|ns| ns as f64 / 1e9);
            }
            _ => {}
        });
    }
    text.each(memory, "memory.stat", |name, text| match name {
        b"total_rss" => usage.mem_rss_bytes = number(text).unwrap_or(0),
        b"total_cache" => usage.mem_cache_bytes = number(text),
        b"total_mapped_file" => usage.mem_mapped_file_bytes = number(text),
        b"total_swap" => usage.mem_swap_bytes = number(text),
        // The lowest of its own and of those it is in.
        b"hierarchical_memory_limit" => {
            usage.mem_limit_bytes = number(text).filter(|bytes| *bytes < V1_UNLIMITED);
        }
        _ => {}
    });
    usage.mem_total_bytes = text.number(memory, "memory.usage_in_bytes").unwrap_or(0);
    usage
}

fn usage_v2(text: &mut Text<'_>, dir: &File) -> Usage {
    let mut usage = Usage::default();
    text.each(dir, "cpu.stat", |name, text| {
        let seconds = || number(text).map(|us| us as f64 / 1e6);
        match name {
            b"user_usec" => usage.cpu_user_secs = seconds().unwrap_or(0.0),
            b"system_usec" => usage.cpu_system_secs = seconds().unwrap_or(0.0),
            b"nr_periods" => usage.cpu_nr_periods = number(text),
            b"nr_throttled" => usage.cpu_nr_throttled = number(text),
            b"throttled_usec" => usage.cpu_throttled_secs = seconds(),
            _ => {}
        }
    });
    text.each(dir, "memory.stat", |name, text| match name {
        b"anon" => usage.mem_rss_bytes = number(text).unwrap_or(0),
        b"file" => usage.mem_cache_bytes = number(text),
        b"file_mapped" => usage.mem_mapped_file_bytes = number(text),
        _ => {}
    });
    usage.mem_total_bytes = text.number(dir, "memory.current").unwrap_or(0);
    usage.mem_swap_bytes = text.number(dir, "memory.swap.current");
    usage.mem_limit_bytes = text.number(dir, "memory.max");
    usage
}

/// The files of one container.
struct Text<'a> {
    page: &'a mut Page,
    path: &'a mut String,
    place: &'a Place,
}

impl Text<'_> {
    /// The text of a file. None where it cannot be read: the container may be gone, or the controller not be there.
    fn of(&mut self, dir: &File, file: &[&str]) -> Option<&[u8]> {
        self.path.clear();
        self.path.push_str(&self.place.path);
        for part in file {
            if !self.path.is_empty() {
                self.path.push('/');
            }
            self.path.push_str(part);
        }
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let fd = openat(Some(dir.as_raw_fd()), self.path.as_str(), flags, Mode::empty()).ok()?;
        // SAFETY: it was opened just now, and nobody else has it.
        self.page.fill(unsafe { File::from_raw_fd(fd) })
    }

    fn number(&mut self, dir: &File, file: &str) -> Option<u64> {
        self.of(dir, &[file]).and_then(number)
    }

    fn each(&mut self, dir: &File, file: &str, see: impl FnMut(&[u8], &[u8])) {
        if let Some(text) = self.of(dir, &[file]) {
            each(text, see);
        }
    }

    /// How many processes it has of its own; none where it has no single one, or all of them are about to be gone. Those
    /// are still counted, but have no memory: neither have small ones that began just now, as far as cgroups tell.
    fn processes(&mut self, dir: &File, memory: bool) -> Option<u64> {
        if self.of(dir, &["cgroup.procs"]).is_none_or(<[u8]>::is_empty) {
            self.of(dir, &[SEAT, "cgroup.procs"])?;
        }
        let lines = self.page.text().split(|byte| *byte == b'\n');
        let mut all = lines.filter(|line| !line.is_empty());
        let count = all.clone().count() as u64;
        (count > 0 && (memory || all.any(has_memory))).then_some(count)
    }
}

/// Whether a process, by the digits of its id, has memory: one that exits gives it back first.
fn has_memory(pid: &[u8]) -> bool {
    let statm = std::str::from_utf8(pid).map(|pid| fs::read(format!("/proc/{pid}/statm")));
    let Ok(Ok(statm)) = statm else { return false };
    statm.split(|byte| *byte == b' ').next().and_then(number).is_some_and(|pages| pages > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    /// Plain files in place of the kernel's.
    struct World {
        dir: tempfile::TempDir,
        root: Cgroup,
    }

    impl World {
        fn v1() -> World {
            let dir = tempfile::tempdir().unwrap();
            let of = |c: &str| (c.to_string(), dir.path().join(c));
            let map: BTreeMap<String, PathBuf> =
                ["cpu", "cpuacct", "memory", "pids"].map(of).into();
            World { root: Cgroup::V1(map), dir }
        }

        fn v2() -> World {
            let dir = tempfile::tempdir().unwrap();
            World { root: Cgroup::V2(dir.path().to_path_buf()), dir }
        }

        fn put(&self, file: &str, text: &str) {
            let path = self.dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn read(&self, path: &str, quota: bool) -> Option<Usage> {
            Reader::open(&self.root).unwrap().read(&Place { path: path.into(), quota })
        }
    }

    fn one_of_v1() -> World {
        let w = World::v1();
        w.put("cpuacct/a/cpuacct.stat", "user 250\nsystem 50\n");
        w.put("cpu/a/cpu.stat", "nr_periods 9\nnr_throttled 2\nthrottled_time 1500000000\n");
        let stat = "cache 1\nrss 2\nhierarchical_memory_limit 67108864\ntotal_cache 4096\n\
            total_rss 8192\ntotal_rss_huge 5\ntotal_mapped_file 1024\ntotal_swap 512\n";
        w.put("memory/a/memory.stat", stat);
        w.put("memory/a/memory.usage_in_bytes", "20480\n");
        w.put("pids/a/pids.current", "2\n");
        w.put("pids/a/cgroup.procs", "10\n11\n");
        w
    }

    #[test]
    fn v1_is_read_from_few_files() {
        let w = one_of_v1();
        let limited = Usage {
            cpu_user_secs: 2.5,
            cpu_system_secs: 0.5,
            cpu_nr_periods: Some(9),
            cpu_nr_throttled: Some(2),
            cpu_throttled_secs: Some(1.5),
            mem_total_bytes: 20480,
            mem_rss_bytes: 8192,
            mem_cache_bytes: Some(4096),
            mem_mapped_file_bytes: Some(1024),
            mem_swap_bytes: Some(512),
            mem_limit_bytes: Some(67_108_864),
            processes: 1,
            threads: 1,
        };
        assert_eq!(w.read("a", true), Some(limited.clone()));
        let (cpu_nr_periods, cpu_nr_throttled, cpu_throttled_secs) = (None, None, None);
        let free = Usage { cpu_nr_periods, cpu_nr_throttled, cpu_throttled_secs, ..limited };
        assert_eq!(w.read("a", false), Some(free.clone()));
        w.put("pids/a/pids.current", "7\n");
        w.put("pids/a/cgroup.procs", "10\n11\n12\n");
        let more = Usage { processes: 2, threads: 6, ..free.clone() };
        assert_eq!(w.read("a", false), Some(more));
        w.put(
            "memory/a/memory.stat",
            "total_rss 1\nhierarchical_memory_limit 9223372036854771712\n",
        );
        assert_eq!(w.read("a", false).unwrap().mem_limit_bytes, None);
    }

    #[test]
    fn what_has_ended_is_not_told_with_zeros() {
        let w = one_of_v1();
        // Its processes are gone, and not yet collected: the kernel counts them, but they have nothing.
        w.put("pids/a/cgroup.procs", "");
        w.put("memory/a/memory.stat", "total_rss 0\n");
        assert_eq!(w.read("a", true), None);
        w.put("pids/a/pids.current", "0\n");
        assert_eq!(w.read("a", true), None);
        // It is still listed, but has given its memory back.
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        let stat = format!("/proc/{}/stat", ended.id());
        while !fs::read_to_string(&stat).unwrap().contains(") Z") {
            std::thread::yield_now();
        }
        w.put("pids/a/pids.current", "1\n");
        w.put("pids/a/cgroup.procs", &format!("{}\n", ended.id()));
        assert_eq!(w.read("a", true), None);
        ended.wait().unwrap();
        // One that has memory runs, though the kernel has not counted it yet.
        let own = std::process::id();
        w.put("pids/a/cgroup.procs", &format!("{own}\n"));
        assert_eq!(w.read("a", true).unwrap().mem_rss_bytes, 0);
        // Its cgroup is gone, in between and altogether.
        fs::remove_dir_all(w.dir.path().join("pids/a")).unwrap();
        assert_eq!(w.read("a", true), None);
        assert_eq!(w.read("never", true), None);
        let v2 = World::v2();
        v2.put("a/memory.current", "4096\n");
        v2.put("a/pids.current", "0\n");
        v2.put("a/cgroup.procs", "");
        assert_eq!(v2.read("a", true), None);
        assert_eq!(v2.read("never", true), None);
    }

    #[test]
    fn on_v2_those_of_a_pod_are_found_in_its_seat() {
        let w = World::v2();
        w.put("p/cpu.stat", "user_usec 1000000\nsystem_usec 2000000\nthrottled_usec 500000\n");
        w.put("p/memory.stat", "anon 4096\nfile 1\n");
        w.put("p/memory.current", "8192\n");
        w.put("p/pids.current", "5\n");
        w.put("p/cgroup.procs", "");
        w.put("p/seat./cgroup.procs", "7\n8\n");
        let usage = w.read("p", false).unwrap();
        assert_eq!((usage.cpu_user_secs, usage.cpu_system_secs), (1.0, 2.0));
        assert_eq!((usage.cpu_throttled_secs, usage.mem_total_bytes), (Some(0.5), 8192));
        assert_eq!((usage.processes, usage.threads), (1, 4));
        // One nested in it that has no limits has no files of controllers, but runs.
        w.put("p/n/cpu.stat", "user_usec 3000000\n");
        w.put("p/n/cgroup.procs", &format!("9999999\n{}\n", std::process::id()));
        let usage = w.read("p/n", false).unwrap();
        assert_eq!((usage.cpu_user_secs, usage.processes), (3.0, 1));
    }
}
