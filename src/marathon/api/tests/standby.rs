//! A Marathon that does not lead, before one that does.

use super::world::{DEPLOYMENT, PATIENCE, World};
use crate::http::auth::Realm;
use crate::http::leader::{
    Forwarded, Forwarding, LeaderPlace, Leadership, Leading, LedFace, OwnFace,
};
use crate::http::{Inside, Server, bind};
use crate::machine::driver::Clock;
use crate::marathon::api::events::Hub;
use crate::marathon::api::{Api, Identity, face};
use crate::marathon::model::Rules;
use crate::telemetry::Metrics;
use axum::extract::Request;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tower::ServiceExt as _;

struct Way {
    leading: Mutex<Leading>,
    leader: Inside,
}

impl Leadership for Way {
    fn now(&self, face: LedFace) -> Leading {
        assert_eq!(face, LedFace::Marathon);
        self.leading.lock().unwrap().clone()
    }

    fn forward<'a>(&'a self, _: &'a LeaderPlace, _: LedFace, request: Request) -> Forwarded<'a> {
        let leader = self.leader.clone();
        Box::pin(async move {
            let Ok(response) = leader.oneshot(request).await;
            Ok(response)
        })
    }
}

fn at(address: &str) -> Leading {
    let address = address.parse().ok();
    Leading::At(LeaderPlace { node: "n1".into(), host: "m1.example".into(), address })
}

/// The world of the leader, and one that asks a standby for everything.
async fn pair(leading: Leading) -> (World, World, Arc<Way>) {
    let leader = World::new().await;
    let standby = World::with(Rules::default(), false).await;
    let way = Arc::new(Way { leading: Mutex::new(leading), leader: leader.inside.clone() });
    let own = OwnFace {
        face: LedFace::Marathon,
        node: "n2".into(),
        host: "m2.example".into(),
        port: 8080,
        copy: false,
    };
    let (_none, receiver) = watch::channel(None);
    let identity =
        Identity { hostname: "m2.example".into(), http_port: 8080, config: serde_json::Map::new() };
    let api = Api::new(receiver, identity, Rules::default(), Hub::default(), Clock::default())
        .led(Forwarding::new(way.clone(), own, &Metrics::new()));
    let listener = bind("127.0.0.1:0".parse().unwrap(), "--http_port").await.unwrap();
    let server = Server::new("marathon", face(api, &Realm::open("Mesosphere")));
    let running = server.start(listener).unwrap();
    (leader, World { running, ..standby }, way)
}

// covers: MAR-0474, MAR-0264, MAR-0268, MAR-0288
#[tokio::test]
async fn a_standby_is_as_good_as_the_leader() {
    let (leader, standby, _) = pair(at("127.0.0.1:8080")).await;
    let made = standby.ask("POST /v2/apps", r#"{"id":"/hello","cmd":"sleep 100"}"#).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.header("marathon-deployment-id"), Some(DEPLOYMENT));
    for world in [&leader, &standby] {
        let app = world.get("/v2/apps/hello?embed=app.counts").await;
        assert_eq!((app.status, &app.json()["app"]["id"]), (200, &json!("/hello")));
        let named = world.get("/v2/leader").await;
        assert_eq!(named.json(), json!({"leader": "m1.example:8080"}), "the same everywhere");
        let info = world.get("/v2/info").await.json();
        assert_eq!((&info["leader"], &info["elected"]), (&json!("m1.example:8080"), &json!(true)));
        let missing = world.get("/v2/apps/nothing").await;
        assert_eq!(missing.status, 404);
        assert_eq!(missing.message(), "App '/nothing' does not exist");
    }
    let both = async |path: &str| (leader.get(path).await.body, standby.get(path).await.body);
    for path in ["/v2/apps?cmd=sleep", "/v2/apps?cmd=other", "/v2/groups", "/v2/deployments"] {
        let (here, there) = both(path).await;
        assert_eq!(here, there, "{path}");
    }
    assert_ne!(both("/v2/apps?cmd=sleep").await.1, both("/v2/apps?cmd=other").await.1);
    assert_eq!(standby.ask("DELETE /v2/apps/hello", "").await.status, 200);
}

// covers: MAR-0266, MAR-0271
#[tokio::test]
async fn a_standby_names_the_leader_and_itself() {
    let (leader, standby, _) = pair(at("10.0.0.1:8080")).await;
    let ping = standby.get("/ping").await;
    assert_eq!((ping.status, ping.body.as_str()), (200, "pong"));
    assert_eq!(ping.header("x-marathon-leader"), Some("http://m1.example:8080"));
    assert_eq!(ping.header("x-marathon-via"), Some("1.1 m2.example:8080"));
    assert_eq!(leader.get("/ping").await.header("x-marathon-via"), None);
    let looped = "X-Marathon-Via: 1.1 m2.example:8080\r\n";
    let looped = standby.ask_with("GET /v2/apps", looped, "").await;
    assert_eq!((looped.status, looped.message().as_str()), (502, "Detected proxying loop."));
}

// covers: MAR-0290
#[tokio::test]
async fn the_leader_abdicates_for_a_standbys_user() {
    let (leader, standby, way) = pair(at("127.0.0.1:8080")).await;
    let told = standby.ask("DELETE /v2/leader", "").await;
    assert_eq!((told.status, told.message().as_str()), (200, "Leadership abdicated"));
    let start = Instant::now();
    while leader.state.lock().unwrap().abdications == 0 {
        assert!(start.elapsed().as_secs() < 10, "never");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    *way.leading.lock().unwrap() =
        Leading::Nobody { since: Instant::now(), why: "an election is under way".into() };
    let none = standby.get("/v2/leader").await;
    assert_eq!((none.status, none.message().as_str()), (404, "There is no leader"));
    let refused = standby.ask("POST /v2/apps", r#"{"id":"/a","cmd":"x"}"#).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.message(), "Could not determine the current leader");
}

// covers: MAR-0273, MAR-0551
#[tokio::test]
async fn events_are_at_the_leader() {
    let (leader, standby, way) = pair(at("10.0.0.1:8080")).await;
    let accept = "Accept: text/event-stream\r\n";
    let moved = standby.ask_with("GET /v2/events?event_type=x", accept, "").await;
    let to = Some("http://m1.example:8080/v2/events?event_type=x");
    assert_eq!((moved.status, moved.header("location")), (302, to));
    let listen = async |path: &str| {
        let mut socket = tokio::net::TcpStream::connect(standby.running.address()).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut all = String::new();
        let mut piece = [0; 4096];
        while !all.contains("event_stream_attached") {
            let read = socket.read(&mut piece);
            let n = tokio::time::timeout(PATIENCE, read).await;
            let n = n.expect("events in time").unwrap();
            assert!(n > 0, "closed: {all}");
            all.push_str(&String::from_utf8_lossy(&piece[..n]));
        }
        assert!(all.contains("127.0.0.1"), "the user's address is told: {all}");
        socket
    };
    // Pages may not follow that; and where users cannot go nobody is sent.
    let mut page = listen("/mesolith/v1/events").await;
    *way.leading.lock().unwrap() = at("127.0.0.1:8080");
    let mut other = listen("/v2/events").await;
    leader.hub.close();
    for socket in [&mut page, &mut other] {
        let end = "0\r\n\r\n";
        let mut rest = String::new();
        let mut piece = [0; 4096];
        while !rest.ends_with(end) {
            let read = tokio::time::timeout(PATIENCE, socket.read(&mut piece));
            let n = read.await.expect("the end in time").unwrap();
            assert!(n > 0, "closed: {rest}");
            rest.push_str(&String::from_utf8_lossy(&piece[..n]));
        }
    }
}
