//! Starting and stopping, and what is left.

use super::scheduler::{Scheduler, task};
use super::world::{
    Home, Node, Said, finish, isolates, mesolith, mounts_below, supervisor_below, until,
};
use std::collections::BTreeMap;
use std::path::Path;

/// A framework whose tasks sleep, all of them running.
pub fn sleeping(home: &Home, node: &Node, count: usize) -> Scheduler {
    let mut scheduler = Scheduler::subscribe("sleepers", &node.master);
    scheduler.launch((0..count).map(|n| task(&format!("long{n}"), &home.long(n))).collect());
    scheduler.until("all tasks run", |s| {
        (0..count).all(|n| !s.updates_of(&format!("long{n}"), "TASK_RUNNING").is_empty())
    });
    until("their commands run", || home.sleepers().len() == count);
    scheduler
}

fn last_line(said: &Said) -> &str {
    said.stderr.trim_end().lines().next_back().unwrap_or_default()
}

#[test]
fn tasks_go_on_when_a_node_stops_and_are_found_by_the_next() {
    let home = Home::new();
    let node = home.up().with_agent();
    let agent_id = node.state()["slaves"][0]["id"].clone();
    let scheduler = sleeping(&home, &node, 2);
    let before = home.sleepers();
    let goes_on = |said: Said| {
        assert!(last_line(&said).contains("2 tasks go on"), "{said:#?}");
        assert!(last_line(&said).contains("mesolith down --kill"), "{said:#?}");
        assert!(said.stdout.is_empty(), "talk is for stderr: {said:#?}");
        assert_eq!(home.sleepers(), before);
    };
    goes_on(node.stop(libc::SIGTERM).ended(0));
    let node = home.up_again(&before);
    assert_eq!(node.state()["slaves"][0]["id"], agent_id, "the agent keeps its id");
    assert!(node.talk.stderr().contains("2 tasks go on"), "{}", node.talk.stderr());
    goes_on(node.stop(libc::SIGINT).ended(0));
    drop(scheduler);
}

#[test]
fn a_node_without_tasks_leaves_no_process() {
    let home = Home::new();
    let node = home.up().with_agent();
    let said = node.stop(libc::SIGTERM).ended(0);
    assert_eq!(last_line(&said), "stopped");
    until("the supervisor ends", || home.supervisor().is_none());
    assert_eq!(mounts_below(&home.data()), Vec::<String>::new());
}

#[test]
fn on_exit_kill_ends_the_tasks() {
    // covers: MES-0392
    let home = Home::new();
    for signal in [libc::SIGTERM, libc::SIGUSR1] {
        let flag = if signal == libc::SIGTERM { "--on-exit=kill" } else { "--on-exit=keep" };
        let node = home.up_with(&[flag]).with_agent();
        let _scheduler = sleeping(&home, &node, 2);
        let said = node.stop(signal).ended(0);
        assert_eq!(last_line(&said), "stopped", "{said:#?}");
        assert_eq!(home.sleepers(), BTreeMap::new());
        until("the supervisor ends", || home.supervisor().is_none());
    }
}

#[test]
fn down_stops_a_node_and_down_kill_its_tasks_too() {
    let home = Home::new();
    let node = home.up().with_agent();
    let _scheduler = sleeping(&home, &node, 2);
    let before = home.sleepers();
    let pid = node.talk.child.id();
    let said = home.down(&[]).ended(0);
    assert!(said.stderr.contains(&format!("process {pid}")), "{said:#?}");
    node.ended().ended(0);
    assert_eq!(home.sleepers(), before, "they go on");
    let said = home.down(&[]).ended(3);
    assert!(said.stderr.contains("no node runs"), "{said:#?}");
    assert!(said.stderr.contains("down --kill"), "{said:#?}");

    let node = home.up().with_agent();
    home.down(&["--kill"]).ended(0);
    node.ended().ended(0);
    assert_eq!(home.sleepers(), BTreeMap::new());
    until("the supervisor ends", || home.supervisor().is_none());
}

#[test]
fn down_kill_ends_what_a_killed_node_left() {
    let home = Home::new();
    let node = home.up().with_agent();
    let _scheduler = sleeping(&home, &node, 3);
    node.kill9();
    let said = home.down(&["--kill"]).ended(0);
    assert!(said.stderr.contains("ended 3 containers"), "{said:#?}");
    until("the tasks have ended", || home.sleepers().is_empty());
    until("the supervisor ends", || home.supervisor().is_none());
    // What was ended so is told when the node comes back.
    let node = home.up().with_agent();
    assert_eq!(node.state()["slaves"][0]["used_resources"]["cpus"], 0.0);
}

#[test]
fn down_without_a_node_says_so() {
    let home = Home::new();
    let said = home.down(&[]).ended(3);
    assert!(said.stderr.contains("--data-dir"), "{said:#?}");
    assert!(!home.data().exists(), "nothing was made");
}

#[test]
fn an_ephemeral_node_leaves_nothing() {
    let home = Home::new();
    let root = format!("mesolith-gone-{}", std::process::id());
    let mut command = mesolith(&["up", "--ephemeral", "--master-port=0", "--agent-port=0"]);
    command.arg("--roles=master,agent");
    command.arg(format!("--cgroups_root={root}")).env("TMPDIR", home.beside(""));
    if !isolates() {
        command.arg("--launcher=posix");
    }
    let node = Node::start(&mut command).with_agent();
    let _scheduler = sleeping(&home, &node, 2);
    let entries = || std::fs::read_dir(home.beside("")).unwrap().flatten().count();
    let data = node.talk.stderr();
    let data = data.lines().find_map(|l| l.trim_start().strip_prefix("data ")).unwrap();
    let data = Path::new(data.trim()).to_path_buf();
    assert!(data.starts_with(home.beside("")) && data.exists(), "{}", data.display());
    node.stop(libc::SIGINT).ended(0);
    assert_eq!(home.sleepers(), BTreeMap::new());
    until("the supervisor ends", || supervisor_below(&data).is_none());
    assert_eq!(entries(), 0, "the temporary folder is gone");
    assert_eq!(mounts_below(&data), Vec::<String>::new());
    until("no cgroup is left", || cgroups_named(&root).is_empty());
}

fn cgroups_named(root: &str) -> Vec<std::path::PathBuf> {
    super::world::cgroups().into_iter().filter(|p| p.ends_with(root)).collect()
}

#[test]
fn quiet_is_quiet() {
    let home = Home::new();
    let mut talk = super::world::Talk::start(&mut home.command(&["--quiet"]));
    until("it is up", || home.supervisor().is_some() || talk.has_ended());
    // It takes signals before it starts anything.
    talk.signal(libc::SIGTERM);
    let said = talk.end().ended(0);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
    finish(&mut mesolith(&["down", "--kill", &home.data_dir()]));
}
