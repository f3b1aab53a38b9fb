//! LAUNCH_GROUP: what a group must be, and that all of it is launched or none.

use super::world::*;
use crate::mesos::make;
use crate::mesos::v1::{self, TaskState as S};
use v1::executor_info::Type;
use v1::task_status::Reason;

fn pod(id: &str) -> v1::ExecutorInfo {
    v1::ExecutorInfo {
        r#type: Some(Type::Default as i32),
        executor_id: make::executor_id(id),
        resources: wire("cpus:0.1;mem:32"),
        ..Default::default()
    }
}

fn group(executor: v1::ExecutorInfo, tasks: Vec<v1::TaskInfo>) -> v1::offer::Operation {
    v1::offer::Operation {
        r#type: Some(v1::offer::operation::Type::LaunchGroup as i32),
        launch_group: Some(v1::offer::operation::LaunchGroup {
            executor,
            task_group: v1::TaskGroupInfo { tasks },
        }),
        ..Default::default()
    }
}

// covers: MES-0414, MES-0418
#[test]
fn a_group_goes_to_its_agent_as_one() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offer = w.offers(&scheduler).remove(0);
    let mut with_executor = task_info("b", &offer, "cpus:1;mem:64");
    with_executor.executor = Some(pod("e"));
    let tasks = vec![task_info("a", &offer, "cpus:1;mem:64"), with_executor];
    w.accept(&scheduler, &[&offer], vec![group(pod("e"), tasks)]);
    assert_eq!(w.statuses(&scheduler), []);
    let sent: Vec<_> = w.inbox(&agent).into_iter().filter_map(|m| m.run_task_group).collect();
    assert_eq!(sent.len(), 1);
    let ids: Vec<&str> = sent[0].tasks.iter().map(|t| t.task_id.value.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    let allocated = |r: &v1::Resource| r.allocation_info.is_some();
    assert!(sent[0].executor_info.resources.iter().all(allocated));
    assert!(sent[0].tasks.iter().flat_map(|t| &t.resources).all(allocated));
    assert_eq!(sent[0].executor_info.framework_id, sent[0].framework_info.id);
    let shown = w.task(&scheduler, "a");
    assert_eq!(shown.executor_id, Some(make::executor_id("e")));
    // Both tasks and their executor, once.
    assert_eq!(w.view().agents[0].used.cpus().as_f64(), 2.1);
    w.audit().expect("consistent");
    // A second group of the same executor brings no second executor.
    w.pass(std::time::Duration::from_secs(10));
    let offer = w.offers(&scheduler).remove(0);
    let tasks = vec![task_info("c", &offer, "cpus:1;mem:64")];
    w.accept(&scheduler, &[&offer], vec![group(pod("e"), tasks)]);
    assert_eq!(w.view().agents[0].used.cpus().as_f64(), 3.1);
    w.audit().expect("consistent");
}

/// The message of the TASK_ERROR of every task of a group.
fn error(
    executor: v1::ExecutorInfo,
    change: impl FnOnce(&mut Vec<v1::TaskInfo>),
) -> Option<String> {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024;ports:[31000-32000]");
    let scheduler = w.scheduler(framework());
    let offer = w.offers(&scheduler).remove(0);
    let of = |id: &str| task_info(id, &offer, "cpus:1;mem:64");
    let mut tasks = vec![of("a"), of("b")];
    change(&mut tasks);
    let n = tasks.len();
    w.accept(&scheduler, &[&offer], vec![group(executor, tasks)]);
    let statuses = w.statuses(&scheduler);
    assert!(statuses.is_empty() || statuses.len() == n, "all of it or none");
    let status = statuses.into_iter().next()?;
    assert_eq!((state(&status), status.reason()), (S::TaskError, Reason::TaskGroupInvalid));
    assert!(w.inbox(&agent).iter().all(|m| m.run_task_group.is_none()));
    assert!(w.view().frameworks[0].tasks.is_empty() && w.view().agents[0].used.is_empty());
    Some(status.message().to_string())
}

fn container(kind: v1::container_info::Type) -> v1::ContainerInfo {
    v1::ContainerInfo { r#type: kind as i32, ..Default::default() }
}

#[test]
fn a_group_that_cannot_be_is_refused_whole() {
    use v1::container_info::Type as Kind;
    assert_eq!(error(pod("e"), |_| ()), None);
    let command = Some(v1::CommandInfo { value: Some("x".into()), ..Default::default() });
    let tty = v1::ContainerInfo { tty_info: Some(Default::default()), ..container(Kind::Mesos) };
    for (executor, text) in [
        (v1::ExecutorInfo { r#type: None, ..pod("e") }, "'ExecutorInfo.type' must be set"),
        (
            v1::ExecutorInfo { command: command.clone(), ..pod("e") },
            "'ExecutorInfo.command' must not be set for 'DEFAULT' executor",
        ),
        (
            v1::ExecutorInfo { r#type: Some(Type::Custom as i32), ..pod("e") },
            "'ExecutorInfo.command' must be set for a 'CUSTOM' executor",
        ),
        (
            v1::ExecutorInfo { container: Some(container(Kind::Docker)), ..pod("e") },
            "'ExecutorInfo.container.type' must be 'MESOS'",
        ),
        (v1::ExecutorInfo { container: Some(tty), ..pod("e") }, "tty_info"),
        (v1::ExecutorInfo { resources: wire("mem:32"), ..pod("e") }, "less CPUs (0)"),
        (v1::ExecutorInfo { resources: wire("cpus:1;mem:8"), ..pod("e") }, "less memory (8MB)"),
        (
            v1::ExecutorInfo { resources: wire("cpus:3;mem:32"), ..pod("e") },
            "is more than available",
        ),
    ] {
        let said = error(executor, |_| ()).unwrap_or_else(|| panic!("taken: {text}"));
        assert!(said.contains(text), "{said}");
    }
    type Change = fn(&mut Vec<v1::TaskInfo>);
    let changes: [(Change, &str); 7] = [
        (
            |all| all[1].task_id = all[0].task_id.clone(),
            "Task 'a' is invalid: Task has duplicate ID",
        ),
        (|all| all[1].command = None, "Task 'b' is invalid"),
        (|all| all[0].executor = Some(pod("other")), "is different from executor in the group"),
        (|all| all[1].resources.clear(), "Task 'b' is invalid: Task uses no resources"),
        (|all| all[0].agent_id.value = "x".into(), "Task uses invalid agent x"),
        (
            |all| all[0].container = Some(container(v1::container_info::Type::Docker)),
            "Docker ContainerInfo is not supported on the task",
        ),
        (
            |all| {
                for task in all {
                    task.resources.extend(wire("ports:[31000-31001]"));
                }
            },
            "overlapping resources",
        ),
    ];
    for (change, text) in changes {
        let said = error(pod("e"), change).unwrap_or_else(|| panic!("taken: {text}"));
        assert!(said.contains(text), "{said}");
    }
    let named = |task: &mut v1::TaskInfo| {
        let linux = v1::LinuxInfo { share_cgroups: Some(false), ..Default::default() };
        let kind = container(v1::container_info::Type::Mesos);
        task.container = Some(v1::ContainerInfo { linux_info: Some(linux), ..kind });
    };
    assert_eq!(error(pod("e"), |all| named(&mut all[0])), None, "of a group it may have its own");
}

#[test]
fn an_executor_that_its_agent_filled_in_is_the_same() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offer = w.offers(&scheduler).remove(0);
    let tasks = vec![task_info("a", &offer, "cpus:1;mem:64")];
    w.accept(&scheduler, &[&offer], vec![group(pod("e"), tasks)]);
    let sent = w.inbox(&agent).into_iter().find_map(|m| m.run_task_group).expect("sent");
    let command = Some(v1::CommandInfo { value: Some("own".into()), ..Default::default() });
    assert!(super::super::validate::executor::same(
        &v1::ExecutorInfo { command, ..sent.executor_info.clone() },
        &sent.executor_info,
    ));
}
