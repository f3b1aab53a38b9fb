//! A small world around one core: a disk, containers, a master that answers, a clock that is moved
//! by hand.

use crate::agent::core::AgentCore;
use crate::agent::core::io::{
    Act, Answer, CheckOutcome, Exit, Found, FoundState, Input, Launch, LinkId, RequestId, SessionId,
};
use crate::agent::core::options::Options;
use crate::base::ids::{ContainerId, TaskId};
use crate::base::kv::Op;
use crate::base::rng::Rng;
use crate::base::time::{Mono, Wall};
use crate::machine::{Cx, Effects, Machine};
use crate::mesos::internal::{
    AcknowledgeStatus, AgentMessage, AgentRegistered, KillTask, MasterMessage, ReconcileTasks,
    RegisterAgent, RunTask, StatusUpdate,
};
use crate::mesos::v1::{self, TaskState, executor, framework_info::capability};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub const F: &str = "f-0000";
pub const AGENT: &str = "m-S0";
pub const SIGTERM: i32 = 15;
pub const SIGKILL: i32 = 9;

/// What a container of the fake containerizer is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    Preparing,
    Created,
    Running,
    Exited(Exit),
}

#[derive(Clone, Debug)]
pub struct Container {
    pub launch: Arc<Launch>,
    pub state: State,
}

/// Where to stop: after so many batches and acts.
pub type Budget = Option<usize>;

pub struct World {
    pub options: Options,
    pub core: Option<AgentCore>,
    pub now: Mono,
    pub wall: Wall,
    pub rng: Rng,
    pub disk: BTreeMap<String, Vec<u8>>,
    pub boot: String,
    pub containers: BTreeMap<ContainerId, Container>,
    /// How often the command of each task or executor was started.
    pub starts: BTreeMap<String, u32>,
    pub queue: VecDeque<Input>,
    /// Every act, in order.
    pub acts: Vec<Act>,
    pub signals: Vec<i32>,
    pub link: Option<LinkId>,
    links: u64,
    pub epoch: u64,
    pub registrations: Vec<RegisterAgent>,
    /// Every update that reached the master, also repetitions.
    pub updates: Vec<StatusUpdate>,
    pub events: Vec<(SessionId, executor::Event)>,
    pub answers: Vec<(RequestId, Answer)>,
    pub requests: u64,
    pub stopped: Option<usize>,
    /// How long the agent waits for pings, in seconds.
    pub ping_timeout: f64,
    /// How the agent is to be drained, as answers to registrations say.
    pub in_answers: Option<v1::DrainConfig>,
    /// The containerizer answers by itself.
    pub containerizer: bool,
    /// Volumes are made and removed at once.
    pub settles: bool,
    /// The master answers registrations by itself.
    pub master: bool,
    /// The master acknowledges by itself.
    pub acknowledge: bool,
    /// Commands end on SIGTERM.
    pub obedient: bool,
    /// What the master holds as launched: told at registration if the agent does not list it.
    pub launched: Vec<(String, String)>,
    /// Outcomes of checks, taken one by one; none left: no answer.
    pub outcomes: VecDeque<CheckOutcome>,
    /// Crash after so many durable batches and acts.
    pub budget: Budget,
    /// The agent has crashed and not been started again.
    pub dead: bool,
}

pub fn agent_info() -> v1::AgentInfo {
    v1::AgentInfo { hostname: "127.0.0.1".into(), port: Some(5051), ..Default::default() }
}

pub fn scalar(name: &str, value: f64) -> v1::Resource {
    let mut r = crate::agent::core::limits::resource(name, value);
    r.allocation_info = Some(v1::resource::AllocationInfo { role: Some("eng".into()) });
    r
}

pub fn framework() -> v1::FrameworkInfo {
    let capable = |t: capability::Type| v1::framework_info::Capability { r#type: Some(t as i32) };
    v1::FrameworkInfo {
        user: "nobody".into(),
        name: "demo".into(),
        id: Some(v1::FrameworkId { value: F.into() }),
        checkpoint: Some(true),
        capabilities: vec![
            capable(capability::Type::PartitionAware),
            capable(capability::Type::TaskKillingState),
        ],
        ..Default::default()
    }
}

pub fn shell(value: &str) -> v1::CommandInfo {
    v1::CommandInfo { value: Some(value.into()), ..Default::default() }
}

pub fn task(id: &str) -> v1::TaskInfo {
    v1::TaskInfo {
        name: id.into(),
        task_id: v1::TaskId { value: id.into() },
        agent_id: v1::AgentId { value: AGENT.into() },
        resources: vec![scalar("cpus", 0.5), scalar("mem", 32.0)],
        command: Some(shell("sleep 100")),
        ..Default::default()
    }
}

pub fn custom(id: &str, executor: &str) -> v1::TaskInfo {
    let executor = v1::ExecutorInfo {
        executor_id: v1::ExecutorId { value: executor.into() },
        framework_id: Some(v1::FrameworkId { value: F.into() }),
        command: Some(shell("./my-executor")),
        resources: vec![scalar("cpus", 0.2), scalar("mem", 64.0)],
        ..Default::default()
    };
    v1::TaskInfo { command: None, executor: Some(executor), ..task(id) }
}

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn duration(n: u64) -> v1::DurationInfo {
    v1::DurationInfo { nanoseconds: (n * 1_000_000_000) as i64 }
}

impl World {
    /// A new agent on an empty machine, not connected.
    pub fn new() -> Self {
        Self::with(Options::new(agent_info(), "127.0.0.1", "/work"))
    }

    pub fn with(options: Options) -> Self {
        let mut world = Self {
            options,
            core: None,
            now: Mono(1),
            wall: Wall(1_700_000_000_000_000_000),
            rng: Rng::new(7),
            disk: BTreeMap::new(),
            boot: "boot-1".into(),
            containers: BTreeMap::new(),
            starts: BTreeMap::new(),
            queue: VecDeque::new(),
            acts: Vec::new(),
            signals: Vec::new(),
            link: None,
            links: 0,
            epoch: 5,
            registrations: Vec::new(),
            updates: Vec::new(),
            events: Vec::new(),
            answers: Vec::new(),
            requests: 0,
            stopped: None,
            ping_timeout: 1e6,
            in_answers: None,
            containerizer: true,
            settles: true,
            master: true,
            acknowledge: true,
            obedient: true,
            launched: Vec::new(),
            outcomes: VecDeque::new(),
            budget: None,
            dead: false,
        };
        world.start().expect("a new agent starts");
        world
    }

    /// A connected, registered agent.
    pub fn ready() -> Self {
        let mut world = Self::new();
        world.connect();
        world
    }

    pub fn core(&self) -> &AgentCore {
        self.core.as_ref().expect("the agent runs")
    }

    /// Starts the agent from what is on the disk and in containers.
    pub fn start(&mut self) -> crate::base::error::Result<()> {
        let records = self.disk.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let found = self.found();
        let mut out = Effects::default();
        let mut cx = Cx { now: self.now, wall: self.wall, rng: &mut self.rng };
        let boot = self.boot.clone();
        let core =
            AgentCore::recover(self.options.clone(), records, found, &boot, &mut cx, &mut out)?;
        self.core = Some(core);
        self.dead = false;
        self.now = self.now + Duration::from_millis(1);
        self.effects(out);
        self.drain();
        Ok(())
    }

    fn found(&self) -> Vec<Found> {
        let state = |c: &Container| match &c.state {
            State::Preparing => None,
            State::Created => Some(FoundState::Created),
            State::Running => Some(FoundState::Running(4242)),
            State::Exited(exit) => Some(FoundState::Exited(exit.clone())),
        };
        let all = self.containers.iter();
        all.filter_map(|(id, c)| Some(Found { id: id.clone(), state: state(c)? })).collect()
    }

    /// The agent's process ends without a word; containers go on.
    pub fn crash(&mut self) {
        self.core = None;
        self.dead = true;
        self.queue.clear();
        self.link = None;
        self.containers.retain(|_, c| c.state != State::Preparing);
    }

    pub fn restart(&mut self) {
        self.crash();
        self.budget = None;
        self.now = Mono(1);
        self.start().expect("it starts again");
    }

    /// The machine restarts: no container is left.
    pub fn reboot(&mut self) {
        self.crash();
        self.containers.clear();
        self.boot.push('x');
        self.start().expect("it starts again");
    }

    /// One input and all that follows at once.
    pub fn input(&mut self, input: Input) {
        self.queue.push_back(input);
        self.drain();
    }

    pub fn drain(&mut self) {
        while let Some(input) = self.queue.pop_front() {
            let Some(core) = &mut self.core else { return };
            let mut out = Effects::default();
            let mut cx = Cx { now: self.now, wall: self.wall, rng: &mut self.rng };
            core.step(&mut cx, input, &mut out);
            self.effects(out);
        }
        self.look();
    }

    /// A picture made of what was changed is the one that is made of all. (Crashes are tried by the thousand.)
    fn look(&mut self) {
        if let (Some(core), None) = (&mut self.core, self.budget) {
            let seen = format!("{:?}", core.view());
            assert_eq!(seen, format!("{:?}", core.view_anew()));
        }
    }

    /// Whether the crash comes now.
    fn spent(&mut self) -> bool {
        if self.dead {
            return true;
        }
        match &mut self.budget {
            Some(0) => {
                self.crash();
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn effects(&mut self, out: Effects<AgentCore>) {
        for act in out.acts_now {
            self.act(act);
        }
        if !out.writes.is_empty() {
            if self.spent() {
                return;
            }
            for write in out.writes {
                match write {
                    Op::Put { key, value } => drop(self.disk.insert(key, value)),
                    Op::Delete { key } => drop(self.disk.remove(&key)),
                }
            }
        }
        for (_, act) in out.acts {
            if self.spent() {
                return;
            }
            self.act(act);
        }
    }

    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(core) = &mut self.core {
            let Some(at) = core.wake_at().filter(|at| *at <= end) else { break };
            let at = at.max(self.now);
            self.wall = self.wall + at.since(self.now);
            self.now = at;
            let mut out = Effects::default();
            let mut cx = Cx { now: self.now, wall: self.wall, rng: &mut self.rng };
            core.wake(&mut cx, &mut out);
            self.effects(out);
            self.drain();
        }
        self.wall = self.wall + end.since(self.now);
        self.now = end;
    }

    fn act(&mut self, act: Act) {
        self.acts.push(act.clone());
        match act {
            Act::ToMaster { link, message } => self.hear(link, *message),
            Act::LeaveMaster { link } => {
                if self.link == Some(link) {
                    self.link = None;
                }
            }
            Act::Prepare(launch) => {
                let container = launch.container.clone();
                let new = Container { launch, state: State::Preparing };
                assert!(self.containers.insert(container.clone(), new).is_none());
                self.contain(Input::Prepared { container, result: Ok(()) });
            }
            Act::Create(launch) => {
                let container = launch.container.clone();
                let new = Container { launch, state: State::Created };
                self.containers.insert(container.clone(), new);
                self.contain(Input::Created { container, result: Ok(()) });
            }
            Act::Start { container } => {
                if let Some(c) = self.containers.get_mut(&container) {
                    c.state = State::Running;
                    let name = c.launch.executor.executor_id.value.clone();
                    *self.starts.entry(name).or_default() += 1;
                }
                self.contain(Input::Started { container, result: Ok(4242) });
            }
            Act::Resize { container, .. } => {
                self.contain(Input::Resized { container, result: Ok(()) });
            }
            Act::Signal { container, signal } => {
                self.signals.push(signal);
                if signal == SIGKILL || (signal == SIGTERM && self.obedient) {
                    self.exit(&container, signal);
                }
            }
            Act::Destroy { container } => {
                // Those in it go first.
                let prefix = format!("{container}.");
                let inside = |id: &&ContainerId| id.as_str().starts_with(&prefix);
                let inside: Vec<ContainerId> =
                    self.containers.keys().filter(inside).cloned().collect();
                for id in inside {
                    self.exit(&id, SIGKILL);
                    self.containers.remove(&id);
                }
                if let Some(old) = self.containers.remove(&container)
                    && old.state == State::Running
                    && self.containerizer
                {
                    let exit = Exit { status: Some(SIGKILL), time: self.wall, ..Exit::default() };
                    self.queue.push_back(Input::Exited { container: container.clone(), exit });
                }
                self.contain(Input::Destroyed { container });
            }
            Act::Check { container, task_id, which, .. } => {
                if let Some(outcome) = self.outcomes.pop_front() {
                    self.contain(Input::Checked { container, task_id, which, outcome });
                }
            }
            Act::ExecutorEvent { session, event } => self.events.push((session, *event)),
            Act::Answer { request, answer } => self.answers.push((request, answer)),
            Act::Stopped { tasks_left } => self.stopped = Some(tasks_left),
            Act::SettleVolumes { remove, .. } if self.settles => {
                let removed = remove.into_iter().map(|volume| volume.path).collect();
                self.queue.push_back(Input::VolumesSettled { removed });
            }
            Act::SettleVolumes { .. }
            | Act::Forget { .. }
            | Act::CloseExecutor { .. }
            | Act::AttachSandbox { .. }
            | Act::RemoveSandbox { .. }
            | Act::MeasureSandbox { .. }
            | Act::LookAtPorts { .. }
            | Act::Warn { .. }
            | Act::MeasureDisk => {}
        }
    }

    fn contain(&mut self, input: Input) {
        if self.containerizer {
            self.queue.push_back(input);
        }
    }

    /// The first process of a container ends with this raw wait status.
    pub fn exit(&mut self, container: &ContainerId, status: i32) {
        let exit = Exit { status: Some(status), time: self.wall, ..Exit::default() };
        self.exit_as(container, exit);
    }

    pub fn exit_as(&mut self, container: &ContainerId, exit: Exit) {
        if let Some(c) = self.containers.get_mut(container)
            && c.state == State::Running
        {
            c.state = State::Exited(exit.clone());
            self.queue.push_back(Input::Exited { container: container.clone(), exit });
        }
    }

    /// The container of a task or executor by its executor's id.
    pub fn container(&self, executor: &str) -> Option<ContainerId> {
        let of = |c: &Container| c.launch.executor.executor_id.value == executor;
        self.containers.iter().find(|(_, c)| of(c)).map(|(id, _)| id.clone())
    }

    pub fn task_exits(&mut self, id: &str, status: i32) {
        if let Some(container) = self.container(id) {
            self.exit(&container, status);
            self.drain();
        }
    }

    pub fn connect(&mut self) {
        self.links += 1;
        let link = LinkId(self.links);
        self.link = Some(link);
        self.input(Input::MasterConnected { link });
    }

    fn hear(&mut self, link: LinkId, message: AgentMessage) {
        if self.link != Some(link) {
            return;
        }
        if let Some(register) = message.register {
            self.registrations.push(register);
            if self.master {
                let answer = self.answer();
                self.say(answer);
            }
        }
        if let Some(update) = message.status_update {
            let ack = AcknowledgeStatus {
                framework_id: update.framework_id.clone(),
                task_id: update.status.task_id.clone(),
                uuid: update.status.uuid.clone().expect("agents give a uuid"),
            };
            self.updates.push(update);
            if self.acknowledge {
                self.say(MasterMessage { acknowledge: Some(ack), ..Default::default() });
            }
        }
    }

    /// The answer to a registration, with what the agent did not list and the master holds.
    pub fn answer(&self) -> MasterMessage {
        let listed = self.registrations.last().map_or(&[][..], |r| &r.tasks);
        let missing = self.launched.iter().filter(|(framework, id)| {
            !listed.iter().any(|t| t.framework_id.value == *framework && t.task_id.value == *id)
                && !self.is_over(id)
        });
        let reconcile = missing.map(|(framework, id)| ReconcileTasks {
            framework_id: v1::FrameworkId { value: framework.clone() },
            statuses: vec![v1::TaskStatus {
                task_id: v1::TaskId { value: id.clone() },
                state: TaskState::TaskDropped as i32,
                ..Default::default()
            }],
        });
        let registered = AgentRegistered {
            agent_id: v1::AgentId { value: AGENT.into() },
            ping_timeout_secs: Some(self.ping_timeout),
            reconcile: reconcile.collect(),
            drain: self.in_answers,
        };
        MasterMessage { registered: Some(registered), ..Default::default() }
    }

    /// The master says something under its epoch, over the present link.
    pub fn say(&mut self, message: MasterMessage) {
        if let Some(link) = self.link {
            let message = Box::new(MasterMessage { epoch: self.epoch, ..message });
            self.queue.push_back(Input::FromMaster { link, message });
        }
    }

    pub fn tell(&mut self, message: MasterMessage) {
        self.say(message);
        self.drain();
    }

    pub fn run(&mut self, task: v1::TaskInfo) {
        self.run_for(framework(), task);
    }

    pub fn run_for(&mut self, framework_info: v1::FrameworkInfo, task: v1::TaskInfo) {
        let framework = framework_info.id.clone().unwrap_or_default().value;
        self.launched.push((framework, task.task_id.value.clone()));
        let run = RunTask { framework_info, task };
        self.tell(MasterMessage { run_task: Some(run), ..Default::default() });
    }

    pub fn kill(&mut self, id: &str, grace: Option<u64>) {
        let kill = KillTask {
            framework_id: v1::FrameworkId { value: F.into() },
            task_id: v1::TaskId { value: id.into() },
            kill_policy: grace.map(|g| v1::KillPolicy { grace_period: Some(duration(g)) }),
        };
        self.tell(MasterMessage { kill_task: Some(kill), ..Default::default() });
    }

    /// Statuses of a task that reached the master, each uuid once.
    pub fn statuses(&self, id: &str) -> Vec<v1::TaskStatus> {
        let mut seen: Vec<v1::TaskStatus> = Vec::new();
        for update in self.updates.iter().filter(|u| u.status.task_id.value == id) {
            if !seen.iter().any(|s| s.uuid == update.status.uuid) {
                seen.push(update.status.clone());
            }
        }
        seen
    }

    pub fn states(&self, id: &str) -> Vec<TaskState> {
        self.statuses(id).iter().map(v1::TaskStatus::state).collect()
    }

    pub fn last(&self, id: &str) -> v1::TaskStatus {
        self.statuses(id).last().cloned().unwrap_or_else(|| panic!("no status of {id}"))
    }

    pub fn is_over(&self, id: &str) -> bool {
        self.states(id).into_iter().any(crate::agent::core::tables::is_terminal)
    }

    /// An executor's call; how it was answered.
    pub fn call(&mut self, call: executor::Call) -> Answer {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.input(Input::ExecutorCall { request, call: Box::new(call) });
        self.answered(request)
    }

    /// An executor subscribes over this session.
    pub fn subscribe(
        &mut self,
        session: u64,
        executor: &str,
        subscribe: executor::call::Subscribe,
    ) -> Answer {
        self.requests += 1;
        let request = RequestId(self.requests);
        let call = executor::Call {
            r#type: Some(executor::call::Type::Subscribe as i32),
            subscribe: Some(subscribe),
            ..call(executor)
        };
        let session = SessionId(session);
        self.input(Input::ExecutorSubscribe { request, session, call: Box::new(call) });
        self.answered(request)
    }

    fn answered(&self, request: RequestId) -> Answer {
        let found = self.answers.iter().find(|(r, _)| *r == request);
        match found {
            Some((_, answer)) => answer.clone(),
            None if self.dead => Answer::Refused { status: 503, text: String::new() },
            None => panic!("every request is answered"),
        }
    }

    /// Events a session was sent.
    pub fn events_of(&self, session: u64) -> Vec<executor::event::Type> {
        let of = self.events.iter().filter(|(s, _)| s.0 == session);
        of.map(|(_, e)| e.r#type()).collect()
    }

    pub fn removals(&self) -> Vec<PathBuf> {
        let path = |act: &Act| match act {
            Act::RemoveSandbox { path } => Some(path.clone()),
            _ => None,
        };
        self.acts.iter().filter_map(path).collect()
    }

    pub fn count(&self, of: impl Fn(&Act) -> bool) -> usize {
        self.acts.iter().filter(|a| of(a)).count()
    }

    pub fn task_id(id: &str) -> TaskId {
        TaskId::from(id)
    }
}

pub fn call(executor: &str) -> executor::Call {
    executor::Call {
        executor_id: v1::ExecutorId { value: executor.into() },
        framework_id: v1::FrameworkId { value: F.into() },
        ..Default::default()
    }
}

pub fn status(task: &str, state: TaskState, uuid: u8) -> v1::TaskStatus {
    v1::TaskStatus {
        task_id: v1::TaskId { value: task.into() },
        state: state as i32,
        source: Some(v1::task_status::Source::Executor as i32),
        uuid: Some(vec![uuid; 16]),
        timestamp: Some(1.5),
        ..Default::default()
    }
}

pub fn update(executor: &str, status: v1::TaskStatus) -> executor::Call {
    executor::Call {
        r#type: Some(executor::call::Type::Update as i32),
        update: Some(executor::call::Update { status }),
        ..call(executor)
    }
}
