//! Nodes, frameworks and supervisors that go away with tasks running, and come back.

use super::life::sleeping;
use super::scheduler::{Scheduler, task};
use super::world::{Home, signal_to, until};
use serde_json::json;

#[test]
fn framework_and_node_restart_together_and_the_task_goes_on() {
    // covers: MES-0093, MES-0375, MES-0397
    let home = Home::new();
    let node = home.up().with_agent();
    let mut scheduler = sleeping(&home, &node, 1);
    let before = home.sleepers();
    scheduler.leave();
    node.kill9();
    let node = home.up_again(&before);
    scheduler.resubscribe(&node.master);
    let seen = scheduler.updates.len();
    scheduler.reconcile();
    scheduler.until("it is told how the task is", |s| s.updates.len() > seen);
    let told = &scheduler.updates[seen];
    assert_eq!(
        (&told["state"], &told["reason"]),
        (&json!("TASK_RUNNING"), &json!("REASON_RECONCILIATION"))
    );
    assert_eq!(home.sleepers(), before);
}

#[test]
fn a_task_from_before_the_restart_can_be_killed() {
    // covers: MES-0385
    let home = Home::new();
    let node = home.up().with_agent();
    let mut scheduler = sleeping(&home, &node, 2);
    let agent_id = scheduler.updates_of("long0", "TASK_RUNNING")[0]["agent_id"].clone();
    node.kill9();
    let node = home.up().with_agent();
    scheduler.resubscribe(&node.master);
    let kill = json!({"task_id": {"value": "long0"}, "agent_id": agent_id});
    assert!(scheduler.call(json!({"type": "KILL", "kill": kill})));
    scheduler.until("its end is told", |s| s.has_ended("long0"));
    assert_eq!(scheduler.states("long0").last(), Some(&"TASK_KILLED"));
    until("only the other goes on", || home.sleepers().values().eq([&1]));
    assert!(!scheduler.has_ended("long1"));
}

#[test]
fn a_task_that_ended_while_nobody_looked_is_told() {
    // covers: MES-0380
    let home = Home::new();
    let node = home.up().with_agent();
    let mut scheduler = Scheduler::subscribe("away", &node.master);
    let (gate, done) = (home.beside("gate"), home.beside("done"));
    let waits = |code: i32| {
        let (gate, done) = (gate.display(), done.display());
        format!("while [ ! -e {gate} ]; do sleep 0.02; done; echo x >> {done}; exit {code}")
    };
    scheduler.launch(vec![task("good", &waits(0)), task("bad", &waits(3))]);
    scheduler.until("both run", |s| {
        ["good", "bad"].iter().all(|t| !s.updates_of(t, "TASK_RUNNING").is_empty())
    });
    node.kill9();
    std::fs::write(&gate, "").unwrap();
    until("both have ended", || std::fs::read_to_string(&done).is_ok_and(|t| t == "x\nx\n"));
    let node = home.up().with_agent();
    scheduler.resubscribe(&node.master);
    scheduler.until("both ends are told", |s| s.has_ended("good") && s.has_ended("bad"));
    assert_eq!(scheduler.states("good").last(), Some(&"TASK_FINISHED"));
    let end = scheduler.updates_of("bad", "TASK_FAILED").remove(0);
    assert_eq!(end["message"], "Command exited with status 3");
    until("nothing is held for them", || {
        node.state()["slaves"][0]["used_resources"]["cpus"] == 0.0
    });
}

#[test]
fn an_update_nobody_acknowledged_comes_again_with_the_same_uuid() {
    // covers: MES-0106, MES-0119, MES-0376
    let home = Home::new();
    let node = home.up().with_agent();
    let mut scheduler = Scheduler::subscribe("silent", &node.master);
    scheduler.silent = true;
    scheduler.launch(vec![task("t", &home.long(0))]);
    scheduler.until("a first update", |s| s.updates.iter().any(|u| u["uuid"].is_string()));
    let first = scheduler.updates.iter().find(|u| u["uuid"].is_string()).unwrap().clone();
    let again = |scheduler: &mut Scheduler, why: &str| {
        let seen = scheduler.updates.len();
        scheduler.until(why, |s| s.updates[seen..].iter().any(|u| u["uuid"].is_string()));
        let next = scheduler.updates[seen..].iter().find(|u| u["uuid"].is_string()).unwrap();
        assert_eq!((&next["uuid"], &next["state"]), (&first["uuid"], &first["state"]), "{why}");
    };
    // The scheduler alone comes back.
    scheduler.resubscribe(&node.master);
    again(&mut scheduler, "to the new stream");
    // The node alone comes back.
    node.kill9();
    let node = home.up().with_agent();
    scheduler.resubscribe(&node.master);
    again(&mut scheduler, "after the node's restart");
    scheduler.silent = false;
    scheduler.acknowledge(&first);
    scheduler.until("the stream goes on", |s| !s.updates_of("t", "TASK_RUNNING").is_empty());
}

#[test]
fn a_supervisor_that_dies_takes_no_task_with_it() {
    let home = Home::new();
    let node = home.up().with_agent();
    let mut scheduler = sleeping(&home, &node, 3);
    let before = home.sleepers();
    let old = home.supervisor().expect("a supervisor");
    signal_to(old, libc::SIGKILL);
    until("another one came", || home.supervisor().is_some_and(|pid| pid != old));
    assert_eq!(home.sleepers(), before);
    // New tasks start, old ones can be killed, and how one ended that was not its child is not made up.
    scheduler.launch(vec![task("new", "exit 0")]);
    scheduler.until("a new task runs", |s| s.has_ended("new"));
    assert_eq!(scheduler.states("new").last(), Some(&"TASK_FINISHED"));
    node.ask(&["kill", "long0"]).ended(0);
    scheduler.until("the killed one's end is told", |s| s.has_ended("long0"));
    let victim = *home.sleepers().iter().find(|(_, n)| **n == 1).unwrap().0;
    signal_to(victim, libc::SIGKILL);
    scheduler.until("the other one's end is told", |s| s.has_ended("long1"));
    assert_ne!(scheduler.states("long1").last(), Some(&"TASK_FINISHED"));
    // The node restarts on top of it.
    node.kill9();
    let left = home.sleepers();
    assert_eq!(left.values().copied().collect::<Vec<_>>(), [2]);
    home.up_again(&left);
}

#[test]
fn a_framework_that_is_away_is_shown_with_its_tasks_and_comes_back() {
    // covers: MES-0085, MES-0091
    let home = Home::new();
    let node = home.up().with_agent();
    let mut scheduler = sleeping(&home, &node, 2);
    scheduler.leave();
    node.kill9();
    let node = home.up().with_agent();
    until("its tasks are shown", || {
        let state = node.state();
        state["frameworks"][0]["tasks"].as_array().is_some_and(|t| t.len() == 2)
    });
    let framework = node.state()["frameworks"][0].clone();
    assert_eq!(framework["id"], json!(scheduler.id));
    assert_eq!((&framework["active"], &framework["recovered"]), (&json!(false), &json!(true)));
    scheduler.resubscribe(&node.master);
    until("it is active again", || node.state()["frameworks"][0]["active"] == true);
}
