//! What a scheduler port does, whatever is below it.

use crate::scripted::{SOON, Scripted, error, heartbeat, message};
use crate::serve::{Running, scheduler_face, serve};
use mesolith::base::error::{Code, Error};
use mesolith::framework::http::HttpOptions;
use mesolith::framework::scheduler::{Endpoint, Port, PortEvent, PortEvents, Subscriber, Timing};
use mesolith::framework::server::Refusal;
use mesolith::mesos::codec::Codec;
use mesolith::mesos::v1::scheduler::{call, event};
use mesolith::mesos::v1::{AgentId, FrameworkInfo, OfferId, TaskId, TaskStatus};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy)]
pub enum Below {
    InProcess,
    Http(Codec),
}

pub struct World {
    pub server: Arc<Scripted>,
    endpoint: Endpoint,
    _http: Option<Running>,
}

impl World {
    pub async fn new(below: Below, server: Scripted) -> Self {
        Self::with_principal(below, server, Some("marathon")).await
    }

    async fn with_principal(below: Below, server: Scripted, principal: Option<&str>) -> Self {
        let server = Arc::new(server);
        let (endpoint, http) = match below {
            Below::InProcess => {
                (Endpoint::in_process(server.clone(), principal.map(String::from)), None)
            }
            Below::Http(codec) => {
                let running = serve(scheduler_face(server.clone())).await;
                let mut options = HttpOptions::new([&running.address]);
                options.codec = codec;
                if let Some(principal) = principal {
                    options = options.credential(principal, "secret");
                }
                (Endpoint::http(options).unwrap(), Some(running))
            }
        };
        Self { server, endpoint, _http: http }
    }

    fn connect(&self) -> (Port, PortEvents) {
        connect(self.endpoint.clone())
    }
}

pub fn info() -> FrameworkInfo {
    FrameworkInfo {
        user: "root".into(),
        name: "suite".into(),
        roles: vec!["a".into(), "b".into()],
        // JSON writes these even when they are not set.
        failover_timeout: Some(0.0),
        checkpoint: Some(false),
        ..Default::default()
    }
}

pub fn connect(endpoint: Endpoint) -> (Port, PortEvents) {
    let timing = Timing {
        wait_first: Duration::from_millis(5),
        wait_max: Duration::from_millis(50),
        heartbeats_missed_max: 3,
        ..Timing::default()
    };
    endpoint.connect_with(Subscriber::new(info(), vec!["b".into()]), timing)
}

pub async fn next(events: &mut PortEvents) -> PortEvent {
    let next = tokio::time::timeout(SOON, events.next()).await;
    next.expect("an event must come soon").expect("the port must not have ended")
}

pub async fn connected(events: &mut PortEvents) -> event::Subscribed {
    match next(events).await {
        PortEvent::Connected(subscribed) => *subscribed,
        other => panic!("not connected: {other:?}"),
    }
}

pub async fn disconnected(events: &mut PortEvents) -> String {
    match next(events).await {
        PortEvent::Disconnected { why } => why,
        other => panic!("not disconnected: {other:?}"),
    }
}

pub async fn failed(events: &mut PortEvents) -> Error {
    match next(events).await {
        PortEvent::Failed(error) => {
            assert!(events.next().await.is_none(), "nothing comes after the failure");
            error
        }
        other => panic!("not failed: {other:?}"),
    }
}

/// covers: MES-0156
async fn subscribes_and_gets_events(below: Below) {
    let world = World::new(below, Scripted::default()).await;
    let (port, mut events) = world.connect();
    assert_eq!(connected(&mut events).await.framework_id.value, "f-0000");
    assert_eq!(port.framework_id().unwrap().value, "f-0000");
    let subscribe = world.server.subscribed(0).await;
    assert_eq!(subscribe.framework_id, None);
    let subscribe = subscribe.subscribe.unwrap();
    assert_eq!(subscribe.framework_info, info());
    assert_eq!(subscribe.suppressed_roles, ["b"]);
    assert_eq!(world.server.principals(), [Some("marathon".to_string())]);
    assert!(world.server.send(message(3)));
    match next(&mut events).await {
        PortEvent::Event(event) => assert_eq!(*event, message(3)),
        other => panic!("{other:?}"),
    }
}

async fn every_call_arrives_as_it_was_made(below: Below) {
    let world = World::new(below, Scripted::default()).await;
    let (port, mut events) = world.connect();
    connected(&mut events).await;
    let offer = || vec![OfferId { value: "o".into() }];
    let task = || TaskId { value: "t".into() };
    let agent = || AgentId { value: "a".into() };
    let status = TaskStatus {
        task_id: task(),
        agent_id: Some(agent()),
        uuid: Some(vec![0, 255, 10]),
        ..Default::default()
    };
    port.accept(offer(), vec![], None).await.unwrap();
    port.decline(offer(), None).await.unwrap();
    port.kill(task(), Some(agent()), None).await.unwrap();
    port.acknowledge(&status).await.unwrap();
    // Made by the master: must not be acknowledged.
    port.acknowledge(&TaskStatus { uuid: None, ..status.clone() }).await.unwrap();
    port.reconcile(vec![(task(), None)]).await.unwrap();
    port.revive(&[]).await.unwrap();
    port.suppress(&["a".into()]).await.unwrap();
    port.update_framework(info(), vec![], None).await.unwrap();
    port.teardown().await.unwrap();
    use call::Type::*;
    let kinds = [
        Accept,
        Decline,
        Kill,
        Acknowledge,
        Reconcile,
        Revive,
        Suppress,
        UpdateFramework,
        Teardown,
    ];
    for (nth, kind) in kinds.into_iter().enumerate() {
        let call = world.server.called(nth).await;
        assert_eq!(call.r#type(), kind);
        assert_eq!(call.framework_id.unwrap().value, "f-0000");
        if kind == Acknowledge {
            assert_eq!(call.acknowledge.unwrap().uuid, [0, 255, 10]);
        }
    }
}

async fn waits_for_a_leader(below: Below) {
    let world = World::new(below, Scripted::default()).await;
    world.server.refuse_subscribe(Refusal::new(503, "No leader elected"));
    world.server.refuse_subscribe(Refusal::new(503, "No leader elected"));
    let (port, mut events) = world.connect();
    // The same reason twice is told once.
    assert_eq!(disconnected(&mut events).await, "No leader elected");
    connected(&mut events).await;
    world.server.refuse_call(Refusal::new(503, "overloaded"));
    assert_eq!(port.revive(&[]).await.unwrap_err().code, Code::Unavailable);
    port.revive(&[]).await.unwrap();
}

async fn gives_up_when_refused_for_ever(below: Below) {
    let server = Scripted { only: Some("someone else".into()), ..Scripted::default() };
    let world = World::with_principal(below, server, None).await;
    let (port, mut events) = world.connect();
    assert_eq!(failed(&mut events).await.code, Code::Forbidden);
    assert_eq!(port.revive(&[]).await.unwrap_err().code, Code::Unavailable);
    assert_eq!(world.server.principals(), [None]);
}

/// covers: MES-0157
async fn an_error_event_is_the_end(below: Below) {
    let world = World::new(below, Scripted::default()).await;
    let (_port, mut events) = world.connect();
    connected(&mut events).await;
    world.server.send(error("Framework failed over"));
    let error = failed(&mut events).await;
    assert_eq!((error.code, error.cause.as_str()), (Code::Conflict, "Framework failed over"));
}

/// covers: MES-0158, MES-0176
async fn subscribes_again_with_the_same_id(below: Below) {
    let world = World::new(below, Scripted::default()).await;
    let (port, mut events) = world.connect();
    connected(&mut events).await;
    port.suppress(&["a".into()]).await.unwrap();
    world.server.send(message(1));
    world.server.close();
    assert!(matches!(next(&mut events).await, PortEvent::Event(_)), "what was sent comes first");
    disconnected(&mut events).await;
    assert_eq!(connected(&mut events).await.framework_id.value, "f-0000");
    let again = world.server.subscribed(1).await;
    assert_eq!(again.framework_id.unwrap().value, "f-0000");
    let again = again.subscribe.unwrap();
    assert_eq!(again.framework_info.id.unwrap().value, "f-0000");
    assert_eq!(again.suppressed_roles, ["a", "b"]);
}

/// covers: MES-0171
async fn reconnects_when_told_to(below: Below) {
    let world = World::new(below, Scripted::default()).await;
    let (port, mut events) = world.connect();
    connected(&mut events).await;
    port.reconnect();
    disconnected(&mut events).await;
    connected(&mut events).await;
    assert!(world.server.subscribed(1).await.framework_id.is_some());
}

async fn a_call_finds_out_that_the_stream_is_dead(below: Below) {
    let world = World::new(below, Scripted::default()).await;
    let (port, mut events) = world.connect();
    connected(&mut events).await;
    world.server.forget_stream();
    let error = port.revive(&[]).await.unwrap_err();
    assert!(error.cause.contains("didn't match the stream ID"), "{error}");
    disconnected(&mut events).await;
    connected(&mut events).await;
    port.revive(&[]).await.unwrap();
}

async fn missed_heartbeats_end_the_stream(below: Below) {
    let server = Scripted { heartbeat_secs: 0.1, ..Scripted::default() };
    let world = World::new(below, server).await;
    let (_port, mut events) = world.connect();
    connected(&mut events).await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(120)).await;
        assert!(world.server.send(heartbeat()), "a heartbeat keeps the stream");
    }
    assert_eq!(disconnected(&mut events).await, "3 heartbeats were missed (0.3 s)");
    connected(&mut events).await;
}

async fn a_slow_reader_loses_its_stream(below: Below) {
    let server = Scripted { queue_bytes: 200_000, ..Scripted::default() };
    let world = World::new(below, server).await;
    let (_port, mut events) = world.connect();
    connected(&mut events).await;
    let flood = async {
        while world.server.send(message(60_000)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, flood).await.expect("the queue must overflow");
    assert_eq!(world.server.stats.overflows(), 1);
    let mut seen = 0;
    let why = loop {
        match next(&mut events).await {
            PortEvent::Event(_) => seen += 1,
            PortEvent::Disconnected { why } => break why,
            other => panic!("{other:?}"),
        }
    };
    assert!(seen > 0, "what was queued here before is delivered; {why}");
    connected(&mut events).await;
    assert!(world.server.subscribed(1).await.framework_id.is_some());
}

async fn dropping_the_events_ends_the_subscription(below: Below) {
    let world = World::new(below, Scripted::default()).await;
    let (port, mut events) = world.connect();
    connected(&mut events).await;
    drop(events);
    let ended = async {
        while world.server.send(heartbeat()) || port.revive(&[]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, ended).await.expect("the server must learn of it");
}

macro_rules! over_both {
    ($($name:ident),* $(,)?) => {
        mod in_process {
            use super::*;
            $(#[tokio::test] async fn $name() { super::$name(Below::InProcess).await; })*
        }
        mod http_json {
            use super::*;
            $(#[tokio::test] async fn $name() { super::$name(Below::Http(Codec::Json)).await; })*
        }
        mod http_protobuf {
            use super::*;
            $(#[tokio::test] async fn $name() { super::$name(Below::Http(Codec::Protobuf)).await; })*
        }
    };
}

over_both!(
    subscribes_and_gets_events,
    every_call_arrives_as_it_was_made,
    waits_for_a_leader,
    gives_up_when_refused_for_ever,
    an_error_event_is_the_end,
    subscribes_again_with_the_same_id,
    reconnects_when_told_to,
    a_call_finds_out_that_the_stream_is_dead,
    missed_heartbeats_end_the_stream,
    a_slow_reader_loses_its_stream,
    dropping_the_events_ends_the_subscription,
);
