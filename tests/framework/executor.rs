//! What an executor port does, whatever is below it.

use crate::scripted::SOON;
use crate::serve::{Running, executor_face, serve};
use mesolith::base::error::Code;
use mesolith::framework::executor::{
    ExecutorEndpoint, ExecutorEvent, ExecutorEvents, ExecutorOptions, ExecutorPort,
};
use mesolith::framework::http::{Authorization, Http, HttpOptions};
use mesolith::framework::queue::{EVENT_BYTES_MAX, EventReceiver, EventSender, QueueStats, queue};
use mesolith::framework::server::{BoxFuture, ExecutorServer, Refusal, Reply};
use mesolith::mesos::codec::Codec;
use mesolith::mesos::v1::executor::{Call, Event, call, event};
use mesolith::mesos::v1::{
    AgentId, ExecutorId, FrameworkId, TaskId, TaskInfo, TaskState, TaskStatus,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

#[derive(Default)]
struct Inner {
    open: Option<EventSender<Event>>,
    calls: Vec<(Call, Option<String>)>,
    away: bool,
    refuse_updates: Option<Refusal>,
}

struct Agent {
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
}

impl Agent {
    async fn called(&self, kind: call::Type, nth: usize) -> Call {
        let mut changed = self.changed.subscribe();
        let wait = async {
            loop {
                changed.borrow_and_update();
                let found = {
                    let inner = self.inner.lock().unwrap();
                    let mut of_kind = inner.calls.iter().filter(|(c, _)| c.r#type() == kind);
                    of_kind.nth(nth).map(|(c, _)| c.clone())
                };
                if let Some(call) = found {
                    return call;
                }
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(SOON, wait).await.expect("the call must come soon")
    }

    fn send(&self, event: Event) {
        self.inner.lock().unwrap().open.as_ref().unwrap().send(Arc::new(event)).unwrap();
    }

    fn restart(&self, away: bool) {
        let mut inner = self.inner.lock().unwrap();
        inner.open = None;
        inner.away = away;
    }
}

fn of(kind: event::Type) -> Event {
    Event { r#type: Some(kind.into()), ..Default::default() }
}

impl ExecutorServer for Agent {
    fn subscribe(
        &self,
        call: Call,
        token: Option<String>,
    ) -> BoxFuture<Result<EventReceiver<Event>, Refusal>> {
        let mut inner = self.inner.lock().unwrap();
        let answer = if inner.away {
            Err(Refusal::new(503, "Agent has not finished recovery"))
        } else {
            let (sender, events) = queue(EVENT_BYTES_MAX, &QueueStats::new());
            let subscribed = event::Subscribed {
                agent_info: mesolith::mesos::v1::AgentInfo {
                    id: Some(AgentId { value: "a".into() }),
                    hostname: "h".into(),
                    ..Default::default()
                },
                executor_info: mesolith::mesos::v1::ExecutorInfo {
                    executor_id: call.executor_id.clone(),
                    ..Default::default()
                },
                ..Default::default()
            };
            let event = Event { subscribed: Some(subscribed), ..of(event::Type::Subscribed) };
            sender.send(Arc::new(event)).unwrap();
            inner.open = Some(sender);
            inner.calls.push((call, token));
            Ok(events)
        };
        drop(inner);
        self.changed.send_modify(|n| *n += 1);
        Box::pin(std::future::ready(answer))
    }

    fn call(&self, call: Call, token: Option<String>) -> BoxFuture<Result<Reply, Refusal>> {
        let mut inner = self.inner.lock().unwrap();
        let update = call.r#type() == call::Type::Update;
        let refusal = inner.refuse_updates.take_if(|_| update);
        let answer = match refusal {
            Some(refusal) => Err(refusal),
            None => {
                inner.calls.push((call, token));
                Ok(Reply::Accepted)
            }
        };
        drop(inner);
        self.changed.send_modify(|n| *n += 1);
        Box::pin(std::future::ready(answer))
    }
}

struct World {
    agent: Arc<Agent>,
    port: ExecutorPort,
    events: ExecutorEvents,
    _http: Option<Running>,
}

impl World {
    async fn new(codec: Option<Codec>, change: impl FnOnce(&mut ExecutorOptions)) -> Self {
        let agent = Arc::new(Agent { inner: Mutex::default(), changed: watch::Sender::new(0) });
        let (endpoint, http) = match codec {
            None => (ExecutorEndpoint::InProcess(agent.clone(), Some("token".into())), None),
            Some(codec) => {
                let running = serve(executor_face(agent.clone())).await;
                let mut options = HttpOptions::new([&running.address]);
                options.codec = codec;
                options.authorization = Some(Authorization::Bearer("token".into()));
                (ExecutorEndpoint::Http(Http::new(options).unwrap()), Some(running))
            }
        };
        let mut options = ExecutorOptions {
            framework_id: FrameworkId { value: "f".into() },
            executor_id: ExecutorId { value: "e".into() },
            checkpoint: true,
            recovery_timeout: SOON,
            backoff_max: Duration::from_millis(30),
            heartbeat: SOON,
        };
        change(&mut options);
        let (port, events) = ExecutorPort::connect(endpoint, options);
        Self { agent, port, events, _http: http }
    }

    async fn next(&mut self) -> ExecutorEvent {
        let next = tokio::time::timeout(SOON, self.events.next()).await;
        next.expect("an event must come soon").expect("the port must not have ended")
    }

    async fn connected(&mut self) {
        let next = self.next().await;
        assert!(matches!(next, ExecutorEvent::Connected(_)), "{next:?}");
    }

    async fn disconnected(&mut self) {
        let next = self.next().await;
        assert!(matches!(next, ExecutorEvent::Disconnected { .. }), "{next:?}");
    }

    async fn event(&mut self) -> Arc<Event> {
        match self.next().await {
            ExecutorEvent::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    async fn acknowledge(&mut self, update: &call::Update) {
        let acknowledged = event::Acknowledged {
            task_id: update.status.task_id.clone(),
            uuid: update.status.uuid.clone().unwrap(),
        };
        let event = Event { acknowledged: Some(acknowledged), ..of(event::Type::Acknowledged) };
        self.agent.send(event.clone());
        assert_eq!(*self.event().await, event);
    }
}

fn status(task: &str, state: TaskState) -> TaskStatus {
    let task_id = TaskId { value: task.into() };
    TaskStatus { task_id, state: state.into(), ..Default::default() }
}

fn launch(task: &str) -> Event {
    let task = TaskInfo { task_id: TaskId { value: task.into() }, ..Default::default() };
    Event { launch: Some(event::Launch { task }), ..of(event::Type::Launch) }
}

async fn lives_on_its_agent(codec: Option<Codec>) {
    let mut world = World::new(codec, |_| ()).await;
    world.connected().await;
    let token = world.agent.inner.lock().unwrap().calls[0].1.clone();
    assert_eq!(token.as_deref(), Some("token"));
    world.agent.send(of(event::Type::Heartbeat));
    world.agent.send(launch("t"));
    assert_eq!(*world.event().await, launch("t"));
    world.port.update(status("t", TaskState::TaskRunning)).await.unwrap();
    let update = world.agent.called(call::Type::Update, 0).await.update.unwrap();
    assert_eq!(update.status.uuid.as_ref().unwrap().len(), 16);
    assert_eq!(update.status.executor_id.as_ref().unwrap().value, "e");
    assert!(update.status.timestamp.is_some());
    assert!(!world.port.drained(Duration::from_millis(20)).await);
    world.acknowledge(&update).await;
    assert!(world.port.drained(SOON).await);
    world.port.message(b"hi".to_vec()).await.unwrap();
    let message = world.agent.called(call::Type::Message, 0).await;
    assert_eq!(message.message.unwrap().data, b"hi");
    world.agent.send(of(event::Type::Shutdown));
    assert!(matches!(world.next().await, ExecutorEvent::Shutdown { .. }));
}

async fn tells_again_what_was_not_acknowledged(codec: Option<Codec>) {
    let mut world = World::new(codec, |_| ()).await;
    world.connected().await;
    for task in ["t1", "t2"] {
        world.agent.send(launch(task));
        world.event().await;
    }
    world.port.update(status("t1", TaskState::TaskStarting)).await.unwrap();
    let first = world.agent.called(call::Type::Update, 0).await.update.unwrap();
    world.acknowledge(&first).await;
    world.port.update(status("t1", TaskState::TaskRunning)).await.unwrap();
    let second = world.agent.called(call::Type::Update, 1).await.update.unwrap();
    world.agent.restart(true);
    world.disconnected().await;
    world.port.update(status("t1", TaskState::TaskFinished)).await.unwrap();
    assert_eq!(world.port.message(vec![]).await.unwrap_err().code, Code::Unavailable);
    world.agent.restart(false);
    world.connected().await;
    let again = world.agent.called(call::Type::Subscribe, 1).await.subscribe.unwrap();
    let tasks: Vec<_> = again.unacknowledged_tasks.iter().map(|t| &*t.task_id.value).collect();
    assert_eq!(tasks, ["t2"]);
    let updates = again.unacknowledged_updates;
    assert_eq!(updates[0], second);
    assert_eq!(updates[1].status.state(), TaskState::TaskFinished);
}

async fn an_update_that_cannot_be_sent_is_told_by_a_new_subscription(codec: Option<Codec>) {
    let mut world = World::new(codec, |_| ()).await;
    world.connected().await;
    let refusal = Refusal::new(503, "Agent has not finished recovery");
    world.agent.inner.lock().unwrap().refuse_updates = Some(refusal);
    world.port.update(status("t", TaskState::TaskRunning)).await.unwrap();
    world.disconnected().await;
    world.connected().await;
    let again = world.agent.called(call::Type::Subscribe, 1).await.subscribe.unwrap();
    assert_eq!(again.unacknowledged_updates.len(), 1);
}

async fn an_update_refused_for_ever_is_not_kept(codec: Option<Codec>) {
    let mut world = World::new(codec, |_| ()).await;
    world.connected().await;
    let refusal = Refusal::new(400, "bad");
    world.agent.inner.lock().unwrap().refuse_updates = Some(refusal);
    let error = world.port.update(status("t", TaskState::TaskStaging)).await.unwrap_err();
    assert_eq!((error.code, error.cause.as_str()), (Code::Invalid, "bad"));
    assert!(world.port.drained(SOON).await);
}

async fn without_checkpointing_it_ends_with_its_agent(codec: Option<Codec>) {
    let mut world = World::new(codec, |o| o.checkpoint = false).await;
    world.connected().await;
    world.agent.restart(true);
    world.disconnected().await;
    assert!(matches!(world.next().await, ExecutorEvent::Shutdown { .. }));
    assert!(world.events.next().await.is_none());
}

async fn an_agent_that_stays_away_is_given_up(codec: Option<Codec>) {
    let mut world = World::new(codec, |o| o.recovery_timeout = Duration::from_millis(150)).await;
    world.connected().await;
    world.agent.restart(true);
    world.disconnected().await;
    match world.next().await {
        ExecutorEvent::Shutdown { why } => assert!(why.contains("did not come back"), "{why}"),
        other => panic!("{other:?}"),
    }
}

/// covers: MES-0193
async fn it_tells_that_it_lives(codec: Option<Codec>) {
    let mut world = World::new(codec, |o| o.heartbeat = Duration::from_millis(10)).await;
    world.connected().await;
    world.agent.called(call::Type::Heartbeat, 1).await;
}

macro_rules! over_both {
    ($($name:ident),* $(,)?) => {
        mod in_process {
            $(#[tokio::test] async fn $name() { super::$name(None).await; })*
        }
        mod http_json {
            use super::Codec;
            $(#[tokio::test] async fn $name() { super::$name(Some(Codec::Json)).await; })*
        }
        mod http_protobuf {
            use super::Codec;
            $(#[tokio::test] async fn $name() { super::$name(Some(Codec::Protobuf)).await; })*
        }
    };
}

over_both!(
    lives_on_its_agent,
    tells_again_what_was_not_acknowledged,
    an_update_that_cannot_be_sent_is_told_by_a_new_subscription,
    an_update_refused_for_ever_is_not_kept,
    without_checkpointing_it_ends_with_its_agent,
    an_agent_that_stays_away_is_given_up,
    it_tells_that_it_lives,
);
