//! Registering, pings, old leaders, status-update streams.

use super::world::*;
use crate::agent::core::io::{Act, Input, LinkId};
use crate::mesos::internal::{
    AcknowledgeStatus, MasterMessage, Ping, ReconcileTasks, UpdateFramework,
};
use crate::mesos::v1::{self, TaskState::*, task_status::Reason};

fn ping(connected: bool) -> MasterMessage {
    MasterMessage { ping: Some(Ping { connected }), ..Default::default() }
}

fn ack(id: &str, uuid: Vec<u8>) -> MasterMessage {
    let acknowledge = AcknowledgeStatus {
        framework_id: v1::FrameworkId { value: F.into() },
        task_id: v1::TaskId { value: id.into() },
        uuid,
    };
    MasterMessage { acknowledge: Some(acknowledge), ..Default::default() }
}

// covers: MES-0115
#[test]
fn registers_until_answered_with_growing_pauses() {
    let mut w = World::new();
    w.master = false;
    w.connect();
    assert_eq!(w.registrations.len(), 1);
    assert!(w.registrations[0].agent_info.id.is_none());
    w.advance(seconds(1));
    assert_eq!(w.registrations.len(), 2);
    w.advance(seconds(600));
    let slow = w.registrations.len();
    assert!((10..30).contains(&slow), "{slow} registrations in ten minutes");
    let answer = w.answer();
    w.tell(answer);
    w.advance(seconds(70));
    assert_eq!(w.registrations.len(), slow);
    assert!(w.disk.contains_key("agent"));
}

// covers: MES-0330, MES-0331
#[test]
fn an_agent_without_pings_looks_for_a_master_again() {
    let mut w = World::new();
    w.ping_timeout = 75.0;
    w.connect();
    w.advance(seconds(70));
    w.tell(ping(true));
    w.advance(seconds(70));
    assert_eq!(w.count(|a| matches!(a, Act::LeaveMaster { .. })), 0);
    w.advance(seconds(6));
    assert_eq!(w.count(|a| matches!(a, Act::LeaveMaster { .. })), 1);
    w.connect();
    assert_eq!(w.registrations.len(), 2);
    let id = w.registrations[1].agent_info.id.as_ref().map(|id| id.value.as_str());
    assert_eq!(id, Some(AGENT));
}

// covers: MES-0513
#[test]
fn a_master_that_holds_the_agent_as_disconnected_is_told_all_again() {
    let mut w = World::ready();
    w.run(task("t"));
    w.tell(ping(false));
    assert_eq!(w.registrations.len(), 2);
    assert_eq!(w.registrations[1].tasks.len(), 1);
    assert_eq!(w.registrations[1].tasks[0].state(), TaskRunning);
    assert!(w.registrations[1].executors.is_empty(), "command executors are not listed");
}

// covers: MES-0325, MES-0096
#[test]
fn an_older_leader_is_not_obeyed() {
    let mut w = World::ready();
    w.acknowledge = false;
    w.run(task("t"));
    w.epoch = 4;
    w.kill("t", None);
    let uuid = w.last("t").uuid.unwrap_or_default();
    w.tell(ack("t", uuid));
    w.run(task("t2"));
    assert!(w.signals.is_empty());
    assert_eq!((w.states("t"), w.states("t2")), (vec![TaskStarting], vec![]));
    // A newer one is written down before it is obeyed.
    w.epoch = 9;
    w.kill("t", None);
    assert_eq!(w.signals, [SIGTERM]);
    w.restart();
    assert_eq!(w.core().view().epoch, 9);
}

#[test]
fn nothing_is_heard_over_an_old_connection() {
    let mut w = World::ready();
    w.run(task("t"));
    w.connect();
    let message = Box::new(MasterMessage { epoch: 5, ..ping(true) });
    let before = w.acts.len();
    w.input(Input::FromMaster { link: LinkId(1), message });
    assert_eq!(w.acts.len(), before);
}

// covers: MES-0363, MES-0364, MES-0365, MES-0367
#[test]
fn updates_go_one_by_one_until_acknowledged() {
    let mut w = World::ready();
    w.acknowledge = false;
    w.run(task("t"));
    assert_eq!(w.updates.len(), 1);
    // The newest state travels with the oldest update.
    w.advance(seconds(9));
    assert_eq!(w.updates.len(), 1);
    w.advance(seconds(1));
    assert_eq!(w.updates.len(), 2);
    assert_eq!(w.updates[1].status.state(), TaskStarting);
    assert_eq!(w.updates[1].latest_state, Some(TaskRunning as i32));
    assert_eq!(w.updates[0].status.uuid, w.updates[1].status.uuid);
    w.advance(seconds(19));
    assert_eq!(w.updates.len(), 2);
    w.advance(seconds(1));
    assert_eq!(w.updates.len(), 3);
    w.advance(seconds(3600));
    assert_eq!(w.updates.len(), 12, "10, 20, 40 … 600 s apart");

    let uuid = w.updates[0].status.uuid.clone().unwrap_or_default();
    w.tell(ack("t", vec![1; 16]));
    assert_eq!(w.states("t"), [TaskStarting]);
    w.tell(ack("t", uuid.clone()));
    assert_eq!(w.states("t"), [TaskStarting, TaskRunning]);
    w.tell(ack("t", uuid));
    assert_eq!(w.states("t"), [TaskStarting, TaskRunning]);
    let sent = w.updates.len();
    w.advance(seconds(10));
    assert_eq!(w.updates.len(), sent + 1);
}

// covers: MES-0047
#[test]
fn an_acknowledged_update_is_never_sent_again() {
    let mut w = World::ready();
    w.run(task("t"));
    assert_eq!(w.states("t"), [TaskStarting, TaskRunning]);
    w.advance(seconds(3600));
    w.connect();
    w.restart();
    w.connect();
    w.advance(seconds(3600));
    assert_eq!(w.updates.len(), 2, "neither by time, nor to a new connection, nor after a restart");
    assert!(!w.disk.keys().any(|k| k.starts_with("updates")));
}

// covers: MES-0345
#[test]
fn a_registration_tells_the_latest_and_the_last_sent_state() {
    let mut w = World::ready();
    w.acknowledge = false;
    w.run(task("t"));
    w.connect();
    let told = &w.registrations[1].tasks[0];
    assert_eq!(told.state(), TaskRunning);
    assert_eq!(told.status_update_state(), TaskStarting);
    assert_eq!(told.status_update_uuid, w.updates[0].status.uuid);
    // And the head is sent to the new master at once.
    assert_eq!(w.updates.len(), 2);
}

// covers: MES-0396
#[test]
fn tasks_only_the_master_knows_are_reported() {
    let mut w = World::ready();
    w.launched.push((F.into(), "ghost".into()));
    w.connect();
    let last = w.last("ghost");
    assert_eq!((last.state(), last.reason()), (TaskDropped, Reason::Reconciliation));
    assert!(last.uuid.is_some());
    assert!(!w.disk.keys().any(|k| k.starts_with("updates")));
}

#[test]
fn a_known_framework_without_the_word_hears_lost() {
    let mut w = World::ready();
    w.run_for(v1::FrameworkInfo { capabilities: Vec::new(), ..framework() }, task("t"));
    let reconcile = vec![ReconcileTasks {
        framework_id: v1::FrameworkId { value: F.into() },
        statuses: vec![v1::TaskStatus {
            task_id: v1::TaskId { value: "ghost".into() },
            ..Default::default()
        }],
    }];
    let mut answer = w.answer();
    if let Some(registered) = &mut answer.registered {
        registered.reconcile = reconcile;
    }
    w.tell(answer);
    assert_eq!(w.last("ghost").state(), TaskLost);
}

#[test]
fn the_frameworks_info_is_followed() {
    let mut w = World::ready();
    w.run(task("t"));
    let framework_info = v1::FrameworkInfo { name: "renamed".into(), ..framework() };
    let update_framework = Some(UpdateFramework { framework_info });
    w.tell(MasterMessage { update_framework, ..Default::default() });
    w.restart();
    assert_eq!(w.core().view().frameworks[0].info.name, "renamed");
}

#[test]
fn launches_that_cannot_be_are_refused_with_a_reason() {
    let mut w = World::ready();
    let mut elsewhere = task("a");
    elsewhere.agent_id.value = "m-S9".into();
    w.run(elsewhere);
    let last = w.last("a");
    assert_eq!((last.state(), last.reason()), (TaskError, Reason::TaskInvalid));
    assert_eq!(last.message(), "Task uses invalid agent m-S9 while agent m-S0 is expected");
    w.run(v1::TaskInfo { command: None, ..task("b") });
    assert_eq!(w.last("b").state(), TaskError);
    let mut pod = custom("c", "d");
    if let Some(e) = &mut pod.executor {
        e.r#type = Some(v1::executor_info::Type::Default as i32);
    }
    w.run(pod);
    assert!(w.last("c").message().contains("DEFAULT"));
    w.run(v1::TaskInfo { task_id: v1::TaskId { value: "../x".into() }, ..task("x") });
    assert!(!w.disk.keys().any(|k| !["agent"].contains(&k.as_str())));
    assert!(w.containers.is_empty());
}

#[test]
fn a_launch_said_twice_is_done_once() {
    let mut w = World::ready();
    w.run(task("t"));
    w.run(task("t"));
    assert_eq!(w.states("t"), [TaskStarting, TaskRunning]);
    assert_eq!(w.starts["t"], 1);
}
