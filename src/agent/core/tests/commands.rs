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
fn memory_beyond_the_limit_is_told_with_its_numbers() {
    let mut w = World::ready();
    w.run(task("t"));
    let oom =
        Oom { limit_bytes: 64 << 20, max_usage_bytes: 64 << 20, statistics: "cache 4096\n".into() };
    let exit = Exit { status: Some(SIGKILL), oom: Some(oom), time: Wall(1) };
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
