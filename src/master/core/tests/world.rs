//! A master's core with scripted agents and schedulers around it, in virtual time.

use super::super::changes::Object;
use super::super::io::{Act, Answer, Input, LinkId, NodeId, RequestId, SessionId, StreamId};
use super::super::view::View;
use super::super::{Identity, MasterCore, Options, Out};
use super::streams::Heard;
use crate::base::kv::Op;
use crate::base::rng::Rng;
use crate::base::time::{Mono, Wall};
use crate::machine::{Cx, Machine};
use crate::master::allocator;
use crate::mesos::internal::{
    AgentMessage, MasterMessage, Pong, RegisterAgent, StatusUpdate, UnregisterAgent,
};
use crate::mesos::v1::scheduler::{Call, Event, call, event};
use crate::mesos::v1::{self, TaskState};
use crate::mesos::{convert, make};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);

/// One of everything.
pub struct World {
    pub core: MasterCore,
    pub options: Options,
    pub now: Mono,
    pub wall: Wall,
    pub rng: Rng,
    pub registry: BTreeMap<String, Vec<u8>>,
    events: BTreeMap<SessionId, VecDeque<Event>>,
    pub closed_sessions: BTreeSet<SessionId>,
    messages: BTreeMap<LinkId, VecDeque<MasterMessage>>,
    pub closed_links: BTreeSet<LinkId>,
    /// Why links were cut.
    pub refused_links: BTreeMap<LinkId, String>,
    /// Whose agent is on a link.
    nodes: BTreeMap<LinkId, NodeId>,
    /// Who registered which agent.
    owners: BTreeMap<String, NodeId>,
    answers: BTreeMap<u64, Answer>,
    /// What those who watch were told last of each object.
    pub told: BTreeMap<Object, &'static str>,
    /// What operators' streams were told; the first is open from the beginning of each master.
    pub streams: BTreeMap<StreamId, Heard>,
    /// Links whose agents answer no pings.
    pub mute: BTreeSet<LinkId>,
    next: u64,
    masters: u64,
}

/// A scripted agent.
#[derive(Clone, Debug)]
pub struct FakeAgent {
    pub id: String,
    pub link: LinkId,
    pub info: v1::AgentInfo,
}

/// A scripted scheduler.
#[derive(Clone, Debug)]
pub struct FakeScheduler {
    pub id: String,
    pub session: SessionId,
    pub info: v1::FrameworkInfo,
}

fn identity(n: u64) -> Identity {
    Identity {
        master_id: format!("master{n}"),
        epoch: n,
        ip: "127.0.0.1".into(),
        hostname: "node1".into(),
        port: 5050,
        version: "1.12.0".into(),
        domain: None,
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        let (now, wall) = (Mono(1_000_000_000), Wall::from_secs(1_700_000_000.0));
        let mut rng = Rng::new(7);
        let mut out = Out::default();
        let mut cx = Cx { now, wall, rng: &mut rng };
        let core = MasterCore::recover(
            options.clone(),
            allocator::Options::default(),
            identity(1),
            [],
            &mut cx,
            &mut out,
        )
        .unwrap();
        let mut world = Self {
            core,
            options,
            now,
            wall,
            rng,
            registry: BTreeMap::new(),
            events: BTreeMap::new(),
            closed_sessions: BTreeSet::new(),
            messages: BTreeMap::new(),
            closed_links: BTreeSet::new(),
            refused_links: BTreeMap::new(),
            nodes: BTreeMap::new(),
            owners: BTreeMap::new(),
            answers: BTreeMap::new(),
            told: BTreeMap::new(),
            streams: BTreeMap::new(),
            mute: BTreeSet::new(),
            next: 0,
            masters: 1,
        };
        world.listen();
        world
    }

    /// The master dies; another is elected, with nothing but the registry.
    pub fn fail_over(&mut self) {
        self.masters += 1;
        let records: Vec<_> = self.registry.clone().into_iter().collect();
        let mut out = Out::default();
        let mut cx = Cx { now: self.now, wall: self.wall, rng: &mut self.rng };
        self.core = MasterCore::recover(
            self.options.clone(),
            allocator::Options::default(),
            identity(self.masters),
            records,
            &mut cx,
            &mut out,
        )
        .unwrap();
        self.events.clear();
        self.messages.clear();
        self.told.clear();
        self.streams.clear();
        self.apply(out);
        self.listen();
    }

    pub fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// One input, as the driver gives it: a step, then settling.
    pub fn step(&mut self, input: Input) {
        let out = self.step_only(input);
        self.apply(out);
        self.settle();
    }

    /// One input without settling, for looking at its effects.
    pub fn step_only(&mut self, input: Input) -> Out {
        let mut out = Out::default();
        let mut cx = Cx { now: self.now, wall: self.wall, rng: &mut self.rng };
        self.core.step(&mut cx, input, &mut out);
        out
    }

    pub fn settle(&mut self) {
        let mut out = Out::default();
        let mut cx = Cx { now: self.now, wall: self.wall, rng: &mut self.rng };
        self.core.settle(&mut cx, &mut out);
        self.apply(out);
    }

    /// Lets time pass, waking the core whenever it wants.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.core.wake_at().filter(|at| *at <= end) {
            let at = at.max(self.now);
            self.wall = self.wall + at.since(self.now);
            self.now = at;
            let mut out = Out::default();
            let mut cx = Cx { now: self.now, wall: self.wall, rng: &mut self.rng };
            self.core.wake(&mut cx, &mut out);
            self.core.settle(&mut cx, &mut out);
            self.apply(out);
        }
        self.wall = self.wall + end.since(self.now);
        self.now = end;
    }

    fn apply(&mut self, out: Out) {
        for write in out.writes {
            match write {
                Op::Put { key, value } => drop(self.registry.insert(key, value)),
                Op::Delete { key } => drop(self.registry.remove(&key)),
            }
        }
        let mut pongs = Vec::new();
        let acts = out.acts_now.into_iter().chain(out.acts.into_iter().map(|(_, act)| act));
        for act in acts.map(|act| self.hear(act)).collect::<Vec<_>>().into_iter().flatten() {
            match act {
                Act::ToAgent { link, message } => {
                    assert_eq!(message.epoch, self.masters, "every message carries the epoch");
                    if message.ping.is_some_and(|p| p.connected) {
                        pongs.push(link);
                    } else {
                        self.messages.entry(link).or_default().push_back(*message);
                    }
                }
                Act::CloseLink { link } => drop(self.closed_links.insert(link)),
                Act::RefuseLink { link, node, why } => {
                    assert_eq!(node, self.node_of(link));
                    self.refused_links.insert(link, why);
                }
                Act::Event { session, event } => {
                    assert!(!self.closed_sessions.contains(&session), "event after the close");
                    self.events.entry(session).or_default().push_back((*event).clone());
                }
                Act::CloseSession { session } => drop(self.closed_sessions.insert(session)),
                Act::Answer { request, answer } => {
                    assert!(self.answers.insert(request.0, answer).is_none(), "answered twice");
                }
                Act::Changed(changes) => {
                    assert!(!changes.is_empty() && !changes.overflow, "{changes:?}");
                    self.told.extend(changes.objects.iter().map(|(o, s)| (o.clone(), *s)));
                }
                other => panic!("it was heard already: {other:?}"),
            }
        }
        for link in pongs {
            if !self.mute.contains(&link) {
                self.agent_says(link, AgentMessage { pong: Some(Pong {}), ..Default::default() });
            }
        }
    }

    pub fn agent_says(&mut self, link: LinkId, message: AgentMessage) {
        let node = self.node_of(link);
        self.step(Input::FromAgent { link, node, message: Box::new(message) });
    }

    fn node_of(&self, link: LinkId) -> NodeId {
        self.nodes.get(&link).copied().unwrap_or(NodeId(1))
    }

    // Agents.

    /// A new agent with these resources, registered.
    pub fn agent(&mut self, hostname: &str, resources: &str) -> FakeAgent {
        let info = agent_info(hostname, resources);
        self.register(RegisterAgent { agent_info: info, ..registration() })
    }

    /// Registers over a new link; what the master answers gives the id.
    pub fn register(&mut self, register: RegisterAgent) -> FakeAgent {
        let named = register.agent_info.id.as_ref().and_then(|id| self.owners.get(&id.value));
        // A new one is of a node with that hostname.
        let bytes = register.agent_info.hostname.bytes();
        let new = bytes.fold(1u64, |n, byte| n.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let node = named.copied().unwrap_or(NodeId(new));
        self.register_from(node, register)
    }

    pub fn register_from(&mut self, node: NodeId, register: RegisterAgent) -> FakeAgent {
        let link = LinkId(self.fresh());
        self.nodes.insert(link, node);
        let mut info = register.agent_info.clone();
        self.agent_says(link, AgentMessage { register: Some(register), ..Default::default() });
        let messages = self.messages.get(&link).into_iter().flatten();
        let id = messages.filter_map(|m| m.registered.as_ref()).map(|r| r.agent_id.clone()).next();
        let id = id.map(|id| id.value).unwrap_or_default();
        if !id.is_empty() {
            self.owners.insert(id.clone(), node);
        }
        info.id = Some(make::agent_id(&id));
        FakeAgent { id, link, info }
    }

    /// The agent comes back over a new link, with these tasks, of these schedulers.
    pub fn reregister(
        &mut self,
        agent: &mut FakeAgent,
        tasks: Vec<v1::Task>,
        schedulers: &[&FakeScheduler],
    ) {
        let frameworks = schedulers.iter().map(|s| s.info.clone()).collect();
        let agent_info = agent.info.clone();
        let back = self.register(RegisterAgent { agent_info, tasks, frameworks, ..registration() });
        agent.link = back.link;
    }

    pub fn cut(&mut self, agent: &FakeAgent) {
        self.step(Input::LinkClosed { link: agent.link });
    }

    pub fn unregister(&mut self, agent: &FakeAgent) {
        let message =
            AgentMessage { unregister: Some(UnregisterAgent {}), ..AgentMessage::default() };
        self.agent_says(agent.link, message);
    }

    /// All messages sent to the agent since last asked.
    pub fn inbox(&mut self, agent: &FakeAgent) -> Vec<MasterMessage> {
        self.messages.remove(&agent.link).unwrap_or_default().into()
    }

    /// Reports a status with a uuid made of `mark`.
    pub fn report(
        &mut self,
        agent: &FakeAgent,
        scheduler: &FakeScheduler,
        task: &str,
        state: TaskState,
        mark: u8,
    ) {
        self.report_latest(agent, scheduler, task, state, state, mark);
    }

    pub fn report_latest(
        &mut self,
        agent: &FakeAgent,
        scheduler: &FakeScheduler,
        task: &str,
        state: TaskState,
        latest: TaskState,
        mark: u8,
    ) {
        let status = v1::TaskStatus {
            task_id: make::task_id(task),
            state: state as i32,
            source: Some(v1::task_status::Source::Executor as i32),
            uuid: Some(vec![mark; 16]),
            timestamp: Some(self.wall.secs()),
            ..Default::default()
        };
        let update = StatusUpdate {
            framework_id: make::framework_id(&scheduler.id),
            status,
            latest_state: Some(latest as i32),
        };
        let message = AgentMessage { status_update: Some(update), ..AgentMessage::default() };
        self.agent_says(agent.link, message);
    }

    // Schedulers.

    /// A new framework, subscribed.
    pub fn scheduler(&mut self, info: v1::FrameworkInfo) -> FakeScheduler {
        let (session, answer) = self.subscribe(info.clone(), &[]);
        assert_eq!(answer, Answer::Accepted);
        let first = self.next_event(&session).expect("SUBSCRIBED");
        let id = first.subscribed.expect("SUBSCRIBED comes first").framework_id;
        let heartbeat = self.next_event(&session).expect("HEARTBEAT");
        assert_eq!(heartbeat.r#type(), event::Type::Heartbeat);
        let info = v1::FrameworkInfo { id: Some(id.clone()), ..info };
        FakeScheduler { id: id.value, session, info }
    }

    pub fn subscribe(
        &mut self,
        info: v1::FrameworkInfo,
        suppressed: &[&str],
    ) -> (SessionId, Answer) {
        let suppressed_roles = suppressed.iter().map(|r| (*r).to_string()).collect();
        let subscribe = call::Subscribe {
            framework_info: info.clone(),
            suppressed_roles,
            ..Default::default()
        };
        self.subscribe_call(subscribe, None)
    }

    pub fn subscribe_call(
        &mut self,
        subscribe: call::Subscribe,
        principal: Option<&str>,
    ) -> (SessionId, Answer) {
        let n = self.fresh();
        let session = SessionId(format!("session{n}").into());
        let call = Call {
            framework_id: subscribe.framework_info.id.clone(),
            r#type: Some(call::Type::Subscribe as i32),
            subscribe: Some(subscribe),
            ..Call::default()
        };
        self.step(Input::Subscribe {
            request: RequestId(n),
            session: session.clone(),
            call: Box::new(call),
            principal: principal.map(str::to_string),
        });
        (session, self.answers.remove(&n).expect("an answer"))
    }

    /// Subscribes again with the same id.
    pub fn resubscribe(&mut self, scheduler: &FakeScheduler) -> FakeScheduler {
        let again = self.scheduler(scheduler.info.clone());
        assert_eq!(again.id, scheduler.id);
        again
    }

    pub fn hang_up(&mut self, scheduler: &FakeScheduler) {
        self.closed_sessions.insert(scheduler.session.clone());
        self.step(Input::SessionClosed { session: scheduler.session.clone() });
    }

    /// Makes a call with the scheduler's id and session.
    pub fn call(&mut self, scheduler: &FakeScheduler, kind: call::Type, call: Call) -> Answer {
        let session = Some(scheduler.session.clone());
        self.call_as(scheduler, session, None, kind, call)
    }

    pub fn call_as(
        &mut self,
        scheduler: &FakeScheduler,
        session: Option<SessionId>,
        principal: Option<&str>,
        kind: call::Type,
        call: Call,
    ) -> Answer {
        let n = self.fresh();
        let call = Call {
            framework_id: Some(make::framework_id(&scheduler.id)),
            r#type: Some(kind as i32),
            ..call
        };
        self.step(Input::Call {
            request: RequestId(n),
            session,
            call: Box::new(call),
            principal: principal.map(str::to_string),
        });
        self.answers.remove(&n).expect("an answer")
    }

    pub fn teardown(&mut self, id: &str) -> Answer {
        let n = self.fresh();
        self.step(Input::Teardown { request: RequestId(n), framework_id: id.into() });
        self.answers.remove(&n).expect("an answer")
    }

    pub fn drain_agent(&mut self, agent: &str, max_grace: Option<Duration>, gone: bool) -> Answer {
        let nanoseconds = max_grace.map(|d| d.as_nanos() as i64);
        let config = v1::DrainConfig {
            max_grace_period: nanoseconds.map(|nanoseconds| v1::DurationInfo { nanoseconds }),
            mark_gone: Some(gone),
        };
        let agent_id = agent.into();
        self.operate(|request| Input::DrainAgent { request, agent_id, config })
    }

    pub fn deactivate(&mut self, agent: &str) -> Answer {
        let agent_id = agent.into();
        self.operate(|request| Input::DeactivateAgent { request, agent_id })
    }

    pub fn reactivate(&mut self, agent: &str) -> Answer {
        let agent_id = agent.into();
        self.operate(|request| Input::ReactivateAgent { request, agent_id })
    }

    pub fn mark_gone(&mut self, agent: &str) -> Answer {
        let agent_id = agent.into();
        self.operate(|request| Input::MarkAgentGone { request, agent_id })
    }

    pub fn operate(&mut self, input: impl FnOnce(RequestId) -> Input) -> Answer {
        let n = self.fresh();
        self.step(input(RequestId(n)));
        self.answers.remove(&n).expect("an answer")
    }

    /// Launches tasks with these offers; what is left is refused for `refuse_seconds`.
    pub fn launch(
        &mut self,
        scheduler: &FakeScheduler,
        offers: &[&v1::Offer],
        tasks: Vec<v1::TaskInfo>,
    ) {
        let launch = v1::offer::operation::Launch { task_infos: tasks };
        let operation = v1::offer::Operation {
            r#type: Some(v1::offer::operation::Type::Launch as i32),
            launch: Some(launch),
            ..Default::default()
        };
        self.accept(scheduler, offers, vec![operation]);
    }

    pub fn accept(
        &mut self,
        scheduler: &FakeScheduler,
        offers: &[&v1::Offer],
        operations: Vec<v1::offer::Operation>,
    ) {
        let offer_ids = offers.iter().map(|o| o.id.clone()).collect();
        let accept = call::Accept { offer_ids, operations, filters: None };
        let call = Call { accept: Some(accept), ..Call::default() };
        assert_eq!(self.call(scheduler, call::Type::Accept, call), Answer::Accepted);
    }

    pub fn decline(
        &mut self,
        scheduler: &FakeScheduler,
        offers: &[v1::Offer],
        refuse_seconds: Option<f64>,
    ) {
        let offer_ids = offers.iter().map(|o| o.id.clone()).collect();
        let filters = refuse_seconds.map(|s| v1::Filters { refuse_seconds: Some(s) });
        let call = Call { decline: Some(call::Decline { offer_ids, filters }), ..Call::default() };
        assert_eq!(self.call(scheduler, call::Type::Decline, call), Answer::Accepted);
    }

    pub fn acknowledge(
        &mut self,
        scheduler: &FakeScheduler,
        agent: &FakeAgent,
        task: &str,
        mark: u8,
    ) {
        let acknowledge = call::Acknowledge {
            agent_id: make::agent_id(&agent.id),
            task_id: make::task_id(task),
            uuid: vec![mark; 16],
        };
        let call = Call { acknowledge: Some(acknowledge), ..Call::default() };
        assert_eq!(self.call(scheduler, call::Type::Acknowledge, call), Answer::Accepted);
    }

    pub fn kill(&mut self, scheduler: &FakeScheduler, task: &str, agent: Option<&FakeAgent>) {
        let kill = call::Kill {
            task_id: make::task_id(task),
            agent_id: agent.map(|a| make::agent_id(&a.id)),
            kill_policy: None,
        };
        let call = Call { kill: Some(kill), ..Call::default() };
        assert_eq!(self.call(scheduler, call::Type::Kill, call), Answer::Accepted);
    }

    /// Reconciles these tasks (none: implicitly); returns the answers.
    pub fn reconcile(
        &mut self,
        scheduler: &FakeScheduler,
        tasks: &[(&str, Option<&str>)],
    ) -> Vec<v1::TaskStatus> {
        let task = |(task, agent): &(&str, Option<&str>)| call::reconcile::Task {
            task_id: make::task_id(task),
            agent_id: agent.map(make::agent_id),
        };
        let reconcile = call::Reconcile { tasks: tasks.iter().map(task).collect() };
        let call = Call { reconcile: Some(reconcile), ..Call::default() };
        assert_eq!(self.call(scheduler, call::Type::Reconcile, call), Answer::Accepted);
        self.statuses(scheduler)
    }

    pub fn next_event(&mut self, session: &SessionId) -> Option<Event> {
        self.events.get_mut(session)?.pop_front()
    }

    /// All events since last asked, without heartbeats.
    pub fn events(&mut self, scheduler: &FakeScheduler) -> Vec<Event> {
        let all = self.events.remove(&scheduler.session).unwrap_or_default();
        all.into_iter().filter(|e| e.r#type() != event::Type::Heartbeat).collect()
    }

    /// The statuses among the events since last asked; the rest is dropped.
    pub fn statuses(&mut self, scheduler: &FakeScheduler) -> Vec<v1::TaskStatus> {
        self.events(scheduler).into_iter().filter_map(|e| e.update).map(|u| u.status).collect()
    }

    /// The offers among the events since last asked; the rest is dropped.
    pub fn offers(&mut self, scheduler: &FakeScheduler) -> Vec<v1::Offer> {
        let events = self.events(scheduler).into_iter();
        events.filter_map(|e| e.offers).flat_map(|o| o.offers).collect()
    }

    pub fn view(&self) -> View {
        self.core.view()
    }

    /// The core's books balance, and the registry says the same as the tables.
    pub fn audit(&self) -> Result<(), String> {
        self.core.audit()?;
        let stored = |prefix: &str| -> BTreeSet<String> {
            self.registry.keys().filter_map(|k| k.strip_prefix(prefix)).map(Into::into).collect()
        };
        let agents = &self.core.agents;
        let admitted = agents.registered.keys().chain(agents.recovered.keys());
        let admitted: BTreeSet<String> = admitted.map(ToString::to_string).collect();
        if stored("agents/") != admitted {
            return Err("the registry admits other agents than the tables".into());
        }
        let unreachable = agents.unreachable.view().iter().map(|a| a.id.to_string()).collect();
        if stored("unreachable/") != unreachable {
            return Err("the registry has other unreachable agents than the tables".into());
        }
        let gone = agents.gone.view().iter().map(|a| a.id.to_string()).collect();
        if stored("gone/") != gone {
            return Err("the registry has other gone agents than the tables".into());
        }
        let deactivated = agents.deactivated.keys().map(ToString::to_string).collect();
        if stored("deactivated/") != deactivated {
            return Err("the registry has other deactivated agents than the tables".into());
        }
        let (plan, _) = self.core.maintenance();
        if stored("maintenance/").is_empty() != plan.windows.is_empty() {
            return Err("the registry has another maintenance schedule than the tables".into());
        }
        let frameworks = &self.core.frameworks;
        let known = frameworks.registered.keys().chain(frameworks.removed.keys());
        let known: BTreeSet<String> = known.map(ToString::to_string).collect();
        if stored("frameworks/") != known {
            return Err("the registry has other frameworks than the tables".into());
        }
        self.audit_told()?;
        self.audit_heard()
    }

    pub fn counter(&self, name: &str) -> u64 {
        *self.view().counters.get(name).unwrap_or(&0)
    }

    /// Launches one task on one whole offer, drains events, and reports it running.
    pub fn run_task(&mut self, agent: &FakeAgent, scheduler: &FakeScheduler, task: &str) {
        let offers = self.offers(scheduler);
        let offer = offers.iter().find(|o| o.agent_id.value == agent.id).expect("an offer");
        self.launch(scheduler, &[offer], vec![task_info(task, offer, "cpus:1;mem:64")]);
        self.report(agent, scheduler, task, TaskState::TaskRunning, 1);
        self.acknowledge(scheduler, agent, task, 1);
        assert_eq!(self.statuses(scheduler).len(), 1);
        self.inbox(agent);
    }

    /// The task as the agent would report it: as the master holds it.
    pub fn task(&self, scheduler: &FakeScheduler, task: &str) -> v1::Task {
        let framework = self.core.frameworks.get(&scheduler.id).expect("the framework");
        let live = framework.tasks.get(task).map(|t| &t.record);
        let held = live.or_else(|| framework.unreachable.get(task));
        (**held.or_else(|| framework.completed.get(task)).expect("the task")).clone()
    }
}

pub fn registration() -> RegisterAgent {
    RegisterAgent {
        version: "1.12.0".into(),
        capabilities: vec!["AGENT_DRAINING".into()],
        ..RegisterAgent::default()
    }
}

pub fn agent_info(hostname: &str, resources: &str) -> v1::AgentInfo {
    v1::AgentInfo {
        hostname: hostname.into(),
        port: Some(5051),
        resources: wire(resources),
        ..Default::default()
    }
}

/// Resources off their text form, for the wire.
pub fn wire(text: &str) -> Vec<v1::Resource> {
    let parsed = convert::parse_resources(text, "*").unwrap();
    convert::resources_to_v1(&parsed, convert::Format::Post)
}

/// A framework that checkpoints and may be away for an hour.
pub fn framework() -> v1::FrameworkInfo {
    v1::FrameworkInfo {
        user: "root".into(),
        name: "demo".into(),
        failover_timeout: Some(3600.0),
        checkpoint: Some(true),
        ..Default::default()
    }
}

/// The same, knowing partitions.
pub fn aware() -> v1::FrameworkInfo {
    with_capabilities(framework(), &[v1::framework_info::capability::Type::PartitionAware])
}

/// With several roles.
pub fn multi_role(roles: &[&str]) -> v1::FrameworkInfo {
    let info =
        v1::FrameworkInfo { roles: roles.iter().map(|r| (*r).into()).collect(), ..framework() };
    with_capabilities(info, &[v1::framework_info::capability::Type::MultiRole])
}

pub fn with_capabilities(
    mut info: v1::FrameworkInfo,
    all: &[v1::framework_info::capability::Type],
) -> v1::FrameworkInfo {
    info.capabilities
        .extend(all.iter().map(|t| v1::framework_info::Capability { r#type: Some(*t as i32) }));
    info
}

/// A command task for the agent of that offer.
pub fn task_info(id: &str, offer: &v1::Offer, resources: &str) -> v1::TaskInfo {
    v1::TaskInfo {
        name: id.into(),
        task_id: make::task_id(id),
        agent_id: offer.agent_id.clone(),
        resources: wire(resources),
        command: Some(v1::CommandInfo { value: Some("sleep 100".into()), ..Default::default() }),
        ..Default::default()
    }
}

pub fn state(status: &v1::TaskStatus) -> TaskState {
    TaskState::try_from(status.state).unwrap()
}

pub fn refused(answer: Answer) -> (u16, String) {
    match answer {
        Answer::Refused { status, text } => (status, text),
        other => panic!("not refused: {other:?}"),
    }
}
