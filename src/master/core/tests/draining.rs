//! Agents taken out of service: deactivated, drained, and back.

use super::super::io::Answer;
use super::super::view::AgentView;
use super::world::*;
use crate::mesos::v1::{self, DrainState, TaskState as S};
use v1::task_status::Reason;

const RESOURCES: &str = "cpus:4;mem:1024";

fn shown(w: &World) -> AgentView {
    (*w.view().agents[0]).clone()
}

fn drain_state(w: &World) -> Option<DrainState> {
    shown(w).drain.map(|d| d.info.state())
}

// covers: MES-0577
#[test]
fn an_idle_agent_is_drained_at_once_and_offered_no_more() {
    let mut w = World::new();
    let agent = w.agent("node1", RESOURCES);
    let scheduler = w.scheduler(framework());
    let offer = w.offers(&scheduler).remove(0);
    assert_eq!(w.drain_agent(&agent.id, None, false), Answer::Done);
    let rescinded = w.events(&scheduler).into_iter().find_map(|e| e.rescind).expect("a rescind");
    assert_eq!(rescinded.offer_id, offer.id);
    let view = shown(&w);
    assert!(view.deactivated && view.connected && !view.active);
    assert_eq!(drain_state(&w), Some(DrainState::Drained));
    assert_eq!((w.counter("slaves_active"), w.counter("slaves_inactive")), (0, 1));
    w.pass(MINUTE);
    assert!(w.offers(&scheduler).is_empty());
    assert_eq!(w.reactivate(&agent.id), Answer::Done);
    assert_eq!(w.offers(&scheduler).len(), 1);
    assert!(shown(&w).drain.is_none() && shown(&w).active);
    w.audit().unwrap();
}

// covers: MES-0582, MES-0584, MES-0552, MES-0553, MES-0555
#[test]
fn a_drain_ends_when_the_last_end_is_acknowledged() {
    let mut w = World::new();
    let agent = w.agent("node1", RESOURCES);
    let scheduler = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    w.inbox(&agent);
    assert_eq!(w.drain_agent(&agent.id, Some(MINUTE), false), Answer::Done);
    let told = w.inbox(&agent).into_iter().find_map(|m| m.drain).expect("the agent is told");
    let config = told.config.expect("how");
    assert_eq!(config.max_grace_period.unwrap().nanoseconds, 60_000_000_000);
    assert!(!config.mark_gone());
    assert_eq!(drain_state(&w), Some(DrainState::Draining));
    let refusal = refused(w.reactivate(&agent.id));
    assert_eq!(refusal, (400, "Agent is still in the DRAINING state".into()));
    w.report(&agent, &scheduler, "t1", S::TaskKilled, 2);
    assert_eq!(drain_state(&w), Some(DrainState::Draining), "not acknowledged yet");
    w.acknowledge(&scheduler, &agent, "t1", 2);
    assert_eq!(drain_state(&w), Some(DrainState::Drained));
    w.pass(MINUTE);
    assert!(w.offers(&scheduler).is_empty());
    assert_eq!(w.reactivate(&agent.id), Answer::Done);
    let told = w.inbox(&agent).into_iter().find_map(|m| m.drain).expect("the agent is told");
    assert!(told.config.is_none(), "it takes tasks again");
    assert_eq!(w.offers(&scheduler).len(), 1);
    assert!(!w.registry.keys().any(|k| k.starts_with("deactivated/")));
}

// covers: MES-0578, MES-0546
#[test]
fn an_idle_agent_that_is_drained_to_be_gone_is_gone() {
    let mut w = World::new();
    let mut agent = w.agent("node1", RESOURCES);
    w.inbox(&agent);
    assert_eq!(w.drain_agent(&agent.id, None, true), Answer::Done);
    assert!(w.inbox(&agent).iter().any(|m| m.shutdown.is_some()));
    assert!(w.closed_links.contains(&agent.link));
    let view = w.view();
    assert!(view.agents.is_empty());
    assert_eq!(view.gone_agents[0].id.as_str(), agent.id);
    assert_eq!(view.gone_agents[0].hostname, "node1");
    w.audit().unwrap();
    w.fail_over();
    w.reregister(&mut agent, Vec::new(), &[]);
    assert!(w.inbox(&agent)[0].shutdown.is_some(), "for good");
    assert!(w.view().agents.is_empty());
}

// covers: MES-0583
#[test]
fn tasks_end_before_a_drained_agent_is_gone() {
    let mut w = World::new();
    let agent = w.agent("node1", RESOURCES);
    let scheduler = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    w.drain_agent(&agent.id, None, true);
    assert_eq!(w.view().agents.len(), 1);
    // The agent says so itself, with the drain as its reason.
    w.report(&agent, &scheduler, "t1", S::TaskGoneByOperator, 2);
    assert_eq!(w.view().agents.len(), 1);
    w.acknowledge(&scheduler, &agent, "t1", 2);
    assert!(w.view().agents.is_empty());
    let told = w.statuses(&scheduler);
    assert_eq!(told.iter().map(state).collect::<Vec<_>>(), [S::TaskGoneByOperator]);
    assert_eq!(w.view().frameworks[0].completed_tasks.len(), 1);
    w.audit().unwrap();
}

// covers: MES-0579, MES-0581
#[test]
fn a_drain_waits_for_an_agent_without_a_link() {
    let mut w = World::new();
    let mut agent = w.agent("node1", RESOURCES);
    let scheduler = w.scheduler(framework());
    w.cut(&agent);
    w.drain_agent(&agent.id, Some(SECOND), false);
    assert_eq!(drain_state(&w), Some(DrainState::Draining), "nobody knows what runs there");
    w.reregister(&mut agent, Vec::new(), &[]);
    let registered = w.inbox(&agent).into_iter().find_map(|m| m.registered).unwrap();
    assert_eq!(registered.drain.unwrap().max_grace_period.unwrap().nanoseconds, 1_000_000_000);
    assert_eq!(drain_state(&w), Some(DrainState::Drained));
    w.cut(&agent);
    assert_eq!(w.reactivate(&agent.id), Answer::Done);
    assert!(!shown(&w).active, "not before it is back");
    w.events(&scheduler);
    w.reregister(&mut agent, Vec::new(), &[]);
    let registered = w.inbox(&agent).into_iter().find_map(|m| m.registered).unwrap();
    assert!(registered.drain.is_none());
    assert_eq!(w.offers(&scheduler).len(), 1);
}

// covers: MES-0580
#[test]
fn a_drain_is_remembered_for_an_unreachable_agent_and_by_another_master() {
    let mut w = World::new();
    let mut agent = w.agent("node1", RESOURCES);
    let scheduler = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    let task = w.task(&scheduler, "t1");
    w.mute.insert(agent.link);
    w.pass(2 * MINUTE);
    assert_eq!(w.view().unreachable_agents.len(), 1);
    assert_eq!(w.drain_agent(&agent.id, None, false), Answer::Done);
    w.audit().unwrap();
    w.fail_over();
    let view = w.view();
    let how = view.drained_elsewhere.get(agent.id.as_str()).expect("remembered");
    assert_eq!(how.as_ref().unwrap().info.state(), DrainState::Draining);
    let scheduler = w.resubscribe(&scheduler);
    w.reregister(&mut agent, vec![task], &[&scheduler]);
    let registered = w.inbox(&agent).into_iter().find_map(|m| m.registered).unwrap();
    assert!(registered.drain.is_some());
    assert_eq!(drain_state(&w), Some(DrainState::Draining));
    w.events(&scheduler);
    w.pass(MINUTE);
    assert!(w.offers(&scheduler).is_empty(), "what is left of it is not offered");
}

// covers: MES-0554
#[test]
fn a_deactivated_agent_keeps_its_tasks_and_gets_no_more() {
    let mut w = World::new();
    let mut agent = w.agent("node1", RESOURCES);
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    w.inbox(&agent);
    assert_eq!(w.deactivate(&agent.id), Answer::Done);
    assert_eq!(w.deactivate(&agent.id), Answer::Done, "asked for twice");
    assert!(w.inbox(&agent).is_empty(), "the agent need not know");
    w.pass(MINUTE);
    assert!(w.offers(&scheduler).is_empty());
    assert!(shown(&w).deactivated && drain_state(&w).is_none());
    let task = w.task(&scheduler, "t1");
    w.fail_over();
    let scheduler = w.resubscribe(&scheduler);
    w.reregister(&mut agent, vec![task], &[&scheduler]);
    w.events(&scheduler);
    w.pass(MINUTE);
    assert!(shown(&w).deactivated, "another master remembers");
    assert!(w.offers(&scheduler).is_empty());
    assert_eq!(w.view().frameworks[0].tasks.len(), 1);
    assert_eq!(w.reactivate(&agent.id), Answer::Done);
    assert_eq!(w.offers(&scheduler).len(), 1);
    let refusal = refused(w.reactivate(&agent.id));
    assert_eq!(refusal, (400, "Agent is not deactivated".into()));
}

#[test]
fn a_second_drain_changes_how_it_is_done() {
    let mut w = World::new();
    let agent = w.agent("node1", RESOURCES);
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    w.drain_agent(&agent.id, Some(HOUR), false);
    let began = shown(&w).drain.unwrap().since;
    w.pass(MINUTE);
    w.inbox(&agent);
    w.drain_agent(&agent.id, Some(SECOND), true);
    let told = w.inbox(&agent).into_iter().find_map(|m| m.drain).unwrap().config.unwrap();
    assert!(told.mark_gone());
    assert_eq!(told.max_grace_period.unwrap().nanoseconds, 1_000_000_000);
    assert_eq!(shown(&w).drain.unwrap().since, began);
}

#[test]
fn what_cannot_be_drained_is_refused() {
    let mut w = World::new();
    let mut old = registration();
    old.capabilities.clear();
    old.agent_info = agent_info("node1", RESOURCES);
    let old = w.register(old);
    let (status, text) = refused(w.drain_agent(&old.id, None, false));
    assert_eq!(status, 400);
    assert!(text.contains("AGENT_DRAINING"), "{text}");
    for answer in [
        w.drain_agent("nobody", None, false),
        w.deactivate("nobody"),
        w.reactivate("nobody"),
        w.mark_gone("nobody"),
    ] {
        assert_eq!(refused(answer), (404, "Agent 'nobody' not found".into()));
    }
    assert_eq!(w.registry.len(), 1, "nothing was stored");
}

#[test]
fn an_agent_that_leaves_or_is_forgotten_is_not_out_of_service_any_more() {
    let mut w = World::new();
    let agent = w.agent("node1", RESOURCES);
    w.deactivate(&agent.id);
    w.unregister(&agent);
    assert!(w.registry.is_empty());
    let agent = w.agent("node1", RESOURCES);
    w.deactivate(&agent.id);
    w.mute.insert(agent.link);
    w.pass(15 * 24 * HOUR);
    assert!(w.registry.is_empty());
    w.audit().unwrap();
}

#[test]
fn offers_answered_too_late_launch_nothing_there() {
    let mut w = World::new();
    let agent = w.agent("node1", RESOURCES);
    let scheduler = w.scheduler(aware());
    let offer = w.offers(&scheduler).remove(0);
    w.drain_agent(&agent.id, None, false);
    w.events(&scheduler);
    w.launch(&scheduler, &[&offer], vec![task_info("t1", &offer, "cpus:1")]);
    let told = w.statuses(&scheduler).remove(0);
    assert_eq!((state(&told), told.reason()), (S::TaskDropped, Reason::InvalidOffers));
}
