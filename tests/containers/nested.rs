//! Containers in containers, and containers with a terminal.

use super::world::{World, alive, cgroups, isolates, read, run, until};
use mesolith::agent::containerizer::linux::{Linux, Source, Target, Volume};
use mesolith::agent::containerizer::{
    Backend, Command, ContainerSpec, Containerizer as _, Limits, Nested, Network, SessionRequest,
    State, Window,
};
use std::path::Path;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn backends(test: &str) -> Vec<Backend> {
    let mut all = vec![Backend::Posix];
    if isolates(test) {
        all.push(Backend::Mesos);
    }
    all
}

impl World {
    /// A container for others.
    pub fn pause(&mut self, backend: Backend) -> ContainerSpec {
        ContainerSpec { command: Command::Pause, ..self.spec(backend, "") }
    }

    /// One in another.
    pub fn inside(&mut self, parent: &ContainerSpec, name: &str, shell: &str) -> ContainerSpec {
        let sandbox = parent.sandbox.join("containers").join(name);
        std::fs::create_dir_all(&sandbox).unwrap();
        let nested = Nested { parent: parent.id.clone(), share_pid: false, own_limits: false };
        ContainerSpec {
            id: format!("{}.{name}", parent.id).as_str().into(),
            sandbox,
            nested: Some(nested),
            linux: Linux { share_ipc: parent.backend == Backend::Mesos, ..Linux::default() },
            ..self.spec(parent.backend, shell)
        }
    }
}

fn namespace(pid: i32, kind: &str) -> String {
    std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap().display().to_string()
}

/// Ends a container and forgets it and these.
async fn over(mut world: World, all: &[&ContainerSpec]) -> World {
    for spec in all {
        world.agent.destroy(&spec.id).await.unwrap();
        world.end(spec).await;
    }
    for spec in all {
        world.agent.forget(&spec.id).await.unwrap();
    }
    world
}

// covers: MES-0956, MES-0961
#[test]
fn a_nested_one_shares_its_parents_namespaces_and_goes_with_it() {
    for backend in backends("a_nested_one_shares_its_parents_namespaces_and_goes_with_it") {
        run(|mut world| async move {
            let parent = world.pause(backend);
            let outer = world.start(&parent).await;
            let one = world.inside(&parent, "one", "echo $$ > pid; exec sleep 1000");
            let two = world.inside(&parent, "two", "trap '' TERM; sleep 1000 & wait");
            let within = world.inside(&one, "deep", "exec sleep 1000");
            let (a, b) = (world.start(&one).await, world.start(&two).await);
            let c = world.start(&within).await;
            if backend == Backend::Mesos {
                for kind in ["net", "ipc", "uts"] {
                    assert_eq!(namespace(a, kind), namespace(outer, kind), "{kind}");
                    assert_eq!(namespace(c, kind), namespace(outer, kind), "{kind}");
                }
                for kind in ["pid", "mnt"] {
                    assert_ne!(namespace(a, kind), namespace(outer, kind), "{kind}");
                    assert_ne!(namespace(a, kind), namespace(b, kind), "{kind}");
                }
                let usage = world.agent.usage(&one.id).await.unwrap();
                assert!(usage.processes >= 1, "{usage:?}");
            }
            world.written(&one, "pid").await;
            // An end of one is nobody else's.
            world.agent.destroy(&one.id).await.unwrap();
            world.end(&one).await;
            world.end(&within).await;
            assert!(!alive(c) && alive(b) && alive(outer));
            world.agent.destroy(&parent.id).await.unwrap();
            assert!(!alive(b) && !alive(outer), "destroyed, and what was in it before it");
            for spec in [&two, &parent] {
                world.end(spec).await;
            }
            // How each ended stays known until it is forgotten.
            let found = world.agent.recover().await.unwrap();
            assert!(found.iter().all(|f| matches!(f.state, State::Exited(_))) && found.len() == 4);
            for spec in [&within, &one, &two, &parent] {
                world.agent.forget(&spec.id).await.unwrap();
            }
            world
        });
    }
}

// covers: MES-0957
#[test]
fn it_has_its_parents_network_and_memory_and_of_its_sandbox_what_it_asks() {
    if !isolates("it_has_its_parents_network_and_memory_and_of_its_sandbox_what_it_asks") {
        return;
    }
    run(|mut world| async move {
        let mut parent = world.pause(Backend::Mesos);
        parent.network = Network::Own;
        let outer = world.start(&parent).await;
        let shared = |name: &str| Volume {
            source: Source::Other { sandbox: parent.sandbox.clone(), path: "both/deep".into() },
            target: Target::Sandbox(name.into()),
            read_only: false,
        };
        let mut one = world.inside(
            &parent,
            "one",
            "echo a > /dev/shm/said; echo b > here/said; cat /etc/hostname > name; echo done > first; \
             exec sleep 1000",
        );
        one.linux.volumes = vec![shared("here")];
        let pid = world.start(&one).await;
        world.written(&one, "first").await;
        assert_eq!(namespace(pid, "net"), namespace(outer, "net"));
        assert_ne!(namespace(pid, "net"), namespace(std::process::id() as i32, "net"));
        assert_eq!(world.agent.network(&one.id), world.agent.network(&parent.id));
        let mut two = world.inside(
            &parent,
            "two",
            "cat /dev/shm/said there/said > seen; ls /sys/class/net > devices; echo done > second; \
             exec sleep 1000",
        );
        two.linux.volumes = vec![shared("there")];
        world.start(&two).await;
        world.written(&two, "second").await;
        assert_eq!(read(&two.sandbox.join("seen")), "a\nb\n");
        assert_eq!(read(&two.sandbox.join("devices")), "lo\n");
        assert_eq!(read(&parent.sandbox.join("both/deep/said")), "b\n");
        assert!(read(&one.sandbox.join("name")).starts_with(parent.id.as_str()));
        let mut own = world.inside(&parent, "own", "ls /dev/shm > seen; echo done > third");
        own.linux.share_ipc = false;
        let pid = world.start(&own).await;
        world.written(&own, "third").await;
        assert_eq!(read(&own.sandbox.join("seen")), "", "pid {pid}");
        over(world, &[&own, &two, &one, &parent]).await
    });
}

#[test]
fn its_parents_processes_are_beside_it_if_it_asks() {
    if !isolates("its_parents_processes_are_beside_it_if_it_asks") {
        return;
    }
    run(|mut world| async move {
        let parent = world.pause(Backend::Mesos);
        let outer = world.start(&parent).await;
        let mut one = world.inside(
            &parent,
            "one",
            "for p in /proc/[0-9]*; do cat $p/comm; done > seen; echo done >> seen; \
             setsid sleep 1000 & exec sleep 1000",
        );
        one.nested.as_mut().unwrap().share_pid = true;
        let pid = world.start(&one).await;
        assert_eq!(namespace(pid, "pid"), namespace(outer, "pid"));
        world.written(&one, "seen").await;
        until("all is seen", || read(&one.sandbox.join("seen")).contains("done")).await;
        assert!(read(&one.sandbox.join("seen")).contains("mesolith-pause"));
        // It is no first process there: what it leaves behind goes all the same.
        world.agent.destroy(&one.id).await.unwrap();
        world.end(&one).await;
        assert!(alive(outer) && !alive(pid));
        world.agent.forget(&one.id).await.unwrap();
        over(world, &[&parent]).await
    });
}

#[test]
fn a_parents_end_by_itself_ends_those_in_it() {
    for backend in backends("a_parents_end_by_itself_ends_those_in_it") {
        run(|mut world| async move {
            let parent = world.pause(backend);
            let outer = world.start(&parent).await;
            let one = world.inside(&parent, "one", "exec sleep 1000");
            let pid = world.start(&one).await;
            let outer = nix::unistd::Pid::from_raw(outer);
            nix::sys::signal::kill(outer, nix::sys::signal::SIGTERM).unwrap();
            assert_eq!(world.end(&parent).await.signal(), Some(libc::SIGTERM));
            assert_eq!(world.end(&one).await.signal(), Some(libc::SIGKILL));
            until("it is gone", || !alive(pid)).await;
            over(world, &[&one, &parent]).await
        });
    }
}

// covers: MES-0962
#[test]
fn those_in_it_are_taken_over_after_a_crash_of_the_supervisor() {
    for backend in backends("those_in_it_are_taken_over_after_a_crash_of_the_supervisor") {
        run(|mut world| async move {
            let parent = world.pause(backend);
            let outer = world.start(&parent).await;
            let one = world.inside(&parent, "one", "exec sleep 1000");
            let pid = world.start(&one).await;
            let supervisor = nix::unistd::Pid::from_raw(world.supervisor());
            nix::sys::signal::kill(supervisor, nix::sys::signal::SIGKILL).unwrap();
            world.reattach();
            let found = world.agent.recover().await.unwrap();
            assert_eq!(found.len(), 2);
            assert!(found.iter().all(|f| matches!(f.state, State::Running { .. })), "{found:?}");
            let two = world.inside(&parent, "two", "exit 3");
            assert_eq!(world.whole(&two).await.code(), Some(3));
            // Without its parent, which ends while nobody looks, it is not left alone.
            let supervisor = nix::unistd::Pid::from_raw(world.supervisor());
            nix::sys::signal::kill(supervisor, nix::sys::signal::SIGKILL).unwrap();
            until("the supervisor is gone", || !alive(supervisor.as_raw())).await;
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(outer), nix::sys::signal::SIGKILL)
                .unwrap();
            until("the parent is gone", || !alive(outer)).await;
            world.reattach();
            world.agent.recover().await.unwrap();
            until("it is gone too", || !alive(pid)).await;
            over(world, &[&one, &parent]).await
        });
    }
}

/// A process in that cgroup that is nobody's.
fn stranger(cgroup: &[std::path::PathBuf]) -> std::process::Child {
    let child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    for dir in cgroup {
        std::fs::write(dir.join("cgroup.procs"), child.id().to_string()).unwrap();
    }
    child
}

// covers: MES-0963
#[test]
fn cgroups_that_nobody_knows_are_destroyed_by_the_next_supervisor() {
    if !isolates("cgroups_that_nobody_knows_are_destroyed_by_the_next_supervisor") {
        return;
    }
    run(|mut world| async move {
        let parent = world.pause(Backend::Mesos);
        let outer = world.start(&parent).await;
        let one = world.inside(&parent, "one", "exec sleep 1000");
        let pid = world.start(&one).await;
        let lost = world.spec(Backend::Mesos, "exec sleep 1000");
        let lost_pid = world.start(&lost).await;
        let supervisor = nix::unistd::Pid::from_raw(world.supervisor());
        nix::sys::signal::kill(supervisor, nix::sys::signal::SIGKILL).unwrap();
        until("the supervisor is gone", || !alive(supervisor.as_raw())).await;
        // One nested in the first that has no record, with another in that; what is left of one whose keeper is gone.
        let roots = cgroups(&world.options.cgroup_root);
        let mut strangers = Vec::new();
        for name in [format!("{}/orphan/deep", parent.id), lost.id.to_string()] {
            let dirs: Vec<_> = roots.iter().map(|root| root.join(&name)).collect();
            dirs.iter().for_each(|dir| std::fs::create_dir_all(dir).unwrap());
            strangers.push(stranger(&dirs));
        }
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(lost_pid), nix::sys::signal::SIGKILL)
            .unwrap();
        until("it has ended", || !alive(lost_pid)).await;
        world.reattach();
        world.agent.recover().await.unwrap();
        for child in &mut strangers {
            // Killed, and no one else's to collect.
            let ended = async {
                while child.try_wait().unwrap().is_none() {
                    tokio::task::yield_now().await
                }
            };
            tokio::time::timeout(super::world::DEADLINE, ended).await.expect("it is killed");
        }
        let gone = |name: &str| roots.iter().all(|root| !root.join(name).exists());
        until("the orphan is gone", || gone(&format!("{}/orphan", parent.id))).await;
        until("the other is gone", || gone(lost.id.as_str())).await;
        assert!(alive(outer) && alive(pid), "what is known goes on");
        world.end(&lost).await;
        world.agent.forget(&lost.id).await.unwrap();
        over(world, &[&one, &parent]).await
    });
}

// covers: MES-0965
#[test]
fn nothing_of_the_agents_environment_is_in_a_container() {
    // Of those that `cargo test` and shells set: the supervisor has them all.
    let own: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    assert!(own.iter().any(|name| name == "CARGO_MANIFEST_DIR"));
    for backend in backends("nothing_of_the_agents_environment_is_in_a_container") {
        run(|mut world| async move {
            let parent = world.pause(backend);
            let outer = world.start(&parent).await;
            let mut one =
                world.inside(&parent, "one", "env >seen; echo done >ready; exec sleep 1000");
            one.env = vec![("GIVEN".into(), "1".into())];
            let pid = world.start(&one).await;
            world.written(&one, "ready").await;
            let names = |text: String, end: char| -> Vec<String> {
                let all = text.split(end).filter_map(|line| line.split_once('='));
                all.map(|(name, _)| name.to_string()).collect()
            };
            let of = |pid: i32| names(read(Path::new(&format!("/proc/{pid}/environ"))), '\0');
            let argv = ["/bin/sh", "-c", "env"].map(String::from).to_vec();
            let request = SessionRequest { name: "s".into(), argv, ..SessionRequest::default() };
            let mut session = world.agent.session(&one.id, request).await.unwrap();
            let mut said = String::new();
            session.output.read_to_string(&mut said).await.unwrap();
            drop(session);
            let seen = names(read(&one.sandbox.join("seen")), '\n');
            let said = names(said, '\n');
            assert!(seen.contains(&"GIVEN".to_string()) && said.contains(&"GIVEN".to_string()));
            // What every container has, and what a shell makes for itself.
            let usual = [
                "GIVEN",
                "PATH",
                "PWD",
                "SHLVL",
                "_",
                "OLDPWD",
                "MESOS_SANDBOX",
                "HOME",
                "LANG",
                "TMPDIR",
                "RUST_BACKTRACE",
            ];
            let all = [
                ("one that waits", of(outer)),
                ("a task", of(pid)),
                ("a shell", seen),
                ("a session", said),
            ];
            for (whose, names) in all {
                assert!(!names.is_empty() || whose == "one that waits", "{whose}");
                let strange: Vec<_> =
                    names.iter().filter(|name| !usual.contains(&name.as_str())).collect();
                assert!(strange.is_empty(), "{backend:?}: {whose} has {strange:?}");
            }
            over(world, &[&one, &parent]).await
        });
    }
}

fn memory(mb: u64) -> Option<u64> {
    Some(mb << 20)
}

const EATS: &str = "head -c 200m /dev/zero | tail | sleep 100";

#[test]
fn want_of_memory_within_its_own_limit_is_its_own_and_within_its_parents_everybodys() {
    if !isolates("want_of_memory_within_its_own_limit_is_its_own_and_within_its_parents_everybodys")
    {
        return;
    }
    run(|mut world| async move {
        let mut parent = world.pause(Backend::Mesos);
        parent.limits = Limits { cpus: 0.1, mem_bytes: memory(96), ..Limits::default() };
        let outer = world.start(&parent).await;
        let mut one = world.inside(&parent, "one", EATS);
        one.nested.as_mut().unwrap().own_limits = true;
        one.limits = Limits { cpus: 0.1, mem_bytes: memory(32), ..Limits::default() };
        world.start(&one).await;
        let record = world.end(&one).await;
        assert_eq!(record.oom.map(|o| o.limit_bytes), memory(32));
        assert!(alive(outer), "its parent goes on");
        let two = world.inside(&parent, "two", EATS);
        world.start(&two).await;
        let record = world.end(&parent).await;
        assert_eq!(record.oom.map(|o| o.limit_bytes), memory(96));
        assert!(world.end(&two).await.oom.is_none(), "it had no limit of its own");
        over(world, &[&one, &two, &parent]).await
    });
}

#[test]
fn what_cannot_be_nested_is_refused_and_leaves_nothing() {
    for backend in backends("what_cannot_be_nested_is_refused_and_leaves_nothing") {
        run(|mut world| async move {
            let parent = world.pause(backend);
            let early = world.inside(&parent, "early", "true");
            assert!(world.agent.create(early).await.unwrap_err().cause.contains("not known"));
            world.start(&parent).await;
            let mut other = world.inside(&parent, "other", "true");
            other.id = "elsewhere.other".into();
            let error = world.agent.create(other).await.unwrap_err();
            assert!(error.cause.contains("not named as in"), "{error:?}");
            let mut nobody = world.inside(&parent, "nobody", "true");
            nobody.user = Some("nobody-by-this-name".into());
            let error = world.agent.create(nobody).await.unwrap_err();
            assert!(error.cause.contains("nobody-by-this-name"), "{error:?}");
            let below = |root: &Path| root.join(parent.id.as_str()).join("nobody").exists();
            assert!(!cgroups(&world.options.cgroup_root).iter().any(|root| below(root)));
            over(world, &[&parent]).await
        });
    }
}

// covers: MES-0968, MES-0970
#[test]
fn a_container_with_a_terminal_is_looked_at_typed_at_and_logged() {
    for backend in backends("a_container_with_a_terminal_is_looked_at_typed_at_and_logged") {
        run(|mut world| async move {
            let text = "tty; stty size; while read a; do echo got $a; [ $a = end ] && exit 5; done";
            let mut spec = world.spec(backend, text);
            spec.terminal = Some(Window { rows: 33, columns: 99 });
            world.start(&spec).await;
            until("it has begun", || read(&spec.sandbox.join("stdout")).contains("33 99")).await;
            assert!(read(&spec.sandbox.join("stdout")).starts_with("/dev/pts/"));
            let mut one = world.agent.attach(&spec.id).await.unwrap();
            one.input.write_all(b"a word\n").await.unwrap();
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).contains("got a word\r\n") {
                assert!(one.output.read_buf(&mut seen).await.unwrap() > 0);
            }
            // The agent goes, and another comes; so does the supervisor.
            drop(one);
            let supervisor = nix::unistd::Pid::from_raw(world.supervisor());
            nix::sys::signal::kill(supervisor, nix::sys::signal::SIGKILL).unwrap();
            until("the supervisor is gone", || !alive(supervisor.as_raw())).await;
            world.reattach();
            let mut two = world.agent.attach(&spec.id).await.unwrap();
            two.input.write_all(b"end\n").await.unwrap();
            let mut rest = String::new();
            two.output.read_to_string(&mut rest).await.unwrap();
            assert!(rest.ends_with("got end\r\n"), "{rest:?}");
            assert_eq!(world.end(&spec).await.code(), Some(5));
            assert!(read(&spec.sandbox.join("stdout")).ends_with("got end\r\n"));
            over(world, &[&spec]).await
        });
    }
}

#[test]
fn a_quick_end_on_a_terminal_loses_no_output() {
    for backend in backends("a_quick_end_on_a_terminal_loses_no_output") {
        run(|mut world| async move {
            for n in 0..10 {
                let mut spec = world.spec(backend, &format!("echo run {n}"));
                spec.terminal = Some(Window::default());
                assert_eq!(world.whole(&spec).await.code(), Some(0));
                assert_eq!(read(&spec.sandbox.join("stdout")), format!("run {n}\r\n"));
            }
            let plain = world.spec(backend, "exec sleep 1000");
            world.start(&plain).await;
            let error = world.agent.attach(&plain.id).await.err().unwrap();
            assert!(error.cause.contains("no terminal"), "{error:?}");
            over(world, &[&plain]).await
        });
    }
}

#[test]
fn a_session_in_a_nested_container_is_in_it() {
    if !isolates("a_session_in_a_nested_container_is_in_it") {
        return;
    }
    run(|mut world| async move {
        let parent = world.pause(Backend::Mesos);
        world.start(&parent).await;
        let one = world.inside(&parent, "one", "exec sleep 1000");
        let pid = world.start(&one).await;
        let argv = ["/bin/sh", "-c", "readlink /proc/self/ns/pid; pwd"].map(String::from).to_vec();
        let request = SessionRequest { name: "s".into(), argv, ..SessionRequest::default() };
        let mut session = world.agent.session(&one.id, request).await.unwrap();
        let mut said = String::new();
        session.output.read_to_string(&mut said).await.unwrap();
        let expected = format!("{}\n{}\n", namespace(pid, "pid"), one.sandbox.display());
        assert_eq!(said, expected);
        drop(session);
        over(world, &[&one, &parent]).await
    });
}
