//! What lasts: agents' streams, users' requests that are passed on, gossip, and certificates that change under all of it.

use super::joins::{Desk, doors};
use super::{Node, World, in_time, until};
use axum::Router;
use axum::body::Body as AxumBody;
use axum::extract::Request as AxumRequest;
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::{Request, StatusCode};
use mesolith::base::error::Code;
use mesolith::base::time::Wall;
use mesolith::cluster::identity::{Folder, NodeId, Roles, wall_now};
use mesolith::cluster::link::local::Switchboard;
use mesolith::cluster::link::{self, Doors, FaceName, Leader, Limits, MESSAGES_MAX, Via, renewal};
use mesolith::mesos::internal::{AgentMessage, ExecutorMessage, MasterMessage, Ping, Pong};
use mesolith::mesos::make::{executor_id, framework_id};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

fn agents(board: &Switchboard) -> Doors {
    Doors { agents: Some(Arc::new(board.clone())), ..Doors::default() }
}

fn pong() -> AgentMessage {
    AgentMessage { pong: Some(Pong {}), ..AgentMessage::default() }
}

fn ping(connected: bool) -> MasterMessage {
    MasterMessage { ping: Some(Ping { connected }), ..MasterMessage::default() }
}

fn data(bytes: usize) -> AgentMessage {
    let message = ExecutorMessage {
        framework_id: framework_id("f"),
        executor_id: executor_id("e"),
        data: vec![7; bytes],
    };
    AgentMessage { executor_message: Some(message), ..AgentMessage::default() }
}

#[tokio::test]
async fn an_agents_stream_carries_both_ways_in_order_and_ends_when_an_end_goes() {
    let (world, board) = (World::default(), Switchboard::new(NodeId(1)));
    let master = world.node(Roles::FULL, agents(&board)).await;
    let agent = world.client(Roles::AGENT);
    let nobody = agent.to(&master).dial_agent().await.map(drop).expect_err("nobody leads");
    assert_eq!(nobody.code, Code::Unavailable);
    let mut accepted = board.lead();
    let mut end = agent.to(&master).dial_agent().await.expect("a master leads");
    let mut other = in_time("accepted", accepted.recv()).await.expect("a connection").end;
    for n in 0..2000 {
        end.sender.send(if n % 100 == 0 { data(n * 100) } else { pong() }).expect("room");
        other.sender.send(ping(n % 2 == 0)).expect("room");
    }
    for n in 0..2000 {
        let got = in_time("to the master", other.receiver.recv()).await.expect("open");
        assert_eq!(got, if n % 100 == 0 { data(n * 100) } else { pong() }, "{n}");
        let got = in_time("to the agent", end.receiver.recv()).await.expect("open");
        assert_eq!(got, ping(n % 2 == 0), "{n}");
    }
    // What was said before an end went still arrives.
    other.sender.send(ping(true)).expect("room");
    drop(other);
    assert_eq!(in_time("the last word", end.receiver.recv()).await, Some(ping(true)));
    assert_eq!(in_time("the end", end.receiver.recv()).await, None);
    until("the agent is told too", || end.sender.send(pong()).is_err()).await;
    // The other way round; and when the agent's node stops.
    let end = agent.to(&master).dial_agent().await.expect("again");
    let mut other = in_time("accepted", accepted.recv()).await.expect("a connection").end;
    drop(end);
    assert_eq!(in_time("the agent is gone", other.receiver.recv()).await, None);
    let mut end = agent.to(&master).dial_agent().await.expect("again");
    let mut other = in_time("accepted", accepted.recv()).await.expect("a connection").end;
    end.sender.send(pong()).expect("room");
    assert_eq!(in_time("is carried", other.receiver.recv()).await, Some(pong()));
    let listening = master.listening.as_ref().expect("it listens");
    listening.stop(Duration::from_millis(10)).await;
    assert_eq!(in_time("the master's node stops", end.receiver.recv()).await, None);
    assert_eq!(in_time("at both ends", other.receiver.recv()).await, None);
}

#[tokio::test]
async fn a_master_that_does_not_read_fills_the_agents_queue_and_no_memory() {
    let (world, board) = (World::default(), Switchboard::new(NodeId(1)));
    let master = world.node(Roles::FULL, agents(&board)).await;
    let agent = world.client(Roles::AGENT);
    let mut accepted = board.lead();
    let end = agent.to(&master).dial_agent().await.expect("a master leads");
    let other = in_time("accepted", accepted.recv()).await.expect("a connection").end;
    let mut sent = 0usize;
    let full = async {
        loop {
            match end.sender.send(data(100)) {
                Ok(()) => sent += 1,
                Err(e) if e.code == Code::Overloaded => {
                    // Is it still moving?
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    if end.sender.send(data(100)).is_err() {
                        break;
                    }
                }
                Err(e) => panic!("{e}"),
            }
            if sent.is_multiple_of(1000) {
                tokio::task::yield_now().await;
            }
        }
    };
    in_time("it is full", full).await;
    // Both queues, and what was on the way.
    assert!((2 * MESSAGES_MAX..2 * MESSAGES_MAX + 60_000).contains(&sent), "{sent}");
    assert!(end.sender.overflows() > 0);
    drop(other);
    until("it is closed", || end.sender.send(pong()).is_err_and(|e| e.code == Code::Unavailable))
        .await;
}

/// What an answer's body is fed by.
type Feed = mpsc::Sender<Result<Frame<Bytes>, Infallible>>;

fn web() -> (Doors, mpsc::Receiver<Feed>) {
    let (streams, given) = mpsc::channel(8);
    let stream = get(move || async move {
        let (feed, pieces) = mpsc::channel(1);
        streams.send(feed).await.expect("the test takes it");
        AxumBody::new(StreamBody::new(ReceiverStream::new(pieces)))
    });
    let about = get(|request: AxumRequest| async move {
        let via = request.extensions().get::<Via>().expect("it was passed on").node;
        assert!(request.headers().keys().all(|name| !name.as_str().starts_with("x-mesolith")));
        let host = request.headers()["host"].to_str().expect("text").to_owned();
        let extra = request.headers().get("x-extra").is_some();
        format!("{} {} {host} {extra} {via}", request.method(), request.uri())
    });
    let echo = post(|request: AxumRequest| async move { request.into_body() });
    let refused = get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "its own words") });
    let router = Router::new()
        .route("/stream", stream)
        .route("/about/{*rest}", about)
        .route("/echo", echo)
        .route("/refused", refused);
    let mut doors = Doors::default();
    doors.faces.insert(FaceName::Marathon, link::face(router));
    (doors, given)
}

#[tokio::test]
async fn a_users_request_arrives_as_it_is_and_the_answer_comes_back_as_it_is() {
    let world = World::default();
    let (doors, _streams) = web();
    let a = world.node(Roles::FULL, doors).await;
    let b = world.client(Roles::AGENT);
    let request = Request::get("/about/%2Fa%20b/c?x=1&y=%20")
        .header("host", "marathon.example:8080")
        .header("x-extra", "1")
        .header("connection", "keep-alive")
        .body(Empty::<Bytes>::new())
        .expect("well formed");
    let answer = b.to(&a).forward(FaceName::Marathon, request).await.expect("passed on");
    assert_eq!(answer.status(), StatusCode::OK);
    let body = answer.into_body().collect().await.expect("whole").to_bytes();
    let expected = format!("GET /about/%2Fa%20b/c?x=1&y=%20 marathon.example:8080 true {}", b.id());
    assert_eq!(body, expected.as_bytes());
    let ask = async |path: &str| {
        let request = Request::get(path).body(Empty::<Bytes>::new()).expect("well formed");
        b.to(&a).forward(FaceName::Marathon, request).await.expect("passed on")
    };
    assert_eq!(ask("/none").await.status(), StatusCode::NOT_FOUND);
    let refused = ask("/refused").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "the face's own refusal");
    let body = refused.into_body().collect().await.expect("whole").to_bytes();
    assert_eq!(&body[..], b"its own words");
    let large = vec![9u8; 5 << 20];
    let request = Request::post("/echo").body(Full::new(Bytes::from(large.clone())));
    let request = request.expect("well formed");
    let answer = b.to(&a).forward(FaceName::Marathon, request).await.expect("passed on");
    let body = in_time("5 MiB there and back", answer.into_body().collect()).await.expect("whole");
    assert!(body.to_bytes() == large);
    let request = Request::get("/").body(Empty::<Bytes>::new()).expect("well formed");
    let none = b.to(&a).forward(FaceName::Chronos, request).await.map(drop).expect_err("no face");
    assert_eq!(none.code, Code::Unavailable);
}

#[tokio::test]
async fn a_streaming_answer_streams_and_ends_with_either_side() {
    let world = World::default();
    let (doors, mut streams) = web();
    let a = world.node(Roles::FULL, doors).await;
    let b = world.client(Roles::FULL);
    let open = async || {
        let request = Request::get("/stream").body(Empty::<Bytes>::new()).expect("well formed");
        b.to(&a).forward(FaceName::Marathon, request).await.expect("passed on").into_body()
    };
    let mut body = open().await;
    let feed = streams.recv().await.expect("asked");
    for word in ["one", "two", "three"] {
        feed.send(Ok(Frame::data(Bytes::from(word)))).await.expect("open");
        let frame =
            in_time("each when it is said", body.frame()).await.expect("more").expect("whole");
        assert_eq!(frame.into_data().expect("data"), word);
    }
    drop(feed);
    let rest = in_time("the end", body.collect()).await.expect("in order");
    assert!(rest.to_bytes().is_empty());
    // The user goes: the face is told.
    let body = open().await;
    let feed = streams.recv().await.expect("asked");
    drop(body);
    in_time("the face is told", feed.closed()).await;
    // Many at once, on one connection; the limit is told, not waited for.
    let mut held = Vec::new();
    for _ in 0..512 {
        held.push(open().await);
        streams.recv().await.map(|feed| tokio::spawn(async move { feed.closed().await }));
    }
    let request = Request::get("/stream").body(Empty::<Bytes>::new()).expect("well formed");
    let full = b.to(&a).forward(FaceName::Marathon, request).await.map(drop).expect_err("full");
    assert_eq!(full.code, Code::Overloaded);
    held.clear();
    let again = async {
        let request = Request::get("/refused").body(Empty::<Bytes>::new()).expect("well formed");
        b.to(&a).forward(FaceName::Marathon, request).await.map(drop)
    };
    again.await.expect("there is room again");
}

#[tokio::test]
async fn users_who_do_not_read_hold_up_nobody_else() {
    let world = World::default();
    let (doors, mut streams) = web();
    let a = world.node(Roles::FULL, doors).await;
    let b = world.client(Roles::FULL);
    let mut unread = Vec::new();
    for _ in 0..24 {
        let request = Request::get("/stream").body(Empty::<Bytes>::new()).expect("well formed");
        unread.push(b.to(&a).forward(FaceName::Marathon, request).await.expect("passed on"));
        let feed = streams.recv().await.expect("asked");
        // Together more than any other connection has room for.
        let some = async {
            for _ in 0..6 {
                let piece = Bytes::from(vec![0; 64 << 10]);
                feed.send(Ok(Frame::data(piece))).await.expect("open");
            }
        };
        in_time("it is taken", some).await;
        tokio::spawn(async move {
            let more = || Frame::data(Bytes::from(vec![0; 64 << 10]));
            while feed.send(Ok(more())).await.is_ok() {}
        });
    }
    let request = Request::get("/refused").body(Empty::<Bytes>::new()).expect("well formed");
    let asked = async {
        let answer = b.to(&a).forward(FaceName::Marathon, request).await.expect("passed on");
        answer.into_body().collect().await.expect("whole").to_bytes()
    };
    assert_eq!(&in_time("another is answered", asked).await[..], b"its own words");
}

#[tokio::test]
async fn gossip_comes_with_its_senders_address_and_overflow_is_counted() {
    let world = World::default();
    let (queue, mut frames) = mpsc::channel(2);
    let a = world.node(Roles::FULL, Doors { gossip: Some(queue), ..Doors::default() }).await;
    let b = world.node(Roles::AGENT, Doors::default()).await;
    b.to(&a).gossip(Bytes::from("one")).await.expect("sent");
    let frame = in_time("gossip", frames.recv()).await.expect("open");
    assert_eq!((frame.from, frame.address, &frame.bytes[..]), (b.id(), b.address(), &b"one"[..]));
    for _ in 0..5 {
        b.to(&a).gossip(Bytes::from("more")).await.expect("sent");
    }
    assert_eq!(a.count("gossip_overflows"), 3.0);
    let large = Bytes::from(vec![0; link::GOSSIP_BYTES_MAX + 1]);
    assert_eq!(b.to(&a).gossip(large).await.expect_err("too large").code, Code::Invalid);
    // A restart of the other node is not the end of the way to it.
    let listening = a.listening.as_ref().expect("it listens");
    listening.stop(Duration::from_millis(10)).await;
    assert!(b.to(&a).gossip(Bytes::new()).await.is_err());
}

#[tokio::test]
async fn a_renewed_certificate_is_used_from_then_on_and_no_connection_is_dropped() {
    let world = World::default();
    let board = Switchboard::new(NodeId(1));
    let desk = Desk::new(&world, Leader::Here);
    let doors = Doors { agents: agents(&board).agents, ..doors(&desk) };
    let master = world.node(Roles::FULL, doors).await;
    let mut accepted = board.lead();
    let data = tempfile::tempdir().expect("a folder");
    let folder = Folder::open(data.path()).expect("made");
    // Signed 25 days ago: its time has come.
    let past = Wall(wall_now().0 - Duration::from_secs(25 * 24 * 3600).as_nanos() as u64);
    let elder = mesolith::cluster::identity::Authority::create(world.authority.cluster(), past);
    let elder = elder.expect("made");
    let certificate = elder.sign(&folder.key().public(), Roles::AGENT, past).expect("signed");
    // The cluster's authority was replaced meanwhile, and both are trusted.
    let mut authorities = world.authorities.clone();
    authorities.announce(&elder, wall_now()).expect("announced");
    let trusting = |of: &Node| {
        let mut now = (**of.credentials.borrow()).clone();
        now.authorities = authorities.clone();
        of.credentials.send_replace(Arc::new(now));
    };
    trusting(&master);
    let kept = folder.store(&certificate, &authorities).expect("kept");
    let agent = Node::new(kept, "", Limits::default());
    let mut end = agent.to(&master).dial_agent().await.expect("a master leads");
    let mut other = in_time("accepted", accepted.recv()).await.expect("a connection").end;
    let (stop, stopping) = watch::channel(false);
    let peer = agent.to(&master);
    let ask = move || -> link::Answering<_> {
        let peer = peer.clone();
        Box::pin(async move { peer.renew().await })
    };
    let mut seen = agent.credentials.subscribe();
    let keeping =
        tokio::spawn(renewal::keep(folder.clone(), agent.credentials.clone(), ask, stopping));
    let fresh =
        in_time("renewed", seen.wait_for(|c| c.certificate.not_after > certificate.not_after));
    let fresh = fresh.await.expect("kept").certificate.clone();
    assert_eq!(folder.load().expect("read").expect("there").certificate, fresh);
    assert_eq!(fresh.authority, world.authority.certificate(), "signed by the one that signs now");
    assert_eq!((fresh.node, fresh.roles), (certificate.node, certificate.roles));
    // The stream goes on.
    end.sender.send(pong()).expect("open");
    assert_eq!(in_time("is carried", other.receiver.recv()).await, Some(pong()));
    other.sender.send(ping(true)).expect("open");
    assert_eq!(in_time("is carried", end.receiver.recv()).await, Some(ping(true)));
    // New connections are made with the new one: they stand when the former authority is trusted no more, the old do not.
    agent.to(&master).hello().await.expect("met");
    let mut now = (**master.credentials.borrow()).clone();
    now.authorities = world.authorities.clone();
    master.credentials.send_replace(Arc::new(now));
    assert_eq!(in_time("the old one ends", other.receiver.recv()).await, None);
    agent.to(&master).hello().await.expect("still a member");
    agent.to(&master).dial_agent().await.expect("and its agent comes again");
    stop.send_replace(true);
    in_time("it stops", keeping).await.expect("no panics");
}

#[test]
fn renewal_comes_after_two_thirds_and_is_tried_again_with_growing_pauses() {
    let (world, now) = (World::default(), wall_now());
    let certificate = world.credentials(Roles::FULL, now).certificate;
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(renewal::wait(&certificate, 0, now), Duration::from_secs(60), "clocks are set");
    assert_eq!(renewal::wait(&certificate, 0, now + 21 * day), Duration::ZERO);
    assert!(renewal::wait(&certificate, 0, certificate.renew_at()) == Duration::ZERO);
    assert_eq!(renewal::wait(&certificate, 1, now + 21 * day), Duration::from_secs(5));
    assert_eq!(renewal::wait(&certificate, 3, now + 21 * day), Duration::from_secs(20));
    assert_eq!(renewal::wait(&certificate, 99, now + 21 * day), Duration::from_secs(600));
}
