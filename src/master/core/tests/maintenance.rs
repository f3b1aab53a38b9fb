//! Machines under maintenance: the schedule, offers that tell of it, machines that go down and come up.

use super::super::io::{Answer, Input};
use super::world::*;
use crate::mesos::internal::RegisterAgent;
use crate::mesos::v1::maintenance::{ClusterStatus, Schedule, Window};
use crate::mesos::v1::{self, TaskState as S};
use v1::task_status::Reason;

const RESOURCES: &str = "cpus:4;mem:1024";
const WHEN: v1::Unavailability = when(1_000, Some(3_600));

pub const fn when(start: i64, duration: Option<i64>) -> v1::Unavailability {
    let duration = match duration {
        Some(nanoseconds) => Some(v1::DurationInfo { nanoseconds }),
        None => None,
    };
    v1::Unavailability { start: v1::TimeInfo { nanoseconds: start }, duration }
}

fn machine(hostname: &str, ip: &str) -> v1::MachineId {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_string());
    v1::MachineId { hostname: text(hostname), ip: text(ip) }
}

fn window(machine_ids: Vec<v1::MachineId>, unavailability: v1::Unavailability) -> Window {
    Window { machine_ids, unavailability }
}

/// A schedule with one window.
pub fn of(machine_ids: Vec<v1::MachineId>) -> Schedule {
    Schedule { windows: vec![window(machine_ids, WHEN)] }
}

pub fn named(hostname: &str) -> v1::MachineId {
    machine(hostname, "")
}

pub fn schedule(w: &mut World, schedule: Schedule) -> Answer {
    let schedule = Box::new(schedule);
    w.operate(|request| Input::UpdateSchedule { request, schedule })
}

pub fn down(w: &mut World, machines: &[v1::MachineId]) -> Answer {
    let machines = machines.to_vec();
    w.operate(|request| Input::MachinesDown { request, machines })
}

pub fn up(w: &mut World, machines: &[v1::MachineId]) -> Answer {
    let machines = machines.to_vec();
    w.operate(|request| Input::MachinesUp { request, machines })
}

fn shown(w: &World) -> Schedule {
    (*w.core.maintenance().0).clone()
}

fn status(w: &World) -> ClusterStatus {
    w.core.maintenance().1
}

/// The names of machines that drain, and of those that are down.
fn modes(w: &World) -> (Vec<String>, Vec<String>) {
    let status = status(w);
    let draining = status.draining_machines.iter().map(|m| m.id.hostname().to_string());
    let down = status.down_machines.iter().map(|id| id.hostname().to_string());
    (draining.collect(), down.collect())
}

fn refusal(answer: Answer) -> String {
    let (status, text) = refused(answer);
    assert_eq!(status, 400, "{text}");
    text
}

fn with_ip(hostname: &str, ip: &str) -> RegisterAgent {
    let agent_info = agent_info(hostname, RESOURCES);
    RegisterAgent { agent_info, ip: Some(ip.into()), ..registration() }
}

// covers: MES-0567, MES-0549
#[test]
fn valid_schedules_are_stored_and_invalid_ones_change_nothing() {
    let mut w = World::new();
    let two = Schedule {
        windows: vec![
            window(vec![machine("Machine1", "0.0.0.1"), named("machine2")], WHEN),
            window(vec![machine("", "0.0.0.3")], when(5, None)),
        ],
    };
    assert_eq!(schedule(&mut w, two.clone()), Answer::Done);
    assert_eq!(shown(&w), two);
    let stored = w.registry.clone();
    assert_eq!(stored.len(), 1);
    let wrong = [
        (of(vec![]), "List of machines in the maintenance window is empty"),
        (of(vec![machine("", "")]), "Both 'hostname' and 'ip' for a machine are empty"),
        (of(vec![machine("a", "1.2.3")]), "Failed to parse IP '1.2.3'"),
        (
            Schedule { windows: vec![window(vec![named("a")], when(0, Some(-1)))] },
            "Unavailability 'duration' is negative",
        ),
        (
            of(vec![named("a"), named("A")]),
            "Machine '{\"hostname\":\"A\"}' appears more than once in the schedule",
        ),
        (
            Schedule {
                windows: vec![
                    window(vec![machine("a", "1.1.1.1")], WHEN),
                    window(vec![machine("a", "1.1.1.1")], WHEN),
                ],
            },
            "Machine '{\"hostname\":\"a\",\"ip\":\"1.1.1.1\"}' appears more than once in the schedule",
        ),
        (of(vec![named(&"x".repeat(2 << 20))]), "The schedule takes more than 1048576 bytes"),
    ];
    for (invalid, text) in wrong {
        assert_eq!(refusal(schedule(&mut w, invalid)), text);
        assert_eq!((shown(&w), &w.registry), (two.clone(), &stored), "{text}");
    }
    // The same machines at other times, and fewer of them.
    let one = of(vec![named("MACHINE2")]);
    assert_eq!(schedule(&mut w, one.clone()), Answer::Done);
    w.fail_over();
    assert_eq!(shown(&w), one, "another master knows it");
    assert_eq!(schedule(&mut w, Schedule::default()), Answer::Done);
    assert!(w.registry.is_empty(), "nothing is left to remember");
    assert_eq!(shown(&w), Schedule::default());
}

// covers: MES-0568, MES-0571, MES-0572, MES-0573, MES-0550, MES-0551
#[test]
fn machines_go_down_and_up_in_this_order_only() {
    let mut w = World::new();
    let (a, b) = (named("a"), named("b"));
    let name = |id: &v1::MachineId| format!("Machine '{{\"hostname\":\"{}\"}}'", id.hostname());
    assert_eq!(modes(&w), (vec![], vec![]));
    schedule(&mut w, of(vec![a.clone(), b.clone()]));
    assert_eq!(modes(&w), (vec!["a".into(), "b".into()], vec![]));
    let stored = w.registry.clone();
    for call in [down, up] {
        assert_eq!(refusal(call(&mut w, &[])), "List of machines is empty");
        let text = refusal(call(&mut w, &[machine("", "")]));
        assert_eq!(text, "Both 'hostname' and 'ip' for a machine are empty");
        let text = refusal(call(&mut w, &[a.clone(), named("A")]));
        assert!(text.contains("appears more than once"), "{text}");
        let text = refusal(call(&mut w, &[named("c")]));
        assert_eq!(text, format!("{} is not part of a maintenance schedule", name(&named("c"))));
    }
    let text = refusal(up(&mut w, std::slice::from_ref(&a)));
    assert_eq!(text, format!("{} is not in DOWN mode and cannot be brought up", name(&a)));
    // All of them or none.
    assert!(matches!(down(&mut w, &[a.clone(), named("c")]), Answer::Refused { .. }));
    assert_eq!(w.registry, stored);
    assert_eq!(down(&mut w, &[named("A")]), Answer::Done);
    assert_eq!(modes(&w), (vec!["b".into()], vec!["a".into()]));
    let text = refusal(down(&mut w, std::slice::from_ref(&a)));
    let why = "is not in DRAINING mode and cannot be brought down";
    assert_eq!(text, format!("{} {why}", name(&a)));
    // It stays in the schedule as long as it is down.
    let text = refusal(schedule(&mut w, of(vec![b.clone()])));
    let why = "is deactivated and cannot be removed from the schedule";
    assert_eq!(text, format!("{} {why}", name(&a)));
    assert_eq!(schedule(&mut w, of(vec![b.clone(), a.clone()])), Answer::Done);
    w.fail_over();
    assert_eq!(modes(&w), (vec!["b".into()], vec!["a".into()]), "another master knows it");
    assert_eq!(up(&mut w, &[a]), Answer::Done);
    assert_eq!((modes(&w), shown(&w)), ((vec!["b".into()], vec![]), of(vec![b.clone()])));
    assert_eq!(down(&mut w, std::slice::from_ref(&b)), Answer::Done);
    assert_eq!(up(&mut w, &[b]), Answer::Done);
    assert_eq!((modes(&w), shown(&w)), ((vec![], vec![]), Schedule::default()));
    assert!(w.registry.is_empty());
}

// covers: MES-0569
#[test]
fn offers_of_scheduled_machines_say_so_and_outstanding_ones_are_rescinded() {
    let mut w = World::new();
    let agent = w.agent("Node1", RESOURCES);
    w.agent("node2", RESOURCES);
    let scheduler = w.scheduler(framework());
    let offers = w.offers(&scheduler);
    assert!(offers.len() == 2 && offers.iter().all(|o| o.unavailability.is_none()));
    let before = offers.iter().find(|o| o.agent_id.value == agent.id).unwrap();
    let mut outstanding = before.id.clone();
    let later = Schedule { windows: vec![window(vec![named("node1")], when(9, None))] };
    for (plan, said) in [
        (of(vec![named("node1")]), Some(WHEN)),
        (later, Some(when(9, None))),
        (Schedule::default(), None),
    ] {
        assert_eq!(schedule(&mut w, plan.clone()), Answer::Done);
        let events = w.events(&scheduler);
        let rescinded: Vec<_> =
            events.iter().filter_map(|e| e.rescind.as_ref()).map(|r| &r.offer_id).collect();
        assert_eq!(rescinded, [&outstanding], "only that agent's");
        let offers: Vec<_> = events.iter().filter_map(|e| e.offers.as_ref()).collect();
        let offer = &offers[0].offers[0];
        assert_eq!((offers.len(), &offer.agent_id.value), (1, &agent.id));
        assert_eq!(offer.unavailability, said);
        outstanding = offer.id.clone();
        // The same once more changes nothing.
        schedule(&mut w, plan);
        assert!(w.events(&scheduler).iter().all(|e| e.rescind.is_none()));
        w.audit().unwrap();
    }
}

#[test]
fn a_machine_is_known_by_whatever_the_schedule_says_of_it() {
    let table = [
        // The machine, the agent's name and address, whether it is on it.
        (machine("a", "10.0.0.1"), "A", Some("10.0.0.1"), true),
        (machine("a", "10.0.0.1"), "a", Some("10.0.0.2"), false),
        (machine("b", "10.0.0.1"), "a", Some("10.0.0.1"), false),
        (machine("a", "10.0.0.1"), "a", None, true),
        (machine("b", "10.0.0.1"), "a", None, false),
        (machine("a", ""), "a", Some("10.0.0.1"), true),
        (machine("", "10.0.0.1"), "a", Some("10.0.0.1"), true),
        (machine("", "10.0.0.1"), "a", None, false),
        (machine("10.0.0.1", "10.0.0.1"), "10.0.0.1", None, true),
        (machine("", "10.0.0.1"), "10.0.0.1", Some("127.0.0.1"), true),
        (machine("10.0.0.1", "127.0.0.1"), "10.0.0.1", Some("127.0.0.1"), true),
        (machine("", "127.0.0.1"), "10.0.0.1", Some("127.0.0.1"), false),
    ];
    for (machine, hostname, ip, is_on_it) in table {
        let mut w = World::new();
        let agent_info = agent_info(hostname, RESOURCES);
        let ip = ip.map(String::from);
        let said = format!("{machine:?} {hostname} {ip:?}");
        w.register(RegisterAgent { agent_info, ip, ..registration() });
        let scheduler = w.scheduler(framework());
        w.offers(&scheduler);
        schedule(&mut w, of(vec![machine]));
        let told = w.offers(&scheduler);
        assert_eq!(told.iter().any(|o| o.unavailability == Some(WHEN)), is_on_it, "{said}");
    }
}

// covers: MES-0570
#[test]
fn a_machine_that_goes_down_loses_its_agent_and_lets_none_in_until_it_is_up() {
    let mut w = World::new();
    let agent = w.agent("node1", RESOURCES);
    let other = w.agent("node2", RESOURCES);
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    schedule(&mut w, of(vec![named("NODE1")]));
    w.events(&scheduler);
    assert_eq!(down(&mut w, &[named("node1")]), Answer::Done);
    let told = w.inbox(&agent).into_iter().find_map(|m| m.shutdown).expect("it is told to end");
    assert_eq!(told.message, "Operator initiated 'Machine DOWN'");
    assert!(w.closed_links.contains(&agent.link));
    let events = w.events(&scheduler);
    let lost = events.iter().find_map(|e| e.update.as_ref()).map(|u| &u.status).expect("a status");
    assert_eq!((state(lost), lost.reason()), (S::TaskLost, Reason::AgentRemoved));
    assert!(lost.message().contains("Machine DOWN"), "{lost:?}");
    let failure = events.iter().find_map(|e| e.failure.as_ref()).expect("a FAILURE");
    assert_eq!(failure.agent_id.as_ref().unwrap().value, agent.id);
    let left: Vec<_> = w.view().agents.iter().map(|a| a.info.hostname.clone()).collect();
    assert_eq!((left, w.closed_links.contains(&other.link)), (vec!["node2".into()], false));
    w.audit().unwrap();
    for failed_over in [false, true] {
        if failed_over {
            w.fail_over();
        }
        // With its id, and with what it runs, it is to end.
        let agent_info = agent.info.clone();
        let back = w.register(RegisterAgent { agent_info, ..registration() });
        let shutdown = w.inbox(&back).into_iter().find_map(|m| m.shutdown).expect("an answer");
        assert_eq!(shutdown.message, "Machine is `DOWN`");
        assert!(w.closed_links.contains(&back.link));
        // As a new one it may ask again.
        let new = w.agent("node1", RESOURCES);
        assert!(w.inbox(&new).is_empty());
        assert_eq!(w.refused_links[&new.link], "Machine is `DOWN`");
        assert!(w.view().agents.iter().all(|a| a.info.hostname != "node1"));
    }
    assert_eq!(up(&mut w, &[named("node1")]), Answer::Done);
    let scheduler = w.resubscribe(&scheduler);
    let new = w.agent("node1", RESOURCES);
    assert!(w.inbox(&new).iter().any(|m| m.registered.is_some()));
    let offer = w.offers(&scheduler).into_iter().find(|o| o.agent_id.value == new.id);
    assert_eq!(offer.expect("an offer").unavailability, None);
    w.audit().unwrap();
}

#[test]
fn one_who_is_said_to_be_on_two_machines_is_kept_out_by_either() {
    let mut w = World::new();
    let (whole, by_name) = (machine("a", "10.0.0.1"), named("a"));
    schedule(&mut w, of(vec![whole, by_name.clone()]));
    let agent = w.register(with_ip("a", "10.0.0.1"));
    w.inbox(&agent);
    assert_eq!(down(&mut w, std::slice::from_ref(&by_name)), Answer::Done);
    assert!(w.inbox(&agent).iter().any(|m| m.shutdown.is_some()));
    w.audit().unwrap();
    let new = w.register(with_ip("a", "10.0.0.1"));
    assert!(w.refused_links.contains_key(&new.link) && w.view().agents.is_empty());
    up(&mut w, &[by_name]);
    w.register(with_ip("a", "10.0.0.1"));
    assert_eq!(w.view().agents.len(), 1);
}

#[test]
fn agents_of_the_schedule_are_not_drained_and_bad_addresses_are_refused() {
    let mut w = World::new();
    let agent = w.agent("node1", RESOURCES);
    schedule(&mut w, of(vec![named("node1")]));
    let text = refusal(w.drain_agent(&agent.id, None, false));
    assert!(text.contains("maintenance schedule"), "{text}");
    schedule(&mut w, Schedule::default());
    assert_eq!(w.drain_agent(&agent.id, None, false), Answer::Done);
    let bad = w.register(with_ip("node2", "nowhere"));
    let told = w.inbox(&bad).into_iter().find_map(|m| m.shutdown).expect("it is refused");
    assert!(told.message.contains("'nowhere'"), "{}", told.message);
}
