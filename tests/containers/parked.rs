//! Containers made ahead of need: they are like any other, and leave nothing behind.

use crate::world::{World, alive, cgroups, isolates, read, run, until};
use mesolith::agent::containerizer::spec::Rlimit;
use mesolith::agent::containerizer::{
    Backend, Command, ContainerSpec, Containerizer, Limits, Rotation,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::PathBuf;

/// The cgroups of blank containers in the memory hierarchy; none where cgroups cannot be renamed.
fn blanks(w: &World) -> Vec<PathBuf> {
    let all = cgroups(&w.options.cgroup_root);
    let memory = all.iter().find(|dir| dir.starts_with("/sys/fs/cgroup/memory")).cloned();
    let below = std::fs::read_dir(memory.unwrap_or_default()).into_iter().flatten().flatten();
    let blank = |dir: &PathBuf| dir.file_name().unwrap().to_string_lossy().starts_with("parked:");
    below.map(|entry| entry.path()).filter(blank).collect()
}

/// The processes that wait in them.
fn waiting(w: &World) -> Vec<i32> {
    let pids = |dir: &PathBuf| read(&dir.join("cgroup.procs")).lines().next()?.parse().ok();
    blanks(w).iter().filter_map(pids).collect()
}

/// Whether containers are made ahead here; else says which test is skipped.
fn parks(test: &str) -> bool {
    if !isolates(test) {
        return false;
    }
    let v1 = std::path::Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists();
    if !v1 {
        eprintln!("SKIPPED {test}: needs cgroup v1");
    }
    v1
}

/// So many wait, and whoever made them has ended.
async fn wait(w: &World, wanted: usize) -> Vec<i32> {
    until("they wait", || {
        let noted = std::fs::read_dir(w.home().join("parked")).map_or(0, |all| {
            let made =
                |dir: &std::fs::DirEntry| read(&dir.path().join("record")).contains("keeper");
            all.flatten().filter(made).count()
        });
        noted == wanted && blanks(w).iter().all(|dir| read(&dir.join("tasks")).lines().count() == 1)
    })
    .await;
    waiting(w)
}

fn parent(pid: i32) -> i32 {
    let stat = read(format!("/proc/{pid}/stat").as_ref());
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Everything a task sees of itself. (Not through a pipe: who is at its other end may not have become it yet. Mounts of engines and
/// of namespaces come and go with other tests.)
const LOOK: &str = "env | sort; pwd; ulimit -a; id; cat /proc/1/comm; ps -e -o pid,ppid,comm >all; grep -v ps all; rm all; \
    grep -E 'Cap|NoNew|Seccomp|Uid|Gid|Groups|SigIgn|SigBlk|Shd' /proc/self/status; cat /proc/self/oom_score_adj; umask; \
    for fd in 0 1 2 3 4 5 6 7 8 9; do readlink /proc/$$/fd/$fd; done; cut -d' ' -f5-6 /proc/self/mountinfo | grep -v -e docker -e /netns; \
    cat /proc/self/cgroup; hostname; exit 3";

#[test]
fn one_that_was_made_ahead_is_like_any_other() {
    if !parks("one_that_was_made_ahead_is_like_any_other") {
        return;
    }
    run(|mut w| async move {
        for (user, all) in [(None, 2), (Some("nobody"), 4)] {
            let made = |w: &mut World| {
                let limits = Limits {
                    cpus: 0.3,
                    cpu_hard: Some(0.5),
                    mem_bytes: Some(64 << 20),
                    pids_max: Some(50),
                    ..Limits::default()
                };
                let spec = w.spec(Backend::Mesos, LOOK);
                if user.is_some() {
                    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
                    nix::unistd::chown(&spec.sandbox, Some(nobody.uid), Some(nobody.gid)).unwrap();
                }
                let env = vec![("OWN".into(), "same".into())];
                ContainerSpec { user: user.map(Into::into), limits, env, ..spec }
            };
            let cold = made(&mut w);
            assert_eq!(w.whole(&cold).await.code(), Some(3));
            // Of a second user they are kept when it is asked for again.
            let again = made(&mut w);
            w.whole(&again).await;
            let waiting = wait(&w, all).await;
            let warm = made(&mut w);
            w.agent.create(warm.clone()).await.unwrap();
            let own = PathBuf::from("/sys/fs/cgroup/memory").join(&w.options.cgroup_root);
            let own = own.join(warm.id.as_str());
            let keeper: i32 = read(&own.join("cgroup.procs")).trim().parse().unwrap();
            assert!(waiting.contains(&keeper), "{keeper} is one of {waiting:?}");
            assert_eq!(read(&own.join("memory.limit_in_bytes")).trim(), (64 << 20).to_string());
            let pid = w.agent.start(&warm.id).await.unwrap();
            assert!(!alive(pid) || parent(pid) == keeper);
            assert_eq!(w.end(&warm).await.code(), Some(3));
            let seen = |spec: &ContainerSpec| {
                let id = spec.id.as_str();
                read(&spec.sandbox.join("stdout")).replace(id, "ID").replace("parked", "x")
            };
            assert_eq!(seen(&warm), seen(&cold));
            assert!(seen(&warm).contains("OWN=same"), "{}", seen(&warm));
            assert_eq!(read(&warm.sandbox.join("stderr")), read(&cold.sandbox.join("stderr")));
            w.agent.destroy(&warm.id).await.unwrap();
            w.agent.forget(&warm.id).await.unwrap();
            assert!(!own.exists());
        }
        w
    });
}

#[test]
fn they_are_limited_rotated_and_destroyed_as_others_are() {
    if !parks("they_are_limited_rotated_and_destroyed_as_others_are") {
        return;
    }
    run(|mut w| async move {
        let first = w.spec(Backend::Mesos, "true");
        w.whole(&first).await;
        wait(&w, 2).await;
        // Out of memory.
        let mut greedy =
            w.spec(Backend::Mesos, "head -c 200m /dev/zero | tail >/dev/null; sleep 100");
        greedy.limits.mem_bytes = Some(32 << 20);
        let record = w.whole(&greedy).await;
        assert!(record.oom.is_some(), "{record:?}");
        assert_eq!(record.oom.unwrap().limit_bytes, 32 << 20);
        // A program that is not there, and one that is not to be found from here.
        wait(&w, 2).await;
        let mut none = w.spec(Backend::Mesos, "");
        none.command = Command::Exec { program: "/no/such/program".into(), argv: Vec::new() };
        let said = w.agent.create(none.clone()).await.unwrap_err().to_string();
        assert!(said.contains("/no/such/program"), "{said}");
        // Rotation.
        let mut loud = w.spec(Backend::Mesos, "head -c 100000 /dev/zero; sleep 1000");
        loud.stdout = Some(Rotation { max_bytes: 4096, files: 1 });
        w.start(&loud).await;
        until("it is rotated", || loud.sandbox.join("stdout.1").exists()).await;
        w.agent.destroy(&loud.id).await.unwrap();
        w.end(&loud).await;
        // Of one that is too much to be told they are not used up, and it is made as others are.
        let waiting = wait(&w, 2).await;
        let mut large = w.spec(Backend::Mesos, "echo ${#LARGE}");
        large.env = vec![("LARGE".into(), "x".repeat(100_000))];
        w.whole(&large).await;
        assert_eq!(read(&large.sandbox.join("stdout")), "100000\n");
        assert!(waiting.iter().all(|pid| alive(*pid)), "none of {waiting:?} was used");
        // Another shape is not made of what waits.
        let waiting = wait(&w, 2).await;
        let mut other = w.spec(Backend::Mesos, "ulimit -n");
        let (soft, hard) = (Some(77), Some(77));
        other.rlimits = vec![Rlimit { name: "RLIMIT_NOFILE".into(), soft, hard }];
        w.whole(&other).await;
        assert_eq!(read(&other.sandbox.join("stdout")), "77\n");
        assert!(waiting.iter().all(|pid| alive(*pid)), "none of {waiting:?} was used");
        w
    });
}

#[test]
fn they_are_replaced_and_none_is_left_of_an_earlier_supervisor() {
    if !parks("they_are_replaced_and_none_is_left_of_an_earlier_supervisor") {
        return;
    }
    run(|mut w| async move {
        let first = w.spec(Backend::Mesos, "true");
        w.whole(&first).await;
        let waiting = wait(&w, 2).await;
        // One is killed from outside.
        kill(Pid::from_raw(waiting[0]), Signal::SIGKILL).unwrap();
        until("another one waits", || {
            let now = self::waiting(&w);
            now.len() == 2 && !now.contains(&waiting[0])
        })
        .await;
        let waiting = wait(&w, 2).await;
        // One becomes a container that waits for its start while the supervisor is killed.
        let parked = w.spec(Backend::Mesos, "exit 8");
        w.agent.create(parked.clone()).await.unwrap();
        let own = PathBuf::from("/sys/fs/cgroup/memory").join(&w.options.cgroup_root);
        let own = read(&own.join(parked.id.as_str()).join("cgroup.procs"));
        let own: i32 = own.trim().parse().unwrap();
        let supervisor = w.supervisor();
        kill(Pid::from_raw(supervisor), Signal::SIGKILL).unwrap();
        until("it is dead", || !alive(supervisor)).await;
        // Nor do they wait for one that may never be.
        until("the others have ended", || {
            let others = waiting.iter().filter(|pid| **pid != own);
            others.clone().count() == 1 && !others.clone().any(|pid| alive(*pid))
        })
        .await;
        if w.agent.recover().await.is_err() {
            w.agent.recover().await.unwrap();
        }
        w.agent.start(&parked.id).await.unwrap();
        assert_eq!(w.end(&parked).await.code(), Some(8));
        until("the earlier ones are gone", || {
            let old = format!("parked:{supervisor}-");
            let is_old = |dir: &PathBuf| dir.to_string_lossy().contains(&old);
            !waiting.iter().any(|pid| alive(*pid)) && !blanks(&w).iter().any(is_old)
        })
        .await;
        let again = w.spec(Backend::Mesos, "true");
        w.whole(&again).await;
        wait(&w, 2).await;
        w
    });
}

#[test]
fn those_of_another_supervisor_under_the_same_parent_are_left_alone() {
    if !parks("those_of_another_supervisor_under_the_same_parent_are_left_alone") {
        return;
    }
    run(|mut w| async move {
        let first = w.spec(Backend::Mesos, "true");
        w.whole(&first).await;
        let waiting = wait(&w, 2).await;
        let mut other = World::new();
        other.options.cgroup_root = w.options.cgroup_root.clone();
        other.reattach();
        let one = other.spec(Backend::Mesos, "true");
        other.whole(&one).await;
        other.agent.down(true).await.unwrap();
        until("only the first one's are there", || blanks(&w).len() == 2).await;
        assert!(waiting.iter().all(|pid| alive(*pid)), "{waiting:?}");
        w
    });
}
