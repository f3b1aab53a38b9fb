//! Offers: who gets what, what is declined, and when offers are wanted.

use super::super::options::{AcceptedRoles, Options};
use super::super::view::{Condition, Reason};
use super::world::{SECOND, World, app, id};
use crate::marathon::model::{App, Constraint, Operator, PortDefinition, Protocol, Timestamp};
use crate::mesos::v1::scheduler::call;

fn constrained(field: &str, operator: Operator, value: Option<&str>, app: App) -> App {
    let rule = Constraint { field: field.into(), operator, value: value.map(str::to_string) };
    App { constraints: vec![rule], ..app }
}

fn reason(world: &World) -> Option<(Reason, String)> {
    let queue = world.view().queue;
    let queued = queue.first()?;
    let row = queued.rejects_attempt.iter().find(|r| r.declined > 0)?;
    Some((row.reason, queued.explanation.refusals[0].detail.clone()))
}

// covers: MAR-0377, MAR-0301, MAR-0389
#[test]
fn what_does_not_fit_waits_and_says_why() {
    let with_ports = |app: App| App {
        port_definitions: vec![PortDefinition { port: 80, ..PortDefinition::default() }],
        require_ports: true,
        ..app
    };
    for (wanted, expected, words) in [
        (
            App { cpus: 11.0, ..app("/a", 1) },
            Reason::InsufficientCpus,
            "needs 11 cpus; the nearest offer had 10 cpus on host0",
        ),
        (
            App { mem: 10_001.0, ..app("/a", 1) },
            Reason::InsufficientMemory,
            "needs 10001 MiB of memory; the nearest offer had 10000 MiB of memory on host0",
        ),
        (
            App { disk: 1.0, ..app("/a", 1) },
            Reason::InsufficientDisk,
            "needs 1 MiB of disk; the nearest offer had 0 MiB of disk on host0",
        ),
        (
            App { gpus: 1, ..app("/a", 1) },
            Reason::InsufficientGpus,
            "needs 1 gpus; the nearest offer had 0 gpus on host0",
        ),
        (
            with_ports(app("/a", 1)),
            Reason::InsufficientPorts,
            "needs its own host ports; the nearest offer, on host0, did not have them all",
        ),
        (
            constrained("hostname", Operator::Like, Some("x"), app("/a", 1)),
            Reason::UnfulfilledConstraint,
            "hostname LIKE x",
        ),
        (
            App { accepted_resource_roles: Some(vec!["web".into()]), ..app("/a", 1) },
            Reason::UnfulfilledRole,
            "nothing is offered of the roles web",
        ),
        (
            App { role: "web".into(), ..app("/a", 1) },
            Reason::UnfulfilledRole,
            "nothing is offered to the role web",
        ),
    ] {
        let mut world = World::new(1);
        world.deploy(&[wanted]);
        assert_eq!(reason(&world), Some((expected, words.to_string())));
        assert_eq!(world.calls_of(call::Type::Accept), 0);
        assert!(world.calls_of(call::Type::Decline) >= 1);
        let queued = world.view().queue[0].clone();
        assert_eq!((queued.count, queued.last_unused_offers.len()), (1, 1));
        assert!(queued.explanation.hint.is_some());
    }
}

// covers: MAR-0372
#[test]
fn nothing_of_a_resource_needs_no_resource() {
    let mut world = World::new(0);
    world.add_agent(0, "cpus:1;mem:100", "");
    world.deploy(&[App { disk: 0.0, gpus: 0, ..app("/a", 1) }]);
    assert_eq!(world.running("/a").len(), 1);
}

// covers: MAR-0375, MAR-0376
#[test]
fn only_accepted_roles_are_used() {
    let reserved = "cpus(*):1;mem(*):100";
    for (behaviour, roles, runs) in [
        (AcceptedRoles::Any, None, true),
        (AcceptedRoles::Reserved, None, false),
        (AcceptedRoles::Reserved, Some(vec!["*".to_string()]), true),
        (AcceptedRoles::Unreserved, None, true),
    ] {
        let options = Options { accepted_roles: behaviour, ..Options::default() };
        let mut world = World::with(0, options);
        world.add_agent(0, reserved, "");
        world.deploy(&[App { accepted_resource_roles: roles.clone(), ..app("/a", 1) }]);
        assert_eq!(world.running("/a").len(), usize::from(runs), "{behaviour:?} {roles:?}");
    }
}

// covers: MAR-0357, MAR-0364, MAR-0365
#[test]
fn constraints_hold_within_one_offer_and_over_many() {
    let spread = |world: &World| {
        let mut hosts: Vec<String> = world.tasks.values().map(|t| t.agent.clone()).collect();
        hosts.sort();
        hosts
    };
    let mut world = World::new(3);
    world.deploy(&[constrained("hostname", Operator::Unique, None, app("/a", 4))]);
    assert_eq!(spread(&world), ["s0", "s1", "s2"]);
    assert_eq!(reason(&world).map(|r| r.0), Some(Reason::UnfulfilledConstraint));
    let mut world = World::new(3);
    world.deploy(&[constrained("hostname", Operator::MaxPer, Some("2"), app("/a", 6))]);
    assert_eq!(spread(&world), ["s0", "s0", "s1", "s1", "s2", "s2"]);
    let mut world = World::new(3);
    world.deploy(&[constrained("hostname", Operator::GroupBy, Some("3"), app("/a", 6))]);
    assert_eq!(spread(&world), ["s0", "s0", "s1", "s1", "s2", "s2"]);
}

// covers: MAR-0378
#[test]
fn only_instances_of_the_present_configuration_count() {
    let mut world = World::new(1);
    world.deploy(&[constrained("hostname", Operator::Unique, None, app("/a", 1))]);
    let first = world.running("/a");
    let changed = App { mem: 17.0, ..app("/a", 1) };
    world.deploy(&[constrained("hostname", Operator::Unique, None, changed)]);
    assert_eq!(world.deployments(), 0);
    assert_ne!(world.running("/a"), first);
}

// covers: MAR-0391
#[test]
fn apps_take_turns() {
    let mut world = World::new(0);
    world.deploy(&[app("/a", 10), app("/b", 10)]);
    world.add_agent(0, "cpus:1;mem:10000", "");
    world.wanted = true;
    world.run();
    assert_eq!((world.running("/a").len(), world.running("/b").len()), (5, 5));
}

#[test]
fn an_offer_takes_no_more_than_it_may() {
    let options = Options { max_instances_per_offer: 4, ..Options::default() };
    let mut world = World::with(1, options);
    world.deploy(&[app("/a", 10)]);
    let accepts: Vec<usize> = world
        .calls
        .iter()
        .filter_map(|c| c.accept.as_ref())
        .map(|a| a.operations[0].launch.as_ref().map_or(0, |l| l.task_infos.len()))
        .collect();
    assert_eq!(accepts.first(), Some(&4));
    assert!(accepts.iter().all(|n| *n <= 4));
}

#[test]
fn offers_are_wanted_only_while_something_waits() {
    let mut world = World::new(1);
    assert_eq!(world.calls_of(call::Type::Suppress), 1);
    world.deploy(&[app("/a", 1)]);
    assert_eq!((world.calls_of(call::Type::Revive), world.calls_of(call::Type::Suppress)), (1, 2));
    world.pass(SECOND * 100);
    assert_eq!((world.calls_of(call::Type::Revive), world.calls_of(call::Type::Suppress)), (1, 2));
    world.deploy(&[App { cpus: 100.0, ..app("/big", 1) }]);
    let before = world.calls_of(call::Type::Revive);
    world.pass(SECOND * 10);
    assert_eq!(world.calls_of(call::Type::Revive), before + 2, "called for again every 5 s");
}

#[test]
fn a_call_for_offers_that_did_not_arrive_is_repeated() {
    let mut world = World::new(1);
    world.swallow = Some(call::Type::Revive);
    world.deploy(&[app("/a", 1)]);
    assert!(world.running("/a").is_empty());
    world.pass(SECOND);
    assert_eq!(world.running("/a").len(), 1);
}

#[test]
fn an_answer_to_offers_that_did_not_arrive_is_repeated() {
    for kind in [call::Type::Decline, call::Type::Accept] {
        let mut world = World::new(1);
        world.swallow = Some(kind);
        // One fits, the other never does: so offers are declined and accepted.
        world.deploy(&[app("/a", 1), App { cpus: 100.0, ..app("/big", 1) }]);
        world.pass(SECOND * 60);
        assert_eq!(world.running("/a").len(), 1, "{kind:?}");
        assert!(world.offers.is_empty(), "{kind:?}: {:?}", world.offers);
        assert!(world.calls_of(call::Type::Decline) > 3, "{kind:?}");
    }
}

#[test]
fn rescinded_offers_and_those_of_a_lost_subscription_are_not_used() {
    let mut world = World::new(1);
    world.disconnect();
    world.deploy(&[app("/a", 1)]);
    assert_eq!(world.in_condition("/a", Condition::Scheduled).len(), 1);
    world.subscribe();
    world.run();
    assert_eq!(world.running("/a").len(), 1);
    assert!(world.told().contains(&"SchedulerDisconnected".to_string()));
    assert!(world.told().contains(&"SchedulerReregistered".to_string()));
}

// covers: MAR-0405, MAR-0407, MAR-0408, MAR-0409, MAR-0411, MAR-0414
#[test]
fn what_a_task_is_launched_with() {
    let mut world = World::new(1);
    let mut full = app("/g/a", 1);
    full.port_definitions = vec![PortDefinition {
        port: 0,
        name: Some("http".into()),
        labels: [("VIP_0".to_string(), "/a:80".to_string())].into(),
        protocol: Protocol::UdpTcp,
    }];
    full.labels = [("l".to_string(), "v".to_string())].into();
    full.task_kill_grace_period_seconds = Some(7);
    full.fetch = vec![crate::marathon::model::Fetch {
        uri: "http://x/a.tgz".into(),
        extract: true,
        executable: false,
        cache: true,
        dest_path: None,
    }];
    world.deploy(&[full]);
    let task = world.tasks.values().next().expect("a task").info.clone();
    assert_eq!(task.name, "a.g");
    let command = task.command.expect("a command");
    assert_eq!((command.shell, command.value.as_deref()), (Some(true), Some("sleep 1000")));
    assert_eq!(
        (command.uris[0].value.as_str(), command.uris[0].cache),
        ("http://x/a.tgz", Some(true))
    );
    let grace = task.kill_policy.and_then(|p| p.grace_period).map(|g| g.nanoseconds);
    assert_eq!(grace, Some(7_000_000_000));
    let port = world.app("/g/a").instances[0].host_ports[0];
    let discovery = task.discovery.expect("discovery");
    assert_eq!(discovery.name.as_deref(), Some("a.g"));
    let told = discovery.ports.as_ref().expect("ports").ports[0].clone();
    assert_eq!((told.number, told.name.as_deref()), (u32::from(port), Some("http")));
    let protocols: Vec<_> = discovery.ports.iter().flat_map(|p| &p.ports).collect();
    let protocols: Vec<_> = protocols.iter().map(|p| (p.number, p.protocol.as_deref())).collect();
    let number = u32::from(port);
    assert_eq!(protocols, [(number, Some("udp")), (number, Some("tcp"))]);
    let labels: Vec<_> =
        told.labels.expect("labels").labels.iter().map(|l| l.key.clone()).collect();
    assert_eq!(labels, ["VIP_0", "network-scope"]);
    assert_eq!(task.labels.expect("labels").labels[0].key, "l");
    let variables = command.environment.expect("variables").variables;
    let value = |name: &str| {
        variables.iter().find(|v| v.name == name).and_then(|v| v.value.clone()).expect("a variable")
    };
    assert_eq!(value("PORT0"), port.to_string());
    assert_eq!(value("HOST"), "host0");
    assert_eq!(value("MARATHON_APP_ID"), "/g/a");
    assert_eq!(value("MESOS_TASK_ID"), task.task_id.value);
}

// covers: MAR-0406
#[test]
fn words_instead_of_a_shell() {
    let mut world = World::new(1);
    let args = vec!["sleep".to_string(), "5".to_string()];
    world.deploy(&[App { cmd: None, args, ..app("/a", 1) }]);
    let task = world.tasks.values().next().expect("a task").info.clone();
    let command = task.command.expect("a command");
    assert_eq!((command.shell, command.value.as_deref()), (Some(false), Some("sleep")));
    assert_eq!(command.arguments, ["sleep", "5"]);
    let _ = (id("/a"), Timestamp::default());
}
