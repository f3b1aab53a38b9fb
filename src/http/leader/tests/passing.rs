//! Requests passed on, redirected and refused, through whole servers.

use super::nodes::{Net, Node, place};
use crate::base::error::{Code, Error, Retry};
use crate::http::body::Payload;
use crate::http::leader::{LeaderPlace, Leading, LedFace};
use crate::http::{Face, Peer, bind};
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn elsewhere() -> Leading {
    Leading::At(place("leader"))
}

fn nobody() -> Leading {
    Leading::Nobody { since: Instant::now(), why: "1 of 3 voters visible, need 2".into() }
}

/// Tells what came.
async fn told(
    State(name): State<&'static str>,
    method: Method,
    uri: Uri,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Payload,
) -> Response {
    let headers: Vec<String> =
        headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
    let told = json!({
        "node": name,
        "method": method.as_str(),
        "uri": uri.to_string(),
        "peer": peer.map(|p| p.0.0.ip().to_string()),
        "headers": headers,
        "body": String::from_utf8_lossy(&body.0),
    });
    (
        [
            ("x-marathon-leader", "http://leader:8080"),
            ("content-type", "application/json"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
        ],
        told.to_string(),
    )
        .into_response()
}

/// A face: `/v2` and `/state` tell what came, `/ping` is a pulse, `/bad` fails in several ways.
fn face(name: &'static str) -> Face {
    let bad = async |request: Request| match request.uri().query() {
        Some("404") => (StatusCode::NOT_FOUND, r#"{"message":"App '/x' does not exist"}"#),
        Some("401") => (StatusCode::UNAUTHORIZED, "who are you"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "the whole trouble"),
    };
    Face::new()
        .alias("master")
        .endpoint("/v2", any(told).with_state(name))
        .endpoint("/state", any(told).with_state(name))
        .endpoint("/ping", any(async || "pong"))
        .endpoint("/bad", any(bad))
}

/// One that leads and one that does not.
fn two(of: LedFace) -> (Arc<Net>, Node, Node) {
    let net = Net::new();
    let leader = net.node("leader", of, Leading::Here, face("leader"));
    let standby = net.node("standby", of, elsewhere(), face("standby"));
    (net, leader, standby)
}

// covers: MAR-0262
#[tokio::test]
async fn a_leader_answers_by_itself_and_untouched() {
    let (net, leader, _) = two(LedFace::Marathon);
    let via = [("x-marathon-via", "1.1 leader:8080"), ("te", "x")];
    let reply = leader.send("GET /v2/apps?stale=true", &via, "").await;
    assert_eq!((reply.status, &reply.json()["node"]), (200, &json!("leader")));
    let all = json!(["x-marathon-via: 1.1 leader:8080", "te: x"]);
    assert_eq!(reply.json()["headers"], all, "as it came");
    assert!(!reply.headers.contains_key("x-mesolith-leader"));
    assert!(net.passed().is_empty());
}

// covers: MAR-0264, MAR-0272
#[tokio::test]
async fn a_request_arrives_as_it_was_sent() {
    let (net, _, standby) = two(LedFace::Marathon);
    let target = "/v2/apps//a%2Fb?embed=apps.tasks&embed=apps.counts&q=%20x%2B";
    let auth = [("authorization", "Basic YTpi"), ("x-request-id", "r-1"), ("te", "trailers")];
    let reply = standby.send(&format!("POST {target}"), &auth, "{\"a\": 1}").await;
    assert_eq!(net.passed(), [("leader".to_owned(), format!("POST {target}"))]);
    let told = reply.json();
    assert_eq!(told["node"], "leader");
    assert_eq!(told["method"], "POST");
    assert_eq!(told["body"], "{\"a\": 1}");
    let query = told["uri"].as_str().unwrap().split_once('?').unwrap().1;
    assert_eq!(query, "embed=apps.tasks&embed=apps.counts&q=%20x%2B");
    let expected =
        ["authorization: Basic YTpi", "x-request-id: r-1", "x-marathon-via: 1.1 standby:8080"];
    assert_eq!(told["headers"], json!(expected), "no Content-Type was sent, none comes");
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let told = standby.send(&format!("{method} /v2/x"), &[], "").await.json();
        assert_eq!((&told["method"], &told["node"]), (&json!(method), &json!("leader")));
    }
}

// covers: MAR-0266
#[tokio::test]
async fn an_answer_tells_who_gave_it_and_through_whom() {
    let (_, _, standby) = two(LedFace::Marathon);
    let reply = standby.send("GET /v2/apps", &[], "").await;
    assert_eq!(reply.header("x-marathon-leader"), "http://leader:8080");
    assert_eq!(reply.header("x-marathon-via"), "1.1 standby:8080");
    assert_eq!(reply.header("x-mesolith-leader"), "leader");
    assert!(!reply.headers.contains_key("connection"), "it is of the other hop");
    assert!(!reply.headers.contains_key("x-hop"), "the other hop's Connection names it");
    let ping = standby.send("GET /ping", &[], "").await;
    assert_eq!((ping.status, ping.body.as_str()), (200, "pong"));
    assert_eq!(ping.header("x-marathon-via"), "1.1 standby:8080");
    let (_, _, standby) = two(LedFace::Chronos);
    let reply = standby.send("GET /v2/x", &[], "").await;
    assert_eq!((reply.header("via"), reply.header("x-marathon-via")), ("1.1 standby:8080", ""));
}

// covers: MAR-0268, MAR-0269, CHR-0150
#[tokio::test]
async fn refusals_of_the_leader_come_whole() {
    for of in [LedFace::Master, LedFace::Marathon, LedFace::Chronos] {
        let (_, _, standby) = two(of);
        for (query, status, body) in [
            ("404", 404, r#"{"message":"App '/x' does not exist"}"#),
            ("401", 401, "who are you"),
            ("500", 500, "the whole trouble"),
        ] {
            let reply = standby.send(&format!("GET /bad?{query}"), &[], "").await;
            assert_eq!((reply.status, reply.body.as_str()), (status, body), "{of:?}");
            assert_eq!(reply.header("x-mesolith-leader"), "leader");
        }
    }
}

#[tokio::test]
async fn the_master_redirects_where_users_can_go() {
    let net = Net::new();
    net.node("leader", LedFace::Master, Leading::Here, face("leader"));
    let open = LeaderPlace {
        host: "two.example".into(),
        address: "10.0.0.2:5050".parse().ok(),
        ..place("leader")
    };
    let standby = net.node("standby", LedFace::Master, Leading::At(open), face("standby"));
    let reply = standby.send("GET /master/state.json?jsonp=cb", &[], "").await;
    assert_eq!((reply.status, reply.body.as_str()), (307, ""));
    assert_eq!(reply.header("location"), "//two.example:5050/master/state.json?jsonp=cb");
    assert_eq!(reply.header("x-mesolith-leader"), "leader");
    assert_eq!((standby.count("redirected"), net.passed().len()), (1, 0));
    let forward = [("x-mesolith-forward", "1")];
    assert_eq!(standby.send("GET /state", &forward, "").await.json()["node"], "leader");
    standby.believes(elsewhere());
    assert_eq!(standby.send("GET /master/state.json", &[], "").await.json()["node"], "leader");
    assert_eq!(standby.count("forwarded"), 2);
}

// covers: MAR-0273, MAR-0551
#[tokio::test]
async fn marathons_events_are_redirected_where_users_can_go() {
    let net = Net::new();
    net.node("leader", LedFace::Marathon, Leading::Here, face("leader"));
    let address = "10.0.0.2:8080".parse().ok();
    let open = LeaderPlace { host: "two.example".into(), address, ..place("leader") };
    let standby = net.node("standby", LedFace::Marathon, Leading::At(open), face("standby"));
    let reply = standby.send("GET /v2/events?event_type=a", &[], "").await;
    assert_eq!(reply.status, 302);
    assert_eq!(reply.header("location"), "http://two.example:8080/v2/events?event_type=a");
    assert_eq!(standby.send("GET /v2/eventSubscriptions", &[], "").await.status, 200);
    standby.believes(elsewhere());
    assert_eq!(standby.send("GET /v2/events", &[], "").await.json()["node"], "leader");
}

// covers: MAR-0270
#[tokio::test]
async fn a_leader_that_cannot_be_asked() {
    let refused = Error::new(Code::Unavailable, "10.0.0.2:5052 cannot be reached: refused");
    let full = Error::new(Code::Overloaded, "too many requests are under way");
    let broke = Error { retry: Retry::Unknown, ..refused.clone() };
    let (master, marathon, chronos) = (LedFace::Master, LedFace::Marathon, LedFace::Chronos);
    let proxy = "Error proxying request to leader (maybe the leadership just changed?)";
    for (of, error, line, status, text, again) in [
        (marathon, &refused, "POST /v2/apps", 502, "Connection to leader refused.", "1"),
        (marathon, &full, "GET /v2/apps", 503, "Too many requests wait for the leader.", "1"),
        (marathon, &broke, "GET /v2/apps", 500, "Connection to leader failed.", "1"),
        (marathon, &broke, "POST /v2/apps", 500, "It is not known whether the leader", ""),
        (chronos, &refused, "GET /v2/x", 500, proxy, "1"),
        (chronos, &full, "GET /v2/x", 503, "Too many requests", "1"),
        (master, &refused, "POST /v2/x", 503, "The leader does not answer: 10.0.0.2:5052", "1"),
        (master, &broke, "POST /v2/x", 503, "It is not known whether the leader", ""),
        (master, &full, "POST /v2/x", 503, "Too many requests", "1"),
    ] {
        let (net, _, standby) = two(of);
        net.broken.lock().unwrap().insert("leader".into(), error.clone());
        let reply = standby.send(line, &[], "x").await;
        assert_eq!(reply.status, status, "{of:?} {line} {error}: {}", reply.body);
        assert!(reply.body.contains(text), "{of:?} {line}: {}", reply.body);
        assert_eq!(reply.header("retry-after"), again, "{of:?} {line} {error}");
        match of {
            LedFace::Marathon => assert!(reply.json()["message"].is_string()),
            LedFace::Chronos => {
                let reason = StatusCode::from_u16(status).unwrap().canonical_reason();
                assert_eq!(reply.json()["status"], json!(reason));
            }
            LedFace::Master => assert!(reply.header("content-type").starts_with("text/plain")),
        }
        assert_eq!(net.passed().len(), 1, "nothing is sent twice");
        assert_eq!(standby.count("failed"), 1);
    }
}

// covers: MAR-0271
#[tokio::test]
async fn nodes_that_take_each_other_for_the_leader_say_so() {
    for of in [LedFace::Marathon, LedFace::Chronos, LedFace::Master] {
        let net = Net::new();
        let one = net.node("one", of, Leading::At(place("two")), face("one"));
        net.node("two", of, Leading::At(place("three")), face("two"));
        net.node("three", of, Leading::At(place("one")), face("three"));
        let reply = one.send("POST /v2/apps", &[], "{}").await;
        assert_eq!(reply.status, 502, "{of:?}");
        assert!(reply.body.contains("Detected proxying loop."), "{of:?}: {}", reply.body);
        assert_eq!(net.passed().len(), 3, "once around");
    }
    // One that knows better is asked through the one that does not, and named.
    let net = Net::new();
    let one = net.node("one", LedFace::Marathon, Leading::At(place("two")), face("one"));
    net.node("two", LedFace::Marathon, Leading::At(place("three")), face("two"));
    net.node("three", LedFace::Marathon, Leading::Here, face("three"));
    let reply = one.send("GET /v2/apps", &[], "").await;
    assert_eq!(
        (reply.json()["node"].as_str(), reply.header("x-mesolith-leader")),
        (Some("three"), "three")
    );
    let via: Vec<_> = reply.headers.get_all("x-marathon-via").iter().collect();
    assert_eq!(via, ["1.1 two:8080", "1.1 one:8080"]);
}

#[tokio::test]
async fn without_a_leader_all_is_refused_at_once() {
    let sentence = "Could not determine the current leader";
    for (of, text) in [
        (LedFace::Master, "No leader elected"),
        (LedFace::Marathon, sentence),
        (LedFace::Chronos, "No leader at present"),
    ] {
        let net = Net::new();
        let node = net.node("node", of, nobody(), face("node"));
        for line in ["POST /v2/apps", "GET /v2/apps", "DELETE /v2/apps/a"] {
            let start = Instant::now();
            let reply = node.send(line, &[], "").await;
            assert!(start.elapsed() < Duration::from_secs(1), "at once");
            assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{of:?} {line}");
            let why = "1 of 3 voters visible, need 2";
            match of {
                LedFace::Master => {
                    assert_eq!(reply.body, text);
                    assert!(reply.header("x-mesolith-why").ends_with(why));
                }
                LedFace::Marathon => {
                    assert_eq!(reply.json()["message"], text);
                    assert!(reply.json()["details"].as_str().unwrap().ends_with(why));
                }
                LedFace::Chronos => {
                    let message = reply.json()["message"].as_str().unwrap().to_owned();
                    assert!(message.starts_with(text) && message.ends_with(why), "{message}");
                    assert_eq!(reply.json()["status"], "Service Unavailable");
                }
            }
        }
        assert_eq!(node.count("none"), 3);
    }
}

#[tokio::test]
async fn a_leader_that_no_majority_confirms_shows_nothing() {
    for of in [LedFace::Master, LedFace::Marathon, LedFace::Chronos] {
        let (_, leader, _) = two(of);
        let ask = async |line: &str| leader.send(line, &[], "").await.status;
        assert_eq!(ask("GET /v2/apps").await, 200);
        leader.belief.confirmed.store(false, Ordering::Relaxed);
        let reply = leader.send("GET /v2/apps", &[], "").await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{of:?}");
        // Who takes an old answer gets one; a change is refused where it is written.
        assert_eq!(ask("GET /v2/apps?stale=true").await, 200);
        assert_eq!(ask("POST /v2/apps").await, 200);
        assert_eq!(leader.count("none"), 1);
    }
}

#[tokio::test]
async fn an_old_answer_of_this_node_is_not_fetched_elsewhere() {
    for of in [LedFace::Master, LedFace::Marathon, LedFace::Chronos] {
        let (net, _, standby) = two(of);
        let reply = standby.send("GET /v2/apps?stale=true", &[], "").await;
        assert_eq!(reply.status, 501, "{of:?}");
        assert!(reply.body.contains("Ask without 'stale'"), "{}", reply.body);
        assert!(net.passed().is_empty());
    }
}

// covers: CHR-0148
#[tokio::test]
async fn a_node_that_leads_by_name_only_asks_nobody() {
    let net = Net::new();
    for of in [LedFace::Master, LedFace::Marathon, LedFace::Chronos] {
        let node = net.node("node", of, Leading::At(place("node")), face("node"));
        assert_eq!(node.send("GET /v2/x", &[], "").await.json()["node"], "node");
    }
    assert!(net.passed().is_empty());
}

/// Over a real socket: the user's address, its host and its connection.
#[tokio::test]
async fn the_leader_sees_the_user_and_not_the_node_between() {
    let (_, _, standby) = two(LedFace::Marathon);
    let listener = bind("127.0.0.1:0".parse().unwrap(), "--port").await.unwrap();
    let running = standby.server.start(listener).unwrap();
    let ask = async |host: &str| {
        let mut socket = tokio::net::TcpStream::connect(running.address()).await.unwrap();
        let request = format!(
            "POST /v2/apps?a=b HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             X-Forwarded-For: 1.2.3.4\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut all = String::new();
        socket.read_to_string(&mut all).await.unwrap();
        all
    };
    let answer = ask("localhost").await;
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let told: Value = serde_json::from_str(body.trim()).unwrap_or_else(|e| panic!("{e}: {answer}"));
    assert_eq!(told["body"], "abc");
    assert_eq!(told["peer"], "127.0.0.1");
    let headers = told["headers"].to_string();
    assert!(headers.contains("x-forwarded-for: 1.2.3.4, 127.0.0.1"), "{headers}");
    assert!(headers.contains("host: localhost"), "{headers}");
    assert!(!headers.contains("transfer-encoding"), "{headers}");
    // What the port refuses is not passed on.
    assert!(ask("evil.example").await.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn a_request_waits_for_an_election_that_is_under_way() {
    let net = Net::new();
    net.node("leader", LedFace::Marathon, Leading::Here, face("leader"));
    let other = net.node("other", LedFace::Marathon, nobody(), face("other"));
    let election = Arc::new(tokio::sync::Notify::new());
    *other.belief.election.lock().unwrap() = Some(election.clone());
    let asked = other.send("POST /v2/apps", &[], "{}");
    let elected = async {
        // The request waits by now, or finds the word of it.
        other.believes(elsewhere());
        election.notify_one();
    };
    let (reply, ()) = tokio::join!(asked, elected);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(net.passed(), [("leader".to_string(), "POST /v2/apps".to_string())]);
    // One that does not end is not waited for: it is refused as ever.
    other.believes(nobody());
    let reply = other.send("POST /v2/apps", &[], "{}").await;
    assert_eq!(reply.status, 503, "{reply:?}");
}
