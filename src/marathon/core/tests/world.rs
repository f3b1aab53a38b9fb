//! A core with a scripted master around it. The master keeps its tasks over crashes of the core; writes are durable
//! before acts that wait for them are done.

use super::super::event::{Event, Kind};
use super::super::io::{Act, Answer, Change, Command, Deploying, Input, Kill, KillWhat, RequestId};
use super::super::view::{AppView, Condition, View};
use super::super::{MarathonCore, Options, Out};
use crate::base::kv::Op;
use crate::base::resources::Resources;
use crate::base::rng::Rng;
use crate::base::time::{Mono, Wall};
use crate::machine::{Cx, Machine};
use crate::marathon::model::{App, Group, PathId, Timestamp};
use crate::mesos::convert::{self, Format};
use crate::mesos::make;
use crate::mesos::v1::scheduler::{Call, call, event};
use crate::mesos::v1::{self, TaskInfo, TaskState};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub const SECOND: Duration = Duration::from_secs(1);

pub fn id(text: &str) -> PathId {
    PathId::parse(text).expect("an id")
}

/// An app that needs little, without ports.
pub fn app(name: &str, instances: u32) -> App {
    let mut app = App::new(id(name), "*", Timestamp::default());
    app.cmd = Some("sleep 1000".into());
    (app.cpus, app.mem, app.instances) = (0.1, 16.0, instances);
    app.port_definitions.clear();
    app
}

/// An agent of the scripted master.
#[derive(Clone, Debug)]
pub struct Agent {
    pub id: String,
    pub host: String,
    pub total: Resources,
    pub attributes: Vec<v1::Attribute>,
    /// Its tasks cannot be reached.
    pub lost: bool,
}

/// A task the scripted master knows.
#[derive(Clone, Debug)]
pub struct Task {
    pub info: TaskInfo,
    pub agent: String,
    pub state: TaskState,
    pub uses: Resources,
}

/// What the master does by itself.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// Tasks run as soon as they are launched.
    pub runs: bool,
    /// They are healthy as soon as they run, if they have a check.
    pub heals: bool,
    /// Kills take effect at once.
    pub kills: bool,
}

/// How much of what the core asked for happens before it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Nothing but what waits for no write.
    BeforeWrites,
    /// All writes, none of the acts that wait for them.
    AfterWrites,
}

pub struct World {
    pub core: MarathonCore,
    pub options: Options,
    pub now: Mono,
    pub wall: Wall,
    pub rng: Rng,
    pub rows: BTreeMap<String, Vec<u8>>,
    pub answers: BTreeMap<u64, Answer>,
    pub events: Vec<Arc<Event>>,
    pub agents: Vec<Agent>,
    pub tasks: BTreeMap<String, Task>,
    pub manners: Manners,
    pub calls: Vec<Call>,
    /// Every task id that was ever launched.
    pub launched: BTreeSet<String>,
    pub acknowledged: usize,
    pub subscribed: bool,
    pub wanted: bool,
    /// Outstanding offers: their agent and what is in them.
    pub offers: BTreeMap<String, (String, Resources)>,
    /// Inputs that are on their way to the core.
    pub inbox: VecDeque<Input>,
    /// Dies at the n-th batch from now.
    pub crash_in: Option<(usize, Crash)>,
    pub crashes: usize,
    pub batches: usize,
    /// Calls of that type do not arrive.
    pub swallow: Option<call::Type>,
    /// Looked at after each batch.
    pub watch: Option<fn(&World)>,
    next: u64,
}

impl World {
    /// With so many agents of 10 cpus and ports 31000–31099; subscribed.
    pub fn new(agents: usize) -> Self {
        Self::with(agents, Options::default())
    }

    pub fn with(agents: usize, options: Options) -> Self {
        let (now, wall) = (Mono(1_000_000_000), Wall::from_secs(1_700_000_000.0));
        let mut rng = Rng::new(7);
        let mut cx = Cx { now, wall, rng: &mut rng };
        let core = MarathonCore::recover(options.clone(), [], &mut cx, &mut Out::default());
        let mut world = Self {
            core: core.expect("an empty state"),
            options,
            now,
            wall,
            rng,
            rows: BTreeMap::new(),
            answers: BTreeMap::new(),
            events: Vec::new(),
            agents: Vec::new(),
            tasks: BTreeMap::new(),
            manners: Manners { runs: true, heals: true, kills: true },
            calls: Vec::new(),
            launched: BTreeSet::new(),
            acknowledged: 0,
            subscribed: false,
            wanted: true,
            offers: BTreeMap::new(),
            inbox: VecDeque::new(),
            crash_in: None,
            crashes: 0,
            batches: 0,
            swallow: None,
            watch: None,
            next: 0,
        };
        (0..agents).for_each(|n| world.add_agent(n, "cpus:10;mem:10000;ports:[31000-31099]", ""));
        world.subscribe();
        world.run();
        world
    }

    pub fn add_agent(&mut self, n: usize, resources: &str, attributes: &str) {
        let attributes =
            crate::base::attributes::Attributes::parse(attributes).expect("attributes");
        self.agents.push(Agent {
            id: format!("s{n}"),
            host: format!("host{n}"),
            total: convert::parse_resources(resources, "*").expect("resources"),
            attributes: convert::attributes_to_v1(&attributes),
            lost: false,
        });
    }

    pub fn subscribe(&mut self) {
        self.subscribed = true;
        self.offers.clear();
        self.wanted = true;
        let input = Input::Subscribed { framework_id: "fw".into(), master: None };
        self.inbox.push_back(input);
    }

    /// The master asks for an agent back, at a time from now; or does not any more.
    pub fn ask_back(&mut self, agent: usize, start: Option<Duration>) {
        let id = v1::OfferId { value: format!("back-{agent}") };
        let event = match start {
            Some(after) => {
                let start = (self.wall + after).0 as i64;
                let offer = v1::InverseOffer {
                    id,
                    url: None,
                    framework_id: make::framework_id("fw"),
                    agent_id: Some(make::agent_id(&format!("s{agent}"))),
                    unavailability: v1::Unavailability {
                        start: v1::TimeInfo { nanoseconds: start },
                        duration: None,
                    },
                    resources: Vec::new(),
                };
                v1::scheduler::Event {
                    r#type: Some(event::Type::InverseOffers as i32),
                    inverse_offers: Some(event::InverseOffers { inverse_offers: vec![offer] }),
                    ..Default::default()
                }
            }
            None => v1::scheduler::Event {
                r#type: Some(event::Type::RescindInverseOffer as i32),
                rescind_inverse_offer: Some(event::RescindInverseOffer { inverse_offer_id: id }),
                ..Default::default()
            },
        };
        // Nothing more is offered of it meanwhile.
        self.agents[agent].lost = start.is_some();
        self.inbox.push_back(Input::Event(Arc::new(event)));
    }

    pub fn disconnect(&mut self) {
        self.subscribed = false;
        self.offers.clear();
        self.inbox.clear();
        self.inbox.push_back(Input::Disconnected);
    }

    /// Until nothing more happens at this time, or in a moment.
    pub fn run(&mut self) {
        self.pass(Duration::from_millis(10));
    }

    /// Until nothing more happens at this time.
    fn rest(&mut self) {
        for _ in 0..10_000 {
            self.make_offers();
            let due = self.core.wake_at().is_some_and(|at| at <= self.now);
            if self.inbox.is_empty() && !due {
                return;
            }
            self.batch();
        }
        panic!("it never comes to rest");
    }

    /// Time passes, timer by timer.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.rest();
        while let Some(at) = self.core.wake_at().filter(|at| *at <= end) {
            let at = at.max(self.now);
            self.wall = self.wall + at.since(self.now);
            self.now = at;
            self.rest();
        }
        self.wall = self.wall + end.since(self.now);
        self.now = end;
        self.rest();
    }

    /// One batch, as the driver does it: what is due, all that has come, then settling.
    fn batch(&mut self) {
        self.batches += 1;
        let mut out = Out::default();
        let mut cx = Cx { now: self.now, wall: self.wall, rng: &mut self.rng };
        self.core.wake(&mut cx, &mut out);
        for input in self.inbox.drain(..) {
            self.core.step(&mut cx, input, &mut out);
        }
        self.core.settle(&mut cx, &mut out);
        let crash = match &mut self.crash_in {
            Some((0, crash)) => Some(*crash),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        for act in out.acts_now {
            self.act(act);
        }
        if crash != Some(Crash::BeforeWrites) {
            for commit in super::super::commits(out.writes) {
                commit.into_iter().for_each(|op| self.write(op));
            }
        }
        if crash.is_some() {
            self.crash_in = None;
            return self.crash();
        }
        for (_, act) in out.acts {
            self.act(act);
        }
        if let Some(watch) = self.watch {
            watch(self);
        }
    }

    fn write(&mut self, op: Op) {
        match op {
            Op::Put { key, value } => drop(self.rows.insert(key, value)),
            Op::Delete { key } => drop(self.rows.remove(&key)),
        }
    }

    /// The core dies and comes back with nothing but its rows.
    pub fn crash(&mut self) {
        self.crashes += 1;
        let mut out = Out::default();
        let mut cx = Cx { now: self.now, wall: self.wall, rng: &mut self.rng };
        let rows: Vec<_> = self.rows.clone().into_iter().collect();
        self.core = MarathonCore::recover(self.options.clone(), rows, &mut cx, &mut out)
            .expect("what was stored can be read");
        for (_, act) in out.acts {
            self.act(act);
        }
        out.writes.into_iter().for_each(|op| self.write(op));
        self.inbox.clear();
        self.subscribe();
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Answer { request, answer } => drop(self.answers.insert(request.0, answer)),
            Act::Call(call) => self.call(*call),
            Act::Roles(_) => {}
            Act::Publish(event) => self.events.push(event),
        }
    }

    fn call(&mut self, call: Call) {
        if Some(call.r#type()) == self.swallow {
            self.swallow = None;
            self.inbox.push_back(Input::Undelivered(Box::new(call)));
            return;
        }
        self.calls.push(call.clone());
        match call.r#type() {
            call::Type::Revive => self.wanted = true,
            call::Type::Suppress => self.wanted = false,
            call::Type::Decline => {
                for offer in call.decline.expect("decline").offer_ids {
                    self.offers.remove(&offer.value);
                }
                // Declined for long: only a call makes them come again.
                self.wanted = false;
            }
            call::Type::Accept => self.accept(call.accept.expect("accept")),
            call::Type::Kill => self.kill(&call.kill.expect("kill").task_id.value),
            call::Type::AcceptInverseOffers | call::Type::DeclineInverseOffers => {}
            call::Type::Acknowledge => self.acknowledged += 1,
            call::Type::Reconcile => self.reconcile(call.reconcile.expect("reconcile")),
            other => panic!("the core calls {other:?}"),
        }
    }

    fn accept(&mut self, accept: call::Accept) {
        for offer in accept.offer_ids {
            let known = self.offers.remove(&offer.value);
            for operation in &accept.operations {
                for info in &operation.launch.as_ref().expect("a launch").task_infos {
                    let task = info.task_id.value.clone();
                    let Some((agent, available)) = &known else {
                        self.say(&task, Some(&info.agent_id.value), TaskState::TaskDropped, |_| {});
                        continue;
                    };
                    assert!(self.launched.insert(task.clone()), "{task} is launched twice");
                    let uses = convert::resources_from_v1(&info.resources).expect("resources");
                    let uses = uses.unallocate();
                    assert!(available.contains(&uses), "{task} wants more than the offer has");
                    let (agent, info) = (agent.clone(), info.clone());
                    let state = TaskState::TaskStaging;
                    self.tasks.insert(task.clone(), Task { info, agent, state, uses });
                    if self.manners.runs {
                        self.status(&task, TaskState::TaskRunning);
                    }
                }
            }
        }
        self.wanted = false;
    }

    fn kill(&mut self, task: &str) {
        if !self.tasks.contains_key(task) {
            let state = TaskState::TaskUnknown;
            return self.say(task, None, state, |status| status.uuid = None);
        }
        if self.manners.kills {
            self.status(task, TaskState::TaskKilled);
        }
    }

    fn reconcile(&mut self, reconcile: call::Reconcile) {
        if reconcile.tasks.is_empty() {
            let all: Vec<_> =
                self.tasks.iter().map(|(id, task)| (id.clone(), task.state)).collect();
            for (task, state) in all {
                self.say(&task, None, state, |status| status.uuid = None);
            }
        }
        for task in reconcile.tasks {
            let task = task.task_id.value;
            let state = self.tasks.get(&task).map_or(TaskState::TaskUnknown, |t| t.state);
            self.say(&task, None, state, |status| status.uuid = None);
        }
    }

    /// A task's state changes, and the core is told.
    pub fn status(&mut self, task: &str, state: TaskState) {
        self.status_with(task, state, |_| {});
    }

    pub fn status_with(
        &mut self,
        task: &str,
        state: TaskState,
        change: impl FnOnce(&mut v1::TaskStatus),
    ) {
        let agent = self.tasks.get(task).map(|t| t.agent.clone());
        let checked = self.tasks.get(task).is_some_and(|t| t.info.health_check.is_some());
        if let Some(known) = self.tasks.get_mut(task) {
            known.state = state;
        }
        if make::is_terminal(state) {
            self.tasks.remove(task);
            self.wanted = self.core.session.told == Some(super::super::session::Told::Wanted);
        }
        let heals = self.manners.heals && checked && state == TaskState::TaskRunning;
        self.say(task, agent.as_deref(), state, |status| {
            status.healthy = heals.then_some(true);
            change(status);
        });
    }

    fn say(
        &mut self,
        task: &str,
        agent: Option<&str>,
        state: TaskState,
        change: impl FnOnce(&mut v1::TaskStatus),
    ) {
        if !self.subscribed {
            return;
        }
        self.next += 1;
        let mut status = v1::TaskStatus {
            task_id: make::task_id(task),
            state: state as i32,
            agent_id: agent.map(make::agent_id),
            uuid: Some(self.next.to_be_bytes().to_vec()),
            timestamp: Some(self.wall.secs()),
            ..Default::default()
        };
        change(&mut status);
        let update = Some(event::Update { status });
        self.hear(event::Type::Update, v1::scheduler::Event { update, ..Default::default() });
    }

    /// The master tells that an agent is lost.
    pub fn fail_agent(&mut self, agent: &str) {
        let failure =
            event::Failure { agent_id: Some(make::agent_id(agent)), ..Default::default() };
        let failure = Some(failure);
        self.hear(event::Type::Failure, v1::scheduler::Event { failure, ..Default::default() });
    }

    fn hear(&mut self, kind: event::Type, event: v1::scheduler::Event) {
        let event = v1::scheduler::Event { r#type: Some(kind as i32), ..event };
        self.inbox.push_back(Input::Event(Arc::new(event)));
    }

    /// What agents have left is offered, if anybody wants it.
    fn make_offers(&mut self) {
        if !self.subscribed || !self.wanted {
            return;
        }
        let mut offers = Vec::new();
        for agent in self.agents.iter().filter(|a| !a.lost) {
            if self.offers.values().any(|(on, _)| *on == agent.id) {
                continue;
            }
            let mut left = agent.total.clone();
            for task in self.tasks.values().filter(|t| t.agent == agent.id) {
                left -= &task.uses;
            }
            if left.cpus().is_zero() {
                continue;
            }
            self.next += 1;
            let id = format!("o{}", self.next);
            let role = crate::base::ids::Role::from("*");
            offers.push(v1::Offer {
                id: make::offer_id(&id),
                framework_id: make::framework_id("fw"),
                agent_id: make::agent_id(&agent.id),
                hostname: agent.host.clone(),
                resources: convert::resources_to_v1(&left.allocate(&role), Format::Post),
                attributes: agent.attributes.clone(),
                allocation_info: Some(v1::resource::AllocationInfo { role: Some("*".into()) }),
                ..Default::default()
            });
            self.offers.insert(id, (agent.id.clone(), left));
        }
        if !offers.is_empty() {
            let offers = Some(event::Offers { offers });
            self.hear(event::Type::Offers, v1::scheduler::Event { offers, ..Default::default() });
        }
    }

    /// Sends a command without running.
    pub fn send(&mut self, command: Command) -> u64 {
        self.next += 1;
        let request = RequestId(self.next);
        self.inbox.push_back(Input::Request { request, command });
        self.next
    }

    /// Sends a command, runs, and takes its answer.
    pub fn ask(&mut self, command: Command) -> Answer {
        let request = self.send(command);
        self.run();
        self.answers.remove(&request).expect("an answer")
    }

    /// A change of the root group as it is now.
    pub fn edit(&self, edit: impl FnOnce(&mut Group)) -> Change {
        let base = self.core.root();
        let mut target = (*base).clone();
        edit(&mut target);
        let target = Arc::new(target);
        Change { base, target, restart: BTreeSet::new(), force: false, dry_run: false }
    }

    pub fn put(&self, apps: &[App]) -> Change {
        self.edit(|root| {
            for app in apps {
                root.put_app(Arc::new(app.clone()), Timestamp::default());
            }
        })
    }

    /// Puts apps and runs; it has to be accepted.
    pub fn deploy(&mut self, apps: &[App]) -> Deploying {
        let change = self.put(apps);
        self.change(change)
    }

    pub fn change(&mut self, change: Change) -> Deploying {
        match self.ask(Command::Change(change)) {
            Answer::Deploying(deploying) => deploying,
            other => panic!("not accepted: {other:?}"),
        }
    }

    pub fn kill_app(&mut self, app: &str, scale: bool, wipe: bool) -> Answer {
        let what = KillWhat::App { app: id(app), host: None };
        self.ask(Command::Kill(Kill { what, scale, wipe, force: false }))
    }

    pub fn view(&self) -> View {
        self.core.view()
    }

    pub fn app(&self, name: &str) -> Arc<AppView> {
        self.core.app(&id(name)).expect("an app")
    }

    /// Task ids of an app in a condition.
    pub fn in_condition(&self, name: &str, condition: Condition) -> Vec<String> {
        let app = id(name);
        let of = self.core.instances.of(&app).filter(|i| i.condition == condition);
        of.map(|i| i.task().to_string()).collect()
    }

    pub fn running(&self, name: &str) -> Vec<String> {
        self.in_condition(name, Condition::Running)
    }

    pub fn deployments(&self) -> usize {
        self.core.deployments.len()
    }

    pub fn calls_of(&self, kind: call::Type) -> usize {
        self.calls.iter().filter(|c| c.r#type() == kind).count()
    }

    /// Names of the events so far.
    pub fn told(&self) -> Vec<String> {
        self.events.iter().map(|event| name(&event.kind)).collect()
    }
}

fn name(kind: &Kind) -> String {
    let text = format!("{kind:?}");
    text.split([' ', '{', '(']).next().unwrap_or_default().to_string()
}
