//! Faults that only a wire has.

use crate::scripted::{Scripted, message, subscribed};
use crate::serve::{scheduler_face, serve};
use crate::suite::{connect, connected, disconnected, failed, next};
use axum::Router;
use axum::body::Body;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::post;
use mesolith::base::error::Code;
use mesolith::framework::http::HttpOptions;
use mesolith::framework::scheduler::{Endpoint, PortEvent};
use mesolith::framework::server::Refusal;
use mesolith::mesos::codec::Codec;
use mesolith::mesos::recordio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn endpoint(addresses: &[&str]) -> Endpoint {
    Endpoint::http(HttpOptions::new(addresses.iter().copied())).unwrap()
}

/// A master that answers the nth SUBSCRIBE with the nth of these bodies and then closes, the last for ever.
fn bodies(bodies: Vec<Vec<u8>>) -> (Router, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let answer = move || async move {
        let nth = counted.fetch_add(1, Ordering::SeqCst);
        let body = bodies[nth.min(bodies.len() - 1)].clone();
        let headers =
            [(header::CONTENT_TYPE.as_str(), "application/x-protobuf"), ("Mesos-Stream-Id", "s")];
        (headers, Body::from(body)).into_response()
    };
    (Router::new().route("/api/v1/scheduler", post(answer)), count)
}

fn hello() -> Vec<u8> {
    recordio::frame(&Codec::Protobuf.encode(&subscribed("f", 15.0)))
}

#[tokio::test]
async fn a_redirect_leads_to_the_leader_for_calls_too() {
    let leader = Arc::new(Scripted::default());
    let leading = serve(scheduler_face(leader.clone())).await;
    let follower = Arc::new(Scripted::default());
    follower.refuse_subscribe(Refusal::redirect(&leading.address, "/api/v1/scheduler"));
    let following = serve(scheduler_face(follower.clone())).await;
    let (port, mut events) = connect(endpoint(&[&following.address]));
    // No word of a disconnection: a redirect is no failure.
    connected(&mut events).await;
    port.revive(&[]).await.unwrap();
    leader.called(0).await;
    assert_eq!(follower.principals().len(), 1);
}

#[tokio::test]
async fn masters_that_redirect_to_each_other_are_waited_for() {
    let (a, b) = (Arc::new(Scripted::default()), Arc::new(Scripted::default()));
    let (at_a, at_b) =
        (serve(scheduler_face(a.clone())).await, serve(scheduler_face(b.clone())).await);
    for _ in 0..4 {
        a.refuse_subscribe(Refusal::redirect(&at_b.address, "/api/v1/scheduler"));
        b.refuse_subscribe(Refusal::redirect(&at_a.address, "/api/v1/scheduler"));
    }
    let (_port, mut events) = connect(endpoint(&[&at_a.address]));
    assert!(disconnected(&mut events).await.contains("leads"));
    loop {
        match next(&mut events).await {
            PortEvent::Connected(_) => break,
            PortEvent::Disconnected { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_dead_master_is_passed_over() {
    let gone = serve(Router::new()).await;
    let dead = gone.address.clone();
    drop(gone);
    let server = Arc::new(Scripted::default());
    let alive = serve(scheduler_face(server)).await;
    let (_port, mut events) = connect(endpoint(&[&dead, &alive.address]));
    let why = disconnected(&mut events).await;
    assert!(why.contains(&dead), "{why}");
    connected(&mut events).await;
}

#[tokio::test]
async fn a_leader_that_dies_is_looked_for_among_the_masters() {
    let second = Arc::new(Scripted::default());
    let at_second = serve(scheduler_face(second.clone())).await;
    let (router, _) = bodies(vec![hello()]);
    let first = serve(router).await;
    let (_port, mut events) = connect(endpoint(&[&first.address, &at_second.address]));
    connected(&mut events).await;
    assert_eq!(disconnected(&mut events).await, "the event stream was closed");
    connected(&mut events).await;
    assert_eq!(second.subscribed(0).await.framework_id.unwrap().value, "f");
}

#[tokio::test]
async fn a_stream_cut_within_a_record_is_subscribed_again() {
    let record = recordio::frame(&Codec::Protobuf.encode(&message(100)));
    let cut = [hello(), record.clone(), record[..50].to_vec()].concat();
    let (router, count) = bodies(vec![cut]);
    let server = serve(router).await;
    let (_port, mut events) = connect(endpoint(&[&server.address]));
    connected(&mut events).await;
    assert!(matches!(next(&mut events).await, PortEvent::Event(e) if *e == message(100)));
    assert_eq!(disconnected(&mut events).await, "the event stream was cut within an event");
    connected(&mut events).await;
    assert!(count.load(Ordering::SeqCst) >= 2);
}

#[tokio::test]
async fn garbage_ends_the_stream_and_not_the_port() {
    let bad_length = [hello(), b"x7\n".to_vec()].concat();
    let no_event = [hello(), recordio::frame(&[0xff; 9])].concat();
    let huge = [hello(), b"99999999999\n".to_vec()].concat();
    let (router, _) = bodies(vec![bad_length, no_event, huge, hello()]);
    let server = serve(router).await;
    let (_port, mut events) = connect(endpoint(&[&server.address]));
    for word in ["garbled", "not an event", "over the limit", "closed"] {
        connected(&mut events).await;
        let why = disconnected(&mut events).await;
        assert!(why.contains(word), "{why}");
    }
}

#[tokio::test]
async fn an_event_before_subscribed_is_not_believed() {
    let early = recordio::frame(&Codec::Protobuf.encode(&message(1)));
    let (router, _) = bodies(vec![early, hello()]);
    let server = serve(router).await;
    let (_port, mut events) = connect(endpoint(&[&server.address]));
    assert_eq!(disconnected(&mut events).await, "MESSAGE before SUBSCRIBED");
    connected(&mut events).await;
}

#[tokio::test]
async fn something_that_is_no_master_is_named() {
    let page = || async { axum::response::Html("<h1>hello</h1>") };
    let server = serve(Router::new().route("/api/v1/scheduler", post(page))).await;
    let (_port, mut events) = connect(endpoint(&[&server.address]));
    let why = disconnected(&mut events).await;
    assert!(why.contains("text/html"), "{why}");
}

#[tokio::test]
async fn a_path_that_is_not_there_is_final() {
    let server = serve(Router::new()).await;
    let (_port, mut events) = connect(endpoint(&[&server.address]));
    assert_eq!(failed(&mut events).await.code, Code::NotFound);
}

#[test]
fn bad_addresses_are_refused_at_once() {
    for masters in [vec![], vec!["a b"], vec!["file:///x"]] {
        assert!(Endpoint::http(HttpOptions::new(masters)).is_err_and(|e| e.code == Code::Invalid));
    }
}
