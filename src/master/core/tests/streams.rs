//! Operators' streams: a picture, and then all that happens, in order; who only listened knows what the tables have.

use super::super::io::{Act, Input, StreamId};
use super::super::options::Options;
use super::super::streams::Event;
use super::super::view::{FrameworkView, View};
use super::super::{Out, states};
use super::world::*;
use crate::machine::Machine as _;
use crate::mesos::internal::{AgentMessage, RegisterAgent, StatusUpdate};
use crate::mesos::make;
use crate::mesos::v1::scheduler::{Call, call};
use crate::mesos::v1::task_status::Reason;
use crate::mesos::v1::{self, TaskState as S};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The stream that each world listens to from the beginning.
const FIRST: StreamId = StreamId(0);

/// What one stream was told, and what its reader knows by that.
#[derive(Debug, Default)]
pub struct Heard {
    begun: bool,
    pub closed: bool,
    /// A line an event, since asked last.
    lines: Vec<String>,
    agents: BTreeSet<String>,
    /// Awaited since the change of master.
    awaited: BTreeSet<String>,
    frameworks: BTreeMap<String, (v1::FrameworkInfo, bool)>,
    tasks: BTreeMap<(String, String), S>,
}

impl Heard {
    fn begin(&mut self, view: &View) {
        assert!(!self.begun && !self.closed, "it begins once");
        self.begun = true;
        self.lines.push("SUBSCRIBED".into());
        let id = |info: &v1::AgentInfo| info.id.as_ref().unwrap().value.clone();
        self.agents = view.agents.iter().map(|a| id(&a.info)).collect();
        self.awaited = view.recovered_agents.iter().map(|a| id(a)).collect();
        for framework in &view.frameworks {
            self.know(framework);
            for task in framework.tasks.iter().chain(&framework.unreachable_tasks) {
                self.tasks.insert(key(task), task.state());
            }
        }
    }

    fn know(&mut self, framework: &FrameworkView) {
        let known = ((*framework.info).clone(), framework.active);
        assert_eq!(framework.active, framework.connected);
        self.frameworks.insert(name(&framework.info), known);
    }

    /// Takes an event, and notes it if it makes sense after what was told before.
    fn hear(&mut self, event: &Event) {
        let line = match event {
            Event::TaskAdded(task) => {
                let (framework, id) = key(task);
                assert!(self.frameworks.contains_key(&framework), "whose task is {id}?");
                assert!(self.agents.contains(&task.agent_id.value), "where does {id} run?");
                self.tasks.insert(key(task), task.state());
                format!("TASK_ADDED {id} {}", task.state().as_str_name())
            }
            Event::TaskUpdated { framework_id, status, state } => {
                let key = (framework_id.to_string(), status.task_id.value.clone());
                let line = format!("TASK_UPDATED {} {}", key.1, state.as_str_name());
                assert!(self.frameworks.contains_key(&key.0), "whose task is {}?", key.1);
                assert!(self.tasks.insert(key, *state).is_some(), "{line}: of nothing told");
                line
            }
            Event::AgentAdded(agent) => {
                let id = agent.info.id.as_ref().unwrap().value.clone();
                self.awaited.remove(&id);
                assert!(self.agents.insert(id.clone()), "{id} was added before");
                format!("AGENT_ADDED {id} {} used", agent.used.cpus().as_f64())
            }
            Event::AgentRemoved(id) => {
                let was = self.agents.remove(id.as_str()) || self.awaited.remove(id.as_str());
                assert!(was, "{id} was not there");
                format!("AGENT_REMOVED {id}")
            }
            Event::FrameworkAdded(framework) => {
                let id = name(&framework.info);
                assert!(!self.frameworks.contains_key(&id), "{id} was added before");
                self.know(framework);
                format!("FRAMEWORK_ADDED {id} {}", activity(framework))
            }
            Event::FrameworkUpdated(framework) => {
                let id = name(&framework.info);
                assert!(self.frameworks.contains_key(&id), "{id} is new");
                self.know(framework);
                format!("FRAMEWORK_UPDATED {id} {}", activity(framework))
            }
            Event::FrameworkRemoved(info) => {
                let id = name(info);
                assert!(self.frameworks.remove(&id).is_some(), "{id} was not there");
                self.tasks.retain(|(framework, _), _| *framework != id);
                format!("FRAMEWORK_REMOVED {id}")
            }
        };
        self.lines.push(line);
    }
}

fn name(info: &v1::FrameworkInfo) -> String {
    info.id.as_ref().unwrap().value.clone()
}

fn key(task: &v1::Task) -> (String, String) {
    (task.framework_id.value.clone(), task.task_id.value.clone())
}

fn activity(framework: &FrameworkView) -> &'static str {
    if framework.active { "active" } else { "inactive" }
}

impl World {
    /// Listens to this master from now on.
    pub fn listen(&mut self) {
        self.open(FIRST);
    }

    fn open(&mut self, stream: StreamId) {
        self.step(Input::OpenStream { stream });
        assert!(self.streams[&stream].begun, "it begins with the batch");
    }

    /// Takes what is for operators' streams; anything else is left for others.
    pub fn hear(&mut self, act: Act) -> Option<Act> {
        match act {
            Act::StreamOpened { stream, view, heartbeat } => {
                assert_eq!(heartbeat, self.options.heartbeat_interval);
                self.streams.entry(stream).or_default().begin(&view);
            }
            Act::StreamHeartbeat { stream } => {
                let heard = &self.streams[&stream];
                assert!(heard.begun && !heard.closed, "{stream:?} is not there");
                self.streams.entry(stream).or_default().lines.push("HEARTBEAT".into());
            }
            Act::Happened(events) => {
                assert!(!events.is_empty(), "nothing is no news");
                for heard in self.streams.values_mut().filter(|h| h.begun && !h.closed) {
                    events.iter().for_each(|event| heard.hear(event));
                }
            }
            Act::CloseStream { stream } => {
                self.streams.entry(stream).or_default().closed = true;
            }
            other => return Some(other),
        }
        None
    }

    /// What the stream was told since this was asked last, without heartbeats.
    fn lines_of(&mut self, stream: StreamId) -> Vec<String> {
        let lines = std::mem::take(&mut self.streams.get_mut(&stream).unwrap().lines);
        lines.into_iter().filter(|line| line != "HEARTBEAT").collect()
    }

    fn lines(&mut self) -> Vec<String> {
        self.lines_of(FIRST)
    }

    /// Who only listened knows what the tables have.
    pub fn audit_heard(&self) -> Result<(), String> {
        let (core, heard) = (&self.core, &self.streams[&FIRST]);
        let ids = |ids: Vec<String>| ids.into_iter().collect::<BTreeSet<String>>();
        let agents = ids(core.agents.registered.keys().map(ToString::to_string).collect());
        if agents != heard.agents {
            return Err(format!("of agents, {:?} were told and {agents:?} are", heard.agents));
        }
        let awaited = ids(core.agents.recovered.keys().map(ToString::to_string).collect());
        if awaited != heard.awaited {
            return Err(format!("{:?} are awaited by word, {awaited:?} in fact", heard.awaited));
        }
        let registered = &core.frameworks.registered;
        if heard.frameworks.len() != registered.len() {
            return Err("other frameworks were told than are".into());
        }
        for (id, framework) in registered {
            let now = ((*framework.info).clone(), framework.session.is_some());
            if heard.frameworks.get(id.as_str()) != Some(&now) {
                return Err(format!("{id} is otherwise than was told"));
            }
            for (task, now) in &framework.tasks {
                let key = (id.to_string(), task.to_string());
                if heard.tasks.get(&key) != Some(&now.state()) {
                    let told = heard.tasks.get(&key);
                    return Err(format!("{task} is {:?}, and {told:?} was told", now.state()));
                }
            }
            for record in framework.unreachable.iter() {
                let told = heard.tasks.get(&key(record));
                let is_live = framework.tasks.contains_key(record.task_id.value.as_str());
                if !is_live && told != Some(&states::of(record.state)) {
                    let id = &record.task_id.value;
                    return Err(format!("{id} is {:?}, and {told:?} was told", record.state()));
                }
            }
        }
        for ((framework, task), told) in &heard.tasks {
            let Some(known) = core.frameworks.get(framework) else {
                return Err(format!("{task} is of a framework that has ended"));
            };
            // What is unreachable may be forgotten with its agent.
            let over = make::is_terminal(*told) || *told == S::TaskUnreachable;
            let there = known.tasks.contains_key(task.as_str());
            if !over && !there && known.unreachable.get(task).is_none() {
                return Err(format!("{task} has ended, and {told:?} was told last"));
            }
        }
        Ok(())
    }
}

fn status(agent: &FakeAgent, scheduler: &FakeScheduler, status: v1::TaskStatus) -> Input {
    let update = StatusUpdate {
        framework_id: make::framework_id(&scheduler.id),
        latest_state: Some(status.state),
        status,
    };
    let message = AgentMessage { status_update: Some(update), ..AgentMessage::default() };
    let node = super::super::io::NodeId(1);
    Input::FromAgent { link: agent.link, node, message: Box::new(message) }
}

fn says(task: &str, state: S, reason: Option<Reason>) -> v1::TaskStatus {
    v1::TaskStatus {
        task_id: make::task_id(task),
        state: state as i32,
        reason: reason.map(|r| r as i32),
        ..Default::default()
    }
}

// covers: MES-0222, MES-0223, MES-0225
#[test]
fn what_happens_is_told_in_order() {
    let mut w = World::new();
    assert_eq!(w.lines(), ["SUBSCRIBED"]);
    let agent = w.agent("node1", "cpus:4;mem:1024");
    assert_eq!(w.lines(), [format!("AGENT_ADDED {} 0 used", agent.id)]);
    let scheduler = w.scheduler(framework());
    let f = scheduler.id.clone();
    assert_eq!(w.lines(), [format!("FRAMEWORK_ADDED {f} active")]);
    let offers = w.offers(&scheduler);
    w.launch(&scheduler, &[&offers[0]], vec![task_info("t1", &offers[0], "cpus:1;mem:64")]);
    for (n, state) in [S::TaskStarting, S::TaskRunning, S::TaskRunning].into_iter().enumerate() {
        w.report(&agent, &scheduler, "t1", state, n as u8);
    }
    assert_eq!(
        w.lines(),
        [
            "TASK_ADDED t1 TASK_STAGING",
            "TASK_UPDATED t1 TASK_STARTING",
            "TASK_UPDATED t1 TASK_RUNNING"
        ],
        "the same again is no news"
    );
    w.hang_up(&scheduler);
    assert_eq!(w.lines(), [format!("FRAMEWORK_UPDATED {f} inactive")]);
    let scheduler = w.resubscribe(&scheduler);
    assert_eq!(w.lines(), [format!("FRAMEWORK_UPDATED {f} active")]);
    let framework_info = v1::FrameworkInfo { name: "new".into(), ..scheduler.info.clone() };
    let update = call::UpdateFramework { framework_info, ..Default::default() };
    let call = Call { update_framework: Some(update), ..Default::default() };
    w.call(&scheduler, call::Type::UpdateFramework, call);
    assert_eq!(w.lines(), [format!("FRAMEWORK_UPDATED {f} active")]);
    assert_eq!(w.streams[&FIRST].frameworks[&f].0.name, "new");
    w.teardown(&f);
    assert_eq!(
        w.lines(),
        ["TASK_UPDATED t1 TASK_KILLED".to_string(), format!("FRAMEWORK_REMOVED {f}")]
    );
    w.unregister(&agent);
    assert_eq!(w.lines(), [format!("AGENT_REMOVED {}", agent.id)]);
}

#[test]
fn each_of_several_states_in_one_batch_is_told() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offers = w.offers(&scheduler);
    w.launch(&scheduler, &[&offers[0]], vec![task_info("t1", &offers[0], "cpus:1;mem:64")]);
    w.lines();
    for state in [S::TaskStarting, S::TaskRunning, S::TaskFinished] {
        let out = w.step_only(status(&agent, &scheduler, says("t1", state, None)));
        assert!(!told(&out), "after the batch");
    }
    w.settle();
    let told = ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"];
    assert_eq!(w.lines(), told.map(|state| format!("TASK_UPDATED t1 {state}")));
}

fn told(out: &Out) -> bool {
    out.acts.iter().any(|(_, act)| matches!(act, Act::Happened(_)))
}

#[test]
fn a_new_stream_has_in_its_picture_what_it_is_not_told() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offers = w.offers(&scheduler);
    w.launch(&scheduler, &[&offers[0]], vec![task_info("t1", &offers[0], "cpus:1;mem:64")]);
    w.lines();
    let new = StreamId(7);
    w.step_only(status(&agent, &scheduler, says("t1", S::TaskStarting, None)));
    w.step_only(Input::OpenStream { stream: new });
    w.step_only(status(&agent, &scheduler, says("t1", S::TaskRunning, None)));
    w.settle();
    let of_old = ["TASK_UPDATED t1 TASK_STARTING", "TASK_UPDATED t1 TASK_RUNNING"];
    assert_eq!(w.lines(), of_old);
    assert_eq!(w.lines_of(new), ["SUBSCRIBED"]);
    let task = (scheduler.id.clone(), "t1".to_string());
    assert_eq!(w.streams[&new].tasks[&task], S::TaskRunning);
    w.report(&agent, &scheduler, "t1", S::TaskFinished, 9);
    assert_eq!(w.lines(), ["TASK_UPDATED t1 TASK_FINISHED"]);
    assert_eq!(w.lines_of(new), ["TASK_UPDATED t1 TASK_FINISHED"]);
}

// covers: MES-0224
#[test]
fn what_checks_find_is_told_though_the_state_stays() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    w.lines();
    let running = |reason| says("t1", S::TaskRunning, reason);
    let news = Some(Reason::TaskHealthCheckStatusUpdated);
    for (reason, count) in [
        (None, 0),
        (news, 1),
        (Some(Reason::TaskCheckStatusUpdated), 1),
        (Some(Reason::Reconciliation), 0),
    ] {
        w.step(status(&agent, &scheduler, running(reason)));
        assert_eq!(w.lines(), vec!["TASK_UPDATED t1 TASK_RUNNING"; count], "{reason:?}");
    }
}

// covers: MES-0226
#[test]
fn heartbeats_come_at_the_announced_interval() {
    let interval = Duration::from_secs(10);
    let mut w = World::with(Options { heartbeat_interval: interval, ..Options::default() });
    let lines = |w: &mut World| std::mem::take(&mut w.streams.get_mut(&FIRST).unwrap().lines);
    assert_eq!(lines(&mut w), ["SUBSCRIBED", "HEARTBEAT"], "the first at once");
    w.pass(interval - Duration::from_millis(1));
    assert!(lines(&mut w).is_empty());
    w.pass(Duration::from_millis(1));
    assert_eq!(lines(&mut w), ["HEARTBEAT"]);
    w.pass(3 * interval);
    assert_eq!(lines(&mut w), ["HEARTBEAT"; 3]);
    w.step(Input::StreamClosed { stream: FIRST });
    w.pass(3 * interval);
    assert!(lines(&mut w).is_empty(), "nobody is there");
}

// covers: MES-0227
#[test]
fn beyond_the_limit_the_oldest_stream_ends() {
    let mut w = World::with(Options { max_operator_streams: 2, ..Options::default() });
    let (second, third, fourth) = (StreamId(1), StreamId(2), StreamId(3));
    let count = |w: &World| w.counter("operator_event_stream_subscribers");
    assert_eq!(count(&w), 1);
    w.open(second);
    assert_eq!(count(&w), 2);
    assert!(!w.streams[&FIRST].closed);
    w.open(third);
    assert!(w.streams[&FIRST].closed, "the oldest");
    assert_eq!(count(&w), 2);
    w.step(Input::StreamClosed { stream: second });
    w.open(fourth);
    assert!(!w.streams[&third].closed, "there was room");
    w.agent("node1", "cpus:4;mem:1024");
    assert_eq!((w.lines_of(third).len(), w.lines_of(fourth).len()), (2, 2));
    w.pass(HOUR);
}

#[test]
fn nothing_is_noted_while_nobody_listens() {
    let mut w = World::new();
    w.step(Input::StreamClosed { stream: FIRST });
    w.lines();
    let link = super::super::io::LinkId(77);
    let agent_info = agent_info("node1", "cpus:4;mem:1024");
    let register = Some(RegisterAgent { agent_info, ..registration() });
    let message = Box::new(AgentMessage { register, ..Default::default() });
    let node = super::super::io::NodeId(1);
    w.step_only(Input::FromAgent { link, node, message });
    let mut out = Out::default();
    let mut cx = crate::machine::Cx { now: w.now, wall: w.wall, rng: &mut w.rng };
    w.core.settle(&mut cx, &mut out);
    assert!(!told(&out) && !out.is_empty());
    // One that has gone before it began is not begun.
    let gone = StreamId(5);
    w.step_only(Input::OpenStream { stream: gone });
    w.step(Input::StreamClosed { stream: gone });
    assert!(!w.streams.contains_key(&gone));
}

#[test]
fn an_agent_takes_its_tasks_along_and_brings_them_back() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    w.lines();
    w.mute.insert(agent.link);
    w.pass(HOUR);
    let (gone, id) = (format!("AGENT_REMOVED {}", agent.id), agent.id.clone());
    assert_eq!(w.lines(), ["TASK_UPDATED t1 TASK_UNREACHABLE".to_string(), gone]);
    let mut task = w.task(&scheduler, "t1");
    task.state = S::TaskRunning as i32;
    w.reregister(&mut agent, vec![task], &[&scheduler]);
    let back = [format!("AGENT_ADDED {id} 1 used"), "TASK_ADDED t1 TASK_RUNNING".to_string()];
    assert_eq!(w.lines(), back);
    w.audit().unwrap();
    w.mark_gone(&id);
    let gone = format!("AGENT_REMOVED {id}");
    assert_eq!(w.lines(), ["TASK_UPDATED t1 TASK_GONE_BY_OPERATOR".to_string(), gone]);
    w.audit().unwrap();
}

#[test]
fn unreachable_tasks_end_with_their_agent() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    w.mute.insert(agent.link);
    w.pass(HOUR);
    w.lines();
    w.mark_gone(&agent.id);
    assert_eq!(w.lines(), ["TASK_UPDATED t1 TASK_GONE_BY_OPERATOR"]);
}

#[test]
fn what_may_not_be_told_lost_yet_is_told_when_it_may() {
    let interval = Some(2 * HOUR);
    let mut w = World::with(Options { agent_removal_interval: interval, ..Options::default() });
    let agents = [w.agent("node1", "cpus:4;mem:1024"), w.agent("node2", "cpus:4;mem:1024")];
    let scheduler = w.scheduler(framework());
    let offers = w.offers(&scheduler);
    for (agent, task) in agents.iter().zip(["t1", "t2"]) {
        let offer = offers.iter().find(|o| o.agent_id.value == agent.id).unwrap();
        w.launch(&scheduler, &[offer], vec![task_info(task, offer, "cpus:1;mem:64")]);
        w.report(agent, &scheduler, task, S::TaskRunning, 1);
    }
    w.lines();
    w.mute.extend(agents.iter().map(|a| a.link));
    w.pass(HOUR);
    let lines = w.lines();
    let lost = lines.iter().filter(|line| line.ends_with("TASK_LOST")).count();
    let removed = lines.iter().filter(|line| line.starts_with("AGENT_REMOVED")).count();
    assert_eq!((lost, removed), (1, 2), "{lines:?}");
    w.audit().unwrap();
    w.pass(2 * HOUR);
    let lines = w.lines();
    assert!(lines.len() == 1 && lines[0].ends_with("TASK_LOST"), "{lines:?}");
    w.audit().unwrap();
}

// covers: MES-0229
#[test]
fn after_a_change_of_master_who_is_awaited_is_in_the_picture() {
    let mut w = World::new();
    let mut back = w.agent("node1", "cpus:4;mem:1024");
    let late = w.agent("node2", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&back, &scheduler, "t1");
    let task = w.task(&scheduler, "t1");
    w.fail_over();
    assert_eq!(w.lines(), ["SUBSCRIBED"]);
    let awaited: BTreeSet<String> = [back.id.clone(), late.id.clone()].into();
    assert_eq!(w.streams[&FIRST].awaited, awaited);
    let shown = w.view().recovered_agents;
    let shown = shown.iter().map(|a| a.id.as_ref().unwrap().value.clone());
    assert_eq!(shown.collect::<BTreeSet<String>>(), awaited);
    assert!(!w.streams[&FIRST].frameworks[&scheduler.id].1, "it has no connection yet");
    w.reregister(&mut back, vec![task], &[&scheduler]);
    let told =
        [format!("AGENT_ADDED {} 1 used", back.id), "TASK_ADDED t1 TASK_RUNNING".to_string()];
    assert_eq!(w.lines(), told);
    w.pass(HOUR / 2);
    assert!(w.lines().contains(&format!("AGENT_REMOVED {}", late.id)), "it did not come");
    w.audit().unwrap();
}

#[test]
fn a_framework_that_only_an_agent_knows_comes_before_its_tasks() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    let task = w.task(&scheduler, "t1");
    w.registry.retain(|key, _| !key.starts_with("frameworks/"));
    w.fail_over();
    w.lines();
    w.reregister(&mut agent, vec![task], &[&scheduler]);
    let told = [
        format!("FRAMEWORK_ADDED {} inactive", scheduler.id),
        format!("AGENT_ADDED {} 1 used", agent.id),
        "TASK_ADDED t1 TASK_RUNNING".to_string(),
    ];
    assert_eq!(w.lines(), told);
}
