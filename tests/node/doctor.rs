//! What `mesolith doctor` says, and that it says the truth: of free and taken ports, of folders, of an ordinary user.

use crate::world::{Home, Said, finish, mesolith, verb};
use serde_json::Value;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

const ANY_PORT: [&str; 4] =
    ["--master-port=0", "--agent-port=0", "--marathon-port=0", "--chronos-port=0"];

fn examined(dir: &Path, more: &[&str]) -> Said {
    let dir = format!("--data-dir={}", dir.display());
    let line = [&["doctor", "--json", &dir], &ANY_PORT[..], more].concat();
    verb(&line)
}

fn finding<'a>(told: &'a Value, subject: &str) -> &'a Value {
    let all = told["findings"].as_array().unwrap();
    all.iter().find(|f| f["subject"] == subject).unwrap_or_else(|| panic!("{subject}: {told:#}"))
}

#[test]
fn a_machine_that_can_run_a_node_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("not/there");
    let told = examined(&data, &[]).ended(0).json();
    assert_eq!(told["up_would_run"], true, "{told:#}");
    for subject in [
        "kernel",
        "clock",
        "user",
        "containers",
        "user namespaces",
        "cgroups",
        "seccomp",
        "overlayfs",
        "networks",
        "docker",
        "gpus",
        "offers",
        "data folder",
        "disk",
        "ports",
    ] {
        let one = finding(&told, subject);
        assert_ne!(one["grade"], "bad", "{one}");
        assert!(one["found"].as_str().is_some_and(|text| !text.is_empty()), "{one}");
    }
    if nix::unistd::geteuid().is_root() {
        assert_eq!(finding(&told, "user")["grade"], "ok");
        assert_eq!(finding(&told, "containers")["grade"], "ok", "{told:#}");
    }
    assert!(!data.exists() && dir.path().read_dir().unwrap().count() == 0, "nothing is left");

    let data = format!("--data-dir={}", data.display());
    let table = verb(&[&["doctor", &data], &ANY_PORT[..]].concat()).ended(0).stdout;
    assert!(table.contains("WHAT TO DO") && table.contains("`mesolith up` would run"), "{table}");
    // Only a master: it makes no containers.
    let line = [&["doctor", "--json", &data, "--roles=master"], &ANY_PORT[..]].concat();
    let told = verb(&line).ended(0).json();
    let all = told["findings"].as_array().unwrap();
    assert!(all.iter().all(|f| f["subject"] != "containers"), "{told:#}");
}

#[test]
fn what_is_in_the_way_is_told_and_is_the_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let data = format!("--data-dir={}", dir.path().display());
    let master = format!("--master-port={port}");
    let said = verb(&[
        "doctor",
        "--json",
        &data,
        &master,
        "--agent-port=0",
        "--marathon-port=0",
        "--chronos-port=0",
    ]);
    let told = said.ended(1).json();
    assert_eq!(told["up_would_run"], false);
    let ports = finding(&told, "ports");
    assert_eq!(ports["grade"], "bad");
    assert!(ports["found"].as_str().unwrap().contains(&port.to_string()), "{ports}");
    assert!(ports["advice"].as_str().unwrap().contains("--master-port"), "{ports}");

    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let said = examined(
        dir.path(),
        &["--docker_socket", file.to_str().unwrap(), "--containerizers=docker"],
    );
    let told = said.ended(1).json();
    assert_eq!(finding(&told, "docker")["grade"], "bad", "{told:#}");

    let said = examined(dir.path(), &["--isolation=nonsense"]).ended(1);
    assert!(said.stderr.contains("'nonsense' is no isolator"), "{said:?}");
}

#[test]
fn a_folder_that_a_node_has_is_told() {
    let home = Home::new();
    let node = home.up();
    let said = examined(&home.data(), &[]).ended(1);
    let folder = finding(&said.json(), "data folder").clone();
    assert_eq!(folder["grade"], "bad");
    assert!(folder["found"].as_str().unwrap().contains("a node has it"), "{folder}");
    drop(node);
}

/// The arguments run by nobody, whose folder is the first one's; and where the kernel's setting is what `userns` says.
fn by_nobody(dir: &Path, userns: Option<u32>) -> Option<Said> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: becoming another user needs root");
        return None;
    }
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777)).unwrap();
    let data = format!("--data-dir={}", dir.display());
    let line = [&["doctor", "--json", &data], &ANY_PORT[..]].concat();
    let mut command = mesolith(&line);
    command.current_dir("/");
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let (uid, gid) = (nobody.uid, nobody.gid);
    // SAFETY: plain system calls between fork and exec.
    unsafe {
        command.pre_exec(move || {
            nix::unistd::setgroups(&[])?;
            nix::unistd::setgid(gid)?;
            nix::unistd::setuid(uid)?;
            let Some(most) = userns else { return Ok(()) };
            // The setting is each user namespace's own: in a fresh one the user may set it.
            nix::sys::prctl::set_dumpable(true)?;
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER)?;
            std::fs::write("/proc/self/setgroups", "deny")?;
            std::fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
            std::fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
            std::fs::write("/proc/sys/user/max_user_namespaces", most.to_string())
        });
    }
    Some(finish(&mut command))
}

#[test]
fn an_ordinary_user_is_told_what_containers_he_can_have_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let Some(said) = by_nobody(dir.path(), None) else { return };
    let told = said.ended(0).json();
    let found = |subject: &str| finding(&told, subject)["found"].as_str().unwrap().to_string();
    assert!(found("user").contains("nobody, not root"), "{told:#}");
    if finding(&told, "user namespaces")["grade"] == "ok" {
        assert!(found("containers").contains("isolated in a user namespace"), "{told:#}");
    } else {
        eprintln!("SKIPPED in part: {}", found("user namespaces"));
    }
    assert!(found("networks").contains("need root"), "{told:#}");
}

#[test]
fn a_setting_that_forbids_user_namespaces_is_named_with_its_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let Some(said) = by_nobody(dir.path(), Some(0)) else { return };
    let told = said.ended(0).json();
    let containers = finding(&told, "containers");
    assert_eq!(containers["grade"], "limited");
    assert!(containers["found"].as_str().unwrap().contains("plain processes"), "{containers}");
    let namespaces = finding(&told, "user namespaces");
    assert_eq!(namespaces["grade"], "limited", "{told:#}");
    let (why, advice) = (namespaces["found"].as_str(), namespaces["advice"].as_str());
    assert!(why.unwrap().contains("user.max_user_namespaces is 0"), "{namespaces}");
    assert!(advice.unwrap().contains("sysctl -w user.max_user_namespaces="), "{namespaces}");
    assert!(!told.to_string().contains("would not"), "{told:#}");
}
