//! What many containers use, read by the agent where the supervisor tells.

use super::world::{DEADLINE, cgroups, isolates, run, until};
use mesolith::agent::containerizer::{Backend, Containerizer, Measured};
use mesolith::base::ids::ContainerId;
use std::collections::BTreeMap;
use std::time::Duration;

const MIB: u64 = 1 << 20;
/// Works for a while, with memory of its own in hand.
const BUSY: &str = "a=$(head -c 20000000 /dev/zero | tr '\\0' x); echo up; while :; do :; done";

// covers: MES-0828
#[test]
fn a_busy_task_is_told_from_idle_ones() {
    if !isolates("a_busy_task_is_told_from_idle_ones") {
        return;
    }
    run(|mut w| async move {
        let mut busy = w.spec(Backend::Mesos, BUSY);
        busy.limits.mem_bytes = Some(128 * MIB);
        busy.limits.cpu_hard = Some(0.5);
        let idle = w.spec(Backend::Mesos, "exec sleep 1000");
        let plain = w.spec(Backend::Posix, "exec sleep 1000");
        let pod = w.pause(Backend::Mesos);
        let inside = w.inside(&pod, "one", "exec sleep 1000");
        let all = [&busy, &idle, &plain, &pod, &inside];
        for spec in all {
            w.start(spec).await;
        }
        w.written(&busy, "stdout").await;
        let mut ids: Vec<_> = all.iter().map(|spec| spec.id.clone()).collect();
        ids.push("never".into());
        let deadline = tokio::time::Instant::now() + DEADLINE;
        let seen = loop {
            let seen = w.agent.usages(ids.clone()).await.unwrap();
            let usage = &seen[&busy.id].usage;
            if usage.cpu_user_secs >= 0.5 && usage.cpu_nr_throttled > Some(0) {
                break seen;
            }
            assert!(tokio::time::Instant::now() < deadline, "{usage:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(seen.len(), all.len(), "{seen:?}");
        let of = |id: &ContainerId| &seen[id].usage;
        let busy_one = of(&busy.id);
        assert!(busy_one.mem_rss_bytes > 18 * MIB, "{busy_one:?}");
        assert!(busy_one.mem_total_bytes >= busy_one.mem_rss_bytes, "{busy_one:?}");
        assert_eq!(busy_one.mem_limit_bytes, Some(128 * MIB));
        assert_eq!((busy_one.processes, busy_one.threads), (1, 1));
        for one in [&idle.id, &inside.id] {
            assert!(of(one).cpu_user_secs + of(one).cpu_system_secs < 0.3, "{:?}", of(one));
            assert!(of(one).mem_rss_bytes > 0 && of(one).mem_rss_bytes < 8 * MIB, "{:?}", of(one));
            assert_eq!((of(one).processes, of(one).threads), (1, 1));
        }
        assert_eq!(of(&idle.id).mem_limit_bytes, None);
        assert_eq!((of(&plain.id).processes, of(&plain.id).mem_cache_bytes), (1, None));
        // The same as the supervisor itself reads.
        let told = w.agent.usage(&busy.id).await.unwrap();
        assert!(told.cpu_user_secs >= busy_one.cpu_user_secs, "{told:?} {busy_one:?}");
        assert!(told.mem_rss_bytes.abs_diff(busy_one.mem_rss_bytes) < 4 * MIB);
        for spec in [&inside, &pod, &plain, &idle, &busy] {
            w.agent.destroy(&spec.id).await.unwrap();
        }
        w
    });
}

fn real(seen: &BTreeMap<ContainerId, Measured>) {
    for (id, Measured { usage, at }) in seen {
        assert!(usage.mem_rss_bytes > 0 && usage.mem_total_bytes > 0, "{id}: {usage:?}");
        assert!(at.secs() > 1.7e9, "{id}");
    }
}

#[test]
fn those_that_end_meanwhile_are_left_out_and_never_told_with_zeros() {
    if !isolates("those_that_end_meanwhile_are_left_out_and_never_told_with_zeros") {
        return;
    }
    run(|mut w| async move {
        let mut all = Vec::new();
        for _ in 0..40 {
            let spec = w.spec(Backend::Mesos, "echo up; exec sleep 1000");
            w.start(&spec).await;
            w.written(&spec, "stdout").await;
            all.push(spec);
        }
        let ids: Vec<_> = all.iter().map(|spec| spec.id.clone()).collect();
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            let seen = w.agent.usages(ids.clone()).await.unwrap();
            assert_eq!(seen.len(), all.len());
            // The kernel is slow to count what little they have.
            if seen.values().all(|one| one.usage.mem_rss_bytes > 0) {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{seen:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let ending = async {
            for id in &ids {
                w.agent.destroy(id).await.unwrap();
            }
        };
        let looking = async {
            loop {
                let seen = w.agent.usages(ids.clone()).await.unwrap();
                real(&seen);
                if seen.is_empty() {
                    break;
                }
            }
        };
        tokio::time::timeout(DEADLINE, async { tokio::join!(ending, looking) }).await.unwrap();
        w
    });
}

#[test]
fn a_container_whose_cgroup_is_left_empty_does_not_run() {
    if !isolates("a_container_whose_cgroup_is_left_empty_does_not_run") {
        return;
    }
    run(|mut w| async move {
        let spec = w.spec(Backend::Mesos, "echo up; exec sleep 1000");
        let keeper = w.start(&spec).await;
        w.written(&spec, "stdout").await;
        // Its supervisor sees nothing for now: to it the container runs on.
        let supervisor = nix::unistd::Pid::from_raw(w.supervisor());
        let home = cgroups(&w.options.cgroup_root);
        let procs = home.iter().map(|dir| dir.join(spec.id.as_str()).join("cgroup.procs"));
        let procs: Vec<_> = procs.filter(|file| file.exists()).collect();
        assert!(!procs.is_empty(), "{keeper} is in cgroups");
        let pids = std::fs::read_to_string(&procs[0]).unwrap();
        nix::sys::signal::kill(supervisor, nix::sys::signal::Signal::SIGSTOP).unwrap();
        for pid in pids.lines().filter_map(|pid| pid.parse().ok()) {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        let empty = || procs.iter().all(|file| std::fs::read(file).is_ok_and(|t| t.is_empty()));
        until("nothing is left in it", empty).await;
        let root =
            mesolith::agent::containerizer::isolators::Cgroups::probe(&w.options.cgroup_root);
        assert_eq!(root.of(spec.id.as_str()).usage(false), None);
        nix::sys::signal::kill(supervisor, nix::sys::signal::Signal::SIGCONT).unwrap();
        let seen = w.agent.usages(vec![spec.id.clone()]).await.unwrap();
        assert!(seen.is_empty(), "{seen:?}");
        w.agent.destroy(&spec.id).await.unwrap();
        w
    });
}
