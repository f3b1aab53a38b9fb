//! Cgroups against the kernel's texts and a tree of plain files (v2 cannot be mounted beside v1).

use super::cgroups::{Cgroup, Cgroups, weight};
use super::probe::{Found, mounts};
use crate::agent::containerizer::spec::Limits;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const HYBRID: &str = "\
24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw
32 31 0:29 / /cg/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /cg/mem\\040ory rw,relatime shared:3 - cgroup cgroup rw,memory
39 31 0:36 / /cg/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /cg/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /cg/unified rw,relatime - cgroup2 cgroup2 rw
";

#[test]
fn hierarchies_are_found_in_the_mount_table() {
    let Found::V1(map, true) = mounts(HYBRID) else { panic!("not hybrid") };
    assert_eq!(map["cpu"], Path::new("/cg/cpu,cpuacct"));
    assert_eq!(map["cpuacct"], Path::new("/cg/cpu,cpuacct"));
    assert_eq!(map["memory"], Path::new("/cg/mem ory"));
    let without_pids: String =
        HYBRID.lines().filter(|l| !l.contains("pids")).map(|l| format!("{l}\n")).collect();
    let Found::None(why) = mounts(&without_pids) else { panic!("found") };
    assert!(why.contains("pids"), "{why}");
    assert!(matches!(mounts(""), Found::None(_)));
}

#[test]
fn a_controller_shared_by_two_has_one_directory() {
    let dir = tempfile::tempdir().unwrap();
    let map: BTreeMap<String, PathBuf> =
        ["cpu", "cpuacct", "memory", "pids"].map(|c| (c.into(), dir.path().into())).into();
    let all = Cgroups::new(Found::V1(map, false), "a/b");
    all.make_parent().unwrap();
    assert!(dir.path().join("a/b").is_dir());
    let one = all.of("x");
    one.make(&Limits { cpus: 0.5, ..Limits::default() }).unwrap();
    assert_eq!(fs::read_to_string(one.dir("cpu").join("cpu.shares")).unwrap(), "512");
    assert!(one.make(&Limits::default()).is_err(), "a second container of the same id");
    fs::remove_file(one.dir("cpu").join("cpu.shares")).unwrap();
    assert!(one.remove().unwrap());
    all.remove_parent();
    assert!(!dir.path().join("a").exists());
}

fn unified() -> (tempfile::TempDir, Cgroups) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("cgroup.controllers"), "cpuset cpu io memory pids\n").unwrap();
    let line = format!("30 1 0:26 / {} rw - cgroup2 cgroup2 rw\n", dir.path().display());
    let found = mounts(&line);
    assert_eq!(found, Found::V2(dir.path().into()));
    (dir, Cgroups::new(found, "system.slice/mesolith"))
}

// covers: MES-0819
#[test]
fn v2_hands_controllers_down_and_sets_limits() {
    let (dir, all) = unified();
    all.make_parent().unwrap();
    for path in ["", "system.slice", "system.slice/mesolith"] {
        let text = fs::read_to_string(dir.path().join(path).join("cgroup.subtree_control"));
        assert_eq!(text.unwrap(), "+cpu +memory +pids", "{path:?}");
    }
    let one = all.of("c1");
    let limits = Limits {
        cpus: 2.0,
        cpu_hard: Some(0.25),
        mem_bytes: Some(64 << 20),
        mem_soft_bytes: Some(32 << 20),
        pids_max: Some(10),
    };
    one.make(&limits).unwrap();
    let read = |file: &str| fs::read_to_string(one.dir("cpu").join(file)).unwrap();
    assert_eq!(read("cpu.weight"), weight(2048).to_string());
    assert_eq!(read("cpu.max"), "25000 100000");
    assert_eq!(read("memory.max"), (64u64 << 20).to_string());
    assert_eq!(read("memory.low"), (32u64 << 20).to_string());
    assert_eq!(read("pids.max"), "11");
}

#[test]
fn limits_are_changed_and_lifted_but_memory_never_lowered() {
    let (_dir, all) = unified();
    all.make_parent().unwrap();
    let one = all.of("c1");
    let first = Limits {
        cpus: 1.0,
        cpu_hard: Some(1.0),
        mem_bytes: Some(64 << 20),
        mem_soft_bytes: Some(32 << 20),
        pids_max: Some(10),
    };
    one.make(&first).unwrap();
    let read = |file: &str| fs::read_to_string(one.dir("cpu").join(file)).unwrap();
    let less = Limits { cpus: 2.0, mem_bytes: Some(16 << 20), ..first.clone() };
    one.resize(&less).unwrap();
    assert_eq!(read("cpu.weight"), weight(2048).to_string());
    assert_eq!(read("memory.max"), (64u64 << 20).to_string(), "what runs was promised it");
    let more = Limits { mem_bytes: Some(128 << 20), ..first.clone() };
    one.resize(&more).unwrap();
    assert_eq!(read("memory.max"), (128u64 << 20).to_string());
    one.resize(&Limits { cpus: 1.0, ..Limits::default() }).unwrap();
    assert_eq!((read("memory.max"), read("memory.low")), ("max".into(), "0".into()));
    assert_eq!((read("cpu.max"), read("pids.max")), ("max 100000".into(), "max".into()));
    one.resize(&first).unwrap();
    assert_eq!(read("memory.max"), "max", "no limit is lowered to one");
    assert_eq!((read("cpu.max"), read("pids.max")), ("100000 100000".into(), "11".into()));
}

#[test]
fn v1_limits_are_lifted() {
    let dir = tempfile::tempdir().unwrap();
    let map: BTreeMap<String, PathBuf> =
        ["cpu", "cpuacct", "memory", "pids"].map(|c| (c.into(), dir.path().into())).into();
    let all = Cgroups::new(Found::V1(map, false), "a");
    all.make_parent().unwrap();
    let one = all.of("x");
    let hard =
        Limits { cpus: 1.0, cpu_hard: Some(1.0), mem_bytes: Some(1 << 20), ..Limits::default() };
    one.make(&hard).unwrap();
    one.resize(&Limits { cpus: 1.0, ..Limits::default() }).unwrap();
    let read = |file: &str| fs::read_to_string(one.dir("cpu").join(file)).unwrap();
    for file in ["cpu.cfs_quota_us", "memory.limit_in_bytes", "memory.soft_limit_in_bytes"] {
        assert_eq!(read(file), "-1", "{file}");
    }
    assert_eq!(read("pids.max"), "max");
}

#[test]
fn v2_is_measured_in_the_same_units_as_v1() {
    let (_dir, all) = unified();
    all.make_parent().unwrap();
    let one = all.of("c1");
    one.make(&Limits::default()).unwrap();
    let put = |file: &str, text: &str| fs::write(one.dir("cpu").join(file), text).unwrap();
    put("cpu.stat", "usage_usec 3\nuser_usec 2000000\nsystem_usec 500000\nthrottled_usec 7\n");
    put("memory.current", "4096\n");
    put("memory.max", "max\n");
    put("memory.stat", "anon 1024\nfile 2048\nfile_mapped 512\n");
    put("cgroup.procs", "10\n11\n");
    put("pids.current", "5\n");
    let usage = one.usage(false).unwrap();
    assert_eq!((usage.cpu_user_secs, usage.cpu_system_secs), (2.0, 0.5));
    assert_eq!((usage.mem_total_bytes, usage.mem_rss_bytes), (4096, 1024));
    assert_eq!(usage.mem_limit_bytes, None);
    assert_eq!((usage.processes, usage.threads), (1, 4));
    assert_eq!(one.oom(), None);
    put("memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n");
    put("memory.max", "8192\n");
    put("memory.peak", "8192\n");
    let oom = one.oom().unwrap();
    assert_eq!((oom.limit_bytes, oom.max_usage_bytes), (8192, 8192));
    assert!(oom.memory_stat.contains("anon 1024"));
    one.kill();
    assert_eq!(fs::read_to_string(one.dir("cpu").join("cgroup.kill")).unwrap(), "1");
}

#[test]
fn weights_follow_shares() {
    assert_eq!((weight(2), weight(1024), weight(262_144)), (1, 39, 10_000));
    let l = |cpus, hard| Limits { cpus, cpu_hard: hard, ..Limits::default() };
    assert_eq!(l(0.0, None).shares(), 2);
    assert_eq!(l(0.001, Some(0.001)).quota_us(), Some(1000));
    assert_eq!(l(1.5, Some(2.5)).quota_us(), Some(250_000));
}

#[test]
fn nothing_mounted_is_told_with_a_reason() {
    let none = Cgroups::new(mounts(""), "mesolith");
    assert!(none.version().unwrap_err().contains("no cgroup file system"));
    assert_eq!(none.of("x"), Cgroup::V1(BTreeMap::new()));
}
