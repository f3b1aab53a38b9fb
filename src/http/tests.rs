//! The server over real sockets, where framing and time matter.

use super::*;
use crate::security::{BasicAuthenticator, Credentials, Principal};
use crate::telemetry::{Counter, Metrics};
use axum::Extension;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{any, get, post};
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

type Senders = Arc<Mutex<Vec<EventSender>>>;

pub(super) struct World {
    running: Running,
    metrics: Metrics,
    senders: Senders,
}

/// A server of that face alone.
pub(super) async fn serve(face: Face) -> World {
    let listener = bind("127.0.0.1:0".parse().unwrap(), "--port").await.unwrap();
    let running = Server::new("test", face).start(listener).unwrap();
    World { running, metrics: Metrics::new(), senders: Senders::default() }
}

async fn world(limits: Limits) -> World {
    let senders = Senders::default();
    let subscribe = {
        let senders = senders.clone();
        move || {
            let (sender, body) = event_stream(Framing::RecordIo, 64 * 1024, Counter::default());
            senders.lock().unwrap().push(sender);
            async move { body.into_response("application/json") }
        }
    };
    let echo = |body::Payload(bytes): body::Payload| async move { bytes };
    let call = |call: Call<crate::mesos::v1::scheduler::Call>| async move {
        format!("{:?} {:?}", call.codec, call.message.r#type())
    };
    let rest = |Extension(PathRest(rest)): Extension<PathRest>| async move { rest.join("|") };
    let face = Face::new()
        .alias("master")
        .endpoint("/state", any(|q: Query| async move { reply::json(&"x".repeat(2000), &q) }))
        .endpoint("/small", get(|| async { "small" }))
        .endpoint("/echo", post(echo))
        .endpoint("/api/v1", post(rest))
        .endpoint("/api/v1/scheduler", post(call))
        .endpoint("/subscribe", post(subscribe))
        .endpoint("/panic", get(boom));
    let metrics = Metrics::new();
    let listener = bind("127.0.0.1:0".parse().unwrap(), "--port").await.unwrap();
    let server = Server::new("test", face).limits(limits).metrics(&metrics);
    World { running: server.start(listener).unwrap(), metrics, senders }
}

async fn boom() -> Response {
    panic!("a handler that panics")
}

impl World {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.running.address()).await.unwrap()
    }

    /// Sends raw bytes on a connection of their own and reads all until it is closed.
    async fn raw(&self, bytes: &[u8]) -> String {
        let mut socket = self.connect().await;
        socket.write_all(bytes).await.unwrap();
        let mut all = Vec::new();
        // A reset after the answer still leaves the answer.
        let _ = timeout(PATIENCE, socket.read_to_end(&mut all)).await.expect("closed in time");
        String::from_utf8_lossy(&all).into_owned()
    }

    /// One request with `Connection: close`.
    pub(super) async fn ask(&self, line: &str, headers: &str, body: &str) -> String {
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}");
        let length = match body {
            "" => String::new(),
            body => format!("Content-Length: {}\r\n", body.len()),
        };
        self.raw(format!("{head}{length}\r\n{body}").as_bytes()).await
    }
}

pub(super) fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("none")
}

pub(super) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// Reads until the text has come.
async fn read_until(socket: &mut TcpStream, text: &str) -> String {
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&all).contains(text) {
        let n = timeout(PATIENCE, socket.read(&mut piece)).await.expect(text).unwrap();
        assert!(n > 0, "closed before {text:?}: {:?}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&piece[..n]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn spellings_methods_and_default_bodies() {
    let world = world(Limits::default()).await;
    for path in ["/state", "/master/state.json", "//state/", "/%73tate?x=1", "/state/more"] {
        assert_eq!(status(&world.ask(&format!("GET {path}"), "", "").await), "200", "{path}");
    }
    let rest = world.ask("POST /api/v1/operator/a%2Fb", "", "").await;
    assert_eq!(body(&rest), "operator|a/b");
    let wrong = world.ask("PUT /small", "", "").await;
    assert!(wrong.to_ascii_lowercase().contains("\r\nallow: get\r\n"), "{wrong}");
    let said = "405 Method Not Allowed. Expecting one of { 'GET' }, but received 'PUT'.";
    assert_eq!((status(&wrong), body(&wrong)), ("405", said));
    let none = world.ask("GET /nothing", "", "").await;
    assert_eq!((status(&none), body(&none)), ("404", "404 Not Found."));
    let head = world.ask("HEAD /small", "", "").await;
    assert!(head.to_ascii_lowercase().contains("content-length: 5\r\n"), "{head}");
    assert_eq!((status(&head), body(&head)), ("200", ""));
    let jsonp = world.ask("GET /state?jsonp=cb", "", "").await;
    assert!(body(&jsonp).starts_with("cb(\"x"));
    assert!(jsonp.contains("text/javascript"));
}

#[tokio::test]
async fn hostile_paths_leave_the_server_up() {
    let world = world(Limits::default()).await;
    for path in ["/%", "/%zz", "/%00", "/%ff"] {
        assert_eq!(status(&world.ask(&format!("GET {path}"), "", "").await), "400", "{path}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(70_000));
    assert!(["414", "431"].contains(&status(&world.raw(long.as_bytes()).await)));
    let line = "GET http://evil.example/state";
    assert_eq!(status(&world.ask(line, "", "").await), "403", "the absolute form names the host");
    assert_eq!(status(&world.ask("OPTIONS *", "", "").await), "404");
    world.raw(b"GET  HTTP/1.1\r\n\r\n").await;
    world.raw(b"\0\0\0\r\n\r\n").await;
    let panicked = world.ask("GET /panic", "", "").await;
    assert_eq!((status(&panicked), body(&panicked)), ("500", "500 Internal Server Error."));
    assert_eq!(status(&world.ask("GET /small", "", "").await), "200");
}

#[tokio::test]
async fn other_sites_cannot_write_and_foreign_names_are_refused() {
    let world = world(Limits::default()).await;
    let foreign = "Origin: http://evil.example\r\n";
    assert_eq!(status(&world.ask("POST /echo", foreign, "x").await), "403");
    assert_eq!(status(&world.ask("GET /state?jsonp=a", foreign, "").await), "200");
    let rebound = "GET /state HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&world.raw(rebound.as_bytes()).await), "403");
}

#[tokio::test]
async fn pipelined_and_chunked_requests() {
    let world = world(Limits::default()).await;
    let text = "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
                3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n\
                GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n\
                GET /master/small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answers = world.raw(text.as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    assert!(answers.contains("\r\n\r\nabcde"), "{answers}");
    let broken =
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n";
    assert_eq!(status(&world.raw(broken.as_bytes()).await), "400");
}

#[tokio::test]
async fn bodies_are_bounded_as_sent_and_as_inflated() {
    let world = world(Limits { body_bytes: 10_000, ..Limits::default() }).await;
    let announced = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10001\r\n\r\n";
    let refused = world.raw(announced.as_bytes()).await;
    assert_eq!(status(&refused), "413");
    assert!(body(&refused).contains("10000 bytes"), "{refused}");
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000)).repeat(3);
    let chunked = format!(
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"
    );
    assert_eq!(status(&world.raw(chunked.as_bytes()).await), "413");
    let gzip = |plain: &[u8]| {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    };
    let send = |bytes: Vec<u8>| {
        let mut all = format!(
            "POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            bytes.len()
        )
        .into_bytes();
        all.extend_from_slice(&bytes);
        all
    };
    let small = world.raw(&send(gzip(b"hello"))).await;
    assert_eq!((status(&small), body(&small)), ("200", "hello"));
    let bomb = gzip(&vec![0; 5_000_000]);
    assert!(bomb.len() < 10_000);
    assert_eq!(status(&world.raw(&send(bomb)).await), "413");
    assert_eq!(status(&world.raw(&send(b"no gzip".to_vec())).await), "400");
    let other = world.ask("POST /echo", "Content-Encoding: br\r\n", "x").await;
    assert_eq!(status(&other), "415");
}

#[tokio::test]
async fn calls_are_read_or_refused_in_the_originals_words() {
    let world = world(Limits::default()).await;
    let send = |headers: &'static str, body: &'static str| {
        world.ask("POST /api/v1/scheduler", headers, body)
    };
    let json = "Content-Type: application/json\r\n";
    assert_eq!(body(&send(json, r#"{"type":"TEARDOWN"}"#).await), "Json Teardown");
    let missing = send("", "{}").await;
    assert_eq!(body(&missing), "Expecting 'Content-Type' to be present");
    assert_eq!(status(&missing), "400");
    assert_eq!(status(&send("Content-Type: text/plain\r\n", "{}").await), "415");
    let garbage = send(json, "{").await;
    assert!(body(&garbage).starts_with("Failed to parse body into JSON: "), "{garbage}");
    let shape = send(json, r#"{"type":{}}"#).await;
    assert!(body(&shape).starts_with("Failed to convert JSON into Call protobuf: "), "{shape}");
    let wire = send("Content-Type: application/x-protobuf\r\n", "{}").await;
    assert!(body(&wire).starts_with("Failed to parse body into Call protobuf"), "{wire}");
    let deep: &'static str = Box::leak("[".repeat(100_000).into_boxed_str());
    assert_eq!(status(&send(json, deep).await), "400");
}

#[tokio::test]
async fn long_answers_are_compressed_when_allowed() {
    let world = world(Limits::default()).await;
    let gzip = "Accept-Encoding: gzip\r\n";
    let long = world.ask("GET /state", gzip, "").await.to_ascii_lowercase();
    assert!(long.contains("content-encoding: gzip\r\n") && long.len() < 1000, "{long}");
    let plain = world.ask("GET /state", "", "").await.to_ascii_lowercase();
    assert!(!plain.contains("content-encoding"), "{plain}");
    let short = world.ask("GET /small", gzip, "").await.to_ascii_lowercase();
    assert!(!short.contains("content-encoding"), "{short}");
}

#[tokio::test]
async fn each_record_of_a_stream_is_a_chunk_that_leaves_at_once() {
    let world = world(Limits::default()).await;
    let mut socket = world.connect().await;
    let request = "POST /subscribe HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    let head = read_until(&mut socket, "\r\n\r\n").await.to_ascii_lowercase();
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    assert!(!head.contains("content-encoding"), "streams are not compressed: {head}");
    let sender = world.senders.lock().unwrap().pop().unwrap();
    for record in ["{\"a\":1}", "{}"] {
        sender.send(Bytes::from_static(record.as_bytes())).unwrap();
        let framed = format!("{}\n{record}", record.len());
        let chunk = format!("{:X}\r\n{framed}\r\n", framed.len());
        assert_eq!(read_until(&mut socket, record).await.trim_end(), chunk.trim_end());
    }
    drop(socket);
    timeout(PATIENCE, sender.closed()).await.expect("the sender sees the client go");
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_stream_then_its_connection() {
    let limits = Limits { stall_timeout: Duration::from_millis(300), ..Limits::default() };
    let world = world(limits).await;
    let mut socket = world.connect().await;
    socket.write_all(b"POST /subscribe HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    read_until(&mut socket, "\r\n\r\n").await;
    let sender = world.senders.lock().unwrap().pop().unwrap();
    let record = Bytes::from(vec![b'x'; 16 * 1024]);
    let flood = async {
        while sender.send(record.clone()).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, flood).await.expect("the flood is bounded");
    assert!(sender.is_closed());
    let open = world.metrics.gauge("http/test/connections");
    let gone = async {
        while open.get() > 0.0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the connection is given up");
}

#[tokio::test]
async fn a_slow_head_is_cut_and_an_idle_connection_is_not() {
    let limits = Limits { head_timeout: Duration::from_millis(200), ..Limits::default() };
    let world = world(limits).await;
    let mut idle = world.connect().await;
    let mut slow = world.connect().await;
    slow.write_all(b"GET /small HT").await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, slow.read_to_end(&mut rest)).await.expect("cut in time");
    // The idle one was there before, and has waited longer than a head may take.
    for _ in 0..2 {
        idle.write_all(b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        read_until(&mut idle, "small").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let mut drip = world.connect().await;
    let dripping = async {
        for byte in b"GET /small HTTP/1.1\r\nHost: localhost\r\nX-Long: ".iter().cycle() {
            if drip.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, dripping).await.expect("a drop at a time does not help");
}

#[tokio::test]
async fn connections_are_bounded_and_counted() {
    let world = world(Limits { connections: 2, ..Limits::default() }).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut socket = world.connect().await;
        socket.write_all(b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        read_until(&mut socket, "small").await;
        open.push(socket);
    }
    assert_eq!(status(&world.ask("GET /small", "", "").await), "none");
    let seen = world.metrics.snapshot(None);
    assert_eq!(seen["http/test/connections_refused"], 1.0);
    assert_eq!(seen["http/test/connections"], 2.0);
    assert_eq!(seen["http/test/responses_2xx"], 2.0);
    assert_eq!(seen["http/test/request_ms/count"], 2.0);
}

#[tokio::test]
async fn stopping_lets_requests_end_and_cuts_streams_at_the_deadline() {
    let world = world(Limits::default()).await;
    let mut stream = world.connect().await;
    stream.write_all(b"POST /subscribe HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    let mut half = world.connect().await;
    let head = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\
                Expect: 100-continue\r\n\r\n";
    half.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut half, "100 Continue").await;
    let running = world.running.clone();
    let stop = tokio::spawn(async move { running.stop(Duration::from_millis(500)).await });
    half.write_all(b"done").await.unwrap();
    assert!(read_until(&mut half, "done").await.contains("200 OK"));
    timeout(PATIENCE, stop).await.expect("the stream does not hold the stop").unwrap();
    let sender = world.senders.lock().unwrap().pop().unwrap();
    timeout(PATIENCE, sender.closed()).await.unwrap();
    assert!(TcpStream::connect(world.running.address()).await.is_err());
}

// covers: MES-0025, MES-0781
#[tokio::test]
async fn read_endpoints_ask_for_credentials_when_told_to() {
    let json = r#"{"credentials":[{"principal":"ops","secret":"s3cret"}]}"#;
    let basic = BasicAuthenticator::new(Credentials::parse(json.as_bytes()).unwrap());
    let refused = Counter::default();
    let realm = auth::Realm::new("mesos-master-readonly", vec![Arc::new(basic)], refused.clone());
    let who = |principal: Option<Extension<Principal>>| async move {
        principal.map(|Extension(p)| p.to_string()).unwrap_or_default()
    };
    let face = Face::new()
        .endpoint("/state", realm.protect(any(who)))
        .endpoint("/health", get(|_: HeaderMap| async {}));
    let world = serve(face).await;
    let with = |credentials: &str| {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
        format!("Authorization: Basic {encoded}\r\n")
    };
    for headers in
        [String::new(), with("ops:wrong"), with("bad:s3cret"), "Authorization: x\r\n".into()]
    {
        let answer = world.ask("GET /state", &headers, "").await;
        assert_eq!((status(&answer), body(&answer)), ("401", "401 Unauthorized."), "{headers}");
        let challenge = "www-authenticate: basic realm=\"mesos-master-readonly\"\r\n";
        assert!(answer.to_ascii_lowercase().contains(challenge), "{answer}");
    }
    assert_eq!(body(&world.ask("GET /state", &with("ops:s3cret"), "").await), "ops");
    assert_eq!(status(&world.ask("GET /health", "", "").await), "200");
    assert_eq!(refused.get(), 4);
    for _ in 0..20 {
        assert_eq!(status(&world.ask("GET /state", &with("ops:guess"), "").await), "401");
    }
    assert_eq!(status(&world.ask("GET /state", &with("ops:s3cret"), "").await), "429");
}
