//! Docker tasks: what they are told of the engine, and where they differ from other tasks.

use super::world::*;
use crate::agent::core::docker::Inspected;
use crate::agent::core::io::{Act, Exit, Input};
use crate::agent::core::options::{Containerizer, Options};
use crate::base::time::Wall;
use crate::mesos::v1::{self, TaskState::*, container_info, task_status::Reason};
use std::sync::Arc;
use std::time::Duration;

fn dockerized(id: &str) -> v1::TaskInfo {
    let docker = container_info::DockerInfo { image: "centos".into(), ..Default::default() };
    let container = v1::ContainerInfo {
        r#type: container_info::Type::Docker as i32,
        docker: Some(docker),
        ..Default::default()
    };
    v1::TaskInfo { container: Some(container), ..task(id) }
}

fn inspected() -> Arc<Inspected> {
    Arc::new(Inspected {
        json: b"[{}]".to_vec(),
        addresses: vec!["172.17.0.2".into()],
        network: Some("bridge".into()),
    })
}

// covers: MES-0923
#[test]
fn the_first_running_update_holds_what_the_engine_says() {
    let mut w = World::ready();
    w.containerizer = false;
    w.run(dockerized("t"));
    let container = w.container("t").expect("a container");
    let say = |w: &mut World, message: &str| {
        let message = message.to_string();
        w.input(Input::Progress { container: container.clone(), message });
    };
    say(&mut w, "Pulling image 'centos' from docker.io");
    assert_eq!(w.states("t"), [TaskStarting, TaskStarting]);
    assert_eq!(w.last("t").message(), "Pulling image 'centos' from docker.io");
    w.input(Input::Prepared { container: container.clone(), result: Ok(()) });
    say(&mut w, "too late");
    w.input(Input::Created { container: container.clone(), result: Ok(()) });
    w.input(Input::Inspected { container: container.clone(), inspected: inspected() });
    w.input(Input::Started { container: container.clone(), result: Ok(7) });
    let running = w.last("t");
    assert_eq!(running.state(), TaskRunning);
    assert_eq!(running.data(), b"[{}]");
    let network = &running.container_status.expect("a container").network_infos[0];
    assert_eq!(network.name(), "bridge");
    assert_eq!(network.ip_addresses[0].ip_address(), "172.17.0.2");
    let exit = Exit { status: Some(3 << 8), time: Wall(1), ..Exit::default() };
    w.input(Input::Exited { container, exit });
    assert_eq!(w.last("t").message(), "Container exited with status 3");
    assert!(w.last("t").data.is_none());
}

// covers: MES-0949
#[test]
fn the_environment_is_the_images_but_for_ours() {
    let mut w = World::ready();
    w.run(dockerized("t"));
    let container = w.container("t").expect("a container");
    let launch = w.containers[&container].launch.clone();
    let get = |name: &str| {
        launch.environment.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    };
    assert_eq!(get("PATH"), None);
    assert_eq!(get("MESOS_ALLOCATION_ROLE").as_deref(), Some("eng"));
    assert_eq!(get("MESOS_SANDBOX").as_deref(), Some("/mnt/mesos/sandbox"));
    assert_eq!(get("MESOS_CONTAINER_NAME"), Some(format!("mesos-{container}")));
    assert_eq!(launch.docker.as_ref().expect("made by docker").image, "centos");
}

// covers: MES-0926, MES-0950
#[test]
fn kills_leave_an_executors_grace_unless_told_otherwise() {
    for (policy, grace) in [(None, 5), (Some(1), 1)] {
        let mut w = World::ready();
        w.obedient = false;
        w.run(dockerized("t"));
        w.kill("t", policy);
        assert_eq!(w.states("t").last(), Some(&TaskKilling));
        assert_eq!(w.signals, [SIGTERM]);
        w.advance(seconds(grace) - Duration::from_millis(10));
        assert_eq!(w.signals, [SIGTERM]);
        w.advance(Duration::from_millis(20));
        assert_eq!(w.signals, [SIGTERM, SIGKILL]);
    }
}

// covers: MES-0944
#[test]
fn a_good_end_after_a_kill_is_killed() {
    let mut w = World::ready();
    w.obedient = false;
    w.run(dockerized("t"));
    w.kill("t", None);
    w.task_exits("t", 0);
    assert_eq!(w.last("t").state(), TaskKilled);
    assert_eq!(w.last("t").message(), "Container exited with status 0");
}

#[test]
fn without_the_containerizer_a_task_fails_with_the_reason() {
    let mut options = Options::new(agent_info(), "127.0.0.1", "/work");
    options.containerizers = vec![Containerizer::Mesos];
    let mut w = World::with(options);
    w.connect();
    w.run(dockerized("t"));
    let last = w.last("t");
    assert_eq!((last.state(), last.reason()), (TaskFailed, Reason::ContainerLaunchFailed));
    assert!(last.message().contains("None of the enabled containerizers (mesos)"));
}

// covers: MES-0930
#[test]
fn a_stray_container_is_destroyed_and_a_known_one_is_not() {
    let mut w = World::ready();
    w.run(dockerized("t"));
    let own = w.container("t").expect("a container");
    w.acts.clear();
    w.input(Input::Stray { container: own });
    assert!(w.acts.is_empty());
    w.input(Input::Stray { container: "stranger".into() });
    assert!(
        matches!(&w.acts[..], [Act::Destroy { container }] if container.as_str() == "stranger")
    );
}
