//! Bodies that last, and leaders that are lost while they are waited for.

use super::nodes::{Net, Node, PATIENCE, place};
use crate::http::leader::{Leading, LedFace};
use crate::http::{EventSender, Face, Framing, event_stream};
use crate::telemetry::Counter;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use http_body_util::BodyExt as _;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

type Streams = Arc<Mutex<Vec<EventSender>>>;

/// `/subscribe` opens a stream; `/echo` answers while the question is still coming; `/never` does not answer.
fn face(streams: &Streams, asked: &Arc<Notify>) -> Face {
    let (streams, asked) = (streams.clone(), asked.clone());
    let subscribe = move || {
        let (sender, body) = event_stream(Framing::Raw, 1 << 16, Counter::default());
        streams.lock().unwrap().push(sender);
        async move { body.into_response("text/event-stream") }
    };
    let never = move || {
        let asked = asked.clone();
        async move {
            asked.notify_one();
            std::future::pending::<Response>().await
        }
    };
    Face::new()
        .endpoint("/v2/events", any(subscribe))
        .endpoint("/v2/echo", any(async |request: Request| Response::new(request.into_body())))
        .endpoint("/v2/never", any(never))
}

struct World {
    standby: Node,
    streams: Streams,
    asked: Arc<Notify>,
}

fn world(of: LedFace) -> World {
    let (net, streams, asked) = (Net::new(), Streams::default(), Arc::default());
    net.node("leader", of, Leading::Here, face(&streams, &asked));
    let at = Leading::At(place("leader"));
    let standby = net.node("standby", of, at, face(&Streams::default(), &asked));
    World { standby, streams, asked }
}

fn request(method: &str, target: &str, body: Body) -> Request {
    Request::builder().method(method).uri(target).body(body).unwrap()
}

async fn next(body: &mut Body) -> Option<Bytes> {
    let frame = timeout(PATIENCE, body.frame()).await.expect("a frame in time")?;
    Some(frame.unwrap().into_data().unwrap())
}

#[tokio::test]
async fn a_stream_lives_as_long_as_both_sides() {
    let world = world(LedFace::Marathon);
    let open = async || world.standby.ask(request("GET", "/v2/events", Body::empty())).await;
    let response = open().await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["x-mesolith-leader"], "leader");
    let mut body = response.into_body();
    let sender = world.streams.lock().unwrap()[0].clone();
    for n in 0..3 {
        let record = Bytes::from(format!("data: {n}\n\n"));
        sender.send(record.clone()).unwrap();
        assert_eq!(next(&mut body).await.unwrap(), record, "while the stream is open");
    }
    // The user goes: the leader learns of it.
    drop(body);
    timeout(PATIENCE, sender.closed()).await.unwrap();
    // The leader's side ends: the user's does.
    let mut body = open().await.into_body();
    world.streams.lock().unwrap()[1].finish();
    assert_eq!(next(&mut body).await, None);
    // That another leads now ends no stream: who held it does that.
    let mut body = open().await.into_body();
    world.standby.believes(Leading::Here);
    let sender = world.streams.lock().unwrap()[2].clone();
    sender.send(Bytes::from_static(b"still")).unwrap();
    assert_eq!(next(&mut body).await.unwrap(), "still");
}

#[tokio::test]
async fn a_question_is_answered_while_it_is_still_coming() {
    for of in [LedFace::Master, LedFace::Marathon, LedFace::Chronos] {
        let world = world(of);
        let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
        let pieces = futures_util::stream::poll_fn(move |cx| {
            receiver.poll_recv(cx).map(|piece| piece.map(Ok::<_, Infallible>))
        });
        let question = request("POST", "/v2/echo", Body::from_stream(pieces));
        let mut answer = world.standby.ask(question).await.into_body();
        for n in 0..3 {
            let piece = Bytes::from(format!("piece {n}"));
            sender.send(piece.clone()).await.unwrap();
            assert_eq!(next(&mut answer).await.unwrap(), piece, "{of:?}");
        }
        drop(sender);
        assert_eq!(next(&mut answer).await, None, "{of:?}");
    }
}

#[tokio::test]
async fn a_leader_that_is_lost_is_not_waited_for_for_ever() {
    let nobody = || Leading::Nobody { since: Instant::now(), why: "cut off".into() };
    for (of, method, leading, status, unknown) in [
        (LedFace::Marathon, "POST", nobody(), 504, true),
        (LedFace::Marathon, "GET", Leading::At(place("other")), 504, false),
        (LedFace::Chronos, "PUT", Leading::Here, 504, true),
        (LedFace::Master, "POST", nobody(), 503, true),
    ] {
        let world = world(of);
        let asked = world.standby.ask(request(method, "/v2/never", Body::empty()));
        let lose = async {
            world.asked.notified().await;
            // It waits as long as that node leads.
            tokio::time::sleep(super::nodes::QUICK.patience * 3).await;
            world.standby.believes(leading);
            Instant::now()
        };
        let (response, lost) = tokio::join!(asked, lose);
        assert!(lost.elapsed() >= super::nodes::QUICK.patience, "it may still answer a while");
        assert_eq!(response.status().as_u16(), status, "{of:?}");
        let again = response.headers().contains_key("retry-after");
        assert_eq!(again, !unknown, "{of:?} {method}: asked again only what does no harm");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(text.contains("It is not known"), unknown, "{of:?}: {text}");
    }
}

#[tokio::test]
async fn a_leader_that_is_lost_for_a_moment_is_waited_for() {
    let world = world(LedFace::Marathon);
    let asked = world.standby.ask(request("POST", "/v2/never", Body::empty()));
    let flap = async {
        world.asked.notified().await;
        for _ in 0..8 {
            world.standby.believes(Leading::At(place("other")));
            tokio::time::sleep(super::nodes::QUICK.patience / 3).await;
            world.standby.believes(Leading::At(place("leader")));
            tokio::time::sleep(super::nodes::QUICK.patience / 3).await;
        }
    };
    tokio::select! {
        response = asked => panic!("given up: {response:?}"),
        () = flap => {}
    }
}

#[tokio::test]
async fn a_leader_that_gives_no_sign_of_life_is_not_waited_for() {
    let world = world(LedFace::Marathon);
    let asked = world.standby.ask(request("POST", "/v2/never", Body::empty()));
    let lose = async {
        world.asked.notified().await;
        // It is asked again and again, and waited for as long as it lives.
        tokio::time::sleep(super::nodes::QUICK.sign * 3).await;
        world.standby.belief.mute.store(true, std::sync::atomic::Ordering::Relaxed);
        Instant::now()
    };
    let (response, lost) = tokio::join!(asked, lose);
    assert!(lost.elapsed() < super::nodes::PATIENCE);
    assert_eq!(response.status().as_u16(), 504);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("It is not known"));
}
