//! The verbs that ask a cluster: what they print where, and how they end.

use super::world::{Home, Talk, finish, mesolith, until, verb};
use std::process::Stdio;

#[test]
fn verbs_show_what_there_is() {
    let home = Home::new();
    let node = home.up().with_agent();
    let command = format!("--command=echo one; echo two; echo bad >&2; {}", home.long(0));
    let mut running = Talk::start(&mut node.asking(&["execute", "--name=t", &command]));
    until("it runs", || running.stdout().lines().any(|l| l == "two"));

    let said = node.ask(&["status"]).ended(0);
    assert!(said.stdout.contains("1 active") && said.stdout.contains("1 running"), "{said:#?}");
    let list = node.ask(&["task", "ls", "-o", "json"]).ended(0).json();
    let (id, framework) = (list[0]["id"].as_str(), list[0]["framework_id"].as_str().unwrap());
    assert_eq!(id, Some("t"));
    assert_eq!(node.ask(&["task", "ls", "--quiet"]).ended(0).stdout, "t\n");
    assert!(node.ask(&["task", "show", "t"]).ended(0).stdout.contains("TASK_RUNNING"));
    assert!(node.ask(&["framework", "ls"]).ended(0).stdout.contains("mesos-execute"));
    assert!(node.ask(&["framework", "show", framework]).ended(0).stdout.contains("active"));
    assert!(node.ask(&["why", "t"]).ended(0).stdout.contains("TASK_RUNNING"));
    assert!(node.ask(&["why", framework]).ended(0).stdout.contains("suppressed"));
    let agent = node.ask(&["node", "-o", "json"]).ended(0).json()["slaves"][0]["id"].clone();
    let said = node.ask(&["node", "show", agent.as_str().unwrap()]).ended(0);
    assert!(said.stdout.contains("cpus"), "{said:#?}");
    for args in [
        &["status"][..],
        &["task", "show", "t"],
        &["framework"],
        &["framework", "show", framework],
        &["why", "t"],
        &["why", framework],
    ] {
        let args: Vec<&str> = args.iter().chain(&["-o", "json"]).copied().collect();
        assert!(!node.ask(&args).ended(0).json().is_null(), "{args:?}");
    }

    assert_eq!(node.ask(&["logs", "t"]).ended(0).stdout, "one\ntwo\n");
    assert_eq!(node.ask(&["logs", "t", "-n", "1"]).ended(0).stdout, "two\n");
    assert_eq!(node.ask(&["logs", "t", "--stderr"]).ended(0).stdout, "bad\n");
    let mut following = Talk::start(&mut node.asking(&["logs", "t", "--follow"]));
    until("it shows what there is", || following.stdout() == "one\ntwo\n");
    assert!(!following.has_ended() && !running.has_ended());
    let said = node.ask(&["kill", "t", "--grace", "5"]).ended(0);
    assert!(said.stdout.is_empty() && said.stderr.contains("asked to kill t"), "{said:#?}");
    following.end().ended(0);
    assert!(running.end().stdout.contains("TASK_KILLED"));
    assert_eq!(node.ask(&["task", "ls", "-o", "json"]).ended(0).stdout.trim(), "[]");
    assert!(node.ask(&["task", "ls", "--all"]).ended(0).stdout.contains("KILLED"));
}

#[test]
fn a_node_is_drained_and_put_back_and_declared_gone() {
    let home = Home::new();
    let node = home.up().with_agent();
    let scheduler = super::life::sleeping(&home, &node, 1);
    until("it runs", || home.sleepers().len() == 1);
    let listed = |what: &str| {
        let said = node.ask(&["node"]).ended(0).stdout;
        assert!(said.contains(what), "{what}: {said}");
    };
    let said = node.ask(&["node", "deactivate", "127.0.0.1"]).ended(0);
    assert!(said.stdout.is_empty() && said.stderr.contains("no new tasks"), "{said:#?}");
    listed("deactivated");
    assert_eq!(home.sleepers().len(), 1);
    node.ask(&["node", "activate", "127.0.0.1"]).ended(0);
    listed("active");
    let said = node.ask(&["node", "activate", "127.0.0.1"]).ended(4);
    assert!(said.stderr.contains("in service"), "{said:#?}");
    // Its scheduler acknowledges nothing any more, so it is never done; watching ends.
    drop(scheduler);
    let said =
        node.ask(&["node", "drain", "127.0.0.1", "--deadline=1s", "--timeout=3s"]).ended(124);
    assert!(said.stderr.contains("drain"), "{said:#?}");
    listed("draining");
    until("its tasks are ended", || home.sleepers().is_empty());
    let said = node.ask(&["node", "activate", "127.0.0.1"]).ended(4);
    assert!(said.stderr.contains("still draining"), "{said:#?}");
    let said = node.ask(&["node", "gone", "127.0.0.1"]).ended(1);
    assert!(said.stderr.contains("gone for good") && said.stderr.contains("--yes"), "{said:#?}");
    node.ask(&["node", "gone", "127.0.0.1", "--yes"]).ended(0);
    let said = node.ended();
    assert_eq!(said.code, Some(0), "the agent was told to end: {said:#?}");
    for args in [&["node", "drain", "nope"][..], &["node", "gone", "nope", "--yes"]] {
        assert_ne!(verb(args).code, Some(0), "{args:?}");
    }
}

#[test]
fn an_idle_node_is_drained_at_once() {
    let home = Home::new();
    let node = home.up().with_agent();
    let said = node.ask(&["node", "drain", "127.0.0.1"]).ended(0);
    assert!(said.stderr.contains("is drained"), "{said:#?}");
    assert!(node.ask(&["node"]).ended(0).stdout.contains("drained"));
    let json = node.ask(&["node", "drain", "127.0.0.1", "-d", "-o", "json"]).ended(0).json();
    assert_eq!(json["hostname"], "127.0.0.1");
    node.ask(&["node", "activate", "127.0.0.1"]).ended(0);
}

#[test]
fn teardown_ends_a_framework_when_told_yes() {
    let home = Home::new();
    let node = home.up().with_agent();
    let scheduler = super::life::sleeping(&home, &node, 1);
    let id = scheduler.id.clone().unwrap();
    let said = node.ask(&["framework", "teardown", &id]).ended(1);
    assert!(said.stderr.contains("--yes"), "{said:#?}");
    node.ask(&["framework", "teardown", &id, "--yes"]).ended(0);
    until("its task has ended", || home.sleepers().is_empty());
    node.ask(&["framework", "show", &id]).ended(3);
}

#[test]
fn what_is_not_there_is_told_on_stderr_with_its_exit_code() {
    let home = Home::new();
    let node = home.up().with_agent();
    for args in [
        &["task", "show", "nope"][..],
        &["logs", "nope"],
        &["why", "nope"],
        &["kill", "nope"],
        &["node", "show", "nope"],
        &["framework", "show", "nope"],
    ] {
        let said = node.ask(args).ended(3);
        assert!(said.stdout.is_empty() && said.stderr.contains("\"nope\""), "{said:#?}");
    }
    let said = verb(&["--master=127.0.0.1:1", "status"]).ended(6);
    assert!(said.stdout.is_empty(), "{said:#?}");
    assert!(said.stderr.contains("127.0.0.1:1") && said.stderr.contains("mesolith up"));
    verb(&["no-such-verb"]).ended(1);
    // A reader who has seen enough is no failure.
    let mut command = node.asking(&["task", "ls", "--all", "-o", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn every_verb_has_help_with_its_exit_codes() {
    for name in [
        "up",
        "join",
        "leave",
        "down",
        "execute",
        "resolve",
        "app",
        "job",
        "apply",
        "status",
        "cluster",
        "token",
        "task",
        "node",
        "framework",
        "logs",
        "why",
        "kill",
        "completion",
    ] {
        let said = verb(&[name, "--help"]).ended(0);
        assert!(said.stdout.contains("Exit codes:"), "{name}: {said:#?}");
        assert!(said.stderr.is_empty(), "{name}: {said:#?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let said = verb(&["completion", shell]).ended(0);
        assert!(said.stdout.contains("framework"), "{shell}");
    }
    finish(&mut mesolith(&["--version"])).ended(0);
}
