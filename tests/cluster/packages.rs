//! Machines as the packages of Mesos set them up: `/etc/mesos/zk` with three hosts, a quorum, addresses and names in files,
//! and the programs under their own names.

use super::net::Host;
use super::node::{mesolith, until};
use super::world::World;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// An `/etc` of its own with the packages' files; then the program that is named.
const SET_UP: &str = r#"
set -e
etc="$1/etc"; mkdir -p "$etc"; mount -t tmpfs none "$etc"; cp -a /etc/. "$etc/"; mount --bind "$etc" /etc
mkdir -p /etc/mesos /etc/mesos-master /etc/mesos-slave
echo "$2" > /etc/mesos/zk
echo 2 > /etc/mesos-master/quorum
for kind in master slave; do
    echo "$3" > /etc/mesos-$kind/ip; echo "$3" > /etc/mesos-$kind/hostname; echo "$1/work" > /etc/mesos-$kind/work_dir
    touch "/etc/mesos-$kind/?insecure"
done
exec "$4"
"#;

/// Running programs; ended when dropped.
struct Programs(Vec<Child>);

impl Programs {
    fn start(&mut self, host: &Host, dir: &Path, zk: &str, program: &Path) {
        let dir = dir.join(format!("m{}", host.number()));
        std::fs::create_dir_all(&dir).unwrap();
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", SET_UP, "sh"]).arg(&dir).arg(zk);
        command.arg(host.address()).arg(program).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        for (name, _) in std::env::vars() {
            if ["MESOS_", "MESOLITH_"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        self.0.push(host.command(&mut command).spawn().unwrap());
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // One that has ended needs no more.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn the_packages_files_start_three_masters_and_an_agent() {
    let Some(world) = World::prepare(4, &[]) else { return };
    let dir = world.dir.path();
    let named = |name: &str| {
        let path = dir.join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mesolith"), &path).unwrap();
        path
    };
    let (master, agent) = (named("mesos-master"), named("mesos-agent"));
    let hosts: Vec<String> =
        (1..=3).map(|n| format!("{}:2181", world.net.host(n).address())).collect();
    let zk = format!("zk://{}/mesos", hosts.join(","));
    let mut programs = Programs(Vec::new());
    // The one that founds the cluster comes last.
    for number in [3, 2, 1] {
        programs.start(world.net.host(number), dir, &zk, &master);
    }
    programs.start(world.net.host(4), dir, &zk, &agent);
    let at = format!("{}:5050", world.net.host(2).address());
    let asked = |args: &[&str]| {
        let mut command = mesolith();
        command.args(args).env("MESOLITH_MASTER", &at).stdin(Stdio::null());
        world.net.host(2).command(&mut command).output().unwrap()
    };
    let logs = || -> String {
        let log = |n| std::fs::read_to_string(dir.join(format!("m{n}/log"))).unwrap_or_default();
        (1..=4).map(|n| format!("m{n}: {}\n", log(n))).collect()
    };
    let mut seen = serde_json::Value::Null;
    until("three masters vote, and the agent is outside", || {
        let out = asked(&["cluster", "status", "-o", "json"]).stdout;
        seen = serde_json::from_slice(&out).unwrap_or_default();
        let nodes = seen["nodes"].as_array().into_iter().flatten();
        let vote = |n: &&serde_json::Value| n["standing"] == "voter" || n["standing"] == "leader";
        let (voters, others): (Vec<_>, Vec<_>) = nodes.partition(vote);
        let is_agent = |n: &&serde_json::Value| n["agent_id"].is_string();
        voters.len() == 3 && others.len() == 1 && others.iter().all(is_agent)
    });
    let ran = asked(&["execute", "--master", &at, "--name=t", "--command=echo here"]);
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(ran.status.code(), Some(0), "{said}\n{}", logs());
    assert!(said.contains("here"), "{said}");
    assert!(!logs().contains("quorum"), "2 is the majority of 3: {}", logs());
}
