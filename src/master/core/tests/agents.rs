//! Agents: registration, loss, partition, return.

use super::super::Options;
use super::super::io::{Act, Input, LinkId, NodeId};
use super::world::*;
use crate::mesos::internal::{AgentMessage, Pong, RegisterAgent};
use crate::mesos::v1::{self, TaskState as S};
use v1::task_status::Reason;

#[test]
fn an_agent_is_told_its_id_after_the_registry_knows_it() {
    let mut w = World::new();
    let register = RegisterAgent { agent_info: agent_info("node1", "cpus:1"), ..registration() };
    let message = AgentMessage { register: Some(register), ..Default::default() };
    let out = w.step_only(Input::FromAgent {
        link: LinkId(1),
        node: NodeId(1),
        message: Box::new(message),
    });
    assert_eq!(out.writes.len(), 1);
    let [(1, Act::ToAgent { message, .. })] = &out.acts[..] else { panic!("{:?}", out.acts) };
    let registered = message.registered.as_ref().unwrap();
    assert_eq!(registered.agent_id.value, "master1-S0");
    assert_eq!(registered.ping_timeout_secs, Some(75.0));
}

#[test]
fn a_retried_registration_gets_the_same_id() {
    let mut w = World::new();
    let first = w.agent("node1", "cpus:4;mem:1024");
    let again = w.agent("node1", "cpus:4;mem:1024");
    assert_eq!(again.id, first.id);
    assert!(w.closed_links.contains(&first.link));
    assert_eq!(w.view().agents.len(), 1);
    assert_eq!(w.counter("slave_removals"), 0);
}

#[test]
fn a_registration_that_comes_twice_does_not_cost_the_tasks_launched_meanwhile() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    w.inbox(&agent);
    let agent_info = v1::AgentInfo { id: None, ..agent.info.clone() };
    let register = RegisterAgent { agent_info, ..registration() };
    w.agent_says(agent.link, AgentMessage { register: Some(register), ..Default::default() });
    let again = w.inbox(&agent).into_iter().find_map(|m| m.registered).expect("an answer");
    assert_eq!(again.agent_id.value, agent.id);
    assert_eq!(w.view().frameworks[0].tasks.len(), 1);
    assert_eq!(w.counter("slave_removals"), 0);
}

#[test]
fn a_task_that_does_not_come_back_with_its_unreachable_agent_is_not_unreachable() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    w.mute.insert(agent.link);
    w.pass(2 * MINUTE);
    assert_eq!(w.view().frameworks[0].unreachable_tasks.len(), 1);
    w.reregister(&mut agent, Vec::new(), &[&scheduler]);
    assert!(w.view().frameworks[0].unreachable_tasks.is_empty());
}

// covers: MES-0393
#[test]
fn another_agent_at_the_same_address_replaces_the_older() {
    let mut w = World::new();
    let older = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&older, &scheduler, "t1");
    let newer = w.agent("node1", "cpus:4;mem:1024");
    assert_ne!(newer.id, older.id);
    assert_eq!(w.view().agents.len(), 1);
    let events = w.events(&scheduler);
    let status = events.iter().find_map(|e| e.update.as_ref()).unwrap().status.clone();
    assert_eq!((state(&status), status.reason()), (S::TaskLost, Reason::AgentRemoved));
    assert!(events.iter().any(|e| e.failure.is_some()));
    assert_eq!(w.counter("slave_removals/reason_registered"), 1);
    assert_eq!(w.counter("task_lost/source_master/reason_slave_removed"), 1);
    assert!(!w.registry.contains_key(&format!("agents/{}", older.id)));
}

// covers: MES-0021
#[test]
fn an_agent_is_active_while_it_has_a_link() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024");
    let active = |w: &mut World| w.view().agents.iter().map(|a| a.active).collect::<Vec<_>>();
    assert_eq!(active(&mut w), [true]);
    w.cut(&agent);
    assert_eq!(active(&mut w), [false]);
    w.reregister(&mut agent, Vec::new(), &[]);
    assert_eq!(active(&mut w), [true]);
}

// covers: MES-0313, MES-0548
#[test]
fn an_agent_that_unregisters_is_removed() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    w.unregister(&agent);
    assert!(w.view().agents.is_empty() && w.view().unreachable_agents.is_empty());
    assert_eq!(state(&w.statuses(&scheduler)[0]), S::TaskLost);
    assert_eq!(w.counter("slave_removals/reason_unregistered"), 1);
    assert!(w.registry.keys().all(|k| k.starts_with("frameworks/")));
}

// covers: MES-0497, MES-0544
#[test]
fn an_agent_that_answers_no_pings_is_unreachable_after_five() {
    for (info, lost) in [(framework(), S::TaskLost), (aware(), S::TaskUnreachable)] {
        let mut w = World::new();
        let agent = w.agent("node1", "cpus:4;mem:1024");
        let scheduler = w.scheduler(info);
        w.run_task(&agent, &scheduler, "t1");
        w.pass(10 * MINUTE);
        let offer = w.offers(&scheduler).remove(0);
        w.mute.insert(agent.link);
        w.pass(75 * SECOND - SECOND);
        assert!(w.view().agents[0].connected);
        w.pass(16 * SECOND);
        assert!(w.view().agents.is_empty());
        assert!(w.closed_links.contains(&agent.link));
        assert!(w.registry.contains_key(&format!("unreachable/{}", agent.id)));
        assert!(!w.registry.contains_key(&format!("agents/{}", agent.id)));
        let events = w.events(&scheduler);
        let status = &events.iter().find_map(|e| e.update.as_ref()).unwrap().status;
        assert_eq!((state(status), status.reason()), (lost, Reason::AgentRemoved));
        assert!(status.uuid.is_none());
        let away = w.view().unreachable_agents;
        let since = i64::try_from(away[0].since.0).ok();
        assert_eq!(status.unreachable_time.map(|time| time.nanoseconds), since, "as registered");
        let rescind = events.iter().find_map(|e| e.rescind.as_ref()).unwrap();
        assert_eq!(rescind.offer_id, offer.id);
        let failure = events.iter().find_map(|e| e.failure.as_ref()).unwrap();
        assert!(failure.executor_id.is_none());
        let view = w.view();
        assert_eq!(view.frameworks[0].unreachable_tasks.len(), 1);
        assert!(view.frameworks[0].tasks.is_empty() && view.frameworks[0].used.is_empty());
        assert_eq!(view.counters["slaves_unreachable"], 1);
        assert_eq!(view.counters["slave_removals/reason_unhealthy"], 1);
        assert_eq!(view.counters["tasks_lost"], u64::from(lost == S::TaskLost));
        let statuses = w.reconcile(&scheduler, &[("t1", Some(&agent.id))]);
        assert_eq!(state(&statuses[0]), lost);
        assert!(statuses[0].unreachable_time.is_some());
        assert!(w.reconcile(&scheduler, &[]).is_empty(), "implicitly it is not told");
    }
}

fn limited() -> World {
    let options = Options { agent_unreachable_interval: Some(10 * MINUTE), ..Options::default() };
    World::with(options)
}

#[test]
fn agents_are_given_up_one_after_the_other_if_so_told() {
    let mut w = limited();
    let agents = ["node1", "node2", "node3"].map(|node| w.agent(node, "cpus:4;mem:1024"));
    w.mute.extend(agents.iter().map(|a| a.link));
    w.pass(2 * MINUTE);
    assert_eq!(w.view().unreachable_agents.len(), 1);
    assert_eq!(w.counter("slave_unreachable_scheduled"), 3);
    // One answers after all, before its turn.
    let saved = agents.iter().find(|a| {
        w.view().agents.iter().any(|v| v.info.id.as_ref().is_some_and(|id| id.value == a.id))
    });
    let saved = saved.expect("two wait").clone();
    w.mute.remove(&saved.link);
    w.pass(30 * MINUTE);
    let left: Vec<_> = w.view().agents.iter().map(|a| a.info.id.clone().unwrap().value).collect();
    assert_eq!(left, [saved.id]);
    assert_eq!(w.counter("slave_unreachable_canceled"), 1);
    assert_eq!(w.counter("slave_unreachable_completed"), 2);
}

#[test]
fn an_agent_without_a_link_that_returns_before_its_turn_stays() {
    let mut w = limited();
    let first = w.agent("node1", "cpus:4;mem:1024");
    let mut second = w.agent("node2", "cpus:4;mem:1024");
    w.cut(&first);
    w.cut(&second);
    w.pass(11 * MINUTE);
    assert_eq!(w.view().agents.len(), 1);
    w.reregister(&mut second, Vec::new(), &[]);
    w.pass(HOUR);
    assert_eq!(w.view().agents.len(), 1);
    assert_eq!(w.counter("slave_unreachable_canceled"), 1);
}

fn old_frameworks_spared() -> (World, Vec<FakeAgent>, FakeScheduler, FakeScheduler) {
    let options = Options { agent_removal_interval: Some(10 * MINUTE), ..Options::default() };
    let mut w = World::with(options);
    let agents = ["node1", "node2"].map(|node| w.agent(node, "cpus:2;mem:256")).to_vec();
    let (old, knows) = (w.scheduler(framework()), w.scheduler(aware()));
    for (n, agent) in agents.iter().enumerate() {
        for scheduler in [&old, &knows] {
            // What one holds the other does not get.
            w.pass(6 * SECOND);
            let offers = w.offers(scheduler);
            let mine = offers.iter().find(|o| o.agent_id.value == agent.id);
            if let Some(offer) = mine {
                let task = format!("{}-{n}", scheduler.id);
                w.launch(scheduler, &[offer], vec![task_info(&task, offer, "cpus:1;mem:64")]);
                w.report(agent, scheduler, &task, S::TaskRunning, 1);
                w.acknowledge(scheduler, agent, &task, 1);
            }
            let rest: Vec<_> =
                offers.into_iter().filter(|o| o.agent_id.value != agent.id).collect();
            w.decline(scheduler, &rest, Some(0.0));
        }
    }
    w.statuses(&old);
    w.statuses(&knows);
    (w, agents, old, knows)
}

// covers: MES-0332
#[test]
fn those_who_know_no_partitions_lose_their_tasks_one_agent_after_the_other() {
    let (mut w, agents, old, knows) = old_frameworks_spared();
    let of = |w: &World, s: &FakeScheduler| {
        let view = w.view();
        let f = view.frameworks.iter().find(|f| f.info.id.as_ref().unwrap().value == s.id).unwrap();
        (f.tasks.len(), f.unreachable_tasks.len())
    };
    let (had_old, had_aware) = (of(&w, &old).0, of(&w, &knows).0);
    assert!(had_old == 2 && had_aware > 0, "{had_old} {had_aware}");
    w.mute.extend(agents.iter().map(|a| a.link));
    w.pass(2 * MINUTE);
    assert!(w.view().agents.is_empty(), "marked at once");
    let told = w.statuses(&knows);
    assert!(told.iter().all(|s| state(s) == S::TaskUnreachable) && told.len() == had_aware);
    let told = w.statuses(&old);
    assert_eq!(told.iter().map(state).collect::<Vec<_>>(), [S::TaskLost], "one agent's");
    assert_eq!(of(&w, &old), (0, 2));
    w.pass(10 * MINUTE);
    let told = w.statuses(&old);
    assert_eq!(told.iter().map(state).collect::<Vec<_>>(), [S::TaskLost], "the other's");
    assert_eq!(told[0].reason(), Reason::AgentRemoved);
    assert!(told[0].unreachable_time.is_some());
    assert_eq!(w.counter("slave_shutdowns_completed"), 2);
    assert_eq!(w.counter("tasks_lost"), 2);
    w.core.audit().unwrap();
}

#[test]
fn what_comes_back_before_its_turn_was_never_lost() {
    let (mut w, mut agents, old, knows) = old_frameworks_spared();
    w.mute.extend(agents.iter().map(|a| a.link));
    let tasks: Vec<v1::Task> =
        w.view().frameworks.iter().flat_map(|f| &f.tasks).map(|t| (**t).clone()).collect();
    w.pass(2 * MINUTE);
    let lost = w.statuses(&old).remove(0);
    w.events(&knows);
    for agent in &mut agents {
        w.mute.remove(&agent.link);
        let own = tasks.iter().filter(|t| t.agent_id.value == agent.id).cloned().collect();
        w.reregister(agent, own, &[&old, &knows]);
    }
    let told = w.statuses(&old);
    let ids: Vec<_> = told.iter().map(|s| &s.task_id).collect();
    assert_eq!(ids, [&lost.task_id], "only of what was told lost");
    assert_eq!(state(&told[0]), S::TaskRunning);
    w.pass(HOUR);
    assert!(w.statuses(&old).is_empty());
    assert_eq!(w.counter("slave_shutdowns_canceled"), 1);
    w.core.audit().unwrap();
}

#[test]
fn what_does_not_come_back_is_lost_then() {
    let (mut w, mut agents, old, knows) = old_frameworks_spared();
    w.mute.extend(agents.iter().map(|a| a.link));
    w.pass(2 * MINUTE);
    w.statuses(&old);
    for agent in &mut agents {
        w.mute.remove(&agent.link);
        w.reregister(agent, Vec::new(), &[&old, &knows]);
    }
    let told = w.statuses(&old);
    assert_eq!(told.iter().map(state).collect::<Vec<_>>(), [S::TaskLost]);
    w.core.audit().unwrap();
}

#[test]
fn the_write_comes_before_anybody_is_told() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    let message = AgentMessage { unregister: Some(Default::default()), ..Default::default() };
    let out = w.step_only(Input::FromAgent {
        link: agent.link,
        node: NodeId(1),
        message: Box::new(message),
    });
    let first = out.acts.iter().find(|(_, a)| matches!(a, Act::Event { .. })).unwrap();
    assert_eq!((out.writes.len(), first.0), (1, 1));
}

// covers: MES-0498, MES-0499, MES-0545
#[test]
fn tasks_live_on_when_an_unreachable_agent_returns() {
    for info in [framework(), aware()] {
        let mut w = World::new();
        let mut agent = w.agent("node1", "cpus:4;mem:1024");
        let scheduler = w.scheduler(info);
        w.run_task(&agent, &scheduler, "t1");
        let task = w.task(&scheduler, "t1");
        w.mute.insert(agent.link);
        w.pass(2 * MINUTE);
        w.events(&scheduler);
        let id = agent.id.clone();
        w.reregister(&mut agent, vec![task], &[&scheduler]);
        assert_eq!(w.view().agents[0].info.id.as_ref().unwrap().value, id);
        let statuses = w.statuses(&scheduler);
        assert_eq!(statuses.len(), 1);
        assert_eq!(state(&statuses[0]), S::TaskRunning);
        assert_eq!(statuses[0].reason(), Reason::AgentReregistered);
        let view = w.view();
        assert_eq!(view.frameworks[0].tasks.len(), 1);
        assert!(view.frameworks[0].unreachable_tasks.is_empty());
        assert_eq!(view.agents[0].used.cpus().as_f64(), 1.0);
        assert!(view.unreachable_agents.is_empty());
        assert!(w.registry.contains_key(&format!("agents/{id}")));
        assert!(!w.registry.contains_key(&format!("unreachable/{id}")));
        w.report(&agent, &scheduler, "t1", S::TaskFinished, 5);
        w.pass(6 * SECOND);
        assert_eq!(w.view().agents[0].offered.cpus().as_f64(), 4.0, "nothing leaks");
    }
}

// covers: MES-0501, MES-0395
#[test]
fn a_framework_that_ended_meanwhile_is_shut_down_on_return() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    let task = w.task(&scheduler, "t1");
    w.mute.insert(agent.link);
    w.pass(2 * MINUTE);
    w.teardown(&scheduler.id);
    w.reregister(&mut agent, vec![task], &[&scheduler]);
    let inbox = w.inbox(&agent);
    let shutdown = inbox.iter().find_map(|m| m.shutdown_framework.as_ref()).unwrap();
    assert_eq!(shutdown.framework_id.value, scheduler.id);
    assert!(w.view().agents[0].used.is_empty());
    assert!(w.view().frameworks.is_empty(), "it stays ended");
}

// covers: MES-0506, MES-0507
#[test]
fn a_task_that_finished_during_the_partition_is_told_finished() {
    for info in [framework(), aware()] {
        let mut w = World::new();
        let mut agent = w.agent("node1", "cpus:4;mem:1024");
        let scheduler = w.scheduler(info);
        w.run_task(&agent, &scheduler, "t1");
        let mut task = w.task(&scheduler, "t1");
        task.state = S::TaskFinished as i32;
        w.mute.insert(agent.link);
        w.pass(2 * MINUTE);
        w.events(&scheduler);
        w.reregister(&mut agent, vec![task], &[&scheduler]);
        assert!(w.statuses(&scheduler).is_empty());
        w.report(&agent, &scheduler, "t1", S::TaskFinished, 7);
        let statuses = w.statuses(&scheduler);
        assert_eq!(state(&statuses[0]), S::TaskFinished);
        assert!(statuses[0].uuid.is_some());
        w.acknowledge(&scheduler, &agent, "t1", 7);
        let view = w.view();
        assert!(view.frameworks[0].tasks.is_empty() && view.agents[0].used.is_empty());
        assert_eq!(view.frameworks[0].completed_tasks.len(), 1);
    }
}

// covers: MES-0503
#[test]
fn registering_again_while_registered_changes_nothing() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    let task = w.task(&scheduler, "t1");
    let before = w.view();
    w.reregister(&mut agent, vec![task], &[&scheduler]);
    let after = w.view();
    assert!(w.statuses(&scheduler).is_empty());
    assert_eq!(before.agents[0].used, after.agents[0].used);
    assert_eq!(before.frameworks[0].tasks.len(), after.frameworks[0].tasks.len());
    assert!(after.agents[0].connected);
}

// covers: MES-0518, MES-0519
#[test]
fn a_task_that_the_agent_does_not_list_is_lost() {
    for (info, lost) in [(framework(), S::TaskLost), (aware(), S::TaskDropped)] {
        let mut w = World::new();
        let mut agent = w.agent("node1", "cpus:4;mem:1024");
        let scheduler = w.scheduler(info);
        let offer = w.offers(&scheduler).remove(0);
        w.launch(&scheduler, &[&offer], vec![task_info("t1", &offer, "cpus:1")]);
        w.cut(&agent);
        w.reregister(&mut agent, vec![], &[&scheduler]);
        let inbox = w.inbox(&agent);
        let reconcile = &inbox[0].registered.as_ref().unwrap().reconcile;
        assert_eq!(reconcile.len(), 1);
        assert_eq!(reconcile[0].framework_id.value, scheduler.id);
        assert_eq!(reconcile[0].statuses[0].task_id.value, "t1");
        w.events(&scheduler);
        w.report(&agent, &scheduler, "t1", S::TaskDropped, 1);
        assert_eq!(state(&w.statuses(&scheduler)[0]), lost);
        assert!(w.view().agents[0].used.is_empty());
    }
}

#[test]
fn a_lost_link_rescinds_offers_and_leaves_tasks_alone_for_ten_minutes() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    w.pass(6 * SECOND);
    let offer = w.offers(&scheduler).remove(0);
    w.cut(&agent);
    let events = w.events(&scheduler);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].rescind.as_ref().unwrap().offer_id, offer.id);
    assert!(!w.view().agents[0].connected);
    assert_eq!(w.counter("slaves_disconnected"), 1);
    w.pass(10 * MINUTE - SECOND);
    assert!(w.events(&scheduler).is_empty());
    w.pass(SECOND);
    assert_eq!(state(&w.statuses(&scheduler)[0]), S::TaskLost);
    assert_eq!(w.view().unreachable_agents.len(), 1);
}

// covers: MES-0383
#[test]
fn tasks_without_checkpoints_end_with_the_link() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(v1::FrameworkInfo { checkpoint: None, ..framework() });
    w.run_task(&agent, &scheduler, "t1");
    let task = w.task(&scheduler, "t1");
    w.cut(&agent);
    let statuses = w.statuses(&scheduler);
    assert_eq!(state(&statuses[0]), S::TaskLost);
    assert_eq!(statuses[0].reason(), Reason::AgentDisconnected);
    w.reregister(&mut agent, vec![task], &[&scheduler]);
    let inbox = w.inbox(&agent);
    assert!(inbox.iter().any(|m| m.kill_task.is_some()), "what was told lost does not run on");
    assert!(w.view().agents[0].used.is_empty());
}

#[test]
fn an_agent_on_a_link_that_is_not_its_own_is_told_to_register() {
    let mut w = World::new();
    let message = AgentMessage { pong: Some(Pong {}), ..Default::default() };
    w.agent_says(LinkId(99), message);
    let stranger =
        FakeAgent { id: String::new(), link: LinkId(99), info: agent_info("node1", "cpus:1") };
    let inbox = w.inbox(&stranger);
    assert!(!inbox[0].ping.as_ref().unwrap().connected);
}

#[test]
fn a_task_only_the_agent_knows_is_taken_over() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    let known = w.task(&scheduler, "t1");
    let mut extra = known.clone();
    extra.task_id.value = "t2".into();
    w.cut(&agent);
    w.events(&scheduler);
    w.reregister(&mut agent, vec![known, extra], &[&scheduler]);
    assert_eq!(w.view().frameworks[0].tasks.len(), 2);
    assert_eq!(w.view().agents[0].used.cpus().as_f64(), 2.0);
    w.pass(6 * SECOND);
    assert_eq!(w.view().agents[0].offered.cpus().as_f64(), 2.0, "what it uses is not offered");
    w.report(&agent, &scheduler, "t2", S::TaskFinished, 3);
    w.core.audit().unwrap();
}

#[test]
fn another_agent_on_the_same_link_does_not_confuse() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let register = RegisterAgent { agent_info: agent_info("node2", "cpus:1"), ..registration() };
    let message = AgentMessage { register: Some(register), ..Default::default() };
    w.agent_says(agent.link, message);
    w.core.audit().unwrap();
    let connected: Vec<bool> = w.view().agents.iter().map(|a| a.connected).collect();
    assert_eq!(connected, [false, true]);
}

#[test]
fn an_agent_that_moved_is_turned_away() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024");
    w.cut(&agent);
    agent.info.hostname = "node2".into();
    w.reregister(&mut agent, vec![], &[]);
    let inbox = w.inbox(&agent);
    assert!(inbox[0].shutdown.as_ref().unwrap().message.contains("attempted to re-register"));
    assert!(w.closed_links.contains(&agent.link));
    assert!(!w.view().agents[0].connected);
}

#[test]
fn more_resources_on_return_are_offered() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.events(&scheduler);
    w.cut(&agent);
    agent.info.resources = wire("cpus:8;mem:1024");
    w.reregister(&mut agent, vec![], &[]);
    let offer = w.offers(&scheduler).remove(0);
    assert_eq!(offer.resources[0].scalar.unwrap().value, 8.0);
}
