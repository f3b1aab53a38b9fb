//! Ports that tasks listen on without having been given them.

use super::world::*;
use crate::agent::core::io::{Act, Input};
use crate::agent::core::options::{Options, PortsWatch};
use crate::base::ids::ContainerId;
use crate::base::resources::Ranges;
use crate::mesos::make;
use crate::mesos::v1::{self, TaskState::*, task_status::Reason};
use std::time::Duration;

fn watch() -> PortsWatch {
    let interval = Duration::from_secs(30);
    PortsWatch { interval, enforce: true, of_agent: false, range: None }
}

fn watching(watch: PortsWatch) -> World {
    let mut info = agent_info();
    info.resources = vec![make::ranges("ports", &[(31_000, 32_000)])];
    let mut options = Options::new(info, "127.0.0.1", "/work");
    options.ports_watch = Some(watch);
    let mut world = World::with(options);
    world.connect();
    world
}

fn with_ports(mut task: v1::TaskInfo, begin: u64, end: u64) -> v1::TaskInfo {
    task.resources.push(make::ranges("ports", &[(begin, end)]));
    task
}

fn looks(w: &World) -> Vec<Vec<ContainerId>> {
    let of = |act: &Act| match act {
        Act::LookAtPorts { containers } => Some(containers.clone()),
        _ => None,
    };
    w.acts.iter().filter_map(of).collect()
}

fn listens(w: &mut World, container: &ContainerId, ports: &[u64]) {
    let ports = Ranges::new(ports.iter().map(|p| (*p, *p)));
    w.input(Input::Listening { all: vec![(container.clone(), ports)] });
}

fn warnings(w: &World) -> usize {
    w.count(|act| matches!(act, Act::Warn { .. }))
}

// covers: MES-0917
#[test]
fn a_task_on_ports_of_others_has_failed_and_one_on_its_own_goes_on() {
    let mut w = watching(watch());
    w.run(with_ports(task("t"), 31_000, 31_001));
    let container = w.container("t").expect("it runs");
    w.advance(Duration::from_secs(29));
    assert!(looks(&w).is_empty());
    w.advance(Duration::from_secs(2));
    assert_eq!(looks(&w), [[container.clone()]]);
    listens(&mut w, &container, &[31_000, 31_001]);
    assert_eq!(w.last("t").state(), TaskRunning);
    w.advance(Duration::from_secs(31));
    assert_eq!(looks(&w).len(), 2, "again and again");
    listens(&mut w, &container, &[31_001, 31_002, 8080]);
    let last = w.last("t");
    assert_eq!((last.state(), last.reason()), (TaskFailed, Reason::ContainerLimitation));
    let text = format!(
        "Container {container} is listening on unallocated port(s): [8080-8080, 31002-31002]"
    );
    assert_eq!(last.message(), text);
    let limitation = last.limitation.expect("a limitation");
    assert_eq!(limitation.resources, [make::ranges("ports", &[(8080, 8080), (31_002, 31_002)])]);
    assert!(w.containers.is_empty(), "its container is destroyed");
    // What has ended is nobody's any more, and others are looked at on.
    listens(&mut w, &container, &[1]);
    w.run(task("u"));
    w.advance(Duration::from_secs(31));
    assert_eq!(looks(&w).last(), Some(&vec![w.container("u").expect("it runs")]));
}

#[test]
fn without_enforcement_it_is_told_in_the_log_alone() {
    let mut w = watching(PortsWatch { enforce: false, ..watch() });
    w.run(task("t"));
    let container = w.container("t").expect("it runs");
    listens(&mut w, &container, &[31_000]);
    assert_eq!((w.last("t").state(), warnings(&w)), (TaskRunning, 1));
}

#[test]
fn ports_that_do_not_count_are_anybodys() {
    let range = Some(Ranges::new([(8000, 8999)]));
    for (watch, port, ends) in [
        (PortsWatch { of_agent: true, ..watch() }, 8080, false),
        (PortsWatch { of_agent: true, ..watch() }, 31_000, true),
        (PortsWatch { range: range.clone(), ..watch() }, 8080, true),
        (PortsWatch { range, ..watch() }, 31_000, false),
    ] {
        let mut w = watching(watch);
        w.run(task("t"));
        let container = w.container("t").expect("it runs");
        listens(&mut w, &container, &[port]);
        let state = if ends { TaskFailed } else { TaskRunning };
        assert_eq!(w.last("t").state(), state, "{port}");
    }
}

#[test]
fn containers_with_a_network_of_their_own_may_listen_where_they_like() {
    let mut w = watching(watch());
    w.containerizer = false;
    w.run(task("t"));
    let container = w.container("t").expect("it is prepared");
    let network = v1::NetworkInfo { name: Some("net".into()), ..Default::default() };
    w.input(Input::Prepared { container: container.clone(), result: Ok(()) });
    w.input(Input::Joined { container: container.clone(), networks: vec![network] });
    w.input(Input::Created { container: container.clone(), result: Ok(()) });
    w.input(Input::Started { container: container.clone(), result: Ok(7) });
    w.advance(Duration::from_secs(31));
    assert!(looks(&w).is_empty());
    listens(&mut w, &container, &[80]);
    assert_eq!(w.last("t").state(), TaskRunning);
}

#[test]
fn an_executors_ports_are_those_of_all_its_tasks_and_looked_at_after_a_restart() {
    let mut w = watching(watch());
    w.run(with_ports(custom("a", "e"), 31_000, 31_000));
    w.run(with_ports(custom("b", "e"), 31_001, 31_001));
    let container = w.containers.keys().next().expect("it runs").clone();
    w.restart();
    w.connect();
    w.subscribe(1, "e", Default::default());
    let before = looks(&w).len();
    w.advance(Duration::from_secs(31));
    assert_eq!(looks(&w).len(), before + 1);
    listens(&mut w, &container, &[31_000, 31_001]);
    assert!(!w.containers.is_empty());
    listens(&mut w, &container, &[31_002]);
    for id in ["a", "b"] {
        assert_eq!(w.last(id).reason(), Reason::ContainerLimitation, "{id}");
    }
    assert!(w.containers.is_empty());
}

#[test]
fn nobody_looks_unless_asked() {
    let mut w = World::ready();
    w.run(task("t"));
    w.advance(Duration::from_secs(600));
    assert!(looks(&w).is_empty());
}
