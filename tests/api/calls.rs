//! The scheduler API as HTTP: media types, methods, sizes, stream ids, and what is no call at all.

use super::client::{PATH, Scheduler, info, open, rejected, states, task};
use super::node::Node;
use super::wire::{ask, encode};
use mesolith::mesos::codec::Codec;
use mesolith::mesos::v1::scheduler::{Call, Event};
use serde_json::json;

const JSON: (&str, &str) = ("content-type", "application/json");
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

fn subscribe(name: &str) -> String {
    json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info(name)}}).to_string()
}

// covers: MES-0139, MES-0140, MES-0141, MES-0142, MES-0149, MES-0152
#[tokio::test]
async fn a_request_that_is_no_call_is_refused_and_the_node_goes_on() {
    let node = Node::start(&[]);
    let post = |headers: Vec<(&'static str, &'static str)>, body: String| {
        let node = &node;
        async move { node.post(PATH, &headers, &body).await }
    };
    let missing = post(vec![], subscribe("a")).await;
    missing.refused(400, "Expecting 'Content-Type' to be present");
    let other = ("content-type", "application/unknown");
    let text = "Expecting 'Content-Type' of application/json or application/x-protobuf";
    post(vec![other], subscribe("a")).await.refused(415, text);
    for body in ["MALFORMED_CONTENT", "", "{", "\u{0}", "{\"type\":\"SUBSCRIBE\"} x"] {
        let answer = post(vec![JSON], body.into()).await;
        answer.refused(400, "Failed to parse body into JSON: ");
    }
    for body in ["MALFORMED_CONTENT", "\u{8}", "\u{1}\u{2}\u{3}"] {
        let answer = post(vec![PROTOBUF], body.into()).await;
        answer.refused(400, "Failed to parse body into Call protobuf");
    }
    let wrong = "Failed to convert JSON into Call protobuf: ";
    for (body, named) in [
        ("{\"string\": \"valid_json\"}", ""),
        ("[]", ""),
        ("7", ""),
        ("{\"type\": \"NO_SUCH_CALL\"}", ""),
        ("{\"type\": {}}", "type"),
        ("{\"type\": \"KILL\", \"kill\": {\"task_id\": {\"value\": []}}}", "kill.task_id.value"),
        ("{\"type\": \"KILL\", \"kill\": {}}", "kill.task_id"),
        ("{\"type\": \"REVIVE\", \"revive\": {\"roles\": [\"a\", 7.5, {}]}}", "revive.roles"),
    ] {
        let answer = post(vec![JSON], body.into()).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        if !named.is_empty() {
            answer.refused(400, wrong);
        }
        assert!(answer.text().contains(named), "'{named}' in {}", answer.text());
    }
    let text = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'";
    post(vec![JSON, ("accept", "foo")], subscribe("a")).await.refused(406, text);
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let answer = ask(&node.master, method, PATH, &[JSON], "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{method}");
    }
    // None of this has made a framework, and one that knows the rules is served.
    assert_eq!(node.get("/state").await["frameworks"], json!([]));
    Scheduler::start(&node, info("good")).await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_413() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let node = Node::start(&[]);
    let head = "POST /api/v1/scheduler HTTP/1.1\r\nhost: 127.0.0.1\r\n\
                content-type: application/json\r\n";
    // Refused by its announced length, before it is sent; and without one, as it grows.
    let announced = format!("{head}content-length: 33554433\r\n\r\n");
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n2000000\r\n");
    let mut big = chunked.into_bytes();
    big.resize(big.len() + 32 * 1024 * 1024, b' ');
    big.extend_from_slice(b"\r\n1\r\n \r\n");
    for said in [announced.into_bytes(), big] {
        let mut tcp = tokio::net::TcpStream::connect(&node.master).await.unwrap();
        tcp.write_all(&said).await.unwrap();
        let mut answer = [0; 128];
        let reading = tcp.read(&mut answer);
        let read = tokio::time::timeout(super::wire::DEADLINE, reading).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    assert_eq!(ask(&node.master, "GET", "/health", &[], "").await.status, 200);
    Scheduler::start(&node, info("good")).await;
}

// covers: MES-0143, MES-0063, MES-0068
#[tokio::test]
async fn subscribing_opens_a_stream_of_events_with_heartbeats() {
    // The product's own interval, shown in SUBSCRIBED, is the original's.
    let usual = Node::start(&["--heartbeat-interval=15secs"]);
    let scheduler = Scheduler::start(&usual, info("usual")).await;
    assert_eq!(scheduler.subscribed["heartbeat_interval_seconds"], 15.0);
    let flags = usual.get("/flags").await;
    assert_eq!(flags["flags"]["heartbeat_interval"], "15secs");
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("quick")).await;
    assert_eq!(scheduler.subscribed["heartbeat_interval_seconds"], 0.3);
    let master = &scheduler.subscribed["master_info"];
    let state = node.get("/state").await;
    assert_eq!(master["id"], state["id"]);
    assert_eq!(master["hostname"], "127.0.0.1", "the address, where no name is given");
    let port: u16 = node.master.rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(master["port"], port);
    assert!(master["version"].as_str().is_some_and(|v| v == state["version"]), "{master}");
    for _ in 0..3 {
        scheduler.kind("HEARTBEAT").await;
    }
    assert!(scheduler.stream_id.len() >= 16 && scheduler.stream_id.len() <= 128);
}

// covers: MES-0150, MES-0151, MES-0156
#[tokio::test]
async fn events_come_in_the_codec_that_is_asked_for_or_json() {
    use http_body_util::BodyExt as _;
    let node = Node::start(&[]);
    let call = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info("any")}});
    for (sent, accept, answered) in [
        (Codec::Json, None, "application/json"),
        (Codec::Json, Some("*/*"), "application/json"),
        (Codec::Protobuf, None, "application/json"),
        (Codec::Protobuf, Some("application/x-protobuf"), "application/x-protobuf"),
        (Codec::Json, Some("application/x-protobuf"), "application/x-protobuf"),
    ] {
        let mut headers = vec![("content-type", sent.media_type())];
        headers.extend(accept.map(|a| ("accept", a)));
        let body = encode::<Call>(sent, &call);
        let (response, driver) =
            super::wire::send(&node.master, "POST", PATH, &headers, body.into()).await;
        assert_eq!(response.status(), 200, "{sent:?} {accept:?}");
        assert_eq!(response.headers()["content-type"], answered, "{sent:?} {accept:?}");
        let mut body = response.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let newline = first.iter().position(|b| *b == b'\n').unwrap();
        let length: usize = std::str::from_utf8(&first[..newline]).unwrap().parse().unwrap();
        let record = &first[newline + 1..][..length];
        let codec = match answered {
            "application/json" => Codec::Json,
            _ => Codec::Protobuf,
        };
        let event: Event = codec.decode(record).unwrap();
        assert!(event.subscribed.is_some());
        driver.abort();
    }
}

// covers: MES-0145, MES-0153, MES-0154, MES-0155, MES-0170
#[tokio::test]
async fn calls_must_bear_the_id_of_their_stream() {
    let node = Node::start(&[]);
    let scheduler = Scheduler::start(&node, info("streams")).await;
    let with_id = [JSON, ("mesos-stream-id", "x")];
    let answer = node.post(PATH, &with_id, &subscribe("streams")).await;
    answer.refused(400, "Subscribe calls should not include the 'Mesos-Stream-Id' header");
    let teardown = json!({"type": "TEARDOWN", "framework_id": {"value": scheduler.id}});
    let answer = node.post(PATH, &[JSON], &teardown.to_string()).await;
    answer.refused(400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header");
    let wrong = "3f1fdd04-0d4b-4ed2-b2ff-0e0ac0e5a6f4";
    let answer = node.post(PATH, &[JSON, ("mesos-stream-id", wrong)], &teardown.to_string()).await;
    answer.refused(
        400,
        &format!(
            "The stream ID '{wrong}' included in this request didn't match the stream ID \
             currently associated with framework ID {}",
            scheduler.id
        ),
    );
    let stranger = json!({"type": "REVIVE", "framework_id": {"value": "nobody"}});
    let headers = [JSON, ("mesos-stream-id", scheduler.stream_id.as_str())];
    node.post(PATH, &headers, &stranger.to_string())
        .await
        .refused(400, "Framework cannot be found");
    let answer = node.post(PATH, &headers, "{\"type\": \"REVIVE\"}").await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    for kind in ["ACCEPT", "DECLINE", "KILL", "SHUTDOWN", "ACKNOWLEDGE", "RECONCILE", "MESSAGE"] {
        let answer = scheduler.ask(kind, json!({})).await;
        let field = kind.to_lowercase();
        answer.refused(400, &format!("Expecting '{field}' to be present"));
    }
    let acknowledge = json!({
        "task_id": {"value": "t"}, "agent_id": {"value": "a"}, "uuid": "bm8gdXVpZA=="
    });
    let answer = scheduler.ask("ACKNOWLEDGE", json!({"acknowledge": acknowledge})).await;
    answer.refused(400, "Failed to validate scheduler::Call: Not a valid UUID");
    scheduler.call("REQUEST", json!({"request": {"requests": []}})).await;
    // It is still subscribed.
    let seen = node.get("/state").await;
    assert_eq!(seen["frameworks"][0]["active"], true);
}

// covers: MES-0069, MES-0144, MES-0132, MES-0133, MES-0070
#[tokio::test]
async fn a_framework_that_may_not_be_is_told_so_by_an_error_event() {
    let node = Node::start(&[]);
    let bad = |field: &str, value: serde_json::Value| {
        let mut wrong = info("bad");
        wrong[field] = value;
        json!({"framework_info": wrong})
    };
    for role in ["/test/test1", "a b", ".", "..", "-a", "a/*", "", "a//b"] {
        let text = rejected(&node, bad("roles", json!([role]))).await;
        assert!(text.to_lowercase().contains("role"), "{role}: {text}");
    }
    rejected(&node, bad("roles", json!(["a", "a"]))).await;
    for timeout in [-1.0, 1e20] {
        let text = rejected(&node, bad("failover_timeout", json!(timeout))).await;
        assert!(text.contains("failover_timeout"), "{text}");
    }
    for id in ["a/b", "..", "a\u{1}b"] {
        rejected(&node, bad("id", json!({"value": id}))).await;
    }
    let mut both = info("both");
    both["role"] = json!("a");
    rejected(&node, json!({"framework_info": both})).await;
    let mut single = info("single");
    single["capabilities"] = json!([]);
    rejected(&node, json!({"framework_info": single})).await;
    assert_eq!(node.get("/frameworks").await["frameworks"], json!([]));
}

// covers: MES-0071
#[tokio::test]
async fn an_empty_framework_id_is_a_first_subscription() {
    let node = Node::start(&[]);
    let mut empty = info("empty");
    empty["id"] = json!({"value": ""});
    let scheduler = Scheduler::start(&node, empty).await;
    assert!(!scheduler.id.is_empty());
}

// covers: MES-0146, MES-0157, MES-0098, MES-0171
#[tokio::test]
async fn a_second_subscription_takes_the_place_of_the_first() {
    let node = Node::start(&[]);
    let first = Scheduler::start(&node, info("twice")).await;
    let mut second = first.again(&node, info("twice")).await;
    assert_eq!(second.id, first.id);
    assert_ne!(second.stream_id, first.stream_id);
    let refused = first.ask("REVIVE", json!({})).await;
    refused.refused(400, "didn't match the stream ID currently associated");
    let last = first.rest().await.pop().unwrap();
    assert_eq!(last["type"], "ERROR");
    assert_eq!(last["error"]["message"], "Framework failed over");
    let offer = second.offer().await;
    second.launch(&offer, json!([task("t", &offer, "true")])).await;
    second.until("t", "TASK_FINISHED").await;
}

// covers: MES-0042, MES-0156, MES-0159
#[tokio::test]
async fn a_task_lives_and_ends_over_both_codecs() {
    let node = Node::start(&[]);
    for codec in [Codec::Json, Codec::Protobuf] {
        let subscribe = json!({"framework_info": info("life")});
        let mut scheduler = Scheduler::subscribe(&node, codec, subscribe).await;
        let offer = scheduler.offer().await;
        assert_eq!(offer["framework_id"]["value"], scheduler.id);
        assert_eq!(offer["hostname"], "127.0.0.1");
        let state = node.until_agent("/state", "it has its id", |s| s["id"] != "").await;
        let agent = &state["id"];
        assert_eq!(&offer["agent_id"]["value"], agent);
        let name = format!("t-{codec:?}");
        scheduler.launch(&offer, json!([task(&name, &offer, "exit 0")])).await;
        let statuses = scheduler.until(&name, "TASK_FINISHED").await;
        assert_eq!(states(&statuses), ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]);
        for status in &statuses {
            assert_eq!(&status["agent_id"]["value"], agent);
            assert_eq!(status["source"], "SOURCE_EXECUTOR");
            assert!(status["timestamp"].as_f64().unwrap() > 1e9);
            assert!(status.get("uuid").is_some());
        }
        scheduler.call("TEARDOWN", json!({})).await;
    }
}

#[tokio::test]
async fn a_client_that_speaks_nonsense_harms_nobody() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let node = Node::start(&[]);
    for said in [
        &b"\x00\xff\x16\x03\x01 nonsense\r\n\r\n"[..],
        b"GET /state HTTP/9.9\r\n\r\n",
        b"POST /api/v1/scheduler HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /api/v1/scheduler HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\
          content-type: application/json\r\n\r\nzz\r\n",
    ] {
        let mut tcp = tokio::net::TcpStream::connect(&node.master).await.unwrap();
        tcp.write_all(said).await.unwrap();
        let mut answer = Vec::new();
        let reading = tcp.read_to_end(&mut answer);
        // A server may also just close.
        let _ = tokio::time::timeout(super::wire::DEADLINE, reading).await.expect("it answers");
        let answer = String::from_utf8_lossy(&answer);
        let head = answer.split("\r\n").next().unwrap();
        assert!(answer.is_empty() || head.contains(" 400 ") || head.contains(" 505 "), "{head}");
    }
    // Half a body, and gone.
    let mut tcp = tokio::net::TcpStream::connect(&node.master).await.unwrap();
    tcp.write_all(b"POST /api/v1/scheduler HTTP/1.1\r\ncontent-length: 99\r\n\r\n{").await.unwrap();
    drop(tcp);
    let (id, _stream) =
        open(&node.master, Codec::Json, json!({"framework_info": info("good")})).await.unwrap();
    assert!(!id.is_empty());
}
