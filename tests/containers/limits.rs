//! What cgroups limit and measure.

use crate::world::{cgroups, isolates, read, run, until};
use mesolith::agent::containerizer::{Backend, CgroupVersion, Containerizer, Limits};
use std::time::Duration;

const MIB: u64 = 1 << 20;

// covers: MES-0833
#[test]
fn memory_that_runs_out_ends_the_container_and_is_told() {
    if !isolates("memory_that_runs_out_ends_the_container_and_is_told") {
        return;
    }
    run(|mut w| async move {
        // In a child, whose death the task's shell would survive.
        let texts = ["tail /dev/zero; echo survived; sleep 1000", "exec tail /dev/zero"];
        for text in texts {
            let mut spec = w.spec(Backend::Mesos, text);
            spec.limits.mem_bytes = Some(32 * MIB);
            w.start(&spec).await;
            let record = w.end(&spec).await;
            let oom = record.oom.expect("an oom record");
            assert_eq!(oom.limit_bytes, 32 * MIB);
            assert!(oom.max_usage_bytes > 30 * MIB && oom.max_usage_bytes <= 32 * MIB, "{oom:?}");
            assert!(oom.memory_stat.contains("anon") || oom.memory_stat.contains("rss"));
            w.agent.destroy(&spec.id).await.unwrap();
        }
        let mut spec = w.spec(Backend::Mesos, "exit 0");
        spec.limits.mem_bytes = Some(32 * MIB);
        assert_eq!(w.whole(&spec).await.oom, None);
        w
    });
}

#[test]
fn a_fork_bomb_is_contained() {
    if !isolates("a_fork_bomb_is_contained") {
        return;
    }
    run(|mut w| async move {
        let text = "echo up; b() { b | b & b; }; b; sleep 1000";
        let mut spec = w.spec(Backend::Mesos, text);
        spec.limits.pids_max = Some(20);
        spec.user = Some("nobody".into());
        w.start(&spec).await;
        w.written(&spec, "stdout").await;
        let mut most = 0;
        for _ in 0..10 {
            if let Ok(usage) = w.agent.usage(&spec.id).await {
                most = most.max(usage.processes);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(most <= 20, "{most}");
        w.agent.destroy(&spec.id).await.unwrap();
        w
    });
}

// covers: MES-0813
#[test]
fn who_may_have_more_memory_than_was_asked_for_goes_first_when_the_machine_has_none() {
    if !isolates("who_may_have_more_memory_than_was_asked_for_goes_first_when_the_machine_has_none")
    {
        return;
    }
    run(|mut w| async move {
        let text = read("/proc/meminfo".as_ref());
        let total = text.lines().find_map(|l| l.strip_prefix("MemTotal:")?.strip_suffix("kB"));
        let total: u64 = total.unwrap().trim().parse::<u64>().unwrap() * 1024;
        let share = 1000 * 512 * MIB / total;
        let wanted = (1000 - i64::try_from(share).unwrap()).clamp(2, 999);
        let limits = |soft, hard| Limits {
            cpus: 0.1,
            mem_soft_bytes: Some(soft * MIB),
            mem_bytes: hard,
            ..Limits::default()
        };
        // Made for it, then one that was made ahead.
        for _ in 0..2 {
            for (limits, wanted) in [
                (limits(512, Some(1024 * MIB)), wanted),
                (limits(512, None), wanted),
                (limits(512, Some(512 * MIB)), 0),
            ] {
                let mut spec = w.spec(Backend::Mesos, "cat /proc/self/oom_score_adj; exit 4");
                spec.limits = limits;
                assert_eq!(w.whole(&spec).await.code(), Some(4));
                assert_eq!(read(&spec.sandbox.join("stdout")), format!("{wanted}\n"));
            }
        }
        w
    });
}

// covers: MES-0812, MES-0814
#[test]
fn limits_are_written_as_mesos_writes_them() {
    if !isolates("limits_are_written_as_mesos_writes_them") {
        return;
    }
    run(|mut w| async move {
        let can = w.agent.probe().await.unwrap();
        if !matches!(can.cgroups, Some(CgroupVersion::V1 { .. })) {
            eprintln!("SKIPPED limits_are_written_as_mesos_writes_them: needs cgroup v1");
            return w;
        }
        let mut spec = w.spec(Backend::Mesos, "sleep 1000");
        spec.limits = Limits {
            cpus: 0.5,
            cpu_hard: Some(0.25),
            mem_bytes: Some(64 * MIB),
            mem_soft_bytes: Some(32 * MIB),
            pids_max: Some(10),
        };
        w.start(&spec).await;
        let value = |controller: &str, file: &str| {
            let dirs = cgroups(&w.options.cgroup_root);
            let dir =
                dirs.iter().find(|d| d.to_str().unwrap().contains(&format!("/{controller}/")));
            read(&dir.unwrap().join(spec.id.as_str()).join(file)).trim().to_owned()
        };
        assert_eq!(value("cpu", "cpu.shares"), "512");
        assert_eq!(value("cpu", "cpu.cfs_quota_us"), "25000");
        assert_eq!(value("cpu", "cpu.cfs_period_us"), "100000");
        assert_eq!(value("memory", "memory.limit_in_bytes"), (64 * MIB).to_string());
        assert_eq!(value("memory", "memory.soft_limit_in_bytes"), (32 * MIB).to_string());
        assert_eq!(value("pids", "pids.max"), "11");
        w.agent.destroy(&spec.id).await.unwrap();

        let mut free = w.spec(Backend::Mesos, "sleep 1000");
        free.limits = Limits { cpus: 2.0, ..Limits::default() };
        w.start(&free).await;
        let dirs = cgroups(&w.options.cgroup_root);
        let dir = dirs.iter().find(|d| d.to_str().unwrap().contains("/cpu/")).unwrap();
        assert_eq!(read(&dir.join(free.id.as_str()).join("cpu.cfs_quota_us")).trim(), "-1");
        assert_eq!(w.agent.usage(&free.id).await.unwrap().mem_limit_bytes, None);
        w.agent.destroy(&free.id).await.unwrap();
        w
    });
}

// covers: MES-0831, MES-0832
#[test]
fn limits_hold_in_the_unified_hierarchy_and_can_be_set_anew() {
    let name = "limits_hold_in_the_unified_hierarchy_and_can_be_set_anew";
    if !isolates(name) {
        return;
    }
    run(|mut w| async move {
        if w.agent.probe().await.unwrap().cgroups != Some(CgroupVersion::V2) {
            eprintln!("SKIPPED {name}: needs cgroup v2 alone (tests/guest/run.sh has it)");
            return w;
        }
        let mut spec = w.spec(Backend::Mesos, "echo up; while :; do :; done");
        spec.limits = Limits {
            cpus: 0.5,
            cpu_hard: Some(0.2),
            mem_bytes: Some(64 * MIB),
            mem_soft_bytes: Some(32 * MIB),
            pids_max: Some(10),
        };
        w.start(&spec).await;
        w.written(&spec, "stdout").await;
        let dir = cgroups(&w.options.cgroup_root).remove(0).join(spec.id.as_str());
        let value = |file: &str| read(&dir.join(file)).trim().to_owned();
        assert_eq!(value("cpu.weight"), "20");
        assert_eq!(value("cpu.max"), "20000 100000");
        assert_eq!(value("memory.max"), (64 * MIB).to_string());
        assert_eq!(value("memory.low"), (32 * MIB).to_string());
        assert_eq!(value("pids.max"), "11");
        assert_eq!(value("memory.oom.group"), "1");
        // It is held back: alone it would have had all of each period. (A processor may overdraw a little.)
        let mut usage = w.agent.usage(&spec.id).await.unwrap();
        while usage.cpu_nr_throttled.unwrap() < 5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            usage = w.agent.usage(&spec.id).await.unwrap();
        }
        let periods = usage.cpu_nr_periods.unwrap() as f64 + 1.0;
        let most = periods * 0.030 + 0.050;
        assert!(usage.cpu_user_secs + usage.cpu_system_secs <= most, "{usage:?}");
        assert_eq!(usage.mem_limit_bytes, Some(64 * MIB));

        let more = Limits { cpus: 1.0, mem_bytes: Some(128 * MIB), ..Limits::default() };
        w.agent.resize(&spec.id, more).await.unwrap();
        assert_eq!(value("cpu.weight"), "39");
        assert_eq!(value("cpu.max"), "max 100000");
        assert_eq!(value("memory.max"), (128 * MIB).to_string());
        assert_eq!(value("memory.low"), "0");
        assert_eq!(value("pids.max"), "max");
        w.agent
            .resize(&spec.id, Limits { mem_bytes: Some(MIB), ..Limits::default() })
            .await
            .unwrap();
        assert_eq!(value("memory.max"), (128 * MIB).to_string(), "what it has, it keeps");
        w.agent.destroy(&spec.id).await.unwrap();
        w
    });
}

// covers: MES-0818, MES-0828, MES-0829
#[test]
fn use_is_measured() {
    if !isolates("use_is_measured") {
        return;
    }
    run(|mut w| async move {
        let text = "sleep 1000 & echo up; while :; do :; done";
        let mut spec = w.spec(Backend::Mesos, text);
        spec.limits.mem_bytes = Some(64 * MIB);
        spec.limits.cpu_hard = Some(0.2);
        w.start(&spec).await;
        w.written(&spec, "stdout").await;
        let mut usage = w.agent.usage(&spec.id).await.unwrap();
        while usage.cpu_user_secs < 0.05 || usage.cpu_nr_throttled.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            usage = w.agent.usage(&spec.id).await.unwrap();
        }
        assert_eq!((usage.processes, usage.threads), (2, 2));
        assert_eq!(usage.mem_limit_bytes, Some(64 * MIB));
        assert!(usage.mem_total_bytes > 0 && usage.mem_rss_bytes > 0, "{usage:?}");
        w.agent.destroy(&spec.id).await.unwrap();
        let root = w.options.cgroup_root.clone();
        let left = || cgroups(&root).iter().any(|d| d.join(spec.id.as_str()).exists());
        until("its cgroups are removed", || !left()).await;
        assert!(w.agent.usage(&spec.id).await.is_err());
        w
    });
}
