//! The flags, the lines, the exit codes and the decisions of `mesos-execute`.

use super::core::{Act, Core, DISCONNECTED_MAX, EXPLAIN_AFTER, INTERRUPT_WAIT, Input};
use super::options::ExecuteOptions;
use super::plan::{Plan, plan};
use super::{INTERRUPTED, KILLED, OWN_FAILURE, lines};
use crate::base::error::{Code, Error};
use crate::base::time::Mono;
use crate::framework::scheduler::PortEvent;
use crate::mesos::make::scalar;
use crate::mesos::v1::framework_info::capability;
use crate::mesos::v1::scheduler::{Event, event};
use crate::mesos::v1::{
    AgentId, FrameworkId, Offer, OfferId, TaskId, TaskState, TaskStatus, container_info,
    task_status,
};
use clap::{CommandFactory as _, Parser as _};
use std::sync::Arc;
use std::time::Duration;

fn options(args: &[&str]) -> ExecuteOptions {
    ExecuteOptions::try_parse_from([&["mesos-execute"], args].concat()).unwrap()
}

fn planned(args: &[&str]) -> Plan {
    plan(&options(&[&["--name=t", "--command=true"], args].concat()), "me").unwrap()
}

fn problems(args: &[&str]) -> Vec<String> {
    plan(&options(args), "me").unwrap_err()
}

#[test]
fn the_flags_are_well_made() {
    ExecuteOptions::command().debug_assert();
}

#[test]
fn flags_are_read_in_the_original_forms() {
    let options = options(&["--name=n", "--no-shell", "--checkpoint", "--partition_aware=false"]);
    assert!(!options.shell() && options.checkpoint() && !options.partition_aware());
    assert_eq!(options.resources, "cpus:1;mem:128");
    assert!(ExecuteOptions::try_parse_from(["mesos-execute", "--nonsense"]).is_err());
}

#[test]
fn files_stand_for_values() {
    let mut options = options(&["--env=file:///e", "--secret=file:///s", "--command=file:///c"]);
    let read = |path: &str| match path {
        "/e" => Ok("{}".to_string()),
        "/s" => Ok("pw\n".to_string()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    options.expand(read).unwrap();
    assert_eq!(options.env.as_deref(), Some("{}"));
    assert_eq!(options.secret.as_deref(), Some("pw"));
    assert_eq!(options.command.as_deref(), Some("file:///c"));
    options.rlimits = Some("file:///none".into());
    assert!(options.expand(read).unwrap_err()[0].contains("/none"));
}

#[test]
fn a_plain_command_becomes_a_task() {
    let plan = planned(&["--env={\"A\":\"b\",\"N\":1}", "--role=dev", "--kill_after=2secs"]);
    assert_eq!(plan.task.task_id.value, "t");
    assert_eq!(plan.task.container, None);
    let command = plan.task.command.unwrap();
    assert_eq!((command.value.as_deref(), command.shell()), (Some("true"), true));
    let variables = command.environment.unwrap().variables;
    assert_eq!(variables[0].value.as_deref(), Some("b"));
    assert_eq!(variables[1].value.as_deref(), Some("1"));
    assert_eq!(plan.framework.roles, ["dev"]);
    assert_eq!(plan.framework.user, "me");
    assert_eq!(plan.kill_after, Some(Duration::from_secs(2)));
    let has =
        |kind: capability::Type| plan.framework.capabilities.iter().any(|c| c.r#type() == kind);
    assert!(has(capability::Type::PartitionAware) && has(capability::Type::TaskKillingState));
    assert!(!has(capability::Type::GpuResources));
}

#[test]
fn containers_are_what_the_flags_ask_for() {
    let mesos = planned(&["--docker_image=alpine", "--networks=a,b", "--tty"]).task.container;
    let mesos = mesos.unwrap();
    assert_eq!(mesos.r#type(), container_info::Type::Mesos);
    assert_eq!(mesos.mesos.unwrap().image.unwrap().docker.unwrap().name, "alpine");
    assert_eq!((mesos.network_infos.len(), mesos.tty_info.is_some()), (2, true));
    let docker = planned(&["--docker_image=alpine", "--containerizer=docker"]).task.container;
    assert_eq!(docker.unwrap().docker.unwrap().image, "alpine");
    let limits = planned(&[
        "--rlimits={\"rlimits\":[{\"type\":\"RLMT_CORE\"}]}",
        "--effective_capabilities={\"capabilities\":[\"NET_RAW\"]}",
        "--volumes=[{\"container_path\":\"/x\",\"host_path\":\"/y\",\"mode\":\"RO\"}]",
    ]);
    let limits = limits.task.container.unwrap();
    assert_eq!(limits.rlimit_info.unwrap().rlimits.len(), 1);
    assert_eq!(limits.linux_info.unwrap().effective_capabilities.unwrap().capabilities.len(), 1);
    assert_eq!(limits.volumes.len(), 1);
}

#[test]
fn a_whole_task_may_be_given() {
    let text = r#"--task={"name":"n","task_id":{"value":"id"},"command":{"value":"x"},
        "resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":0.1}}]}"#;
    let plan = plan(&options(&[text]), "me").unwrap();
    assert_eq!(plan.task.task_id.value, "id");
    assert_eq!(plan.wanted.cpus().as_f64(), 0.1);
    let both = problems(&[text, "--name=x", "--docker_image=y"]);
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(problems(&["--task={}"])[0].starts_with("--task: "));
}

#[test]
fn all_problems_are_told_at_once() {
    assert_eq!(
        problems(&[]),
        ["Missing required option --name", "Missing required option --command"]
    );
    let all = problems(&[
        "--name=a/b",
        "--command=x",
        "--resources=cpus",
        "--env=[]",
        "--containerizer=rkt",
        "--content_type=xml",
        "--kill_after=soon",
        "--principal=p",
        "--framework_capabilities=MULTI_ROLE",
        "--role=-x",
        "--package=x",
    ]);
    let about = ["package", "name", "resources", "env", "containerizer", "content_type"];
    for word in about.iter().chain(&["kill_after", "principal", "framework_cap", "role"]) {
        assert!(all.iter().any(|p| p.contains(&format!("--{word}"))), "{word}: {all:?}");
    }
    let images = problems(&["--name=t", "--command=x", "--docker_image=a", "--appc_image=b"]);
    assert_eq!(images, ["Flags '--docker-image' and '--appc-image' are both set"]);
    assert!(problems(&["--task_group={}"])[0].contains("LAUNCH_GROUP"));
}

fn status(state: TaskState, message: &str) -> TaskStatus {
    TaskStatus {
        task_id: TaskId { value: "t".into() },
        state: state.into(),
        message: (!message.is_empty()).then(|| message.to_string()),
        source: Some(task_status::Source::Executor.into()),
        agent_id: Some(AgentId { value: "S0".into() }),
        uuid: Some(format!("{state:?}{message}").into_bytes()),
        ..Default::default()
    }
}

#[test]
fn the_exit_code_is_the_tasks() {
    use TaskState::*;
    for (state, message, code) in [
        (TaskFinished, "Command exited with status 0", 0),
        (TaskFailed, "Command exited with status 3", 3),
        (TaskFailed, "Command terminated with signal Segmentation fault", 139),
        (TaskFailed, "Command terminated with signal Killed (core dumped)", 137),
        (TaskFailed, "Command terminated with signal 15", 143),
        (TaskFailed, "", 1),
        (TaskKilled, "Command terminated with signal Terminated", 143),
        (TaskKilled, "Command exited with status 0", KILLED),
        (TaskError, "Task uses no resources", OWN_FAILURE),
        (TaskLost, "", OWN_FAILURE),
        (TaskDropped, "", OWN_FAILURE),
    ] {
        assert_eq!(lines::exit_code(&status(state, message)), code, "{state:?} {message}");
    }
    let mut failed = status(TaskFailed, "Failed to launch container");
    failed.set_reason(task_status::Reason::ContainerLaunchFailed);
    assert_eq!(lines::exit_code(&failed), OWN_FAILURE);
    failed.set_reason(task_status::Reason::ContainerLimitationMemory);
    assert_eq!(lines::exit_code(&failed), KILLED);
}

#[test]
fn lines_are_the_originals() {
    let mut update = status(TaskState::TaskFailed, "Command exited with status 1");
    update.set_reason(task_status::Reason::ContainerLimitationMemory);
    update.healthy = Some(true);
    assert_eq!(
        lines::update(&update),
        [
            "Received status update TASK_FAILED for task 't'",
            "  message: 'Command exited with status 1'",
            "  source: SOURCE_EXECUTOR",
            "  reason: REASON_CONTAINER_LIMITATION_MEMORY",
            "  healthy?: 1",
        ]
    );
}

fn at(secs: u64) -> Mono {
    Mono(0) + Duration::from_secs(secs)
}

fn connected() -> Input {
    let framework_id = FrameworkId { value: "f".into() };
    let subscribed = event::Subscribed { framework_id, ..Default::default() };
    Input::Port(PortEvent::Connected(Box::new(subscribed)))
}

fn offer(id: &str, cpus: f64) -> Offer {
    Offer {
        id: OfferId { value: id.into() },
        agent_id: AgentId { value: "S0".into() },
        framework_id: FrameworkId { value: "f".into() },
        resources: vec![scalar("cpus", cpus), scalar("mem", 1024.0)],
        ..Default::default()
    }
}

fn offers(offers: Vec<Offer>) -> Input {
    let kind = Some(event::Type::Offers.into());
    let event =
        Event { r#type: kind, offers: Some(event::Offers { offers }), ..Default::default() };
    Input::Port(PortEvent::Event(Arc::new(event)))
}

fn update(status: TaskStatus) -> Input {
    let kind = Some(event::Type::Update.into());
    let event =
        Event { r#type: kind, update: Some(event::Update { status }), ..Default::default() };
    Input::Port(PortEvent::Event(Arc::new(event)))
}

fn launched(args: &[&str]) -> Core {
    let mut core = Core::new(planned(args));
    core.step(at(0), connected());
    core.step(at(0), offers(vec![offer("o", 4.0)]));
    core
}

fn out(acts: &[Act]) -> Vec<&str> {
    let line = |act| match act {
        &Act::Out(ref line) | &Act::Note(ref line) => Some(line.as_str()),
        _ => None,
    };
    acts.iter().filter_map(line).collect()
}

#[test]
fn the_first_offer_that_fits_is_taken() {
    let mut core = Core::new(planned(&["--resources=cpus:1"]));
    assert_eq!(out(&core.step(at(0), connected())), ["Subscribed with ID f"]);
    let acts = core.step(at(0), offers(vec![offer("a", 0.5), offer("b", 1.0), offer("c", 9.0)]));
    let Act::Launch(id, task) = &acts[0] else { panic!("{acts:?}") };
    assert_eq!((id.value.as_str(), task.agent_id.value.as_str()), ("b", "S0"));
    assert_eq!(task.resources.len(), 1);
    assert_eq!(task.resources[0].scalar.as_ref().unwrap().value, 1.0);
    assert_eq!(acts[1], Act::Out("Submitted task 't' to agent 'S0'".into()));
    let ids = ["a", "c"].map(|id| OfferId { value: id.into() }).to_vec();
    assert_eq!(acts[2..], [Act::Decline(ids), Act::Suppress]);
    assert_eq!(core.wake_at(), None);
}

#[test]
fn it_says_why_it_waits() {
    let mut core = Core::new(planned(&["--resources=cpus:2;ports:[80-80]"]));
    core.step(at(0), connected());
    assert_eq!(core.wake_at(), Some(at(0) + EXPLAIN_AFTER));
    let acts = core.wake(at(2));
    assert!(out(&acts)[0].contains("no offer came for role '*'"), "{acts:?}");
    assert!(matches!(acts.last(), Some(Act::Explain(_))));
    core.step(at(3), offers(vec![offer("a", 0.5), offer("b", 1.5)]));
    let acts = core.wake(at(99));
    let lines = out(&acts).join("\n");
    assert!(lines.contains("none of 2 offers fits"), "{lines}");
    assert!(lines.contains("cpus:2 needed") && lines.contains("cpus:1.5"), "{lines}");
    assert!(lines.contains("ports:[80-80] needed, largest offered: none"), "{lines}");
}

#[test]
fn a_task_is_followed_and_its_end_comes_after_its_output() {
    let mut core = launched(&[]);
    let acts = core.step(at(1), update(status(TaskState::TaskStarting, "")));
    assert!(matches!(acts[0], Act::Acknowledge(_)));
    assert!(matches!(acts.last(), Some(Act::Follow(_))));
    let running = core.step(at(1), update(status(TaskState::TaskRunning, "")));
    assert_eq!(out(&running).len(), 2);
    let again = core.step(at(2), update(status(TaskState::TaskRunning, "")));
    assert!(matches!(again[..], [Act::Acknowledge(_)]), "told once, acknowledged twice");
    let end = status(TaskState::TaskFailed, "Command exited with status 7");
    let acts = core.step(at(3), update(end));
    assert!(matches!(acts[..], [Act::Acknowledge(_), Act::Drain(_)]), "{acts:?}");
    let acts = core.step(at(4), Input::OutputDone);
    assert!(out(&acts)[1].contains("status 7"));
    assert_eq!(acts.last(), Some(&Act::Exit { code: 7, teardown: true }));
    assert!(core.step(at(5), Input::Interrupt).is_empty());
}

#[test]
fn a_task_that_the_master_refused_has_no_output() {
    let mut core = launched(&[]);
    let mut refused = status(TaskState::TaskError, "Task uses no resources");
    refused.set_source(task_status::Source::Master);
    let acts = core.step(at(1), update(refused));
    assert_eq!(acts.last(), Some(&Act::Exit { code: OWN_FAILURE, teardown: true }));
}

#[test]
fn kill_after_counts_from_running() {
    let mut core = launched(&["--kill_after=3secs"]);
    assert_eq!(core.wake_at(), None);
    core.step(at(10), update(status(TaskState::TaskRunning, "")));
    assert_eq!(core.wake_at(), Some(at(13)));
    let acts = core.wake(at(13));
    assert_eq!(out(&acts), ["Asked to kill task 't' on agent 'S0'"]);
    assert!(matches!(acts[1], Act::Kill(..)));
    core.step(at(13), update(status(TaskState::TaskKilling, "")));
    core.step(at(14), update(status(TaskState::TaskKilled, "")));
    let acts = core.step(at(14), Input::OutputDone);
    assert_eq!(acts.last(), Some(&Act::Exit { code: KILLED, teardown: true }));
}

#[test]
fn an_interrupt_kills_waits_and_gives_up_in_the_end() {
    let exit = Act::Exit { code: INTERRUPTED, teardown: true };
    let mut core = launched(&[]);
    let acts = core.step(at(1), Input::Interrupt);
    assert!(matches!(acts.last(), Some(Act::Kill(..))));
    let mut twice = launched(&[]);
    twice.step(at(1), Input::Interrupt);
    assert_eq!(twice.step(at(1), Input::Interrupt).last(), Some(&exit));
    let mut late = launched(&[]);
    late.step(at(1), Input::Interrupt);
    assert_eq!(late.wake(at(1) + INTERRUPT_WAIT).last(), Some(&exit));
    core.step(at(2), update(status(TaskState::TaskKilled, "")));
    assert_eq!(core.step(at(2), Input::OutputDone).last(), Some(&exit));
    let mut early = Core::new(planned(&[]));
    let acts = early.step(at(0), Input::Interrupt);
    assert_eq!(acts.last(), Some(&Act::Exit { code: INTERRUPTED, teardown: false }));
}

#[test]
fn an_error_event_ends_it() {
    let mut core = launched(&[]);
    let error = Error::new(Code::Invalid, "Framework has been removed");
    let acts = core.step(at(1), Input::Port(PortEvent::Failed(error)));
    assert_eq!(out(&acts), ["Received an ERROR event: Framework has been removed"]);
    assert_eq!(acts[1], Act::Exit { code: OWN_FAILURE, teardown: false });
}

#[test]
fn after_a_reconnection_it_asks_for_its_task() {
    let mut core = launched(&[]);
    let why = "x".to_string();
    core.step(at(1), Input::Port(PortEvent::Disconnected { why }));
    let acts = core.step(at(2), connected());
    assert!(matches!(acts.last(), Some(Act::Reconcile(..))));
}

fn disconnected() -> Input {
    Input::Port(PortEvent::Disconnected { why: "refused".into() })
}

#[test]
fn a_master_is_not_looked_for_without_end() {
    let exit = Act::Exit { code: OWN_FAILURE, teardown: false };
    let mut never = Core::new(planned(&[]));
    never.step(at(0), disconnected());
    assert_eq!(never.wake_at(), Some(at(0) + DISCONNECTED_MAX));
    let acts = never.wake(at(0) + DISCONNECTED_MAX);
    assert!(out(&acts)[1].contains("mesolith up"), "{acts:?}");
    assert_eq!(acts.last(), Some(&exit));

    let mut lost = launched(&[]);
    lost.step(at(1), disconnected());
    // The same trouble in other words does not begin the wait anew.
    lost.step(at(40), Input::Port(PortEvent::Disconnected { why: "reset".into() }));
    let acts = lost.wake(at(1) + DISCONNECTED_MAX);
    assert!(out(&acts)[1].contains("'t' may go on"), "{acts:?}");
    assert_eq!(acts.last(), Some(&exit));

    let mut back = launched(&[]);
    back.step(at(1), disconnected());
    back.step(at(2), connected());
    assert_eq!(back.wake_at(), None);
    assert!(back.wake(at(1) + DISCONNECTED_MAX).is_empty());
}

#[test]
fn an_interrupt_without_a_master_ends_at_once() {
    let exit = Act::Exit { code: INTERRUPTED, teardown: false };
    let mut core = launched(&[]);
    core.step(at(1), disconnected());
    let acts = core.step(at(2), Input::Interrupt);
    assert!(out(&acts)[1].contains("may go on"), "{acts:?}");
    assert_eq!(acts.last(), Some(&exit));
    let mut waiting = Core::new(planned(&[]));
    waiting.step(at(0), connected());
    waiting.step(at(1), disconnected());
    assert_eq!(waiting.step(at(2), Input::Interrupt).last(), Some(&exit));
}

#[test]
fn a_launch_that_was_not_sent_waits_for_another_offer() {
    let mut core = launched(&[]);
    let lost = Error::new(Code::Unavailable, "not subscribed");
    assert!(core.step(at(1), Input::LaunchFailed(lost)).contains(&Act::Revive));
    let acts = core.step(at(2), offers(vec![offer("p", 4.0)]));
    assert!(matches!(acts[0], Act::Launch(..)));
    let unknown = Error::new(Code::Timeout, "no answer");
    let acts = core.step(at(3), Input::LaunchFailed(unknown));
    assert!(matches!(acts.last(), Some(Act::Reconcile(..))), "{acts:?}");
}
