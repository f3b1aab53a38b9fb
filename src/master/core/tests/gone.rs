//! Agents that an operator says will never come back.

use super::super::io::Answer;
use super::world::*;
use crate::mesos::v1::{self, TaskState as S};
use v1::task_status::Reason;

const RESOURCES: &str = "cpus:4;mem:1024";

// covers: MES-0237, MES-0239
#[test]
fn a_gone_agent_is_told_to_end_and_its_tasks_are_over() {
    for (info, expected) in [
        (framework(), (S::TaskLost, Reason::AgentRemoved)),
        (aware(), (S::TaskGoneByOperator, Reason::AgentRemovedByOperator)),
    ] {
        let mut w = World::new();
        let mut agent = w.agent("node1", RESOURCES);
        let scheduler = w.scheduler(info);
        w.run_task(&agent, &scheduler, "t1");
        let task = w.task(&scheduler, "t1");
        w.pass(6 * SECOND);
        let offer = w.offers(&scheduler).remove(0);
        assert_eq!(w.mark_gone(&agent.id), Answer::Done);
        assert!(w.inbox(&agent).iter().any(|m| m.shutdown.is_some()));
        assert!(w.closed_links.contains(&agent.link));
        let events = w.events(&scheduler);
        let status = &events.iter().find_map(|e| e.update.as_ref()).unwrap().status;
        assert_eq!((state(status), status.reason()), expected);
        assert!(status.uuid.is_none());
        assert_eq!(events.iter().find_map(|e| e.rescind.as_ref()).unwrap().offer_id, offer.id);
        assert!(events.iter().any(|e| e.failure.is_some()));
        let view = w.view();
        assert!(view.agents.is_empty() && view.frameworks[0].tasks.is_empty());
        assert_eq!(view.frameworks[0].completed_tasks.len(), 1);
        assert!(!w.registry.contains_key(&format!("agents/{}", agent.id)));
        let told = w.reconcile(&scheduler, &[("t1", Some(&agent.id))]);
        assert_eq!(state(&told[0]), expected.0);
        w.reregister(&mut agent, vec![task], &[&scheduler]);
        let inbox = w.inbox(&agent);
        assert_eq!(inbox[0].shutdown.as_ref().unwrap().message, "Agent has been marked gone");
        assert!(w.closed_links.contains(&agent.link) && w.view().agents.is_empty());
        assert_eq!(w.mark_gone(&agent.id), Answer::Done, "it is so already");
        w.audit().unwrap();
    }
}

// covers: MES-0240
#[test]
fn tasks_that_were_unreachable_are_over_when_their_agent_is_gone() {
    for (info, told) in [(framework(), vec![]), (aware(), vec![S::TaskGoneByOperator])] {
        let mut w = World::new();
        let agent = w.agent("node1", RESOURCES);
        let scheduler = w.scheduler(info);
        w.run_task(&agent, &scheduler, "t1");
        w.mute.insert(agent.link);
        w.pass(2 * MINUTE);
        w.events(&scheduler);
        assert_eq!(w.mark_gone(&agent.id), Answer::Done);
        // Who knows no partitions was told that it is lost.
        assert_eq!(w.statuses(&scheduler).iter().map(state).collect::<Vec<_>>(), told);
        let view = w.view();
        let f = &view.frameworks[0];
        assert!(f.unreachable_tasks.is_empty() && f.tasks.is_empty());
        assert_eq!(f.completed_tasks.len(), 1);
        assert!(view.unreachable_agents.is_empty());
        assert_eq!(view.gone_agents[0].hostname, "node1");
        w.audit().unwrap();
    }
}

#[test]
fn an_agent_awaited_by_a_new_master_can_be_gone() {
    let mut w = World::new();
    let agent = w.agent("node1", RESOURCES);
    let scheduler = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    w.fail_over();
    let scheduler = w.resubscribe(&scheduler);
    assert_eq!(w.mark_gone(&agent.id), Answer::Done);
    assert!(w.events(&scheduler).iter().any(|e| e.failure.is_some()));
    let told = w.reconcile(&scheduler, &[("t1", Some(&agent.id))]);
    assert_eq!(state(&told[0]), S::TaskGoneByOperator);
    w.pass(HOUR);
    assert!(w.view().unreachable_agents.is_empty());
    w.audit().unwrap();
}
