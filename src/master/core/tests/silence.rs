//! `agent_loss_timeout`: one time for silence, whatever the connection does.

use super::super::Options;
use super::world::*;
use crate::mesos::v1::TaskState as S;
use std::time::Duration;

const RESOURCES: &str = "cpus:4;mem:1024";
const SILENCE: Duration = Duration::from_secs(2);
const A_LITTLE: Duration = Duration::from_millis(20);

fn fast() -> World {
    World::with(Options::default().lost_after(SILENCE))
}

#[test]
fn an_agent_that_hangs_is_lost_after_its_last_word_and_not_before() {
    let mut w = fast();
    let agent = w.agent("node1", RESOURCES);
    let scheduler = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    w.pass(MINUTE);
    // Until the next pong: what it answers then is its last word.
    let heard = |w: &World| w.core.agents.registered.values().next().map(|a| a.heard);
    let before = heard(&w);
    while heard(&w) == before {
        w.pass(Duration::from_millis(1));
    }
    w.mute.insert(agent.link);
    w.pass(SILENCE - A_LITTLE);
    assert_eq!(w.view().agents.len(), 1);
    w.pass(2 * A_LITTLE);
    assert!(w.view().agents.is_empty());
    assert!(w.statuses(&scheduler).iter().any(|s| state(s) == S::TaskUnreachable));
}

#[test]
fn an_agent_without_a_connection_is_lost_as_soon() {
    let mut w = fast();
    let mut agent = w.agent("node1", RESOURCES);
    w.pass(MINUTE);
    w.cut(&agent);
    assert_eq!(w.view().agents.len(), 1, "a closed connection alone is nothing");
    w.pass(Duration::from_secs(1));
    w.reregister(&mut agent, Vec::new(), &[]);
    w.pass(MINUTE);
    assert_eq!(w.view().agents.len(), 1, "it came back in time");
    w.cut(&agent);
    w.pass(SILENCE + A_LITTLE);
    assert!(w.view().agents.is_empty());
    assert_eq!(w.view().unreachable_agents.len(), 1);
}

#[test]
fn an_agent_that_answers_late_but_in_time_stays() {
    let mut w = fast();
    let agent = w.agent("node1", RESOURCES);
    w.pass(MINUTE);
    for _ in 0..20 {
        w.mute.insert(agent.link);
        w.pass(Duration::from_millis(900));
        w.mute.remove(&agent.link);
        w.pass(Duration::from_millis(1100));
    }
    assert_eq!(w.view().agents.len(), 1);
}

#[test]
fn a_master_that_stood_still_does_not_blame_its_agents() {
    let mut w = fast();
    for node in ["node1", "node2", "node3"] {
        w.agent(node, RESOURCES);
    }
    w.pass(MINUTE);
    // Twenty seconds in which nothing ran here.
    w.now = w.now + Duration::from_secs(20);
    w.wall = w.wall + Duration::from_secs(20);
    w.pass(MINUTE);
    assert_eq!(w.view().agents.len(), 3);
}

#[test]
fn a_new_master_gives_awaited_agents_as_long() {
    let mut w = fast();
    let agent = w.agent("node1", RESOURCES);
    let scheduler = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    w.fail_over();
    let scheduler = w.resubscribe(&scheduler);
    w.pass(SILENCE - A_LITTLE);
    assert_eq!(w.view().recovered_agents.len(), 1);
    w.pass(2 * A_LITTLE);
    assert_eq!(w.view().unreachable_agents.len(), 1);
    assert!(w.events(&scheduler).iter().any(|e| e.failure.is_some()));
    let told = w.reconcile(&scheduler, &[("t1", Some(&agent.id))]);
    assert_eq!(state(&told[0]), S::TaskUnreachable);
    assert_eq!(w.view().frameworks.len(), 1, "frameworks keep their own time");
}

#[test]
fn agents_that_come_one_after_the_other_are_all_waited_for() {
    let mut w = fast();
    let mut agents: Vec<_> = (0..10).map(|n| w.agent(&format!("node{n}"), RESOURCES)).collect();
    w.fail_over();
    let last = agents.pop().expect("ten");
    for agent in &mut agents {
        w.pass(Duration::from_millis(900));
        w.reregister(agent, Vec::new(), &[]);
    }
    assert_eq!(w.view().agents.len(), 9, "nine seconds in all");
    w.pass(Duration::from_millis(1100));
    let lost = w.view().unreachable_agents;
    assert_eq!(lost.iter().map(|a| a.id.to_string()).collect::<Vec<_>>(), [last.id]);
}
