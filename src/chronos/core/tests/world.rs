//! A core with a disk that is synced at once, clocks that are set by hand, and a master with agents that run what they are
//! told to until the test says how it ends.

use crate::base::kv::Op;
use crate::base::rng::Rng;
use crate::base::time::{Mono, Wall};
use crate::chronos::core::io::{Act, Answer, Command, Input, Notice, RequestId};
use crate::chronos::core::row::{Outcome, Row};
use crate::chronos::core::run::Run;
use crate::chronos::core::{ChronosCore, Options};
use crate::chronos::model::{self, Era, Problem};
use crate::chronos::schedule;
use crate::machine::{Cx, Effects, Machine};
use crate::mesos::make;
use crate::mesos::v1::scheduler::{Call, Event, call, event};
use crate::mesos::v1::task_status::Reason;
use crate::mesos::v1::{self, TaskInfo, TaskState};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// 2024-01-01T00:00:00Z.
pub const BEGIN: &str = "2024-01-01T00:00:00Z";

pub fn ms(text: &str) -> i64 {
    schedule::read(text).unwrap()
}

/// An agent of the test's master.
pub struct Agent {
    pub id: String,
    pub host: String,
    pub cpus: f64,
    pub mem: f64,
    pub attributes: Vec<v1::Attribute>,
}

/// A task as the master has it.
pub struct Task {
    pub info: TaskInfo,
    pub state: TaskState,
    /// The end was told and has not been acknowledged.
    pub unacknowledged: bool,
}

#[derive(Default)]
pub struct Master {
    pub agents: Vec<Agent>,
    pub tasks: BTreeMap<String, Task>,
    pub launched: Vec<TaskInfo>,
    pub killed: Vec<String>,
    pub revives: u32,
    pub suppressed: bool,
    pub declines: u32,
    pub reconciled: u32,
    /// Loses launches instead of running them.
    pub loses_launches: bool,
    /// Says nothing when asked for tasks.
    pub is_recovering: bool,
    offers: BTreeMap<String, usize>,
    filtered: BTreeSet<String>,
    offered: u64,
}

pub struct World {
    pub core: ChronosCore,
    pub master: Master,
    pub store: BTreeMap<String, Vec<u8>>,
    pub notices: Vec<Notice>,
    pub connected: bool,
    /// Acts that wait for writes are not done: as if the process ended between the two.
    pub loses_acts: bool,
    options: Options,
    rng: Rng,
    now: u64,
    wall: u64,
    answers: BTreeMap<u64, Answer>,
    requests: u64,
    events: VecDeque<Event>,
    uuids: u64,
    launched_ids: BTreeSet<String>,
}

impl World {
    pub fn new() -> Self {
        Self::with(Options { min_revive_offers_interval: Duration::ZERO, ..Options::default() })
    }

    pub fn with(options: Options) -> Self {
        let mut world = Self {
            core: ChronosCore::new(options.clone()),
            master: Master::default(),
            store: BTreeMap::new(),
            notices: Vec::new(),
            connected: false,
            loses_acts: false,
            options,
            rng: Rng::new(7),
            now: 1_000_000_000,
            wall: schedule::wall(ms(BEGIN)).0,
            answers: BTreeMap::new(),
            requests: 0,
            events: VecDeque::new(),
            uuids: 0,
            launched_ids: BTreeSet::new(),
        };
        world.add_agent("a1", 8.0, &[]);
        world.connect();
        world
    }

    pub fn add_agent(&mut self, id: &str, cpus: f64, attributes: &[(&str, &str)]) {
        let attribute = |(name, value): &(&str, &str)| v1::Attribute {
            name: (*name).into(),
            r#type: v1::value::Type::Text.into(),
            text: Some(v1::value::Text { value: (*value).into() }),
            ..Default::default()
        };
        self.master.agents.push(Agent {
            id: id.into(),
            host: format!("{id}.example"),
            cpus,
            mem: 100_000.0,
            attributes: attributes.iter().map(attribute).collect(),
        });
    }

    fn turn(&mut self, run: impl FnOnce(&mut ChronosCore, &mut Cx<'_>, &mut Effects<ChronosCore>)) {
        let mut out = Effects::default();
        let mut cx = Cx { now: Mono(self.now), wall: Wall(self.wall), rng: &mut self.rng };
        run(&mut self.core, &mut cx, &mut out);
        self.core.settle(&mut cx, &mut out);
        self.carry_out(out);
    }

    fn carry_out(&mut self, out: Effects<ChronosCore>) {
        for act in out.acts_now {
            self.act(act);
        }
        for write in out.writes {
            match write {
                Op::Put { key, value } => drop(self.store.insert(key, value)),
                Op::Delete { key } => drop(self.store.remove(&key)),
            }
        }
        for (_, act) in out.acts {
            if !self.loses_acts {
                self.act(act);
            }
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Answer { request, answer } => drop(self.answers.insert(request.0, answer)),
            Act::Publish(notice) => self.notices.push(notice),
            Act::Call(call) => {
                if self.connected {
                    self.take_call(*call);
                }
            }
        }
    }

    pub fn input(&mut self, input: Input) {
        self.turn(|core, cx, out| core.step(cx, input, out));
        self.settle();
    }

    /// Events and what is due now, until nothing is.
    pub fn settle(&mut self) {
        loop {
            if let Some(event) = self.events.pop_front() {
                let input = Input::Event(Arc::new(event));
                self.turn(|core, cx, out| core.step(cx, input, out));
            } else if self.core.wake_at().is_some_and(|at| at.0 <= self.now) {
                self.turn(|core, cx, out| core.wake(cx, out));
            } else {
                return;
            }
        }
    }

    pub fn connect(&mut self) {
        self.connected = true;
        self.master.offers.clear();
        self.master.filtered.clear();
        self.master.suppressed = false;
        let framework_id = "f-1".into();
        self.input(Input::Subscribed { framework_id });
        self.offer();
        self.settle();
    }

    pub fn disconnect(&mut self) {
        self.connected = false;
        self.events.clear();
        self.input(Input::Disconnected { why: "the test says so".into() });
    }

    /// The process ends here; all it had in memory is gone.
    pub fn crash(&mut self) {
        self.connected = false;
        self.events.clear();
        self.loses_acts = false;
        let rows: Vec<_> = self.store.clone().into_iter().collect();
        let mut out = Effects::default();
        let mut cx = Cx { now: Mono(self.now), wall: Wall(self.wall), rng: &mut self.rng };
        self.core = ChronosCore::recover(self.options.clone(), rows, &mut cx, &mut out).unwrap();
        self.core.settle(&mut cx, &mut out);
        self.carry_out(out);
        self.settle();
    }

    pub fn restart(&mut self) {
        self.crash();
        self.connect();
    }

    /// Lets time pass, without anybody there to notice.
    pub fn skip(&mut self, millis: i64) {
        let nanos = u64::try_from(millis).unwrap() * 1_000_000;
        self.now += nanos;
        self.wall += nanos;
    }

    /// Lets time pass, waking the core when it wants to be.
    pub fn advance(&mut self, millis: i64) {
        let end = self.now + u64::try_from(millis).unwrap() * 1_000_000;
        loop {
            self.settle();
            let next = self.core.wake_at().map_or(u64::MAX, |at| at.0);
            if next > end {
                break;
            }
            self.wall += next - self.now;
            self.now = next;
        }
        self.wall += end - self.now;
        self.now = end;
        self.settle();
    }

    /// Sets the wall clock on by so much.
    pub fn set_clock_on(&mut self, millis: i64) {
        self.wall += u64::try_from(millis).unwrap() * 1_000_000;
    }

    // Clients.

    pub fn ask(&mut self, command: Command) -> Answer {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.input(Input::Request { request, command });
        self.answers.remove(&request.0).expect("each request is answered once")
    }

    pub fn try_upload(&mut self, json: serde_json::Value) -> Result<(), Problem> {
        let now = Wall(self.wall);
        let (job, counters) = model::read(&json, &self.options.rules, now)?;
        match self.ask(Command::Upload { job: Box::new(job), counters, era: Era::Two }) {
            Answer::Refused(problem) => Err(problem),
            _ => Ok(()),
        }
    }

    pub fn upload(&mut self, json: serde_json::Value) {
        self.try_upload(json).unwrap();
    }

    pub fn scheduled(&mut self, name: &str, schedule: &str) {
        self.upload(serde_json::json!({"name": name, "command": "c", "schedule": schedule}));
    }

    pub fn dependent(&mut self, name: &str, parents: &[&str]) {
        self.upload(serde_json::json!({"name": name, "command": "c", "parents": parents}));
    }

    /// A job that does not run by itself for years.
    pub fn idle(&mut self, name: &str) {
        self.scheduled(name, "R/2030-01-01T00:00:00Z/P1Y");
    }

    /// A deletion whose answer and calls may be lost.
    pub fn requests_delete(&mut self, name: &str) {
        self.requests += 1;
        let command = Command::Delete { name: name.into() };
        self.input(Input::Request { request: RequestId(self.requests), command });
    }

    /// A kill whose answer and calls may be lost.
    pub fn requests_kill(&mut self, name: &str) {
        self.requests += 1;
        let command = Command::Kill { name: name.into() };
        self.input(Input::Request { request: RequestId(self.requests), command });
    }

    pub fn force(&mut self, name: &str) {
        let command = Command::Force { name: name.into(), arguments: None };
        assert_eq!(self.ask(command), Answer::Done);
    }

    // What is seen.

    pub fn runs(&self, name: &str) -> Vec<Arc<Run>> {
        self.core.job(name).unwrap().runs
    }

    pub fn rows(&self, name: &str) -> Vec<Arc<Row>> {
        self.core.job(name).unwrap().job.entry.history.iter().cloned().collect()
    }

    pub fn outcomes(&self, name: &str) -> Vec<Outcome> {
        self.rows(name).iter().map(|row| row.outcome).collect()
    }

    pub fn shown(&self, name: &str) -> serde_json::Value {
        let detail = self.core.job(name).unwrap();
        let entry = &detail.job.entry;
        let shown = model::show(&entry.job, &entry.state.counters, entry.through());
        serde_json::to_value(shown).unwrap()
    }

    /// The tasks that run, by id.
    pub fn live(&self) -> Vec<String> {
        let live = self.master.tasks.iter().filter(|(_, t)| !make::is_terminal(t.state));
        live.map(|(id, _)| id.clone()).collect()
    }

    /// The tasks of a job that run.
    pub fn live_of(&self, name: &str) -> Vec<String> {
        let of = format!(":{name}:");
        self.live().into_iter().filter(|id| id.contains(&of)).collect()
    }

    pub fn launched_of(&self, name: &str) -> usize {
        let of = format!("ChronosTask:{name}");
        self.master.launched.iter().filter(|info| info.name == of).count()
    }

    // The master and its agents.

    pub fn tell(&mut self, task: &str, state: TaskState) {
        self.tell_why(task, state, None);
    }

    pub fn tell_why(&mut self, task: &str, state: TaskState, reason: Option<Reason>) {
        self.uuids += 1;
        let uuid = self.uuids.to_be_bytes().to_vec();
        let known = self.master.tasks.get_mut(task).expect("the task is known");
        let agent_id = known.info.agent_id.clone();
        known.state = state;
        known.unacknowledged = true;
        if self.connected {
            let mut event = update(task, &agent_id, state, Some(uuid));
            if let Some(update) = &mut event.update {
                update.status.reason = reason.map(|r| r as i32);
            }
            self.events.push_back(event);
            self.settle();
        }
    }

    /// The master tells that an agent is lost.
    pub fn fail_agent(&mut self, agent: &str) {
        let agent_id = Some(make::agent_id(agent));
        self.events.push_back(Event {
            r#type: Some(event::Type::Failure.into()),
            failure: Some(event::Failure { agent_id, ..Default::default() }),
            ..Default::default()
        });
        self.settle();
    }

    /// Every task that runs ends well.
    pub fn finish_all(&mut self) {
        for task in self.live() {
            self.tell(&task, TaskState::TaskRunning);
            self.tell(&task, TaskState::TaskFinished);
        }
    }

    pub fn finish(&mut self, name: &str) {
        self.end(name, TaskState::TaskFinished);
    }

    pub fn fail(&mut self, name: &str) {
        self.end(name, TaskState::TaskFailed);
    }

    pub fn end(&mut self, name: &str, state: TaskState) {
        let [task] = self.live_of(name).try_into().expect("one task of the job runs");
        self.tell(&task, TaskState::TaskRunning);
        self.tell(&task, state);
    }

    fn free(&self, agent: &Agent) -> f64 {
        let used =
            self.master.tasks.values().filter(|task| {
                !make::is_terminal(task.state) && task.info.agent_id.value == agent.id
            });
        let cpus = |task: &Task| task.info.resources.iter().find(|r| r.name == "cpus").cloned();
        let used: f64 = used.filter_map(cpus).filter_map(|r| r.scalar).map(|s| s.value).sum();
        ((agent.cpus - used) * 1000.0).round() / 1000.0
    }

    /// Offers what is free of each agent that has no filter.
    pub fn offer(&mut self) {
        if !self.connected || self.master.suppressed {
            return;
        }
        let mut offers = Vec::new();
        for (n, agent) in self.master.agents.iter().enumerate() {
            let out = self.master.offers.values().any(|of| *of == n);
            let cpus = self.free(agent);
            if out || cpus <= 0.0 || self.master.filtered.contains(&agent.id) {
                continue;
            }
            let allocated = |name: &str, amount: f64| v1::Resource {
                allocation_info: Some(v1::resource::AllocationInfo { role: Some("*".into()) }),
                ..make::scalar(name, amount)
            };
            self.master.offered += 1;
            let id = format!("O{}", self.master.offered);
            offers.push((
                n,
                v1::Offer {
                    id: make::offer_id(&id),
                    framework_id: make::framework_id("f-1"),
                    agent_id: make::agent_id(&agent.id),
                    hostname: agent.host.clone(),
                    resources: vec![
                        allocated("cpus", cpus),
                        allocated("mem", agent.mem),
                        allocated("disk", 1e6),
                    ],
                    attributes: agent.attributes.clone(),
                    ..Default::default()
                },
            ));
        }
        for (n, offer) in &offers {
            self.master.offers.insert(offer.id.value.clone(), *n);
        }
        if !offers.is_empty() {
            let offers = offers.into_iter().map(|(_, offer)| offer).collect();
            self.events.push_back(Event {
                r#type: Some(event::Type::Offers.into()),
                offers: Some(event::Offers { offers }),
                ..Default::default()
            });
        }
    }

    /// All filters end, and what is free is offered.
    pub fn offer_all(&mut self) {
        self.master.filtered.clear();
        self.offer();
        self.settle();
    }

    fn take_call(&mut self, call: Call) {
        match call.r#type() {
            call::Type::Revive => {
                self.master.revives += 1;
                self.master.suppressed = false;
                self.master.filtered.clear();
                self.offer();
            }
            call::Type::Suppress => self.master.suppressed = true,
            call::Type::Decline => {
                self.master.declines += 1;
                for id in call.decline.unwrap().offer_ids {
                    if let Some(n) = self.master.offers.remove(&id.value) {
                        self.master.filtered.insert(self.master.agents[n].id.clone());
                    }
                }
            }
            call::Type::Accept => self.take_accept(call.accept.unwrap()),
            call::Type::Kill => {
                let id = call.kill.unwrap().task_id.value;
                self.master.killed.push(id.clone());
                if self.live().contains(&id) {
                    self.tell_later(&id, TaskState::TaskKilled);
                }
            }
            call::Type::Acknowledge => {
                let id = call.acknowledge.unwrap().task_id.value;
                self.master.tasks.get_mut(&id).unwrap().unacknowledged = false;
            }
            call::Type::Reconcile => self.take_reconcile(&call.reconcile.unwrap()),
            other => panic!("{other:?} is not expected"),
        }
    }

    /// An ACCEPT of what is offered that launches a task.
    pub fn accept_of(&self, info: TaskInfo) -> Call {
        let launch = v1::offer::operation::Launch { task_infos: vec![info] };
        let operation = v1::offer::Operation { launch: Some(launch), ..Default::default() };
        let offer_ids = self.master.offers.keys().map(|id| make::offer_id(id)).collect();
        let accept = Some(call::Accept { offer_ids, operations: vec![operation], filters: None });
        Call { r#type: Some(call::Type::Accept.into()), accept, ..Default::default() }
    }

    fn tell_later(&mut self, id: &str, state: TaskState) {
        self.uuids += 1;
        let task = self.master.tasks.get_mut(id).unwrap();
        task.state = state;
        task.unacknowledged = true;
        let uuid = self.uuids.to_be_bytes().to_vec();
        let event = update(id, &task.info.agent_id.clone(), state, Some(uuid));
        self.events.push_back(event);
    }

    fn take_accept(&mut self, accept: call::Accept) {
        let mut agents = Vec::new();
        for id in &accept.offer_ids {
            agents.extend(self.master.offers.remove(&id.value));
        }
        let launches = accept.operations.into_iter().filter_map(|o| o.launch);
        for info in launches.flat_map(|launch| launch.task_infos) {
            let id = info.task_id.value.clone();
            assert!(crate::base::ids::check(&id).is_ok(), "{id}");
            assert!(self.launched_ids.insert(id.clone()), "{id} is launched twice");
            self.master.launched.push(info.clone());
            let agent_id = info.agent_id.clone();
            if self.master.loses_launches || agents.is_empty() {
                self.events.push_back(update(&id, &agent_id, TaskState::TaskDropped, None));
                continue;
            }
            let state = TaskState::TaskStaging;
            self.master.tasks.insert(id, Task { info, state, unacknowledged: false });
        }
        for n in agents {
            self.master.filtered.insert(self.master.agents[n].id.clone());
        }
    }

    fn take_reconcile(&mut self, reconcile: &call::Reconcile) {
        self.master.reconciled += 1;
        if self.master.is_recovering {
            return;
        }
        if reconcile.tasks.is_empty() {
            for id in self.live() {
                let task = &self.master.tasks[&id];
                let event = update(&id, &task.info.agent_id, task.state, None);
                self.events.push_back(event);
            }
        }
        for asked in &reconcile.tasks {
            let id = &asked.task_id.value;
            let known = self
                .master
                .tasks
                .get(id)
                .filter(|task| !make::is_terminal(task.state) || task.unacknowledged);
            let state = known.map_or(TaskState::TaskGone, |task| task.state);
            let agent_id = asked.agent_id.clone().unwrap();
            self.events.push_back(update(id, &agent_id, state, None));
        }
    }
}

fn update(task: &str, agent: &v1::AgentId, state: TaskState, uuid: Option<Vec<u8>>) -> Event {
    let status = v1::TaskStatus {
        task_id: make::task_id(task),
        agent_id: Some(agent.clone()),
        state: state.into(),
        uuid,
        message: Some(format!("{} of the test", state.as_str_name())),
        ..Default::default()
    };
    Event {
        r#type: Some(event::Type::Update.into()),
        update: Some(event::Update { status }),
        ..Default::default()
    }
}
