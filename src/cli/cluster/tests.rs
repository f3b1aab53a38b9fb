//! Verbs about members against scripted nodes: what they ask and send, when they ask first, and how they end.

use crate::base::error::Code;
use crate::cli::exit::End;
use crate::cli::scripted::Scripted;
use crate::cli::tests::at_master;
use crate::cli::watch::Interrupt;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

const A: &str = "a111111111111111";
const B: &str = "b222222222222222";
const CLUSTER: &str = "GET /mesolith/v1/cluster";

async fn end_of(server: &Scripted, line: &[&str]) -> crate::base::error::Result<End> {
    at_master(server, line, &Interrupt::default()).await
}

fn node(id: &str, host: &str, standing: &str) -> Value {
    json!({"node": id, "hostname": host, "address": format!("{host}:5052"), "roles": ["master", "agent"],
        "standing": standing, "alive": true, "since": 1, "explanation": format!("{standing}: so"),
        "order": "none", "leaving": false, "agent_id": format!("77aa-{host}"), "faces": {}})
}

fn cluster(nodes: &[Value]) -> Value {
    json!({"cluster": "0123456789abcdef", "this": A, "leader": null, "epoch": 1, "nodes": nodes})
}

fn two() -> Value {
    cluster(&[node(A, "n1", "leader"), node(B, "n2", "learner")])
}

/// A node whose cluster is one after the other of these, the last for ever; changes are answered so.
async fn telling(clusters: Vec<Value>, change: (u16, Value)) -> Scripted {
    let asked = AtomicUsize::new(0);
    Scripted::start(move |_, line, _| match line {
        CLUSTER => {
            let at = asked.fetch_add(1, Ordering::SeqCst).min(clusters.len() - 1);
            (200, clusters[at].clone())
        }
        "GET /slaves" => (200, json!({"slaves": [{"id": "77aa-n1"}], "recovered_slaves": []})),
        _ if line.starts_with("GET") => (404, json!(null)),
        _ => change.clone(),
    })
    .await
}

#[tokio::test]
async fn the_status_is_what_the_node_tells() {
    let server = telling(vec![two()], (200, json!(null))).await;
    for line in [&["cluster"][..], &["cluster", "status"], &["cluster", "status", "-o", "json"]] {
        assert_eq!(end_of(&server, line).await, Ok(End::Done), "{line:?}");
    }
    assert_eq!(server.asked(), [CLUSTER; 3]);
}

#[tokio::test]
async fn a_master_without_a_cluster_and_a_node_without_a_leader_say_what_to_do() {
    let lone = Scripted::start(|_, _, _| (404, json!(null))).await;
    for line in [&["cluster"][..], &["token"], &["token", "create"], &["leave", "-y"]] {
        let error = end_of(&lone, line).await.unwrap_err();
        assert_eq!(error.code, Code::NotFound, "{line:?}");
        assert!(error.cause.contains("no cluster") && error.hint.is_some(), "{error:?}");
    }
    let waiting = Scripted::start(|_, _, _| (503, json!("1 of 3 voters visible, need 2"))).await;
    for line in [&["cluster"][..], &["token"], &["node"], &["leave", "-y"], &["node", "rm", "x"]] {
        let error = end_of(&waiting, line).await.unwrap_err();
        assert_eq!(error.code, Code::Unavailable, "{line:?}");
        assert!(error.cause.contains("need 2"), "{error:?}");
        assert!(error.hint.is_some_and(|h| h.contains("--master")), "{line:?}");
    }
}

#[tokio::test]
async fn an_order_is_watched_until_the_node_is_so() {
    for (order, before, after) in [
        ("promote", "learner", "voter"),
        ("promote", "learner", "leader"),
        ("demote", "voter", "outside"),
    ] {
        let at = |standing| cluster(&[node(A, "n1", "leader"), node(B, "n2", standing)]);
        let clusters = vec![at(before), at(before), at(before), at(after)];
        let server = telling(clusters, (200, json!({"explanation": "it will be"}))).await;
        let interrupt = Interrupt::default();
        let line = ["cluster", order, "n2"];
        assert_eq!(at_master(&server, &line, &interrupt).await, Ok(End::Done), "{order}");
        assert_eq!(server.changes(), [format!("POST /mesolith/v1/cluster/nodes/{B}/{order}")]);
        assert!(interrupt.text().is_some_and(|t| t.contains("mesolith cluster unpin n2")));
        assert_eq!(server.asked().len(), 5, "{:?}", server.asked());
    }
}

#[tokio::test]
async fn an_order_need_not_be_watched_and_its_time_may_be_up() {
    let explained = || (200, json!({"explanation": "not safe yet"}));
    let server = telling(vec![two()], explained()).await;
    assert_eq!(end_of(&server, &["cluster", "promote", "b2", "--detach"]).await, Ok(End::Done));
    assert_eq!(server.asked().len(), 2, "{:?}", server.asked());
    let line = ["cluster", "promote", "b2", "--timeout", "20ms"];
    assert_eq!(end_of(&server, &line).await, Ok(End::TimedOut));
    for order in ["pin", "unpin"] {
        let server = telling(vec![two()], explained()).await;
        assert_eq!(end_of(&server, &["cluster", order, B, "-o", "json"]).await, Ok(End::Done));
        assert_eq!(server.changes(), [format!("POST /mesolith/v1/cluster/nodes/{B}/{order}")]);
    }
}

#[tokio::test]
async fn nothing_is_done_to_a_node_that_is_not_one() {
    let twins = cluster(&[node(A, "twin", "leader"), node(B, "twin", "voter")]);
    let server = telling(vec![twins], (200, json!({}))).await;
    for (wanted, code) in [("twin", Code::Conflict), ("c", Code::NotFound), ("", Code::NotFound)] {
        for verb in
            [&["cluster", "promote"][..], &["cluster", "unpin"], &["node", "rm", "-y", "--force"]]
        {
            let line: Vec<&str> = verb.iter().copied().chain([wanted]).collect();
            assert_eq!(end_of(&server, &line).await.unwrap_err().code, code, "{line:?}");
        }
    }
    assert!(server.changes().is_empty(), "{:?}", server.changes());
}

#[tokio::test]
async fn tokens_are_made_listed_revoked_and_rotated() {
    let token = |id: &str| json!({"id": id, "roles": ["agent"], "created": 1, "state": "valid"});
    let tokens = json!({"tokens": [token("7c1e0001"), token("7caa0002"), token("80000003")]});
    let server = Scripted::start(move |_, line, _| match line {
        "GET /mesolith/v1/cluster/tokens" => (200, tokens.clone()),
        _ if line.starts_with("POST") => {
            (201, json!({"token": "MESO1-x", "id": "9", "expires": null, "join": ["n1:5052"]}))
        }
        _ => (200, json!(null)),
    })
    .await;
    for line in [
        &["token"][..],
        &["token", "ls", "--quiet"],
        &["token", "ls", "-o", "json"],
        &["token", "create"],
        &["token", "create", "--agent-only", "--ttl=90m", "--note", "rack 7", "-o", "json"],
        &["token", "rotate", "8"],
        &["token", "revoke", "7c1e", "--yes"],
    ] {
        assert_eq!(end_of(&server, line).await, Ok(End::Done), "{line:?}");
    }
    for (line, code) in [
        // It is asked for first, and nobody is there to answer.
        (&["token", "revoke", "8"][..], Code::Invalid),
        (&["token", "revoke", "7c", "-y"], Code::Conflict),
        (&["token", "rotate", "x"], Code::NotFound),
        (&["token", "revoke", "", "-y"], Code::NotFound),
    ] {
        assert_eq!(end_of(&server, line).await.unwrap_err().code, code, "{line:?}");
    }
    let path = "/mesolith/v1/cluster/tokens";
    assert_eq!(
        server.changes(),
        [
            format!(r#"POST {path} {{"note":"","roles":"node","ttl_seconds":null}}"#),
            format!(r#"POST {path} {{"note":"rack 7","roles":"agent","ttl_seconds":5400}}"#),
            format!("POST {path}/80000003/rotate"),
            format!("DELETE {path}/7c1e0001"),
        ]
    );
}

#[tokio::test]
async fn a_node_is_removed_when_that_is_meant() {
    let server = telling(vec![two()], (200, json!(null))).await;
    assert_eq!(end_of(&server, &["node", "rm", "n2"]).await.unwrap_err().code, Code::Invalid);
    assert!(server.changes().is_empty(), "{:?}", server.changes());
    for line in [&["node", "rm", "n2", "--yes"][..], &["node", "rm", "b", "--force", "-y"]] {
        assert_eq!(end_of(&server, line).await, Ok(End::Done), "{line:?}");
    }
    let path = format!("/mesolith/v1/cluster/nodes/{B}");
    assert_eq!(server.changes(), [format!("DELETE {path}"), format!("DELETE {path}?force=true")]);
    let alive = telling(vec![two()], (409, json!("n2 is alive and a voter"))).await;
    let error = end_of(&alive, &["node", "rm", "n2", "-y"]).await.unwrap_err();
    assert_eq!(error.code, Code::Conflict);
    assert!(error.hint.is_some_and(|h| h.contains("mesolith leave") && h.contains("--force")));
    let error = end_of(&alive, &["node", "rm", "n2", "-y", "--force"]).await.unwrap_err();
    assert_eq!((error.code, error.hint), (Code::Conflict, None));
}

#[tokio::test]
async fn nodes_are_members_and_agents_and_old_masters_have_agents_only() {
    let server = telling(vec![two()], (200, json!(null))).await;
    let old = Scripted::start(|_, line, _| match line {
        "GET /slaves" => (200, json!({"slaves": [{"id": "77aa-n1", "hostname": "n1"}]})),
        _ => (404, json!(null)),
    })
    .await;
    for server in [&server, &old] {
        for line in [
            &["node"][..],
            &["node", "ls", "-q"],
            &["node", "ls", "-o", "json"],
            &["node", "show", "77aa-n1"],
            &["node", "show", "77aa-n1", "-o", "json"],
        ] {
            assert_eq!(end_of(server, line).await, Ok(End::Done), "{line:?}");
        }
        let error = end_of(server, &["node", "show", "nope"]).await.unwrap_err();
        assert_eq!(error.code, Code::NotFound);
    }
    assert_eq!(end_of(&server, &["node", "show", "n2"]).await, Ok(End::Done));
}

fn leaving(standing: &str, others: &[Value]) -> Value {
    let mut this = node(A, "n1", standing);
    this["leaving"] = json!(true);
    let mut nodes = vec![this];
    nodes.extend_from_slice(others);
    cluster(&nodes)
}

/// Node `b`, as it is told by others, with the face of that server.
fn other(server: &Scripted) -> Value {
    let mut other = node(B, "n2", "voter");
    other["faces"] = json!({"master": server.address()});
    other
}

/// A node that leaves: it tells of it twice, and is silent from then on.
async fn leaver(other: Value) -> Scripted {
    let asked = AtomicUsize::new(0);
    Scripted::start(move |_, line, _| {
        let others = std::slice::from_ref(&other);
        match (line, asked.fetch_add(1, Ordering::SeqCst)) {
            (_, 0) => (200, cluster(&[node(A, "n1", "leader"), other.clone()])),
            (CLUSTER, 2) => (200, leaving("leader", others)),
            (CLUSTER, 3) => (200, leaving("outside", others)),
            (CLUSTER, _) => (503, json!("stopping")),
            _ => (202, json!(null)),
        }
    })
    .await
}

#[tokio::test]
async fn leaving_is_watched_to_its_end_through_another_node() {
    let told = AtomicUsize::new(0);
    let remaining = Scripted::start(move |_, _, _| {
        let mut told_by_b = match told.fetch_add(1, Ordering::SeqCst) {
            0 => leaving("outside", &[node(B, "n2", "leader")]),
            _ => cluster(&[node(B, "n2", "leader")]),
        };
        told_by_b["this"] = json!(B);
        (200, told_by_b)
    })
    .await;
    let server = leaver(other(&remaining)).await;
    let interrupt = Interrupt::default();
    assert_eq!(at_master(&server, &["leave", "--yes"], &interrupt).await, Ok(End::Done));
    assert_eq!(interrupt.text().as_deref(), Some("stopped watching; n1 goes on leaving"));
    assert_eq!(server.changes(), [format!("POST /mesolith/v1/cluster/nodes/{A}/leave")]);
    assert_eq!(remaining.asked(), [CLUSTER; 2]);
}

#[tokio::test]
async fn who_is_no_other_node_of_the_cluster_is_not_believed() {
    for (cluster_id, this) in [("ffffffffffffffff", B), ("0123456789abcdef", A)] {
        let stranger = Scripted::start(move |_, _, _| {
            (200, json!({"cluster": cluster_id, "this": this, "nodes": []}))
        })
        .await;
        let server = leaver(other(&stranger)).await;
        let line = ["leave", "-y", "--timeout", "1200ms"];
        assert_eq!(end_of(&server, &line).await, Ok(End::TimedOut), "{cluster_id} {this}");
        assert!(!stranger.asked().is_empty());
    }
}

#[tokio::test]
async fn leaving_is_asked_for_and_may_be_refused_or_left_alone() {
    let server = telling(vec![two()], (202, json!(null))).await;
    let error = end_of(&server, &["leave"]).await.unwrap_err();
    assert_eq!(error.code, Code::Invalid);
    assert!(error.cause.contains("n1") && error.cause.contains(A), "{error:?}");
    assert!(server.changes().is_empty());
    assert_eq!(end_of(&server, &["leave", "-y", "-d"]).await, Ok(End::Done));
    assert_eq!(server.changes().len(), 1);
    let last = telling(vec![two()], (409, json!("it is the only voter"))).await;
    assert_eq!(end_of(&last, &["leave", "-y"]).await.unwrap_err().code, Code::Conflict);
    // It was told to stay while it was leaving.
    let clusters = vec![two(), leaving("leader", &[]), two()];
    let server = telling(clusters, (202, json!(null))).await;
    assert_eq!(end_of(&server, &["leave", "-y"]).await, Ok(End::Cancelled));
}
