//! Groups of tasks: of the agent's own executor, and of frameworks' executors. Containers by their own names.

use super::world::*;
use crate::agent::core::io::{Act, Answer, Exit, Input, Oom, RequestId, Wanted};
use crate::base::ids::ContainerId;
use crate::base::time::Wall;
use crate::mesos::internal::{MasterMessage, RunTaskGroup, ShutdownExecutor};
use crate::mesos::v1::executor::event;
use crate::mesos::v1::{self, TaskState::*, task_status::Reason};

fn pod(id: &str) -> v1::ExecutorInfo {
    v1::ExecutorInfo {
        r#type: Some(v1::executor_info::Type::Default as i32),
        executor_id: v1::ExecutorId { value: id.into() },
        framework_id: Some(v1::FrameworkId { value: F.into() }),
        resources: vec![scalar("cpus", 0.1), scalar("mem", 32.0)],
        ..Default::default()
    }
}

impl World {
    fn run_group(&mut self, executor_info: v1::ExecutorInfo, tasks: Vec<v1::TaskInfo>) {
        for task in &tasks {
            self.launched.push((F.into(), task.task_id.value.clone()));
        }
        let group = RunTaskGroup { framework_info: framework(), executor_info, tasks };
        self.tell(MasterMessage { run_task_group: Some(group), ..Default::default() });
    }

    /// The container of a task in a group.
    fn own(&self, task: &str) -> ContainerId {
        let of =
            |c: &Container| c.launch.task.as_ref().is_some_and(|info| info.task_id.value == task);
        let found = self.containers.iter().find(|(_, c)| of(c)).map(|(id, _)| id.clone());
        found.unwrap_or_else(|| panic!("{task} has no container"))
    }

    /// The container of the executor itself.
    fn parent(&self, executor: &str) -> Option<ContainerId> {
        let of = |c: &Container| {
            c.launch.nested.is_none() && c.launch.executor.executor_id.value == executor
        };
        self.containers.iter().find(|(_, c)| of(c)).map(|(id, _)| id.clone())
    }

    fn ends(&mut self, task: &str, status: i32) {
        let container = self.own(task);
        self.exit(&container, status);
        self.drain();
    }
}

// covers: MES-0410, MES-0415, MES-0351, MES-0352
#[test]
fn each_task_has_a_container_of_its_own_in_the_executors() {
    let mut w = World::ready();
    w.run_group(pod("e"), vec![task("a"), task("b")]);
    for id in ["a", "b"] {
        assert_eq!(w.states(id), [TaskStarting, TaskRunning]);
    }
    let parent = w.parent("e").expect("it runs");
    let launch = w.containers[&parent].launch.clone();
    assert!(launch.pause);
    let command = launch.executor.command.clone().expect("filled in");
    assert_eq!(command.user(), "nobody");
    // The executor's and both tasks'.
    let mb = |n: u64| Some(n * 1024 * 1024);
    assert_eq!((launch.limits.cpus, launch.limits.memory_bytes), (1.1, mb(96)));
    let own = w.own("a");
    let launch = w.containers[&own].launch.clone();
    let nested = launch.nested.clone().expect("nested");
    assert_eq!((&nested.parent, nested.share_pid, nested.own_limits), (&parent, false, false));
    assert_eq!((launch.limits.cpus, launch.limits.memory_bytes), (0.5, None));
    let name = own.as_str().strip_prefix(&format!("{parent}.")).expect("named by its parent");
    let sandbox = launch.sandbox.display().to_string();
    assert!(sandbox.ends_with(&format!("/e/runs/{parent}/containers/{name}")), "{sandbox}");
    let told = w.last("a").container_status.and_then(|c| c.container_id).expect("told");
    assert_eq!(told.value, name);
    assert_eq!(told.parent.map(|p| p.value).as_deref(), Some(parent.as_str()));
    assert_ne!(w.own("b"), own);
    assert_eq!(w.last("a").executor_id.map(|e| e.value).as_deref(), Some("e"));
}

// covers: MES-0413, MES-0416
#[test]
fn a_failure_ends_its_group_and_the_executor_with_the_last() {
    let mut w = World::ready();
    w.run_group(pod("e"), vec![task("a"), task("b")]);
    w.run_group(pod("e"), vec![task("c")]);
    w.ends("a", 3 << 8);
    assert_eq!(w.last("a").state(), TaskFailed);
    assert_eq!(w.last("a").message(), "Command exited with status 3");
    assert_eq!(w.states("b"), [TaskStarting, TaskRunning, TaskKilling, TaskKilled]);
    assert_eq!(w.last("c").state(), TaskRunning, "another group lives on");
    assert!(w.parent("e").is_some());
    w.ends("c", 0);
    assert_eq!(w.last("c").state(), TaskFinished);
    assert!(w.parent("e").is_none() && w.containers.is_empty());
    let exited = w.acts.iter().find_map(|act| match act {
        Act::ToMaster { message, .. } => message.exited_executor.clone(),
        _ => None,
    });
    assert_eq!(exited.expect("told").status, Some(0));
}

#[test]
fn a_task_that_finishes_ends_nobody() {
    let mut w = World::ready();
    w.run_group(pod("e"), vec![task("a"), task("b")]);
    w.ends("a", 0);
    assert_eq!(w.last("a").state(), TaskFinished);
    assert_eq!(w.last("b").state(), TaskRunning);
}

// covers: MES-0411, MES-0417, MES-0422
#[test]
fn a_kill_ends_the_group_of_the_task_and_no_other() {
    let mut w = World::ready();
    w.obedient = false;
    w.run_group(pod("e"), vec![task("a"), task("b")]);
    w.run_group(pod("e"), vec![task("c")]);
    w.kill("a", None);
    assert_eq!(w.last("a").state(), TaskKilling);
    // It ends well, and was killed all the same.
    w.ends("a", 0);
    assert_eq!(w.last("a").state(), TaskKilled);
    assert_eq!(w.last("b").state(), TaskKilling);
    w.advance(seconds(3));
    assert_eq!(w.last("b").state(), TaskKilled);
    assert_eq!(w.last("c").state(), TaskRunning);
    w.kill("c", Some(0));
    w.advance(seconds(1));
    assert_eq!(w.last("c").state(), TaskKilled);
    assert!(w.containers.is_empty(), "the executor ended with its last");
}

// covers: MES-0412
#[test]
fn several_kills_at_once_are_one_killed_each() {
    let mut w = World::ready();
    w.obedient = false;
    w.run_group(pod("e"), vec![task("a"), task("b")]);
    w.kill("a", None);
    w.kill("b", None);
    w.kill("a", None);
    w.advance(seconds(10));
    for id in ["a", "b"] {
        assert_eq!(w.states(id), [TaskStarting, TaskRunning, TaskKilling, TaskKilled]);
    }
}

// covers: MES-0349
#[test]
fn a_kill_before_the_executor_runs_ends_the_whole_group() {
    let mut w = World::ready();
    w.containerizer = false;
    w.run_group(pod("e"), vec![task("a"), task("b")]);
    w.kill("b", None);
    for id in ["a", "b"] {
        assert_eq!(w.states(id), [TaskKilled]);
        assert_eq!(w.last(id).reason(), Reason::TaskKilledDuringLaunch);
    }
}

// covers: MES-0426
#[test]
fn a_launch_that_fails_fails_the_group_and_says_why() {
    let mut w = World::ready();
    w.run_group(pod("e"), vec![task("a")]);
    w.containerizer = false;
    w.run_group(pod("e"), vec![task("b"), task("c")]);
    let executor = w.parent("e").expect("it runs");
    w.input(Input::Resized { container: executor, result: Ok(()) });
    w.containerizer = true;
    let container = w.own("b");
    let result = Err("no such user".to_string());
    w.input(Input::Prepared { container, result });
    let last = w.last("b");
    assert_eq!((last.state(), last.reason()), (TaskFailed, Reason::ContainerLaunchFailed));
    assert_eq!(last.message(), "Failed to launch container: no such user");
    assert_eq!(w.last("c").state(), TaskKilled);
    assert_eq!(w.last("a").state(), TaskRunning);
}

// covers: MES-0420
#[test]
fn the_executors_end_is_that_of_all_its_tasks() {
    let mut w = World::ready();
    w.run_group(pod("e"), vec![task("a"), task("b")]);
    let parent = w.parent("e").expect("it runs");
    w.exit(&parent, SIGKILL);
    w.drain();
    for id in ["a", "b"] {
        let last = w.last(id);
        assert_eq!((last.state(), last.message()), (TaskFailed, "Executor terminated"));
    }
}

// covers: MES-0424
#[test]
fn a_task_over_its_own_limit_says_so_and_over_the_executors_all_do() {
    let oom = |w: &World| Exit {
        status: Some(SIGKILL),
        oom: Some(Oom { limit_bytes: 1 << 25, max_usage_bytes: 1 << 25, statistics: "x".into() }),
        time: w.wall,
        ..Exit::default()
    };
    let mut w = World::ready();
    let linux = v1::LinuxInfo { share_cgroups: Some(false), ..Default::default() };
    let container = v1::ContainerInfo {
        r#type: v1::container_info::Type::Mesos as i32,
        linux_info: Some(linux),
        ..Default::default()
    };
    let own = v1::TaskInfo { container: Some(container), ..task("a") };
    w.run_group(pod("e"), vec![own, task("b")]);
    let id = w.own("a");
    let launch = w.containers[&id].launch.clone();
    assert_eq!(launch.limits.memory_bytes, Some(32 << 20));
    assert!(launch.nested.as_ref().is_some_and(|nested| nested.own_limits));
    let exit = oom(&w);
    w.exit_as(&id, exit);
    w.drain();
    let last = w.last("a");
    assert_eq!((last.state(), last.reason()), (TaskFailed, Reason::ContainerLimitationMemory));
    assert!(last.limitation.is_some());
    assert_eq!(w.last("b").state(), TaskKilled);

    let mut w = World::ready();
    w.run_group(pod("e"), vec![task("a"), task("b")]);
    let (parent, exit) = (w.parent("e").expect("it runs"), oom(&w));
    w.exit_as(&parent, exit);
    w.drain();
    for id in ["a", "b"] {
        assert_eq!(w.last(id).reason(), Reason::ContainerLimitationMemory);
    }
}

// covers: MES-0421
#[test]
fn a_time_limit_ends_the_group() {
    let mut w = World::ready();
    let limited = v1::TaskInfo { max_completion_time: Some(duration(10)), ..task("a") };
    w.run_group(pod("e"), vec![limited, task("b")]);
    w.advance(seconds(10));
    let last = w.last("a");
    assert_eq!((last.state(), last.reason()), (TaskFailed, Reason::MaxCompletionTimeReached));
    assert_eq!(w.last("b").state(), TaskKilled);
}

// covers: MES-0419
#[test]
fn a_group_goes_on_over_a_restart() {
    let mut w = World::ready();
    w.run_group(pod("e"), vec![task("a"), task("b")]);
    w.restart();
    w.connect();
    for id in ["a", "b"] {
        assert_eq!(w.states(id), [TaskStarting, TaskRunning]);
    }
    let told = w.registrations.last().cloned().expect("a registration");
    assert_eq!((told.tasks.len(), told.executors.len()), (2, 1));
    assert!(told.tasks.iter().all(|t| t.executor_id.as_ref().is_some_and(|e| e.value == "e")));
    w.run_group(pod("e"), vec![task("c")]);
    assert_eq!(w.last("c").state(), TaskRunning);
    w.kill("a", None);
    assert_eq!((w.last("a").state(), w.last("b").state()), (TaskKilled, TaskKilled));
    w.ends("c", 0);
    assert!(w.containers.is_empty());
}

#[test]
fn a_task_that_ended_while_the_agent_was_away_is_told_and_ends_its_group() {
    let mut w = World::ready();
    w.run_group(pod("e"), vec![task("a"), task("b")]);
    let own = w.own("a");
    w.core = None;
    w.exit_as(&own, Exit { status: Some(1 << 8), time: Wall(1), ..Exit::default() });
    w.restart();
    w.connect();
    assert_eq!(w.last("a").message(), "Command exited with status 1");
    assert_eq!(w.last("b").state(), TaskKilled);
    assert!(w.containers.is_empty());
}

/// Wherever the agent crashes, after it each task of the group has one end, and nothing is left.
#[test]
fn a_crash_at_any_point_loses_and_doubles_nothing() {
    for budget in 0..60 {
        let mut w = World::ready();
        w.budget = Some(budget);
        w.run_group(pod("e"), vec![task("a"), task("b")]);
        w.restart();
        w.connect();
        w.budget = None;
        let ended = |w: &World, id: &str| {
            w.states(id).into_iter().any(crate::agent::core::tables::is_terminal)
        };
        for id in ["a", "b"] {
            // Of one that has ended nothing is known any more.
            if !ended(&w, id) {
                w.kill(id, None);
            }
        }
        w.advance(seconds(120));
        for id in ["a", "b"] {
            let ends =
                w.states(id).into_iter().filter(|s| crate::agent::core::tables::is_terminal(*s));
            assert_eq!(ends.count(), 1, "{id} after {budget}: {:?}", w.states(id));
        }
        assert!(w.containers.is_empty(), "after {budget}: {:?}", w.containers.keys());
        assert_eq!(w.disk.keys().filter(|k| k.starts_with("tasks/")).count(), 0);
    }
}

#[test]
fn an_executor_that_is_shut_down_ends_its_tasks_first() {
    let mut w = World::ready();
    w.obedient = false;
    w.run_group(pod("e"), vec![task("a"), task("b")]);
    let shutdown = ShutdownExecutor {
        framework_id: v1::FrameworkId { value: F.into() },
        executor_id: v1::ExecutorId { value: "e".into() },
    };
    w.tell(MasterMessage { shutdown_executor: Some(shutdown), ..Default::default() });
    assert_eq!(w.last("a").state(), TaskKilling);
    w.advance(seconds(3));
    assert_eq!((w.last("a").state(), w.last("b").state()), (TaskKilled, TaskKilled));
    assert!(w.containers.is_empty());
}

// covers: MES-0348, MES-0350
#[test]
fn a_frameworks_own_executor_gets_a_group_as_one() {
    let mut w = World::ready();
    let own = custom("x", "e").executor.expect("an executor");
    let own = v1::ExecutorInfo { r#type: Some(v1::executor_info::Type::Custom as i32), ..own };
    let of = |id: &str| v1::TaskInfo { command: None, ..task(id) };
    w.run_group(own.clone(), vec![of("a"), of("b")]);
    w.run_group(own.clone(), vec![of("c"), of("d")]);
    // One of the second is killed before the executor is there.
    w.kill("d", None);
    w.subscribe(1, "e", Default::default());
    let groups: Vec<Vec<String>> = w
        .events
        .iter()
        .filter_map(|(_, e)| e.launch_group.as_ref())
        .map(|g| g.task_group.tasks.iter().map(|t| t.task_id.value.clone()).collect())
        .collect();
    assert_eq!(groups, [["a", "b"]]);
    assert!(!w.events_of(1).contains(&event::Type::Launch));
    for id in ["c", "d"] {
        assert_eq!(w.last(id).reason(), Reason::TaskKilledDuringLaunch);
    }
}

// covers: MES-0441, MES-0456
#[test]
fn each_task_is_checked_in_its_own_container() {
    let mut w = World::ready();
    let check = v1::HealthCheck {
        r#type: Some(v1::health_check::Type::Command as i32),
        command: Some(shell("true")),
        delay_seconds: Some(0.0),
        ..Default::default()
    };
    let checked = |id: &str| v1::TaskInfo { health_check: Some(check.clone()), ..task(id) };
    w.run_group(pod("e"), vec![checked("a"), checked("b")]);
    w.outcomes.push_back(crate::agent::core::io::CheckOutcome::Command(0));
    w.advance(seconds(1));
    let asked: Vec<ContainerId> = w
        .acts
        .iter()
        .filter_map(|act| match act {
            Act::Check { container, .. } => Some(container.clone()),
            _ => None,
        })
        .collect();
    assert!(asked.contains(&w.own("a")) && asked.contains(&w.own("b")));
    let healthy = ["a", "b"].iter().filter(|id| w.last(id).healthy == Some(true)).count();
    assert_eq!(healthy, 1, "one outcome was told");
}

fn wanted(id: &str, parent: Option<&str>) -> Box<Wanted> {
    Box::new(Wanted {
        id: id.into(),
        parent: parent.map(Into::into),
        command: shell("sleep 1"),
        container: None,
        resources: Vec::new(),
        limits: Default::default(),
    })
}

impl World {
    fn ask(&mut self, make: impl FnOnce(RequestId) -> Input) -> Option<Answer> {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.input(make(request));
        self.told(request)
    }

    fn told(&self, request: RequestId) -> Option<Answer> {
        self.answers.iter().find(|(r, _)| *r == request).map(|(_, a)| a.clone())
    }

    fn launch(&mut self, id: &str, parent: Option<&str>) -> Option<Answer> {
        let wanted = wanted(id, parent);
        self.ask(|request| Input::LaunchContainer { request, wanted })
    }
}

fn status_of(answer: &Option<Answer>) -> u16 {
    match answer {
        Some(Answer::Refused { status, .. }) => *status,
        _ => 0,
    }
}

// covers: MES-0271, MES-0273, MES-0277, MES-0964, MES-0966
#[test]
fn a_container_is_launched_in_another_waited_for_and_removed() {
    let mut w = World::ready();
    w.run(task("t"));
    let parent = w.container("t").expect("it runs");
    let id = format!("{parent}.n");
    assert_eq!(w.launch(&id, Some(parent.as_str())), Some(Answer::Done));
    assert_eq!(w.launch(&id, Some(parent.as_str())), Some(Answer::Accepted), "it is there");
    let nested = w.containers[&ContainerId::from(id.as_str())].launch.clone();
    assert_eq!(nested.user.as_deref(), Some("nobody"), "as its parent's");
    let wait = |request| Input::WaitContainer { request, id: id.as_str().into() };
    assert_eq!(w.ask(wait), None, "it runs");
    let waiting = RequestId(w.requests);
    let remove = |request| Input::RemoveContainer { request, id: id.as_str().into() };
    assert_eq!(status_of(&w.ask(remove)), 500, "it runs");
    let kill = |request| Input::KillContainer { request, id: id.as_str().into(), signal: SIGKILL };
    assert_eq!(w.ask(kill), Some(Answer::Done));
    let Some(Answer::Ended(exit)) = w.told(waiting) else { panic!("not told") };
    assert_eq!(exit.status, Some(SIGKILL));
    let Some(Answer::Ended(exit)) = w.ask(wait) else { panic!("not remembered") };
    assert_eq!(exit.status, Some(SIGKILL));
    assert_eq!(w.last("t").state(), TaskRunning, "its parent goes on");
    assert_eq!(w.ask(remove), Some(Answer::Done));
    assert_eq!(status_of(&w.ask(wait)), 404);
    assert_eq!(status_of(&w.ask(kill)), 404);
    assert_eq!(status_of(&w.ask(remove)), 404);
}

// covers: MES-0257, MES-0274
#[test]
fn what_cannot_be_launched_is_refused_and_leaves_nothing() {
    let mut w = World::ready();
    assert_eq!(status_of(&w.launch("x.n", Some("x"))), 400);
    assert!(w.containers.is_empty());
    w.run(task("t"));
    let parent = w.container("t").expect("it runs");
    let id = format!("{parent}.n");
    w.containerizer = false;
    assert_eq!(w.launch(&id, Some(parent.as_str())), None);
    let request = RequestId(w.requests);
    w.containerizer = true;
    let result = Err("no".to_string());
    w.input(Input::Prepared { container: id.as_str().into(), result });
    assert_eq!(status_of(&w.told(request)), 400);
    assert_eq!(w.containers.len(), 1);
    assert_eq!(status_of(&w.launch(&id, Some(parent.as_str()))), 400, "its name is used");
}

// covers: MES-0276, MES-0272
#[test]
fn containers_in_containers_survive_a_restart_and_go_with_the_task() {
    let mut w = World::ready();
    w.run(task("t"));
    let parent = w.container("t").expect("it runs");
    let (one, two) = (format!("{parent}.n"), format!("{parent}.n.m"));
    assert_eq!(w.launch(&one, Some(parent.as_str())), Some(Answer::Done));
    assert_eq!(w.launch(&two, Some(&one)), Some(Answer::Done));
    w.restart();
    w.connect();
    assert_eq!(w.containers.len(), 3);
    assert_eq!(w.launch(&two, Some(&one)), Some(Answer::Accepted));
    let wait = |request| Input::WaitContainer { request, id: two.as_str().into() };
    assert_eq!(w.ask(wait), None);
    let waiting = RequestId(w.requests);
    w.task_exits("t", 0);
    w.containers.retain(|_, c| c.launch.nested.is_none());
    assert!(matches!(w.told(waiting), Some(Answer::Ended(_))), "nobody is left waiting");
    assert_eq!(w.disk.keys().filter(|k| k.starts_with("containers/")).count(), 0);
    w.restart();
    assert!(w.containers.is_empty());
}
