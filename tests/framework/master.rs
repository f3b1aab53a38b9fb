//! A real master below the scheduler port, with an agent that a script plays: in-process, and over HTTP in both codecs.
//! What a framework of ours meets inside the process and outside is the same.

use crate::scripted::SOON;
use crate::suite::{Below, connected, failed, next};
use mesolith::base::error::Code;
use mesolith::base::rng::Rng;
use mesolith::base::settings::Values;
use mesolith::cluster::consensus::{self, Registry};
use mesolith::cluster::identity::NodeId;
use mesolith::cluster::link::local::{AgentEnd, Switchboard};
use mesolith::framework::http::HttpOptions;
use mesolith::framework::scheduler::{Endpoint, Port, PortEvent, PortEvents};
use mesolith::http::{Running, Server};
use mesolith::machine::control::Control;
use mesolith::machine::driver::{self, Clock};
use mesolith::machine::{Cx, Effects};
use mesolith::master::api::identity::Identity;
use mesolith::master::api::{Api, Realms, face};
use mesolith::master::core::{Identity as CoreIdentity, MasterCore};
use mesolith::master::options;
use mesolith::master::service::{Master, Persist};
use mesolith::master::state::State;
use mesolith::mesos::codec::Codec;
use mesolith::mesos::internal::{
    AgentMessage, ExecutorMessage, MasterMessage, RegisterAgent, StatusUpdate,
};
use mesolith::mesos::v1::scheduler::{Event, event};
use mesolith::mesos::v1::{
    AgentInfo, CommandInfo, ExecutorId, Filters, FrameworkId, FrameworkInfo, Offer, TaskId,
    TaskInfo, TaskState, TaskStatus, value,
};
use mesolith::mesos::v1::{Resource, task_status::Source};
use mesolith::store::DataDir;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

struct World {
    master: Master,
    endpoint: Endpoint,
    switchboard: Switchboard,
    http: Option<Running>,
    _control: Control,
    _dir: DataDir,
    _tmp: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(running) = self.http.take() {
            tokio::spawn(async move { running.stop(Duration::ZERO).await });
        }
    }
}

impl World {
    async fn new(below: Below) -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(tmp.path()).unwrap();
        let options = consensus::Options { timeout: SOON, ..Default::default() };
        let registry = Registry::open(&dir, options).await.unwrap();
        let epoch = registry.begin().await.unwrap();
        let (control, _thread) = Control::start().unwrap();
        let (handle, mailbox) = driver::mailbox();
        let state = State::new(registry.clone(), epoch, 1 << 20);
        let io = tokio::runtime::Handle::current();
        let (tell, told) = oneshot::channel();
        control
            .run(move || async move {
                let clock = Clock::default();
                let mut rng = Rng::new(1);
                let mut cx = Cx { now: clock.mono(), wall: clock.wall(), rng: &mut rng };
                let mut out = Effects::default();
                let options = options::read(&mut Values::new(BTreeMap::new()));
                let identity = CoreIdentity {
                    master_id: "m".into(),
                    epoch: epoch.0,
                    ip: "127.0.0.1".into(),
                    hostname: "h".into(),
                    port: 5050,
                    version: "1.11.0".into(),
                    domain: None,
                };
                let (core, allocator) = (options.core, options.allocator);
                let core =
                    MasterCore::recover(core, allocator, identity, Vec::new(), &mut cx, &mut out)
                        .unwrap();
                let persist: Persist = Box::new(move |ops| {
                    let ops = ops.into_iter().map(Into::into).collect();
                    let proposed = registry.propose(epoch, ops);
                    Box::pin(async move { Ok(proposed.await.map(drop)?) })
                });
                let (master, shell) = Master::new(handle, state, persist, io);
                assert!(tell.send(master).is_ok(), "the test is there");
                driver::run(core, shell, clock, rng, mailbox, out).await
            })
            .await
            .unwrap();
        let master = told.await.unwrap();
        let switchboard = Switchboard::new(NodeId(1));
        tokio::spawn(master.clone().accept(switchboard.lead()));
        let (endpoint, http) = match below {
            Below::InProcess => (Endpoint::in_process(Arc::new(master.clone()), None), None),
            Below::Http(codec) => {
                let running = Self::serve(&master).await;
                let mut options = HttpOptions::new([running.address().to_string()]);
                options.codec = codec;
                (Endpoint::http(options).unwrap(), Some(running))
            }
        };
        Self { master, endpoint, switchboard, http, _control: control, _dir: dir, _tmp: tmp }
    }

    async fn serve(master: &Master) -> Running {
        // The sender may go: the value stays.
        let (_, leading) = watch::channel(Some(master.clone()));
        let identity = Identity {
            hostname: "h".into(),
            ip: [127, 0, 0, 1].into(),
            port: 5050,
            cluster: None,
            log_dir: None,
            start_time: Clock::default().wall(),
            flags: BTreeMap::new(),
        };
        let api = Api::new(leading, Arc::new(identity), Clock::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Server::new("master", face(api, &Realms::open())).start(listener).unwrap()
    }

    fn framework(&self, info: FrameworkInfo) -> Framework {
        let (port, events) = self.endpoint.clone().connect(info, Vec::new());
        Framework { port, events }
    }

    async fn agent(&self) -> Agent {
        let end = self.switchboard.dial().unwrap();
        end.sender.send(registration(None)).unwrap();
        let mut agent = Agent { end, id: String::new() };
        agent.id = agent.told(|m| m.registered.map(|r| r.agent_id.value)).await;
        agent
    }
}

/// What an agent registers with.
fn registration(id: Option<&str>) -> AgentMessage {
    let scalar = |name: &str, value| Resource {
        name: name.into(),
        r#type: value::Type::Scalar.into(),
        scalar: Some(value::Scalar { value }),
        ..Default::default()
    };
    let register = RegisterAgent {
        agent_info: AgentInfo {
            id: id.map(|id| mesolith::mesos::v1::AgentId { value: id.into() }),
            hostname: "node".into(),
            port: Some(5051),
            resources: vec![scalar("cpus", 4.0), scalar("mem", 1024.0)],
            ..Default::default()
        },
        version: "1.11.0".into(),
        ..Default::default()
    };
    AgentMessage { register: Some(register), ..Default::default() }
}

/// An agent of the script.
struct Agent {
    end: AgentEnd,
    id: String,
}

impl Agent {
    /// The next message in which there is something.
    async fn told<T>(&mut self, what: impl Fn(MasterMessage) -> Option<T>) -> T {
        let wait = async {
            loop {
                let message = self.end.receiver.recv().await.expect("the link is open");
                if let Some(found) = what(message) {
                    return found;
                }
            }
        };
        tokio::time::timeout(SOON, wait).await.expect("the master must say it soon")
    }

    fn update(&self, framework: &FrameworkId, task: &TaskId, state: TaskState, uuid: u8) {
        let status = TaskStatus {
            task_id: task.clone(),
            state: state.into(),
            agent_id: Some(mesolith::mesos::v1::AgentId { value: self.id.clone() }),
            source: Some(Source::Executor.into()),
            uuid: Some(vec![uuid; 16]),
            timestamp: Some(1.0),
            ..Default::default()
        };
        let update = StatusUpdate {
            framework_id: framework.clone(),
            status,
            latest_state: Some(state.into()),
        };
        let message = AgentMessage { status_update: Some(update), ..Default::default() };
        self.end.sender.send(message).unwrap();
    }
}

struct Framework {
    port: Port,
    events: PortEvents,
}

impl Framework {
    async fn event(&mut self) -> Arc<Event> {
        match next(&mut self.events).await {
            PortEvent::Event(event) => event,
            other => panic!("no event: {other:?}"),
        }
    }

    async fn offer(&mut self) -> Offer {
        let event = self.event().await;
        assert_eq!(event.r#type(), event::Type::Offers, "{event:?}");
        event.offers.as_ref().unwrap().offers[0].clone()
    }

    async fn status(&mut self) -> TaskStatus {
        let event = self.event().await;
        assert_eq!(event.r#type(), event::Type::Update, "{event:?}");
        event.update.as_ref().unwrap().status.clone()
    }
}

fn info() -> FrameworkInfo {
    FrameworkInfo { user: "root".into(), name: "real".into(), ..Default::default() }
}

fn task(id: &str, offer: &Offer) -> TaskInfo {
    TaskInfo {
        name: id.into(),
        task_id: TaskId { value: id.into() },
        agent_id: offer.agent_id.clone(),
        resources: offer.resources.clone(),
        command: Some(CommandInfo { value: Some("true".into()), ..Default::default() }),
        ..Default::default()
    }
}

async fn a_task_from_offer_to_end(below: Below) {
    let world = World::new(below).await;
    let mut agent = world.agent().await;
    let mut framework = world.framework(info());
    let id = connected(&mut framework.events).await.framework_id;
    let offer = framework.offer().await;
    assert_eq!(offer.hostname, "node");
    let launched = task("t", &offer);
    framework.port.launch(vec![offer.id.clone()], vec![launched], None).await.unwrap();
    let run = agent.told(|m| m.run_task).await;
    assert_eq!(run.task.task_id.value, "t");
    assert_eq!(run.framework_info.id.as_ref(), Some(&id));
    for (state, uuid) in [(TaskState::TaskRunning, 1), (TaskState::TaskFinished, 2)] {
        agent.update(&id, &run.task.task_id, state, uuid);
        let status = framework.status().await;
        assert_eq!((status.state(), status.uuid()), (state, &[uuid; 16][..]));
        framework.port.acknowledge(&status).await.unwrap();
        let acknowledged = agent.told(|m| m.acknowledge).await;
        assert_eq!(acknowledged.uuid, [uuid; 16]);
    }
    let again = framework.offer().await;
    assert_eq!(again.resources, offer.resources, "what is free is offered again, at once");
}

async fn a_decline_holds_and_a_revive_ends_it(below: Below) {
    let world = World::new(below).await;
    let _agent = world.agent().await;
    let mut framework = world.framework(info());
    connected(&mut framework.events).await;
    let offer = framework.offer().await;
    let hour = Filters { refuse_seconds: Some(3600.0) };
    framework.port.decline(vec![offer.id.clone()], Some(hour)).await.unwrap();
    // An unknown task is answered after the decline: had it been offered again, that would have come first.
    let unknown = TaskId { value: "none".into() };
    framework.port.reconcile(vec![(unknown, None)]).await.unwrap();
    assert_eq!(framework.status().await.state(), TaskState::TaskLost);
    framework.port.revive(&[]).await.unwrap();
    let again = framework.offer().await;
    assert_ne!(again.id, offer.id);
    assert_eq!(again.resources, offer.resources);
}

async fn a_kill_reaches_the_agent_and_a_message_goes_both_ways(below: Below) {
    let world = World::new(below).await;
    let mut agent = world.agent().await;
    let mut framework = world.framework(info());
    let id = connected(&mut framework.events).await.framework_id;
    let offer = framework.offer().await;
    framework.port.launch(vec![offer.id.clone()], vec![task("t", &offer)], None).await.unwrap();
    let run = agent.told(|m| m.run_task).await;
    agent.update(&id, &run.task.task_id, TaskState::TaskRunning, 1);
    framework.status().await;
    let executor_id = ExecutorId { value: "e".into() };
    let message =
        ExecutorMessage { framework_id: id.clone(), executor_id, data: b"hello".to_vec() };
    let message = AgentMessage { executor_message: Some(message), ..Default::default() };
    agent.end.sender.send(message).unwrap();
    let heard = framework.event().await;
    assert_eq!(heard.message.as_ref().unwrap().data, b"hello");
    framework.port.kill(TaskId { value: "t".into() }, None, None).await.unwrap();
    let kill = agent.told(|m| m.kill_task).await;
    assert_eq!(kill.task_id.value, "t");
}

async fn a_bad_launch_is_an_error_status_and_the_offer_is_back(below: Below) {
    let world = World::new(below).await;
    let _agent = world.agent().await;
    let mut framework = world.framework(info());
    connected(&mut framework.events).await;
    let offer = framework.offer().await;
    let mut bad = task("t", &offer);
    bad.resources[0].scalar = Some(value::Scalar { value: 400.0 });
    framework.port.launch(vec![offer.id.clone()], vec![bad], None).await.unwrap();
    let status = framework.status().await;
    assert_eq!(status.state(), TaskState::TaskError, "{status:?}");
    assert!(status.message().contains("more than"), "{status:?}");
    framework.port.revive(&[]).await.unwrap();
    assert_eq!(framework.offer().await.resources, offer.resources);
}

async fn a_torn_down_framework_never_comes_back(below: Below) {
    let world = World::new(below).await;
    let mut framework = world.framework(info());
    let id = connected(&mut framework.events).await.framework_id;
    framework.port.teardown().await.unwrap();
    let mut again = world.framework(FrameworkInfo { id: Some(id), ..info() });
    let refused = failed(&mut again.events).await;
    assert_eq!(refused.code, Code::Invalid);
    assert!(refused.cause.contains("Framework has been removed"), "{refused}");
}

async fn a_second_subscriber_takes_over(below: Below) {
    let world = World::new(below).await;
    let mut first = world.framework(info());
    let id = connected(&mut first.events).await.framework_id;
    let mut second = world.framework(FrameworkInfo { id: Some(id.clone()), ..info() });
    assert_eq!(connected(&mut second.events).await.framework_id, id);
    let over = failed(&mut first.events).await;
    assert_eq!((over.code, over.cause.as_str()), (Code::Conflict, "Framework failed over"));
    let frameworks = world.master.handle().look(|core| core.view().frameworks.len()).await;
    assert_eq!(frameworks.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_with_another_nodes_agent_is_cut_off_and_the_agent_stays() {
    let world = World::new(Below::InProcess).await;
    let agent = world.agent().await;
    let (mut stranger, end) = mesolith::cluster::link::pair();
    world.switchboard.put_through(NodeId(2), end).unwrap();
    stranger.sender.send(registration(Some(&agent.id))).unwrap();
    let told = tokio::time::timeout(SOON, stranger.receiver.recv()).await.expect("it is cut");
    assert!(told.is_none(), "and nobody is told to end: {told:?}");
    // Nor is anything taken from it any more.
    let deaf = async {
        while stranger.sender.send(AgentMessage::default()).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, deaf).await.expect("it is cut both ways");
    let mut framework = world.framework(info());
    connected(&mut framework.events).await;
    assert_eq!(framework.offer().await.agent_id.value, agent.id);
    let look = |core: &MasterCore| core.view().counters["slaves_of_other_nodes_refused"];
    assert_eq!(world.master.handle().look(look).await.unwrap(), 1);
}

macro_rules! over_all {
    ($($name:ident),* $(,)?) => {
        mod in_process {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(Below::InProcess).await; })*
        }
        mod json {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(Below::Http(Codec::Json)).await; })*
        }
        mod protobuf {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(Below::Http(Codec::Protobuf)).await; })*
        }
    };
}

over_all!(
    a_task_from_offer_to_end,
    a_decline_holds_and_a_revive_ends_it,
    a_kill_reaches_the_agent_and_a_message_goes_both_ways,
    a_bad_launch_is_an_error_status_and_the_offer_is_back,
    a_torn_down_framework_never_comes_back,
    a_second_subscriber_takes_over,
);
