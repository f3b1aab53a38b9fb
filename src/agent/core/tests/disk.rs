//! The disk use of sandboxes, and the networks containers join.

use super::world::*;
use crate::agent::core::io::{Act, Input};
use crate::agent::core::options::Options;
use crate::base::ids::ContainerId;
use crate::mesos::v1::{self, TaskState::*, task_status::Reason};
use std::time::Duration;

const MB: u64 = 1 << 20;

fn enforcing(enforce: bool) -> World {
    let mut options = Options::new(agent_info(), "127.0.0.1", "/work");
    options.enforce_container_disk_quota = enforce;
    let mut world = World::with(options);
    world.connect();
    world
}

fn with_disk(mut task: v1::TaskInfo, mb: f64) -> v1::TaskInfo {
    task.resources.push(scalar("disk", mb));
    task
}

fn measures(w: &World) -> usize {
    w.count(|act| matches!(act, Act::MeasureSandbox { .. }))
}

fn measured(w: &mut World, container: &ContainerId, mb: u64) {
    w.input(Input::SandboxUsage { container: container.clone(), bytes: Some(mb * MB) });
}

// covers: MES-0850
#[test]
fn a_task_over_its_disk_has_failed() {
    let mut w = enforcing(true);
    w.run(with_disk(task("t"), 10.0));
    let container = w.container("t").expect("it runs");
    w.advance(Duration::from_secs(14));
    assert_eq!(measures(&w), 0);
    w.advance(Duration::from_secs(2));
    assert_eq!(measures(&w), 1);
    measured(&mut w, &container, 10);
    assert_eq!(w.last("t").state(), TaskRunning);
    w.advance(Duration::from_secs(16));
    assert_eq!(measures(&w), 2);
    measured(&mut w, &container, 20);
    let last = w.last("t");
    assert_eq!((last.state(), last.reason()), (TaskFailed, Reason::ContainerLimitationDisk));
    assert_eq!(last.message(), "Disk usage (20MB) exceeds quota (10MB)");
    let limitation = &last.limitation.expect("a limitation").resources[0];
    assert_eq!((limitation.name.as_str(), limitation.scalar.unwrap().value), ("disk", 20.0));
    assert!(w.containers.is_empty(), "its container is destroyed");
    measured(&mut w, &container, 30);
    w.advance(Duration::from_secs(60));
    assert_eq!(measures(&w), 2, "what has ended is not measured");
}

// covers: MES-0852, MES-0853
#[test]
fn without_enforcement_it_is_told_only() {
    let mut w = enforcing(false);
    w.run(with_disk(task("t"), 10.0));
    let container = w.container("t").expect("it runs");
    measured(&mut w, &container, 20);
    assert_eq!(w.last("t").state(), TaskRunning);
    let view = w.core().view();
    let executor = &view.frameworks[0].executors[0];
    assert_eq!((executor.disk_used, executor.disk_limit), (Some(20 * MB), Some(10 * MB)));
    // What could not be measured is not nothing.
    w.input(Input::SandboxUsage { container: container.clone(), bytes: None });
    assert_eq!(w.core().view().frameworks[0].executors[0].disk_used, Some(20 * MB));
}

#[test]
fn a_task_without_disk_has_no_quota_and_volumes_are_not_the_sandboxs() {
    let mut w = enforcing(true);
    w.run(task("none"));
    let mut volume = scalar("disk", 5.0);
    volume.disk =
        Some(v1::resource::DiskInfo { volume: Some(v1::Volume::default()), ..Default::default() });
    let mut both = with_disk(task("both"), 10.0);
    both.resources.push(volume);
    w.run(both);
    let none = w.container("none").expect("it runs");
    measured(&mut w, &none, 100_000);
    assert_eq!(w.last("none").state(), TaskRunning);
    let both = w.container("both").expect("it runs");
    measured(&mut w, &both, 12);
    assert_eq!(w.last("both").state(), TaskFailed);
}

// covers: MES-0854
#[test]
fn quotas_hold_after_a_restart() {
    let mut w = enforcing(true);
    w.run(with_disk(task("t"), 10.0));
    let container = w.container("t").expect("it runs");
    w.restart();
    w.connect();
    let before = measures(&w);
    w.advance(Duration::from_secs(16));
    assert_eq!(measures(&w), before + 1);
    measured(&mut w, &container, 11);
    assert_eq!(w.last("t").reason(), Reason::ContainerLimitationDisk);
}

#[test]
fn all_tasks_of_an_executor_end_with_its_disk() {
    let mut w = enforcing(true);
    w.run(with_disk(custom("a", "e"), 1.0));
    w.run(with_disk(custom("b", "e"), 1.0));
    let container = w.containers.keys().next().expect("it runs").clone();
    measured(&mut w, &container, 2);
    assert!(!w.containers.is_empty(), "their disk is shared");
    measured(&mut w, &container, 3);
    for id in ["a", "b"] {
        assert_eq!(w.last(id).reason(), Reason::ContainerLimitationDisk, "{id}");
    }
    assert!(w.containers.is_empty());
}

#[test]
fn disk_that_is_not_watched_is_not_measured() {
    let mut options = Options::new(agent_info(), "127.0.0.1", "/work");
    options.container_disk_watch_interval = None;
    let mut w = World::with(options);
    w.connect();
    w.run(with_disk(task("t"), 1.0));
    w.advance(Duration::from_secs(600));
    assert_eq!(measures(&w), 0);
}

#[test]
fn networks_are_told_and_remembered() {
    let mut w = World::ready();
    w.containerizer = false;
    w.run(task("t"));
    let container = w.container("t").expect("it is prepared");
    let ip = |address: &str| v1::network_info::IpAddress {
        protocol: None,
        ip_address: Some(address.into()),
    };
    let network = v1::NetworkInfo {
        name: Some("net".into()),
        ip_addresses: vec![ip("10.1.1.1")],
        ..Default::default()
    };
    w.input(Input::Prepared { container: container.clone(), result: Ok(()) });
    w.input(Input::Joined { container: container.clone(), networks: vec![network.clone()] });
    w.input(Input::Created { container: container.clone(), result: Ok(()) });
    w.input(Input::Started { container, result: Ok(7) });
    let told = |w: &World| w.last("t").container_status.expect("a container").network_infos;
    assert_eq!(told(&w), vec![network.clone()]);
}

/// A container of the mesos containerizer.
fn mesos() -> v1::ContainerInfo {
    let r#type = v1::container_info::Type::Mesos as i32;
    v1::ContainerInfo { r#type, ..Default::default() }
}

#[test]
fn executors_without_a_container_info_have_the_operators() {
    let mut options = Options::new(agent_info(), "127.0.0.1", "/work");
    let info = v1::ContainerInfo { hostname: Some("usual".into()), ..mesos() };
    options.default_container_info = Some(info.clone());
    let mut w = World::with(options);
    w.connect();
    w.run(task("t"));
    let own = v1::ContainerInfo { hostname: Some("own".into()), ..mesos() };
    w.run(v1::TaskInfo { container: Some(own), ..task("u") });
    for (id, name) in [("t", "usual"), ("u", "own")] {
        let container = &w.containers[&w.container(id).expect("it runs")];
        let given = container.launch.executor.container.clone().expect("a ContainerInfo");
        assert_eq!(given.hostname.as_deref(), Some(name));
    }
}
