//! The event stream.

use super::world::{PATIENCE, World};
use crate::marathon::core::event::{Event, Kind};
use crate::marathon::model::{PathId, Timestamp};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

struct Stream {
    socket: TcpStream,
    seen: String,
}

impl Stream {
    async fn open(world: &World, query: &str) -> Self {
        let mut socket = TcpStream::connect(world.running.address()).await.expect("connected");
        let head = format!(
            "GET /v2/events{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.expect("sent");
        let mut stream = Self { socket, seen: String::new() };
        let head = stream.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
        stream
    }

    /// What comes up to, and with, that mark.
    async fn until(&mut self, mark: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(mark) {
                let rest = self.seen.split_off(at + mark.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let mut bytes = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.socket.read(&mut bytes));
            let n = read.await.expect("in time").expect("read");
            assert!(n > 0, "the stream ended after {:?}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
    }

    async fn next(&mut self) -> (String, Value) {
        self.until("event: ").await;
        let kind = self.until("\n").await.trim().to_string();
        self.until("data: ").await;
        let data = self.until("\n").await;
        (kind, serde_json::from_str(&data).expect("JSON"))
    }
}

// covers: MAR-0548, MAR-0553
#[tokio::test]
async fn a_listener_hears_its_attachment_and_what_it_wants() {
    let world = World::new().await;
    let mut all = Stream::open(&world, "").await;
    let (kind, data) = all.next().await;
    assert_eq!(kind, "event_stream_attached");
    assert_eq!((&data["remoteAddress"], &data["eventType"]), (&json!("127.0.0.1"), &json!(kind)));
    let mut some =
        Stream::open(&world, "?event_type=group_change_success&event_type=app_terminated_event")
            .await;
    assert_eq!(all.next().await.0, "event_stream_attached");
    let app = PathId::parse("/a").expect("an id");
    let at = Timestamp::from_millis(7000);
    world.hub.publish(&Event { at, kind: Kind::SchedulerDisconnected });
    world.hub.publish(&Event { at, kind: Kind::AppTerminated { app } });
    assert_eq!(all.next().await.0, "scheduler_disconnected_event");
    let expected = json!({ "appId": "/a", "eventType": "app_terminated_event",
                           "timestamp": "1970-01-01T00:00:07.000Z" });
    assert_eq!(some.next().await, ("app_terminated_event".into(), expected.clone()));
    assert_eq!(all.next().await.1, expected);
    world.ask("POST /v2/apps", r#"{"id":"/a","cmd":"sleep 9"}"#).await;
    let (kind, data) = all.next().await;
    assert_eq!((kind.as_str(), &data["uri"]), ("api_post_event", &json!("/v2/apps")));
    assert_eq!(data["appDefinition"]["id"], json!("/a"));
    drop(some);
    assert_eq!(all.next().await.0, "event_stream_detached");
    world.hub.close();
    assert!(all.until("\r\n0\r\n\r\n").await.ends_with("0\r\n\r\n"), "the stream is ended");
}

#[tokio::test]
async fn only_listeners_get_a_stream() {
    let world = World::new().await;
    assert_eq!(world.get("/v2/events").await.status, 405);
    let posted = world.ask_with("POST /v2/events", "Accept: text/event-stream\r\n", "").await;
    assert_eq!(posted.status, 405);
}
