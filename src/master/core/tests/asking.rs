//! Agents that are asked back.

use super::super::io::Input;
use super::world::*;
use crate::mesos::v1::TaskState as S;
use std::collections::BTreeSet;

const RESOURCES: &str = "cpus:4;mem:1024";

fn ask_back(w: &mut World, agents: &[&str]) {
    let agents: BTreeSet<_> = agents.iter().map(|id| (*id).into()).collect();
    w.step(Input::AskBack { agents });
}

/// The agents that inverse offers are about, with the offers' ids.
fn asked(w: &mut World, scheduler: &FakeScheduler) -> Vec<(String, String)> {
    let events = w.events(scheduler);
    let offers = events.into_iter().filter_map(|e| e.inverse_offers).flat_map(|o| o.inverse_offers);
    offers.map(|o| (o.agent_id.expect("an agent").value, o.id.value)).collect()
}

#[test]
fn frameworks_with_tasks_there_are_asked_once_and_no_new_ones_are_put_there() {
    let mut w = World::new();
    let agent = w.agent("node1", RESOURCES);
    let scheduler = w.scheduler(aware());
    let idle = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    w.events(&scheduler);
    w.events(&idle);
    ask_back(&mut w, &[&agent.id]);
    let told = asked(&mut w, &scheduler);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, agent.id);
    assert_eq!(asked(&mut w, &idle), [], "it has nothing there");
    assert!(w.view().agents[0].deactivated);
    assert!(w.registry.keys().any(|k| k.starts_with("deactivated/")));
    ask_back(&mut w, &[&agent.id]);
    w.pass(MINUTE);
    assert_eq!(asked(&mut w, &scheduler), [], "it knows");
    w.report(&agent, &scheduler, "t1", S::TaskKilled, 2);
    w.acknowledge(&scheduler, &agent, "t1", 2);
    assert!(w.offers(&scheduler).is_empty());
    w.audit().unwrap();
}

#[test]
fn who_subscribes_again_is_asked_again_and_what_is_not_asked_any_more_is_taken_back() {
    let mut w = World::new();
    let agent = w.agent("node1", RESOURCES);
    let scheduler = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    w.events(&scheduler);
    // One of them is not known, or not yet.
    ask_back(&mut w, &[&agent.id, "unknown-S7"]);
    let first = asked(&mut w, &scheduler);
    assert_eq!(first.len(), 1);
    let again = w.resubscribe(&scheduler);
    let second = asked(&mut w, &again);
    assert_eq!(second.len(), 1);
    assert_ne!(second[0].1, first[0].1);
    ask_back(&mut w, &[]);
    let taken = w.events(&again).into_iter().find_map(|e| e.rescind_inverse_offer);
    assert_eq!(taken.expect("taken back").inverse_offer_id.value, second[0].1);
    w.audit().unwrap();
}

#[test]
fn what_is_left_after_a_while_is_drained() {
    let mut w = World::new();
    let agent = w.agent("node1", RESOURCES);
    let scheduler = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    ask_back(&mut w, &[&agent.id]);
    w.inbox(&agent);
    w.pass(59 * SECOND);
    assert!(w.inbox(&agent).iter().all(|m| m.drain.is_none()), "its framework still may");
    w.pass(2 * SECOND);
    let told = w.inbox(&agent).into_iter().filter_map(|m| m.drain).count();
    assert_eq!(told, 1);
    // Not asked for any more before the time is over: nothing is ended.
    let mut w = World::new();
    let agent = w.agent("node1", RESOURCES);
    let scheduler = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    ask_back(&mut w, &[&agent.id]);
    w.pass(30 * SECOND);
    ask_back(&mut w, &[]);
    w.inbox(&agent);
    w.pass(2 * MINUTE);
    assert!(w.inbox(&agent).iter().all(|m| m.drain.is_none()));
}
