//! A master that does not lead.

use super::*;
use crate::base::error::Result;
use crate::base::time::Wall;
use crate::http::Server;
use crate::http::leader::{Forwarded, LeaderPlace, Leadership, Leading, LedFace, OwnFace};
use crate::telemetry::Metrics;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use std::time::Instant;
use tower::ServiceExt as _;

/// Passes on to a place that answers with the line it was asked.
struct Elsewhere(Leading);

impl Leadership for Elsewhere {
    fn now(&self, face: LedFace) -> Leading {
        assert_eq!(face, LedFace::Master);
        self.0.clone()
    }

    fn forward<'a>(&'a self, _: &'a LeaderPlace, _: LedFace, request: Request) -> Forwarded<'a> {
        let line = format!("passed on: {} {}", request.method(), request.uri());
        let answer: Result<Response> = Ok(Response::new(Body::from(line)));
        Box::pin(std::future::ready(answer))
    }
}

fn identity() -> Identity {
    Identity {
        hostname: "one.example".into(),
        ip: "10.0.0.1".parse().unwrap(),
        port: 5050,
        cluster: None,
        log_dir: None,
        start_time: Wall(0),
        flags: [("quorum".to_string(), "2".to_string())].into(),
    }
}

/// Asks a master that does not lead: status, `Location`, body.
async fn ask(leading: &Leading, line: &str) -> (u16, String, String) {
    let (_none, receiver) = watch::channel(None);
    let own = OwnFace {
        face: LedFace::Master,
        node: "n1".into(),
        host: "one.example".into(),
        port: 5050,
        copy: false,
    };
    let forwarding = Forwarding::new(Arc::new(Elsewhere(leading.clone())), own, &Metrics::new());
    let api = Api::new(receiver, Arc::new(identity()), Clock::default()).led(forwarding);
    let inside = Server::new("master", face(api, &Realms::open())).inside();
    let (method, target) = line.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(target).body(Body::empty()).unwrap();
    let Ok(response) = inside.oneshot(request).await;
    let location = response.headers().get("location");
    let location = location.map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, location, String::from_utf8(body.to_vec()).unwrap())
}

fn at(address: &str) -> Leading {
    let address = address.parse().ok();
    Leading::At(LeaderPlace { node: "n2".into(), host: "two.example".into(), address })
}

#[tokio::test]
async fn what_only_a_leader_knows_is_redirected_and_the_rest_is_answered() {
    let far = at("10.0.0.2:5050");
    for line in [
        "GET /state",
        "GET /master/state.json?jsonp=x",
        "GET /state-summary",
        "GET /slaves?slave_id=S1",
        "GET /master/frameworks",
        "GET /tasks?limit=1",
        "GET /roles",
        "POST /teardown",
        "POST /api/v1/scheduler",
        "POST /api/v1",
    ] {
        let (status, location, body) = ask(&far, line).await;
        let target = line.split_once(' ').unwrap().1;
        let expected = format!("//two.example:5050{target}");
        assert_eq!((status, location, body.as_str()), (307, expected, ""), "{line}");
    }
    for path in ["/version", "/health", "/flags", "/master/flags"] {
        let (status, location, _) = ask(&far, &format!("GET {path}")).await;
        assert_eq!((status, location.as_str()), (200, ""), "{path}");
    }
    for (path, status, to) in [
        ("/redirect", 307, "//two.example:5050"),
        ("/master/redirect", 307, "//two.example:5050"),
        ("/redirect/more", 404, ""),
    ] {
        let (got, location, _) = ask(&far, &format!("GET {path}")).await;
        assert_eq!((got, location.as_str()), (status, to), "{path}");
    }
    for line in ["GET /mesolith/v1/tasks", "POST /mesolith/v1/kill", "GET /mesolith/v1/events"] {
        let (status, _, body) = ask(&far, line).await;
        assert_eq!((status, body), (200, format!("passed on: {line}")));
    }
}

#[tokio::test]
async fn a_leader_that_users_cannot_reach_is_asked_for_them() {
    let near = at("127.0.0.2:5050");
    for line in [
        "GET /master/state.json?jsonp=x",
        "POST /api/v1/scheduler",
        "POST /api/v1",
        "POST /teardown",
    ] {
        let (status, _, body) = ask(&near, line).await;
        assert_eq!((status, body), (200, format!("passed on: {line}")));
    }
    let (status, location, _) = ask(&near, "GET /redirect").await;
    assert_eq!((status, location.as_str()), (307, "//one.example:5050"), "through this node");
}

#[tokio::test]
async fn without_a_leader_there_is_the_originals_sentence() {
    let nobody = Leading::Nobody { since: Instant::now(), why: "no quorum".into() };
    for line in ["GET /state", "GET /redirect", "POST /api/v1/scheduler", "POST /teardown"] {
        let (status, _, body) = ask(&nobody, line).await;
        assert_eq!((status, body.as_str()), (503, "No leader elected"), "{line}");
    }
    assert_eq!(ask(&nobody, "GET /health").await.0, 200);
    // Elected, and not there yet.
    assert_eq!(ask(&Leading::Here, "GET /state").await.0, 503);
}
