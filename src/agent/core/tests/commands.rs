//! Command tasks: from launch to their end.

use super::world::*;
use crate::agent::core::io::{Act, Exit, Input, Oom};
use crate::base::time::Wall;
use crate::mesos::v1::{self, TaskState::*, task_status::Reason, task_status::Source};

// covers: MES-0362
#[test]
fn a_command_task_runs_to_its_end() {
    let mut w = World::ready();
    w.run(task("t1"));
    assert_eq!(w.states("t1"), [TaskStarting, TaskRunning]);
    let running = w.last("t1");
    assert_eq!(running.source(), Source::Executor);
    assert_eq!(running.executor_id.map(|e| e.value).as_deref(), Some("t1"));
    let container = running.container_status.expect("a container");
    assert_eq!(container.executor_pid, Some(4242));
    assert_eq!(container.network_infos[0].ip_addresses[0].ip_address(), "127.0.0.1");
    assert!(w.disk.contains_key("tasks/f-0000/t1"));

    w.task_exits("t1", 0);
    assert_eq!(w.states("t1"), [TaskStarting, TaskRunning, TaskFinished]);
    assert_eq!(w.last("t1").message(), "Command exited with status 0");
    // All acknowledged: only the agent and the sandbox are remembered.
    let left: Vec<&str> = w.disk.keys().map(|k| k.split('/').next().unwrap_or("")).collect();
    assert_eq!(left, ["agent", "sandboxes"]);
    assert!(w.containers.is_empty());
}

#[test]
fn the_end_of_a_command_is_told_in_the_originals_words() {
    for (status, state, message) in [
        (0, TaskFinished, "Command exited with status 0"),
        (7 << 8, TaskFailed, "Command exited with status 7"),
        (9, TaskFailed, "Command terminated with signal Killed"),
        (15, TaskFailed, "Command terminated with signal Terminated"),
        (11 | 0x80, TaskFailed, "Command terminated with signal Segmentation fault (core dumped)"),
    ] {
        let mut w = World::ready();
        w.run(task("t"));
        w.task_exits("t", status);
        let last = w.last("t");
        assert_eq!((last.state(), last.message()), (state, message));
        assert_eq!(last.reason, None);
    }
}

#[test]
fn a_command_that_failed_at_its_limit_of_processes_says_so() {
    for (status, message) in [
        (0, "Command exited with status 0"),
        (
            2 << 8,
            "Command exited with status 2 (it may have 64 processes and threads, and was refused more)",
        ),
    ] {
        let mut w = World::ready();
        w.run(task("t"));
        let crowded = Some(64);
        let exit = Exit { status: Some(status), crowded, ..Exit::default() };
        let container = w.container("t").expect("it runs");
        w.exit_as(&container, exit);
        w.drain();
        assert_eq!(w.last("t").message(), message);
    }
}

#[test]
fn memory_beyond_the_limit_is_told_with_its_numbers() {
    let mut w = World::ready();
    w.run(task("t"));
    let oom =
        Oom { limit_bytes: 64 << 20, max_usage_bytes: 64 << 20, statistics: "cache 4096\n".into() };
    let exit = Exit { status: Some(SIGKILL), oom: Some(oom), time: Wall(1), ..Exit::default() };
    let container = w.container("t").expect("it runs");
    w.exit_as(&container, exit);
    w.drain();
    let last = w.last("t");
    assert_eq!(last.state(), TaskFailed);
    assert_eq!(last.reason(), Reason::ContainerLimitationMemory);
    let text = "Memory limit exceeded: Requested: 64MB Maximum Used: 64MB\n";
    assert!(last.message().starts_with(text) && last.message().contains("cache 4096"));
    let limit = &last.limitation.expect("a limitation").resources[0];
    assert_eq!((limit.name.as_str(), limit.scalar.as_ref().map(|s| s.value)), ("mem", Some(64.0)));
}

// covers: MES-0320
#[test]
fn the_command_executor_is_made_from_its_task() {
    let mut w = World::ready();
    let mut info = task("t1");
    info.command = Some(v1::CommandInfo {
        shell: Some(false),
        value: Some("/bin/echo".into()),
        arguments: vec!["echo".into(), "secret-argument".into()],
        ..Default::default()
    });
    w.run(info);
    let launch = &w.containers.values().next().expect("a container").launch;
    assert_eq!(launch.executor.executor_id.value, "t1");
    let name = launch.executor.name();
    assert_eq!(name, "Command Executor (Task: t1) (Command: [/bin/echo, echo, secret-argument])");
    assert!(launch.executor.command.as_ref().is_some_and(|c| c.arguments.is_empty()));
    let cpus = crate::agent::core::limits::scalar(&launch.executor.resources, "cpus");
    let mem = crate::agent::core::limits::scalar(&launch.executor.resources, "mem");
    assert_eq!((cpus, mem), (0.1, 32.0));
    // The container gets the task's and the executor's share.
    assert_eq!(launch.limits.cpus, 0.6);
    assert_eq!(launch.limits.memory_bytes, Some(64 << 20));
    assert_eq!(launch.limits.cpus_hard, None);
    assert_eq!(launch.limits.pids, Some(4096));
}

#[test]
fn launch_failures_fail_the_task() {
    let mut w = World::ready();
    w.containerizer = false;
    w.run(task("t"));
    let container = w.container("t").expect("being prepared");
    let why = format!("Failed to fetch all URIs for container '{container}': exited with status 1");
    w.input(Input::Prepared { container: container.clone(), result: Err(why.clone()) });
    let last = w.last("t");
    assert_eq!((last.state(), last.reason()), (TaskFailed, Reason::ContainerLaunchFailed));
    assert_eq!(last.message(), format!("Failed to launch container: {why}"));
    assert_eq!(w.count(|a| matches!(a, Act::Create(_) | Act::Start { .. })), 0);
    w.input(Input::Destroyed { container });
    assert!(!w.disk.keys().any(|k| k.starts_with("executors")));
}

fn launch_of(w: &World) -> std::sync::Arc<crate::agent::core::io::Launch> {
    w.containers.values().next().expect("a container").launch.clone()
}

fn variable(name: &str, value: &str) -> v1::environment::Variable {
    v1::environment::Variable { name: name.into(), value: Some(value.into()), ..Default::default() }
}

// covers: MES-0346, MES-0407
#[test]
fn the_environment_of_a_command_task() {
    let mut w = World::new();
    let set = [("EVERY", "one"), ("PATH", "/opt/bin")];
    w.options.executor_environment_variables =
        set.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    w.restart();
    w.connect();
    let mut info = task("t");
    let variables = vec![variable("EVERY", "task"), variable("MESOS_SANDBOX", "mine")];
    info.command =
        Some(v1::CommandInfo { environment: Some(v1::Environment { variables }), ..shell("env") });
    w.run(info);
    let launch = launch_of(&w);
    let get =
        |name: &str| launch.environment.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(get("EVERY"), Some("task"), "the command's own wins");
    assert_eq!(get("PATH"), Some("/opt/bin"));
    assert_eq!(get("MESOS_SANDBOX"), Some("mine"));
    assert_eq!(
        get("MESOS_DIRECTORY").map(str::to_string),
        Some(launch.sandbox.display().to_string())
    );
    assert_eq!(get("MESOS_EXECUTOR_ID"), Some("t"));
    assert_eq!(get("MESOS_ALLOCATION_ROLE"), Some("eng"));
    assert_eq!(get("MESOS_TASK_ID"), None);
    let mut names: Vec<_> = launch.environment.iter().map(|(n, _)| n).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), launch.environment.len());
}

#[test]
fn a_secret_that_cannot_be_resolved_fails_the_launch() {
    let mut w = World::ready();
    let mut info = task("t");
    let reference = v1::secret::Reference { name: "db".into(), key: None };
    let secret = v1::Secret { reference: Some(reference), ..Default::default() };
    let variables =
        vec![v1::environment::Variable { secret: Some(secret), ..variable("PASSWORD", "") }];
    info.command =
        Some(v1::CommandInfo { environment: Some(v1::Environment { variables }), ..shell("env") });
    w.run(info);
    let last = w.last("t");
    assert_eq!((last.state(), last.reason()), (TaskFailed, Reason::ContainerLaunchFailed));
    assert!(last.message().contains("PASSWORD"));
    assert!(w.core().view().frameworks.is_empty());
}

#[test]
fn who_a_task_runs_as() {
    for (command, switch, user) in [
        (None, true, Some("nobody")),
        (Some("alice"), true, Some("alice")),
        (Some("alice"), false, None),
    ] {
        let mut w = World::new();
        w.options.switch_user = switch;
        w.restart();
        w.connect();
        let mut info = task("t");
        info.command = Some(v1::CommandInfo { user: command.map(Into::into), ..shell("id") });
        w.run(info);
        assert_eq!(launch_of(&w).user.as_deref(), user);
    }
}

// covers: MES-0321
#[test]
fn the_container_of_a_command_task_is_its_executors() {
    let mut w = World::ready();
    let container = v1::ContainerInfo {
        r#type: v1::container_info::Type::Mesos as i32,
        mesos: Some(v1::container_info::MesosInfo { image: Some(v1::Image::default()) }),
        ..Default::default()
    };
    w.run(v1::TaskInfo { container: Some(container.clone()), ..task("t") });
    let launch = launch_of(&w);
    assert_eq!(launch.executor.container.as_ref(), Some(&container));
    let sandbox = launch.environment.iter().find(|(n, _)| n == "MESOS_SANDBOX");
    assert_eq!(sandbox.map(|(_, v)| v.as_str()), Some("/mnt/mesos/sandbox"));
}

#[test]
fn limits_beyond_the_request() {
    let value = |value: f64| v1::value::Scalar { value };
    let mut info = task("t");
    info.limits.insert("cpus".into(), value(2.0));
    info.limits.insert("mem".into(), value(f64::INFINITY));
    let mut w = World::ready();
    w.run(info);
    let limits = launch_of(&w).limits;
    assert_eq!((limits.cpus, limits.cpus_hard), (0.6, Some(2.1)));
    assert_eq!((limits.memory_bytes, limits.memory_soft_bytes), (None, Some(64 << 20)));

    let mut w = World::new();
    w.options.cgroups_enable_cfs = true;
    w.options.pids_limit = None;
    w.restart();
    w.connect();
    w.run(task("t"));
    let limits = launch_of(&w).limits;
    assert_eq!((limits.cpus_hard, limits.pids), (Some(0.6), None));
}

#[test]
fn an_end_heard_of_before_the_start_still_ran() {
    let mut w = World::ready();
    w.containerizer = false;
    w.run(task("t"));
    let container = w.container("t").expect("being prepared");
    w.input(Input::Prepared { container: container.clone(), result: Ok(()) });
    w.input(Input::Created { container: container.clone(), result: Ok(()) });
    w.input(Input::Exited {
        container: container.clone(),
        exit: Exit { status: Some(0), ..Exit::default() },
    });
    w.input(Input::Started { container, result: Ok(1) });
    assert_eq!(w.states("t"), [TaskStarting, TaskRunning, TaskFinished]);
}

#[test]
fn the_picture_shows_tasks_executors_and_what_is_done() {
    let mut w = World::new();
    w.options.info.resources = vec![scalar("cpus", 4.0), scalar("mem", 1024.0)];
    w.restart();
    w.connect();
    w.run(task("a"));
    w.run(task("b"));
    w.task_exits("a", 0);
    let view = w.core().view();
    assert!(view.registered);
    let f = &view.frameworks[0];
    assert_eq!((f.executors.len(), f.completed_executors.len()), (1, 1));
    assert_eq!(f.completed_executors[0].completed_tasks[0].state(), TaskFinished);
    assert_eq!(view.metrics["slave/tasks_finished"], 1.0);
    assert_eq!(view.metrics["slave/tasks_running"], 1.0);
    assert_eq!(view.metrics["slave/cpus_used"], 0.5);
    assert_eq!(view.metrics["slave/cpus_percent"], 0.125);
    w.task_exits("b", 0);
    let view = w.core().view();
    assert!(view.frameworks.is_empty());
    assert_eq!(view.completed_frameworks[0].completed_executors.len(), 2);
    // It comes back with what it had.
    w.run(task("c"));
    assert_eq!(w.core().view().frameworks[0].completed_executors.len(), 2);
    assert!(w.core().view().completed_frameworks.is_empty());
}

// covers: MES-0353
#[test]
fn the_history_of_executors_is_bounded() {
    let mut w = World::new();
    w.options.max_completed_executors_per_framework = 3;
    w.restart();
    w.connect();
    w.run(task("alive"));
    for n in 0..5 {
        w.run(task(&format!("t{n}")));
        w.task_exits(&format!("t{n}"), 0);
    }
    let done = &w.core().view().frameworks[0].completed_executors;
    let names: Vec<_> = done.iter().map(|e| e.info.executor_id.value.as_str()).collect();
    assert_eq!(names, ["t2", "t3", "t4"]);
}
