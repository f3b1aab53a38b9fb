//! Containers of an agent that is no root, in a user namespace. As root each test runs itself anew as nobody.

use crate::images::{container, provisioner, saved};
use crate::made::{Image, base, static_busybox};
use crate::world::{World, alive, read, run, until};
use mesolith::agent::containerizer::linux::{By, Join};
use mesolith::agent::containerizer::{
    Backend, Command, ContainerSpec, Containerizer, ExecRequest, Nested, Network, State,
};
use mesolith::agent::isolation::default_bridge;
use mesolith::agent::provisioner::Backend as Roots;
use nix::unistd::{Uid, User, geteuid};
use serde_json::json;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

const NAMESPACES: [&str; 5] = ["user", "mnt", "pid", "ipc", "uts"];

/// Whether this process is the ordinary user's: else it has run the test as one. None: the kernel forbids it to him.
fn as_nobody(test: &str) -> bool {
    if !geteuid().is_root() {
        return true;
    }
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let given = delegated(test);
    let group = given.as_ref().map_or(Path::new(""), |group| group.0.as_path());
    let text = "test -z \"$GROUP\" || echo $$ >\"$GROUP/cgroup.procs\"
        exec setpriv --reuid=nobody --regid=nogroup --clear-groups \"$@\"";
    let ran = std::process::Command::new("sh")
        .args(["-ec", text, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([&format!("rootless::{test}"), "--exact", "--nocapture"])
        .env("TMPDIR", home.path())
        .env("GROUP", group)
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.contains("1 passed"), "as nobody: {said}");
    eprint!("{said}");
    false
}

/// A cgroup that was given to nobody.
struct Given(PathBuf);

/// Where v2 alone is mounted, one is given.
fn delegated(test: &str) -> Option<Given> {
    let top = Path::new("/sys/fs/cgroup");
    if !top.join("cgroup.subtree_control").exists() {
        return None;
    }
    std::fs::write(top.join("cgroup.subtree_control"), "+cpu +memory +pids").unwrap();
    let group = Given(top.join(format!("given-{test}-{}", std::process::id())));
    std::fs::create_dir(&group.0).unwrap();
    let nobody = User::from_name("nobody").unwrap().expect("a user nobody");
    for file in ["", "cgroup.procs", "cgroup.subtree_control"] {
        let path = group.0.join(file);
        nix::unistd::chown(&path, Some(nobody.uid), Some(nobody.gid)).unwrap();
    }
    Some(group)
}

impl Drop for Given {
    fn drop(&mut self) {
        // What was made in it, and then itself; a process that is still ending holds it up a moment.
        for _ in 0..100 {
            let below = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
            for entry in below.filter(|e| e.path().is_dir()) {
                let _ = std::fs::remove_dir(entry.path());
            }
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        eprintln!("{} stays", self.0.display());
    }
}

/// Whether containers can be made by this user; else says which test is skipped, and why.
async fn isolates(w: &World, test: &str) -> bool {
    let can = w.agent.probe().await.unwrap();
    if !can.user_namespace {
        eprintln!("SKIPPED {test}: {:?}", can.missing);
    }
    can.user_namespace
}

fn in_user_namespace<F, T>(test: &'static str, work: F)
where
    F: FnOnce(World) -> T,
    T: Future<Output = World>,
{
    if as_nobody(test) {
        run(|w| async move { if isolates(&w, test).await { work(w).await } else { w } });
    }
}

fn link(pid: &str, kind: &str) -> String {
    let link = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
    link.display().to_string()
}

#[test]
fn a_task_of_an_ordinary_user_is_isolated() {
    in_user_namespace("a_task_of_an_ordinary_user_is_isolated", |mut w| async move {
        let can = w.agent.probe().await.unwrap();
        assert!(can.mesos, "{can:?}");
        let has = |name: &str| can.isolators.iter().any(|one| one == name);
        assert!(has("filesystem/linux") && has("namespaces/pid") && !has("network/cni"));
        assert_eq!(has("cgroups/mem"), can.cgroups.is_some());
        assert_eq!(can.cgroups.is_none(), can.missing.iter().any(|(what, _)| what == "cgroups"));

        let text = "for n in user mnt pid ipc uts; do readlink /proc/self/ns/$n; done
            id -u; hostname; ls -d /proc/[0-9]* | wc -l; ls /sys/fs/cgroup | wc -l
            grep -e ^CapEff -e ^CapBnd -e ^NoNewPrivs -e ^Seccomp: /proc/self/status
            touch /usr/mine /etc/mine /sys/mine 2>/dev/null || echo kept out
            ls /dev/kmsg /dev/mem 2>/dev/null; echo x >/dev/null && touch mine && exit 7";
        let mut spec = w.spec(Backend::Mesos, text);
        spec.hostname = Some("inside".into());
        spec.linux.seccomp = mesolith::agent::containerizer::isolators::seccomp::Seccomp::Default;
        let record = w.whole(&spec).await;
        let errors = read(&spec.sandbox.join("stderr"));
        assert_eq!(record.code(), Some(7), "{errors}");
        let told = read(&spec.sandbox.join("stdout"));
        let lines: Vec<&str> = told.lines().collect();
        for (line, kind) in lines.iter().zip(NAMESPACES) {
            assert_ne!(*line, link("self", kind), "{told}");
        }
        let uid = geteuid().to_string();
        assert_eq!(lines[5..7], [uid.as_str(), "inside"], "{told}");
        assert!(lines[7].trim().parse::<u32>().unwrap() < 10, "{told}");
        assert_eq!(lines[8].trim(), "0", "{told}");
        assert!(told.contains("CapEff:\t0000000000000000"), "{told}");
        assert!(told.contains("NoNewPrivs:\t1\nSeccomp:\t2\nkept out\n"), "{told}");
        assert!(!told.contains("/dev/"), "{told}");
        assert_eq!(spec.sandbox.join("mine").metadata().unwrap().uid(), geteuid().as_raw());
        w
    });
}

#[test]
fn it_is_signalled_measured_and_ended_with_all_that_it_started() {
    let name = "it_is_signalled_measured_and_ended_with_all_that_it_started";
    in_user_namespace(name, |mut w| async move {
        let mut spec = w.spec(Backend::Mesos, "sleep 1000 & sleep 1000 & echo up; wait");
        spec.limits.mem_bytes = Some(64 << 20);
        w.start(&spec).await;
        w.written(&spec, "stdout").await;
        let usage = w.agent.usage(&spec.id).await.unwrap();
        assert_eq!(usage.processes, 3, "{usage:?}");
        assert!(usage.mem_rss_bytes > 0);
        let found = w.agent.recover().await.unwrap();
        let State::Running { pid } = found[0].state else { panic!("{found:?}") };
        w.agent.destroy(&spec.id).await.unwrap();
        assert_eq!(w.end(&spec).await.signal(), Some(9));
        assert!(!alive(pid));
        let spec = w.spec(Backend::Mesos, "kill -TERM $$; sleep 1000");
        assert_eq!(w.whole(&spec).await.signal(), Some(15));
        w
    });
}

#[test]
fn limits_hold_where_a_cgroup_was_delegated() {
    let name = "limits_hold_where_a_cgroup_was_delegated";
    in_user_namespace(name, |mut w| async move {
        let can = w.agent.probe().await.unwrap();
        if can.cgroups.is_none() {
            eprintln!("SKIPPED {name}: {:?}", can.missing);
            return w;
        }
        let mut spec = w.spec(Backend::Mesos, "tail /dev/zero; echo survived; sleep 1000");
        spec.limits.mem_bytes = Some(32 << 20);
        w.start(&spec).await;
        let oom = w.end(&spec).await.oom.expect("an oom record");
        assert_eq!(oom.limit_bytes, 32 << 20);
        w.agent.destroy(&spec.id).await.unwrap();
        w
    });
}

#[test]
fn commands_run_beside_it_as_the_same_user() {
    in_user_namespace("commands_run_beside_it_as_the_same_user", |mut w| async move {
        for network in [Network::Host, Network::Own] {
            let mut spec = w.spec(Backend::Mesos, "echo up; sleep 1000");
            spec.network = network;
            w.start(&spec).await;
            w.written(&spec, "stdout").await;
            let text = "id -u; tr '\\0' ' ' </proc/2/cmdline; echo; grep ^CapEff /proc/self/status
                readlink /proc/self/ns/net; cat /proc/net/dev | grep -c :";
            let argv = ["sh", "-c", text].map(str::to_owned).to_vec();
            let timeout = Duration::from_secs(20);
            let request = ExecRequest { argv, timeout, ..ExecRequest::default() };
            let done = w.agent.exec(&spec.id, request).await.unwrap();
            let told: Vec<&str> = done.output.lines().collect();
            assert_eq!(told[0], geteuid().to_string(), "{done:?}");
            assert!(told[1].contains("sleep 1000"), "{done:?}");
            assert_eq!(told[2], "CapEff:\t0000000000000000", "{done:?}");
            assert_eq!(told[3] == link("self", "net"), network == Network::Host, "{done:?}");
            assert!(network == Network::Host || told[4] == "1", "loopback alone: {done:?}");
            w.agent.destroy(&spec.id).await.unwrap();
        }
        w
    });
}

#[test]
fn what_needs_root_is_refused_with_the_reason() {
    in_user_namespace("what_needs_root_is_refused_with_the_reason", |mut w| async move {
        let mut refused: Vec<(ContainerSpec, &str)> = Vec::new();
        let mut spec = w.spec(Backend::Mesos, "true");
        spec.network = Network::Own;
        let by = By::Bridge(default_bridge());
        spec.linux.networks =
            vec![Join { name: "mesos-bridge".into(), by, ports: vec![], info: None }];
        refused.push((spec, "joining a network needs an agent that runs as root"));
        let mut spec = w.spec(Backend::Mesos, "true");
        spec.linux.share_pid = true;
        refused.push((spec, "sharing the agent's pid namespace"));
        let mut spec = w.spec(Backend::Mesos, "true");
        spec.linux.share_ipc = true;
        refused.push((spec, "sharing the agent's IPC namespace"));
        let mut spec = w.spec(Backend::Mesos, "true");
        spec.user = Some("root".into());
        refused.push((spec, "another user can only be switched to by root"));
        for (spec, why) in refused {
            let error = w.agent.create(spec).await.unwrap_err();
            assert!(error.cause.contains(why), "{error}");
        }
        assert!(w.agent.recover().await.unwrap().is_empty(), "nothing is left of them");
        let mut spec = w.spec(Backend::Mesos, "id -un");
        spec.user = User::from_uid(Uid::effective()).unwrap().map(|user| user.name);
        assert_eq!(w.whole(&spec).await.code(), Some(0), "its own name is no other's");
        w
    });
}

#[test]
fn the_next_supervisor_adopts_it() {
    in_user_namespace("the_next_supervisor_adopts_it", |mut w| async move {
        let text = "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done";
        let spec = w.spec(Backend::Mesos, text);
        let pid = w.start(&spec).await;
        w.written(&spec, "stdout").await;
        let supervisor = w.supervisor();
        let kill = nix::sys::signal::Signal::SIGKILL;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(supervisor), kill).unwrap();
        until("the supervisor is gone", || !alive(supervisor)).await;
        w.reattach();
        let found = w.agent.recover().await.unwrap();
        assert_eq!(found[0].state, State::Running { pid }, "{found:?}");
        let scope = mesolith::agent::containerizer::Scope::Init;
        w.agent.signal(&spec.id, 15, scope).await.unwrap();
        assert_eq!(w.end(&spec).await.code(), Some(5));
        w.agent.destroy(&spec.id).await.unwrap();
        w.agent.forget(&spec.id).await.unwrap();
        w
    });
}

#[test]
fn containers_are_nested_in_it() {
    in_user_namespace("containers_are_nested_in_it", |mut w| async move {
        let mut outer = w.spec(Backend::Mesos, "");
        outer.command = Command::Pause;
        w.start(&outer).await;
        for share_pid in [false, true] {
            let text =
                "readlink /proc/self/ns/uts; readlink /proc/self/ns/pid; sleep 1000 & exit 3";
            let mut inner = w.spec(Backend::Mesos, text);
            inner.id = format!("{}.{share_pid}", outer.id).as_str().into();
            inner.nested = Some(Nested { parent: outer.id.clone(), share_pid, own_limits: false });
            inner.linux.share_ipc = true;
            let record = w.whole(&inner).await;
            assert_eq!(record.code(), Some(3), "{}", read(&inner.sandbox.join("stderr")));
            let told = read(&inner.sandbox.join("stdout"));
            assert_ne!(told.lines().next(), Some(link("self", "uts").as_str()));
        }
        w.agent.destroy(&outer.id).await.unwrap();
        w.end(&outer).await;
        w
    });
}

#[test]
fn images_are_run_by_an_ordinary_user() {
    let name = "images_are_run_by_an_ordinary_user";
    in_user_namespace(name, |mut w| async move {
        let Some(busybox) = static_busybox() else {
            eprintln!("SKIPPED {name}: needs a static busybox");
            return w;
        };
        let config = json!({"Env": ["PATH=/bin"]});
        let image = Image::new(vec![base(&busybox)], config);
        let p = provisioner(&w, saved(&w, &[("app", image)]), Roots::Copy);
        for (account, network) in [(None, Network::Host), (Some((4321, 4322)), Network::Own)] {
            let text = "id -u; id -g; test -e /usr/bin/env || echo own; echo x >/made && cat /made
                touch mine; ls /sys/fs/cgroup; test -d /sys/class && echo up; sleep 1000";
            let mut spec = container(&mut w, &p, "app", text).await;
            spec.network = network;
            spec.image.as_mut().unwrap().account = account.map(|(u, g)| (u, g, vec![u, g]));
            w.start(&spec).await;
            until("its output", || read(&spec.sandbox.join("stdout")).ends_with("up\n")).await;
            // The image's user is ours under another number.
            let (uid, gid) = account.unwrap_or((0, 0));
            let told = read(&spec.sandbox.join("stdout"));
            assert_eq!(told, format!("{uid}\n{gid}\nown\nx\nup\n"));
            assert_eq!(spec.sandbox.join("mine").metadata().unwrap().uid(), geteuid().as_raw());
            let argv = ["sh", "-c", "id -u; cat /made"].map(str::to_owned).to_vec();
            let timeout = Duration::from_secs(20);
            let request = ExecRequest { argv, timeout, ..ExecRequest::default() };
            let done = w.agent.exec(&spec.id, request).await.unwrap();
            assert_eq!(done.output, format!("{uid}\nx\n"));
            w.agent.destroy(&spec.id).await.unwrap();
            w.end(&spec).await;
            p.release(&spec.id).await.unwrap();
        }
        w
    });
}
