//! The decision, as a table.

use crate::http::leader::decide::{Asked, Verdict, decide};
use crate::http::leader::refuse::Trouble;
use crate::http::leader::{LeaderPlace, Leading, LedFace, OwnFace};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::time::Instant;

fn own(face: LedFace) -> OwnFace {
    let port = match face {
        LedFace::Master => 5050,
        LedFace::Marathon => 8080,
        LedFace::Chronos => 4400,
    };
    OwnFace { face, node: "n1".into(), host: "one.example".into(), port, copy: false }
}

fn at(node: &str, host: &str, address: &str) -> Leading {
    Leading::At(LeaderPlace { node: node.into(), host: host.into(), address: address.parse().ok() })
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// What is decided on `GET /v2/events?x`, its endpoint of as many segments as the face has.
fn verdict(own: &OwnFace, leading: &Leading, line: &str, headers: &HeaderMap) -> Verdict {
    let (method, target) = line.split_once(' ').unwrap();
    let path = target.split('?').next().unwrap();
    let path = path.strip_prefix("/master").unwrap_or(path);
    let mut all: Vec<String> = path.split('/').skip(1).map(String::from).collect();
    let depth = match all[0].as_str() {
        "api" if all.get(2).is_some_and(|s| s == "scheduler") => 3,
        "api" => 2,
        "mesolith" => 3,
        _ => 1,
    };
    let rest = all.split_off(depth.min(all.len()));
    let endpoint = format!("/{}", all.join("/"));
    let method: Method = method.parse().unwrap();
    let peer = Some("10.9.9.9".parse().unwrap());
    let endpoint = endpoint.as_str();
    decide(own, leading, &Asked { method: &method, endpoint, rest: &rest, target, headers, peer })
}

/// In a word.
fn word(verdict: Verdict) -> String {
    match verdict {
        Verdict::Pass => "pass".into(),
        Verdict::Redirect { status, location } => {
            format!("{} {}", status.as_u16(), location.to_str().unwrap())
        }
        Verdict::Forward(_) => "forward".into(),
        Verdict::Copy => "copy".into(),
        Verdict::Refuse(Trouble::Stale) => "stale".into(),
        Verdict::Refuse(Trouble::Loop) => "loop".into(),
        Verdict::Refuse(Trouble::Nobody { .. }) => "nobody".into(),
        Verdict::Refuse(Trouble::Failed { .. }) => "failed".into(),
    }
}

// covers: MAR-0262, MAR-0271, MAR-0273, MAR-0551, CHR-0148, CHR-0160
#[test]
fn what_is_done_with_a_request() {
    let far = at("n2", "two.example", "10.0.0.2:9050");
    let near = at("n2", "two.example", "127.0.0.2:5050");
    let hidden = at("n2", "two.example", "");
    let any = at("n2", "two.example", "0.0.0.0:5050");
    let named_local = at("n2", "localhost", "10.0.0.2:5050");
    let v6 = at("n2", "fd00::2", "[fd00::2]:5050");
    let me = at("n1", "one.example", "10.0.0.1:5050");
    let nobody = Leading::Nobody { since: Instant::now(), why: "1 of 3".into() };
    let forward = ("x-mesolith-forward", "1");
    let none: &[(&str, &str)] = &[];
    let [master, marathon, chronos] = [LedFace::Master, LedFace::Marathon, LedFace::Chronos];
    type Row<'a> = (LedFace, &'a Leading, &'a str, &'a [(&'a str, &'a str)], &'a str);
    let table: &[Row<'_>] = &[
        // Here, whatever is asked.
        (master, &Leading::Here, "GET /state", none, "pass"),
        (master, &Leading::Here, "GET /state?stale=true", none, "pass"),
        (marathon, &Leading::Here, "GET /v2/events", none, "pass"),
        (
            marathon,
            &Leading::Here,
            "GET /v2",
            &[("x-marathon-via", "1.1 one.example:8080")],
            "pass",
        ),
        (chronos, &Leading::Here, "PUT /scheduler/job/a", none, "pass"),
        // By name only: never to itself.
        (master, &me, "GET /state", none, "pass"),
        (marathon, &me, "POST /v2/apps", none, "pass"),
        (chronos, &me, "GET /scheduler/jobs", none, "pass"),
        // The master redirects in the user's spelling, whatever the method.
        (
            master,
            &far,
            "GET /master/state.json?a=%20b&c",
            none,
            "307 //two.example:9050/master/state.json?a=%20b&c",
        ),
        (master, &far, "POST /api/v1", none, "307 //two.example:9050/api/v1"),
        (master, &far, "POST /api/v1/scheduler", none, "307 //two.example:9050/api/v1/scheduler"),
        (master, &far, "POST /teardown", none, "307 //two.example:9050/teardown"),
        (master, &far, "GET /redirect", none, "307 //two.example:9050"),
        (master, &far, "GET /master/redirect?x=1", none, "307 //two.example:9050"),
        (master, &far, "GET /redirect/x", none, "pass"),
        (master, &v6, "GET /tasks", none, "307 //[fd00::2]:5050/tasks"),
        (master, &named_local, "GET /tasks", none, "307 //10.0.0.2:5050/tasks"),
        // … but not what a page asks, nor our own paths.
        (master, &far, "GET /state", &[forward], "forward"),
        (master, &far, "GET /redirect", &[forward], "307 //two.example:9050"),
        (master, &far, "GET /mesolith/v1/events", none, "forward"),
        (master, &far, "PUT /mesolith/v1/state/marathon/x", none, "forward"),
        // … nor to where users cannot go.
        (master, &near, "POST /api/v1/scheduler", none, "forward"),
        (master, &hidden, "GET /state", none, "forward"),
        (master, &any, "GET /state", none, "forward"),
        (master, &near, "GET /redirect", none, "307 //one.example:5050"),
        // Marathon passes all on but its events.
        (marathon, &far, "GET /v2/apps?embed=apps.tasks", none, "forward"),
        (marathon, &far, "POST /v2/apps", none, "forward"),
        (marathon, &far, "GET /ping", none, "forward"),
        (marathon, &far, "GET /v2/leader", none, "forward"),
        (marathon, &far, "DELETE /v2/leader", none, "forward"),
        (marathon, &far, "GET /v2/info", none, "forward"),
        (marathon, &far, "GET /metrics", none, "forward"),
        (
            marathon,
            &far,
            "GET /v2/events?event_type=a",
            none,
            "302 http://two.example:9050/v2/events?event_type=a",
        ),
        (marathon, &far, "GET /v2/events", &[forward], "forward"),
        (marathon, &far, "GET /mesolith/v1/events", none, "forward"),
        (marathon, &near, "GET /v2/events", none, "forward"),
        // Chronos passes all on but its own pulse.
        (chronos, &far, "GET /scheduler/jobs", none, "forward"),
        (chronos, &far, "GET /v1/scheduler/leader", none, "forward"),
        (chronos, &far, "POST /scheduler/iso8601", none, "forward"),
        (chronos, &far, "GET /metrics", none, "forward"),
        (chronos, &far, "GET /ping", none, "pass"),
        // Nobody.
        (master, &nobody, "GET /state", none, "nobody"),
        (master, &nobody, "GET /redirect", none, "nobody"),
        (master, &nobody, "POST /api/v1/scheduler", none, "nobody"),
        (marathon, &nobody, "POST /v2/apps", none, "nobody"),
        (marathon, &nobody, "GET /v2/apps", none, "nobody"),
        (marathon, &nobody, "GET /v2/events", none, "nobody"),
        (marathon, &nobody, "DELETE /v2/leader", none, "nobody"),
        (marathon, &nobody, "GET /v2/leader", none, "pass"),
        (chronos, &nobody, "PUT /scheduler/job/a", none, "nobody"),
        (chronos, &nobody, "GET /ping", none, "pass"),
        // Old answers are asked of this node, which has none.
        (master, &far, "GET /state?x=1&stale=true", none, "stale"),
        (master, &far, "HEAD /state?stale", none, "stale"),
        (master, &nobody, "GET /state?stale=True", none, "stale"),
        (marathon, &near, "GET /v2/apps?stale=true", none, "stale"),
        (chronos, &far, "GET /scheduler/jobs?stale=true", none, "stale"),
        (marathon, &far, "GET /v2/apps?stale=false&label=stale", none, "forward"),
        (marathon, &far, "POST /v2/apps?stale=true", none, "forward"),
        // What has come through here does not go on.
        (marathon, &far, "GET /v2/apps", &[("x-marathon-via", "1.1 one.example:8080")], "loop"),
        (
            marathon,
            &far,
            "GET /v2/apps",
            &[("x-marathon-via", "1.1 a:1, 1.1 ONE.example:8080 (x)")],
            "loop",
        ),
        (
            marathon,
            &far,
            "GET /v2/apps",
            &[("x-marathon-via", "1.1 a:1"), ("x-marathon-via", "1.1 one.example:8080")],
            "loop",
        ),
        (
            marathon,
            &far,
            "GET /v2/apps",
            &[("x-marathon-via", "1.1 one.example:80, 1.1 none.example:8080")],
            "forward",
        ),
        (marathon, &far, "GET /v2/apps", &[("via", "1.1 one.example:8080")], "forward"),
        (
            chronos,
            &far,
            "GET /scheduler/jobs",
            &[("via", "1.0 proxy, 1.1 one.example:4400")],
            "loop",
        ),
        (master, &near, "GET /state", &[("via", "1.1 one.example:5050")], "loop"),
        (
            master,
            &far,
            "GET /state",
            &[("via", "1.1 one.example:5050")],
            "307 //two.example:9050/state",
        ),
    ];
    for (face, leading, line, pairs, expected) in table {
        let decided = word(verdict(&own(*face), leading, line, &headers(pairs)));
        assert_eq!(decided, *expected, "{face:?} {line} {pairs:?} with {leading:?}");
    }
}

fn forwarded(own: &OwnFace, line: &str, pairs: &[(&str, &str)]) -> HeaderMap {
    let leading = at("n2", "two.example", "127.0.0.1:5050");
    match verdict(own, &leading, line, &headers(pairs)) {
        Verdict::Forward(onward) => onward.headers,
        other => panic!("{other:?}"),
    }
}

fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect()
}

#[test]
fn headers_of_the_hop_end_here_and_the_others_go_on() {
    let sent = [
        ("host", "one.example:8080"),
        ("authorization", "Basic YTpi"),
        ("content-type", "application/json"),
        ("content-length", "12"),
        ("accept", "application/json"),
        ("accept", "text/plain"),
        ("x-request-id", "r1"),
        ("mesos-stream-id", "s1"),
        ("connection", "close, X-Private"),
        ("x-private", "for this hop"),
        ("keep-alive", "5"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("expect", "100-continue"),
        ("proxy-authorization", "Basic eA=="),
        ("proxy-connection", "close"),
    ];
    let onward = forwarded(&own(LedFace::Marathon), "POST /v2/apps", &sent);
    let mut names: Vec<&str> = onward.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "mesos-stream-id",
        "x-forwarded-for",
        "x-marathon-via",
        "x-request-id",
    ];
    assert_eq!(names, expected);
    assert_eq!(all(&onward, "accept"), ["application/json", "text/plain"]);
    assert_eq!(all(&onward, "authorization"), ["Basic YTpi"]);
    assert_eq!(all(&onward, "host"), ["one.example:8080"]);
}

// covers: MAR-0266
#[test]
fn each_hop_adds_itself_and_whom_it_asks_for() {
    let before = [
        ("x-marathon-via", "1.1 zero.example:8080"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-for", "5.6.7.8"),
    ];
    let onward = forwarded(&own(LedFace::Marathon), "GET /ping", &before);
    let hops = ["1.1 zero.example:8080", "1.1 one.example:8080"];
    assert_eq!(all(&onward, "x-marathon-via"), hops);
    assert_eq!(all(&onward, "x-forwarded-for"), ["1.2.3.4, 5.6.7.8, 10.9.9.9"]);
    assert_eq!(crate::http::leader::client(&onward), Some("10.9.9.9".parse().unwrap()));
    let onward = forwarded(&own(LedFace::Chronos), "GET /scheduler/jobs", &[]);
    assert_eq!(all(&onward, "via"), ["1.1 one.example:4400"]);
    assert!(all(&onward, "x-marathon-via").is_empty());
    // Where every node is 127.0.0.1 to its own users, that tells none of them.
    for host in ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", ""] {
        let own = OwnFace { host: host.into(), ..own(LedFace::Marathon) };
        let onward = forwarded(&own, "GET /ping", &[]);
        assert_eq!(all(&onward, "x-marathon-via"), ["1.1 n1:8080"], "{host}");
    }
}

#[test]
fn a_copy_answers_what_is_in_it() {
    let near = at("n2", "two.example", "127.0.0.2:5050");
    let nobody = Leading::Nobody { since: Instant::now(), why: "1 of 3".into() };
    for (face, leading, line, wanted) in [
        (LedFace::Marathon, &near, "GET /v2/apps?stale=true", "copy"),
        (LedFace::Marathon, &nobody, "GET /v2/groups/a?stale=true", "copy"),
        (LedFace::Marathon, &near, "GET /v2/apps", "forward"),
        (LedFace::Marathon, &nobody, "GET /v2/apps", "nobody"),
        (LedFace::Marathon, &near, "POST /v2/apps?stale=true", "forward"),
        (LedFace::Marathon, &Leading::Here, "GET /v2/apps?stale=true", "pass"),
        // The leader alone has these.
        (LedFace::Marathon, &near, "GET /v2/queue?stale=true", "stale"),
        (LedFace::Marathon, &near, "GET /v2/events?stale=true", "stale"),
        (LedFace::Chronos, &nobody, "GET /scheduler/jobs?stale=true", "copy"),
        (LedFace::Chronos, &nobody, "GET /scheduler/jobs", "nobody"),
        (LedFace::Master, &near, "GET /state?stale=true", "stale"),
    ] {
        let own = OwnFace { copy: true, ..own(face) };
        assert_eq!(word(verdict(&own, leading, line, &headers(&[]))), wanted, "{face:?} {line}");
    }
}
