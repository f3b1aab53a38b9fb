//! Files on a node that does not lead: its own agent's are answered here, others' are asked of the leader.

use super::*;
use crate::base::error::Result;
use crate::base::time::Wall;
use crate::http::Server;
use crate::http::leader::{
    Forwarded, Forwarding, LeaderPlace, Leadership, Leading, LedFace, OwnFace,
};
use crate::machine::driver::Clock;
use crate::master::api::identity::Identity;
use crate::telemetry::Metrics;
use axum::body::{Body, to_bytes};
use std::time::Instant;
use tokio::sync::watch;
use tower::ServiceExt as _;

/// Passes on to a place that answers with what it was asked.
struct Place(Leading);

impl Leadership for Place {
    fn now(&self, _: LedFace) -> Leading {
        self.0.clone()
    }

    fn forward<'a>(&'a self, _: &'a LeaderPlace, _: LedFace, request: Request) -> Forwarded<'a> {
        let header = |name: &str| {
            let values = request.headers().get_all(name).iter();
            values.map(|v| v.to_str().unwrap().to_owned()).collect::<Vec<_>>().join("|")
        };
        let line = format!(
            "{} {} {}; {}; {}",
            request.method(),
            request.uri(),
            header("range"),
            header("via"),
            header("x-forwarded-for")
        );
        let answer: Result<Response> = Ok(Response::new(Body::from(line)));
        Box::pin(std::future::ready(answer))
    }
}

/// The agent `own`; no way to others.
struct Here(FileTable);

impl AgentFiles for Here {
    fn own(&self) -> Own<'_> {
        Box::pin(async { Some((AgentId::from("own"), self.0.clone())) })
    }

    fn ask<'a>(&'a self, _: NodeId, _: Request) -> Asking<'a> {
        panic!("only the leader knows where agents are")
    }
}

async fn ask(leading: &Leading, line: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("stdout"), "mine").unwrap();
    let (sandboxes, logs) = (FileTable::new(), FileTable::new());
    sandboxes.attach("/frameworks/f/executors/e/runs/latest", dir.path()).unwrap();
    logs.attach("/master/log", &dir.path().join("stdout")).unwrap();
    let identity = Identity {
        hostname: "one.example".into(),
        ip: "10.0.0.1".parse().unwrap(),
        port: 5050,
        cluster: None,
        log_dir: None,
        start_time: Wall(0),
        flags: [].into(),
    };
    let own = OwnFace {
        face: LedFace::Master,
        node: "n1".into(),
        host: "one.example".into(),
        port: 5050,
        copy: false,
    };
    let led = Forwarding::new(Arc::new(Place(leading.clone())), own, &Metrics::new());
    let (_none, nobody) = watch::channel(None);
    let api = Api::new(nobody, Arc::new(identity), Clock::default()).led(led);
    let face = face(api, logs, Arc::new(Here(sandboxes)), &Realm::open("read"));
    let inside = Server::new("master", face).inside();
    let (method, target) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let Ok(response) = inside.oneshot(request.body(Body::empty()).unwrap()).await;
    let status = response.status().as_u16();
    if status == 503 {
        assert!(response.headers().contains_key("retry-after"), "{line}");
    }
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn elsewhere() -> Leading {
    // Even where users could be sent to: clients of the originals do not expect it here.
    let address = "10.0.0.2:5050".parse().ok();
    Leading::At(LeaderPlace { node: "n2".into(), host: "two.example".into(), address })
}

fn nobody() -> Leading {
    Leading::Nobody { since: Instant::now(), why: "no quorum".into() }
}

const MINE: &str = "%2Fframeworks%2Ff%2Fexecutors%2Fe%2Fruns%2Flatest%2Fstdout";

#[tokio::test]
async fn what_this_node_has_needs_no_leader() {
    for leading in [elsewhere(), nobody()] {
        for target in [
            format!("/files/download?path={MINE}"),
            format!("/files/download?agent_id=own&path={MINE}"),
            format!("/mesolith/v1/agents/own/files/download?path={MINE}"),
            "/files/download?path=/master/log".to_owned(),
        ] {
            let got = ask(&leading, &format!("GET {target}"), &[]).await;
            assert_eq!(got, (200, "mine".to_owned()), "{target}");
        }
        let none = "GET /mesolith/v1/agents/own/files/read?path=/none";
        assert_eq!(ask(&leading, none, &[]).await.0, 404);
    }
}

#[tokio::test]
async fn what_others_have_is_asked_of_the_leader_with_the_agents_name() {
    let sent = [("range", "bytes=1-2"), ("x-forwarded-for", "10.9.9.9"), ("te", "x")];
    let hop = "bytes=1-2; 1.1 one.example:5050; 10.9.9.9, 10.9.9.9";
    for (line, expected) in [
        ("GET /files/read?path=/a%20b&offset=1", "GET /files/read?path=%2Fa%20b&offset=1"),
        ("HEAD /files/download?path=/x", "HEAD /files/download?path=%2Fx"),
        (
            "POST /files/browse?path=/slaves/s1/x",
            "GET /files/browse?path=%2Fslaves%2Fs1%2Fx&agent%5Fid=s1",
        ),
        (
            "GET /mesolith/v1/agents/s%2F1/files/read?path=/x&jsonp=f&agent_id=own",
            "GET /files/read?path=%2Fx&jsonp=f&agent%5Fid=own&agent%5Fid=s%2F1",
        ),
    ] {
        let (status, body) = ask(&elsewhere(), line, &sent).await;
        assert_eq!(status, 200, "{line}");
        if !line.starts_with("HEAD") {
            assert_eq!(body, format!("{expected} {hop}"), "{line}");
        }
    }
    // What has come through here does not go on.
    let came = [("via", "1.1 one.example:5050")];
    assert_eq!(ask(&elsewhere(), "GET /files/read?path=/x", &came).await.0, 502);
}

#[tokio::test]
async fn without_a_leader_others_are_not_reached_and_it_is_said() {
    let me = Leading::At(LeaderPlace { node: "n1".into(), host: "h".into(), address: None });
    for leading in [nobody(), Leading::Here, me] {
        for target in ["/files/read?path=/x", "/mesolith/v1/agents/s1/files/read?path=/x"] {
            let (status, body) = ask(&leading, &format!("GET {target}"), &[]).await;
            assert_eq!((status, body.as_str()), (503, "No leader elected"), "{target}");
        }
        assert_eq!(ask(&leading, "GET /files/read", &[]).await.0, 400, "no path");
        let (status, _) = ask(&leading, "GET /mesolith/v1/agents/s1/files/none?path=/x", &[]).await;
        assert_eq!(status, 404);
    }
}
