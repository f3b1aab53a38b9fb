//! What a state port does, whatever is below it.

use crate::serve::{Running, serve, state_face};
use mesolith::base::error::Code;
use mesolith::framework::http::{Http, HttpOptions};
use mesolith::framework::state::{
    Change, Expect, LIST_MAX, MemoryState, Scope, StatePort, VALUE_BYTES_MAX,
};
use std::sync::Arc;

async fn port(http: bool, server: MemoryState, principal: &str) -> (StatePort, Option<Running>) {
    let server = Arc::new(server);
    if !http {
        let scope = Scope { namespace: "m".into(), principal: Some(principal.into()) };
        return (StatePort::in_process(server, scope).unwrap(), None);
    }
    let running = serve(state_face(server)).await;
    let options = HttpOptions::new([&running.address]).credential(principal, "s");
    (StatePort::http(Http::new(options).unwrap(), "m").unwrap(), Some(running))
}

fn put(key: &str, value: &str, expect: Expect) -> Change {
    Change::Put { key: key.into(), value: value.into(), expect }
}

async fn code<T>(asked: impl Future<Output = mesolith::base::error::Result<T>>) -> Code {
    match asked.await {
        Ok(_) => panic!("must be refused"),
        Err(error) => error.code,
    }
}

async fn keeps_what_it_is_given(http: bool) {
    let (port, _running) = port(http, MemoryState::new(), "p").await;
    let key = "apps/a b/ü?%#";
    assert_eq!(port.get(key).await.unwrap(), None);
    let version = port.put(key, vec![0, 255, 10], Expect::Absent).await.unwrap();
    let entry = port.get(key).await.unwrap().unwrap();
    assert_eq!((entry.key.as_str(), entry.version), (key, version));
    assert_eq!(entry.value, [0, 255, 10]);
    let newer = port.put(key, vec![], Expect::Version(version)).await.unwrap();
    assert!(newer > version);
    assert!(port.get(key).await.unwrap().unwrap().value.is_empty());
    port.delete(key, Expect::Version(newer)).await.unwrap();
    port.delete(key, Expect::Any).await.unwrap();
    assert_eq!(port.get(key).await.unwrap(), None);
}

async fn refuses_what_is_not_as_expected(http: bool) {
    let (port, _running) = port(http, MemoryState::new(), "p").await;
    let version = port.put("k", b"1".to_vec(), Expect::Any).await.unwrap();
    assert_eq!(code(port.put("k", vec![], Expect::Absent)).await, Code::Conflict);
    assert_eq!(code(port.put("k", vec![], Expect::Version(version + 1))).await, Code::Conflict);
    assert_eq!(code(port.delete("other", Expect::Version(1))).await, Code::Conflict);
    let both = vec![put("new", "x", Expect::Any), put("k", "y", Expect::Absent)];
    assert_eq!(code(port.commit(both)).await, Code::Conflict);
    assert_eq!(port.get("new").await.unwrap(), None, "all or nothing");
    assert_eq!(port.get("k").await.unwrap().unwrap().value, b"1");
}

async fn commits_together_and_lists_in_order(http: bool) {
    let (port, _running) = port(http, MemoryState::new(), "p").await;
    let count = LIST_MAX + 500;
    for part in (0..count).collect::<Vec<_>>().chunks(1000) {
        let changes = part.iter().map(|n| put(&format!("a/{n:05}"), "v", Expect::Absent));
        assert_eq!(port.commit(changes.collect()).await.unwrap().len(), part.len());
    }
    port.put("b", vec![], Expect::Any).await.unwrap();
    let keys: Vec<_> = port.list("a/").await.unwrap().into_iter().map(|e| e.key).collect();
    assert_eq!(keys, (0..count).map(|n| format!("a/{n:05}")).collect::<Vec<_>>());
    assert_eq!(port.list("").await.unwrap().len(), count + 1);
    let page = port.list_page("a/", Some("a/00001".into()), 2).await.unwrap();
    assert_eq!((page.entries[0].key.as_str(), page.entries.len(), page.more), ("a/00002", 2, true));
}

async fn large_lists_come_in_pages_by_bytes(http: bool) {
    let (port, _running) = port(http, MemoryState::new(), "p").await;
    for n in 0..9 {
        port.put(&format!("k{n}"), vec![n; VALUE_BYTES_MAX], Expect::Any).await.unwrap();
    }
    assert!(port.list_page("", None, 1000).await.unwrap().more);
    assert_eq!(port.list("").await.unwrap().len(), 9);
}

async fn refuses_what_is_over_the_limits(http: bool) {
    let (port, _running) = port(http, MemoryState::new().with_quota(2), "p").await;
    assert_eq!(code(port.put("", vec![], Expect::Any)).await, Code::Invalid);
    assert_eq!(code(port.put("a/../b", vec![], Expect::Any)).await, Code::Invalid);
    let large = vec![0; VALUE_BYTES_MAX + 1];
    assert_eq!(code(port.put("k", large, Expect::Any)).await, Code::Invalid);
    let twice = vec![put("k", "", Expect::Any), put("k", "", Expect::Any)];
    assert_eq!(code(port.commit(twice)).await, Code::Invalid);
    port.put("a", vec![], Expect::Any).await.unwrap();
    port.put("b", vec![], Expect::Any).await.unwrap();
    let full = port.put("c", vec![], Expect::Any).await.unwrap_err();
    assert_eq!(full.code, Code::Overloaded);
    assert!(full.hint.is_some(), "{full:?}");
}

async fn a_namespace_of_others_is_closed(http: bool) {
    let server = MemoryState::new().owned_by("m", "marathon");
    let (port, _running) = port(http, server, "chronos").await;
    assert_eq!(code(port.get("k")).await, Code::Forbidden);
    assert_eq!(code(port.list("")).await, Code::Forbidden);
    assert_eq!(code(port.put("k", vec![], Expect::Any)).await, Code::Forbidden);
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_is_unavailable() {
    let gone = serve(axum::Router::new()).await.address.clone();
    let port = StatePort::http(Http::new(HttpOptions::new([gone])).unwrap(), "m").unwrap();
    assert_eq!(code(port.get("k")).await, Code::Unavailable);
}

#[test]
fn bad_namespaces_are_refused() {
    for bad in ["", "a/b", "..", "a b"] {
        let http = Http::new(HttpOptions::new(["h:1"])).unwrap();
        assert!(StatePort::http(http, bad).is_err(), "{bad}");
    }
}

macro_rules! over_both {
    ($($name:ident),* $(,)?) => {
        mod in_process {
            $(#[tokio::test] async fn $name() { super::$name(false).await; })*
        }
        mod http {
            $(#[tokio::test] async fn $name() { super::$name(true).await; })*
        }
    };
}

over_both!(
    keeps_what_it_is_given,
    refuses_what_is_not_as_expected,
    commits_together_and_lists_in_order,
    large_lists_come_in_pages_by_bytes,
    refuses_what_is_over_the_limits,
    a_namespace_of_others_is_closed,
);
