//! `mesos-execute` and `mesos-resolve`, under their own names and as verbs.

use super::world::{Home, Node, Talk, finish, isolates, program, until, verb};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

/// The binary under another name.
fn called(home: &Home, name: &str, args: &[&str]) -> Command {
    let path: PathBuf = home.beside(name);
    if !path.exists() {
        symlink(env!("CARGO_BIN_EXE_mesolith"), &path).unwrap();
    }
    program(&path, args)
}

/// Runs a task with flags of its own; `{"name":…,"command":…}` are the first two.
fn execute(node: &Node, name: &str, command: &str, more: &[&str]) -> super::world::Said {
    let (master, name) = (format!("--master={}", node.master), format!("--name={name}"));
    let command = format!("--command={command}");
    let mut args = vec!["execute", &master, &name, &command];
    args.extend(more);
    verb(&args)
}

#[test]
fn the_originals_names_do_what_the_originals_did() {
    let home = Home::new();
    let node = home.up().with_agent();
    // MASTER=$(mesos-resolve …); mesos-execute --master=$MASTER …
    let said = finish(&mut called(&home, "mesos-resolve", &[&node.master])).ended(0);
    assert_eq!(said.stdout, format!("{}\n", node.master));
    let master = format!("--master={}", said.stdout.trim());
    let args = [master.as_str(), "--name=test", "--command=echo out; echo err >&2; exit 7"];
    let said = finish(&mut called(&home, "mesos-execute", &args)).ended(7);
    assert!(said.stdout.contains("Submitted task 'test' to agent"), "{said:#?}");
    assert!(said.stdout.lines().any(|l| l == "out"), "{said:#?}");
    assert!(said.stderr.lines().any(|l| l == "err"), "{said:#?}");
    assert!(said.stdout.contains("Received status update TASK_FAILED for task 'test'"));
    let said = finish(&mut called(&home, "mesos-execute", &["--nmae=x"])).ended(125);
    assert!(said.stderr.contains("--name"), "{said:#?}");
    let nobody = ["--timeout=1secs", "127.0.0.1:1"];
    let said = finish(&mut called(&home, "mesos-resolve", &nobody)).ended(255);
    assert!(said.stdout.is_empty() && said.stderr.contains("127.0.0.1:1"), "{said:#?}");
}

#[test]
fn the_exit_code_is_the_tasks() {
    let home = Home::new();
    let node = home.up().with_agent();
    execute(&node, "fine", "true", &[]).ended(0);
    execute(&node, "signal", "kill -9 $$", &[]).ended(137);
    execute(&node, "late", "sleep 1000", &["--kill_after=500ms"]).ended(143);
    for kind in ["json", "protobuf"] {
        let flags = [&format!("--content_type={kind}"), "--env={\"A\":\"b c\"}"];
        let said = execute(&node, kind, "echo \"<$A>\"", &flags).ended(0);
        assert!(said.stdout.lines().any(|l| l == "<b c>"), "{said:#?}");
    }
    let said = execute(&node, "res", "true", &["--resources=cpus:0.25;mem:48"]).ended(0);
    assert!(said.stdout.contains("TASK_FINISHED"), "{said:#?}");
    let resources = &node.task("res")["resources"];
    assert_eq!((&resources["cpus"], &resources["mem"]), (&0.25.into(), &48.0.into()));
    let said = execute(&node, "bad", "true", &["--resources=cpus:many", "--env={"]).ended(125);
    assert!(said.stderr.contains("resources") && said.stderr.contains("env"), "{said:#?}");
}

#[test]
fn what_does_not_fit_is_explained_and_ctrl_c_ends_it() {
    let home = Home::new();
    let node = home.up().with_agent();
    let args = ["execute", "--name=big", "--command=true", "--resources=cpus:9999;mem:32"];
    let waiting = Talk::start(&mut node.asking(&args));
    until("it says why", || waiting.stderr().contains("cpus:9999 needed"));
    waiting.signal(libc::SIGINT);
    waiting.end().ended(130);
    // A task that runs is killed.
    let command = format!("--command=echo begun; {}", home.long(0));
    let running = Talk::start(&mut node.asking(&["execute", "--name=run", &command]));
    until("it runs", || running.stdout().lines().any(|l| l == "begun"));
    running.signal(libc::SIGINT);
    let said = running.end().ended(130);
    assert!(said.stdout.contains("TASK_KILLED"), "{said:#?}");
    until("its process has ended", || home.sleepers().is_empty());
}

#[test]
fn without_a_master_it_says_what_to_do() {
    let args = ["execute", "--master=127.0.0.1:1", "--name=x", "--command=true"];
    // It waits for the master that was named, as the original does, and says so.
    let waiting = Talk::start(&mut super::world::mesolith(&args));
    until("it says whom it asks", || waiting.stderr().contains("127.0.0.1:1"));
    waiting.signal(libc::SIGINT);
    waiting.end().ended(130);
}

#[test]
fn a_cluster_of_its_own_leaves_nothing() {
    if !isolates() {
        return eprintln!("not root: tasks of --local are plain processes");
    }
    let home = Home::new();
    let mut command = super::world::mesolith(&[
        "execute",
        "--local",
        "--name=here",
        "--command=echo from here; exit 5",
    ]);
    let said = finish(command.env("TMPDIR", home.beside(""))).ended(5);
    assert!(said.stdout.lines().any(|l| l == "from here"), "{said:#?}");
    assert_eq!(std::fs::read_dir(home.beside("")).unwrap().count(), 0);
}
