//! Every event in a line, for the trace.

use super::queue::What;
use crate::agent::core::io::{Act, Input};
use crate::base::kv::Op;
use crate::master::core::io::Input as MasterInput;
use crate::mesos::internal::{AgentMessage, MasterMessage};
use crate::mesos::make;
use crate::mesos::v1::Task;
use crate::mesos::v1::scheduler::Event;

/// One event in a line, for the trace.
pub(super) fn line(what: &What) -> String {
    match what {
        What::MasterTurn(proc) => format!("master {proc} turns"),
        What::AgentTurn { node, proc } => format!("agent {node}/{proc} turns"),
        What::ToMaster { link, message } => format!("link {link} → master: {}", up(message)),
        What::ToAgent { link, epoch, message } => {
            format!("link {link} → agent, epoch {epoch}: {}", down(message))
        }
        What::LinkEndAtMaster(link) => format!("link {link} ends at its master"),
        What::LinkEndAtAgent(link) => format!("link {link} ends at its agent"),
        What::Connect { node, proc } => format!("agent {node}/{proc} looks for a master"),
        What::Call { session, input } => format!("{session} → master: {}", asks(input)),
        What::Answered { asked, answer } => format!("{} ← {answer:?}", asked.session),
        What::Told { session, event } => format!("{session} ← {}", tells(event)),
        What::SessionEndAtScheduler(session) => format!("{session} ends at its framework"),
        What::SessionEndAtMaster(session) => format!("{session} ends at its master"),
        What::Propose { proc, epoch, batch } => {
            let keys: Vec<String> = batch.iter().map(name).collect();
            format!("master {proc} proposes under {epoch}: {}", keys.join(" "))
        }
        What::Committed(proc) => format!("master {proc} learns of its commit"),
        What::Depose(proc) => format!("master {proc} is deposed"),
        What::Elect => "election".into(),
        What::Lead { epoch } => format!("the master of {epoch} is ready"),
        What::Synced { node, .. } => format!("disk {node} synced"),
        What::AgentUp(node) => format!("agent {node} starts"),
        What::Contain { node, act, .. } => asked(*node, act),
        What::AgentInput { node, input, .. } => input_line(*node, input),
        What::Exit { node, container, exit } => {
            format!("container {node}/{container} ends: {:?}", exit.status)
        }
        What::Tick(n) => format!("framework {n} ticks"),
        What::SchedulerUp(n) => format!("framework {n} starts"),
        What::Later { scheduler, call } => {
            format!("framework {scheduler}, late: {:?}", call.r#type())
        }
        What::MarathonTurn(proc) => format!("Marathon {proc} turns"),
        What::MarathonSynced(proc) => format!("the store of Marathon {proc} synced"),
        What::MarathonUp => "Marathon starts".into(),
        What::MarathonTick => "Marathon ticks".into(),
        What::ChronosTurn(proc) => format!("Chronos {proc} turns"),
        What::ChronosSynced(proc) => format!("the store of Chronos {proc} synced"),
        What::ChronosUp => "Chronos starts".into(),
        What::ChronosTick => "Chronos ticks".into(),
        What::Beat => "beat".into(),
        What::Replicate(node) => format!("node {node} replicates"),
        What::HostUp(node) => format!("node {node} starts"),
        What::HostGone(node) => format!("node {node} goes"),
        What::Fault => "fault".into(),
        What::Heal => "all faults end".into(),
        What::Look => "look".into(),
    }
}

fn up(m: &AgentMessage) -> String {
    if let Some(r) = &m.register {
        let id = r.agent_info.id.as_ref().map_or("new", |id| &id.value);
        let task = |t: &Task| format!("{} {}", t.task_id.value, make::state_name(t.state));
        let tasks: Vec<String> = r.tasks.iter().map(task).collect();
        return format!("register {id} with {}", tasks.join(", "));
    }
    if let Some(u) = &m.status_update {
        let state = make::state_name(u.status.state);
        let latest = u.latest_state.map(make::state_name).unwrap_or_default();
        return format!("update {} {state}, latest {latest}", u.status.task_id.value);
    }
    if m.pong.is_some() { "pong".into() } else { "other".into() }
}

fn down(m: &MasterMessage) -> String {
    let mut all = Vec::new();
    if let Some(r) = &m.registered {
        let lost: usize = r.reconcile.iter().map(|r| r.statuses.len()).sum();
        all.push(format!("registered {}, {lost} to reconcile", r.agent_id.value));
    }
    all.extend(
        m.run_task_group.iter().flat_map(|g| &g.tasks).map(|t| format!("run {}", t.task_id.value)),
    );
    all.extend(m.run_task.as_ref().map(|r| format!("run {}", r.task.task_id.value)));
    all.extend(m.kill_task.as_ref().map(|k| format!("kill {}", k.task_id.value)));
    all.extend(m.acknowledge.as_ref().map(|a| format!("ack {}", a.task_id.value)));
    all.extend(m.shutdown_framework.as_ref().map(|s| format!("end {}", s.framework_id.value)));
    all.extend(m.update_framework.as_ref().map(|_| "update framework".to_string()));
    all.extend(m.shutdown.as_ref().map(|s| format!("shut down: {}", s.message)));
    all.extend(m.ping.as_ref().map(|p| format!("ping {}", p.connected)));
    all.join(", ")
}

fn asks(input: &MasterInput) -> String {
    match input {
        MasterInput::Subscribe { call, .. } | MasterInput::Call { call, .. } => {
            let id = call.framework_id.as_ref().map_or("new", |id| &id.value);
            format!("{:?} of {id}", call.r#type())
        }
        _ => "other".into(),
    }
}

fn tells(event: &Event) -> String {
    if let Some(update) = &event.update {
        let status = &update.status;
        let state = make::state_name(status.state);
        let again = if status.uuid.is_some() { "" } else { ", no uuid" };
        return format!("{} {state}{again}", status.task_id.value);
    }
    if let Some(error) = &event.error {
        return format!("ERROR {}", error.message);
    }
    format!("{:?}", event.r#type())
}

/// What Marathon has decided.
pub(super) fn decides(batch: &[Op]) -> String {
    let row = |op: &Op| match op {
        Op::Put { key, value } if key.starts_with("instances/") => {
            let text = String::from_utf8_lossy(value.get(1..).unwrap_or_default());
            let row: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let field = |name: &str| row.get(name).map(ToString::to_string).unwrap_or_default();
            let (n, goal, kill) = (field("incarnation"), field("goal"), field("kill"));
            format!("+{key}.{n} {} {goal} kill {kill}", field("condition"))
        }
        other => name(other),
    };
    format!("Marathon decides: {}", batch.iter().map(row).collect::<Vec<_>>().join("; "))
}

/// What a batch does to a key.
fn name(op: &Op) -> String {
    match op {
        Op::Put { key, .. } => format!("+{key}"),
        Op::Delete { key } => format!("-{key}"),
    }
}

fn asked(node: usize, act: &Act) -> String {
    match act {
        Act::Prepare(l) => {
            format!("container {node}/{}: prepare {}", l.container, l.executor.executor_id.value)
        }
        Act::Create(l) => format!("container {node}/{}: create", l.container),
        Act::Start { container } => format!("container {node}/{container}: start"),
        Act::Signal { container, signal } => {
            format!("container {node}/{container}: signal {signal}")
        }
        Act::Destroy { container } => format!("container {node}/{container}: destroy"),
        Act::Forget { container } => format!("container {node}/{container}: forget"),
        _ => format!("container {node}: other"),
    }
}

fn input_line(node: usize, input: &Input) -> String {
    match input {
        Input::Prepared { container, result } => {
            format!("agent {node} ← {container} prepared {}", result.is_ok())
        }
        Input::Created { container, result } => {
            format!("agent {node} ← {container} created {}", result.is_ok())
        }
        Input::Started { container, result } => {
            format!("agent {node} ← {container} started {}", result.is_ok())
        }
        Input::Exited { container, exit } => {
            format!("agent {node} ← {container} exited {:?}", exit.status)
        }
        Input::Destroyed { container } => format!("agent {node} ← {container} destroyed"),
        _ => format!("agent {node} ← other"),
    }
}
