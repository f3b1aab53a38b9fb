//! What a task must be to be launched.

use super::world::*;
use crate::mesos::make;
use crate::mesos::v1::{self, TaskState as S};
use v1::task_status::Reason;

/// Launches one task made by `change`; returns the message of its TASK_ERROR.
fn error(change: impl FnOnce(&mut v1::TaskInfo)) -> Option<String> {
    let mut w = World::new();
    w.agent("node1", "cpus:4;mem:1024;gpus:2;ports:[31000-32000]");
    let gpus = v1::framework_info::capability::Type::GpuResources;
    let scheduler = w.scheduler(with_capabilities(framework(), &[gpus]));
    let offer = w.offers(&scheduler).remove(0);
    let mut task = task_info("t1", &offer, "cpus:1;mem:64");
    change(&mut task);
    w.launch(&scheduler, &[&offer], vec![task]);
    let status = w.statuses(&scheduler).into_iter().next()?;
    assert_eq!((state(&status), status.reason()), (S::TaskError, Reason::TaskInvalid));
    assert!(status.uuid.is_none());
    assert!(w.view().frameworks[0].tasks.is_empty() && w.view().agents[0].used.is_empty());
    Some(status.message().to_string())
}

fn executor(id: &str, resources: &str) -> v1::ExecutorInfo {
    v1::ExecutorInfo {
        executor_id: make::executor_id(id),
        command: Some(v1::CommandInfo { value: Some("run".into()), ..Default::default() }),
        resources: wire(resources),
        ..Default::default()
    }
}

fn variable(value: Option<&str>, secret: bool) -> v1::environment::Variable {
    v1::environment::Variable {
        name: "A".into(),
        r#type: None,
        value: value.map(str::to_string),
        secret: secret.then(Default::default),
    }
}

#[test]
fn a_valid_task_is_no_error() {
    assert_eq!(error(|_| ()), None);
}

type Change = Box<dyn FnOnce(&mut v1::TaskInfo)>;

fn container(volume: v1::Volume) -> v1::ContainerInfo {
    v1::ContainerInfo {
        r#type: v1::container_info::Type::Mesos as i32,
        volumes: vec![volume],
        ..Default::default()
    }
}

fn table() -> Vec<(&'static str, Change)> {
    vec![
        ("ID must not be empty", Box::new(|t| t.task_id.value.clear())),
        ("'a/b' contains invalid characters", Box::new(|t| t.task_id.value = "a/b".into())),
        ("'..' is disallowed", Box::new(|t| t.task_id.value = "..".into())),
        (
            "ID must not be greater than 255 characters",
            Box::new(|t| t.task_id.value = "x".repeat(256)),
        ),
        (
            "Task uses invalid agent X while agent master1-S0 is expected",
            Box::new(|t| t.agent_id.value = "X".into()),
        ),
        (
            "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present",
            Box::new(|t| t.executor = Some(executor("e", ""))),
        ),
        (
            "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present",
            Box::new(|t| t.command = None),
        ),
        ("Task uses no resources", Box::new(|t| t.resources.clear())),
        (
            "required by task and its executor is more than available",
            Box::new(|t| t.resources = wire("cpus:5")),
        ),
        // covers: MES-0849
        ("must be an unsigned integer", Box::new(|t| t.resources = wire("cpus:1;gpus:0.5"))),
        (
            "Task uses resources allocated to multiple roles",
            Box::new(|t| {
                let role = Some("other".to_string());
                t.resources[0].allocation_info = Some(v1::resource::AllocationInfo { role });
            }),
        ),
        (
            "DockerInfo 'docker' is not set for DOCKER typed ContainerInfo",
            Box::new(|t| {
                t.container = Some(v1::ContainerInfo {
                    r#type: v1::container_info::Type::Docker as i32,
                    ..Default::default()
                });
            }),
        ),
        (
            "Only one of them should be set: 'host_path', 'image' and 'source'",
            Box::new(|t| {
                t.container = Some(container(v1::Volume {
                    mode: 1,
                    container_path: "p".into(),
                    host_path: Some("/h".into()),
                    source: Some(Default::default()),
                    ..Default::default()
                }));
            }),
        ),
    ]
}

fn table_of_parts() -> Vec<(&'static str, Change)> {
    let health = |check: v1::HealthCheck| -> Change {
        Box::new(move |t: &mut v1::TaskInfo| t.health_check = Some(check))
    };
    vec![
        (
            "grace_period' must be non-negative",
            Box::new(|t| {
                let grace_period = Some(v1::DurationInfo { nanoseconds: -1 });
                t.kill_policy = Some(v1::KillPolicy { grace_period });
            }),
        ),
        (
            "`max_completion_time` must be non-negative",
            Box::new(|t| t.max_completion_time = Some(v1::DurationInfo { nanoseconds: -1 })),
        ),
        (
            "of type 'VALUE' must have a value set",
            Box::new(|t| {
                let variables = vec![variable(None, false)];
                t.command.as_mut().unwrap().environment = Some(v1::Environment { variables });
            }),
        ),
        (
            "of type 'VALUE' must not have a secret set",
            Box::new(|t| {
                let variables = vec![variable(Some("x"), true)];
                t.command.as_mut().unwrap().environment = Some(v1::Environment { variables });
            }),
        ),
        ("HealthCheck must specify 'type'", health(v1::HealthCheck::default())),
        (
            "Expecting 'delay_seconds' to be non-negative",
            health(v1::HealthCheck {
                tcp: Some(Default::default()),
                r#type: Some(3),
                delay_seconds: Some(-1.0),
                ..Default::default()
            }),
        ),
        (
            "must start with '/'",
            health(v1::HealthCheck {
                http: Some(v1::health_check::HttpCheckInfo {
                    path: Some("x".into()),
                    ..Default::default()
                }),
                ..Default::default()
            }),
        ),
        (
            "Agent is not capable of handling task resource limits",
            Box::new(|t| {
                t.limits.insert("cpus".into(), v1::value::Scalar { value: 2.0 });
            }),
        ),
    ]
}

// covers: MES-0677, MES-0679, MES-0680, MES-0691
#[test]
fn an_invalid_task_is_an_error_with_its_reason() {
    for (text, change) in table().into_iter().chain(table_of_parts()) {
        let message = error(change).unwrap_or_else(|| panic!("launched, but: {text}"));
        assert!(message.contains(text), "{message:?} lacks {text:?}");
    }
}

// covers: MES-0761
#[test]
fn resources_of_an_invalid_launch_are_offered_again() {
    let mut w = World::new();
    w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offer = w.offers(&scheduler).remove(0);
    w.launch(&scheduler, &[&offer], vec![task_info("t1", &offer, "cpus:99")]);
    assert_eq!(state(&w.statuses(&scheduler)[0]), S::TaskError);
    w.pass(MINUTE);
    assert_eq!(w.offers(&scheduler).remove(0).resources, offer.resources);
}

// covers: MES-0681
#[test]
fn the_second_task_of_an_id_is_an_error_the_first_runs() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offer = w.offers(&scheduler).remove(0);
    let task = || task_info("t1", &offer, "cpus:1");
    w.launch(&scheduler, &[&offer], vec![task(), task()]);
    let statuses = w.statuses(&scheduler);
    assert_eq!(statuses.len(), 1);
    assert_eq!(statuses[0].message(), "Task has duplicate ID: t1");
    assert_eq!(w.inbox(&agent).iter().filter(|m| m.run_task.is_some()).count(), 1);
}

#[test]
fn an_operation_id_on_launch_is_an_error() {
    let mut w = World::new();
    w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offer = w.offers(&scheduler).remove(0);
    let operation = v1::offer::Operation {
        r#type: Some(v1::offer::operation::Type::Launch as i32),
        id: Some(v1::OperationId { value: "op".into() }),
        launch: Some(v1::offer::operation::Launch {
            task_infos: vec![task_info("t", &offer, "cpus:1")],
        }),
        ..Default::default()
    };
    w.accept(&scheduler, &[&offer], vec![operation]);
    let text = "The `id` field cannot be set on LAUNCH operations";
    assert_eq!(w.statuses(&scheduler)[0].message(), text);
}

#[test]
fn one_executor_runs_many_tasks_and_is_charged_once() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offer = w.offers(&scheduler).remove(0);
    let with = |id: &str, executor: v1::ExecutorInfo| v1::TaskInfo {
        command: None,
        executor: Some(executor),
        ..task_info(id, &offer, "cpus:1;mem:64")
    };
    let other = v1::ExecutorInfo { name: Some("x".into()), ..executor("e", "cpus:0.5") };
    let tasks = vec![
        with("t1", executor("e", "cpus:0.5")),
        with("t2", executor("e", "cpus:0.5")),
        with("t3", other),
    ];
    w.launch(&scheduler, &[&offer], tasks);
    let statuses = w.statuses(&scheduler);
    assert_eq!(statuses.len(), 1);
    assert!(statuses[0].message().starts_with("ExecutorInfo is not compatible"));
    assert_eq!(w.view().agents[0].used.cpus().as_f64(), 2.5);
    let inbox = w.inbox(&agent);
    let run = inbox.iter().find_map(|m| m.run_task.as_ref()).unwrap();
    let run = run.task.executor.as_ref().unwrap();
    assert_eq!(run.framework_id.as_ref().unwrap().value, scheduler.id, "filled in");
    assert_eq!(w.view().frameworks[0].executors.len(), 1);
}
