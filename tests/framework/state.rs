//! What a state port does, whatever is below it.

use crate::scripted::SOON;
use crate::serve::serve;
use mesolith::base::error::Code;
use mesolith::cluster::consensus::{self, Registry};
use mesolith::framework::http::{Http, HttpOptions};
use mesolith::framework::state::{
    Change, Expect, LIST_MAX, MemoryState, Scope, StatePort, StateServer, VALUE_BYTES_MAX,
};
use mesolith::http::auth::Realm;
use mesolith::http::{Refusal, Running, Server};
use mesolith::master::api::state::{self, Door};
use mesolith::master::state::State;
use mesolith::security::{BasicAuthenticator, Credentials};
use mesolith::store::DataDir;
use mesolith::telemetry::Counter;
use std::sync::Arc;
use std::time::Duration;

/// What is below a port.
#[derive(Clone, Copy)]
enum Below {
    /// The server in memory, in this process.
    Memory,
    /// The same behind the master's endpoint.
    MemoryOverHttp,
    /// A master's state: the replicated registry, in this process.
    Registry,
    /// The same behind the master's endpoint.
    RegistryOverHttp,
}

/// A port, and what lives as long.
struct World {
    port: StatePort,
    server: Arc<dyn StateServer>,
    running: Option<Running>,
    _registry: Option<(DataDir, tempfile::TempDir)>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            tokio::spawn(async move { running.stop(Duration::ZERO).await });
        }
    }
}

struct Fixed(Arc<dyn StateServer>);

impl Door for Fixed {
    fn state(&self) -> Result<Arc<dyn StateServer>, Refusal> {
        Ok(Arc::clone(&self.0))
    }
}

fn realm() -> Realm {
    let known = r#"{"credentials":[{"principal":"p","secret":"s"},
        {"principal":"marathon","secret":"s"},{"principal":"chronos","secret":"s"}]}"#;
    let credentials = Credentials::parse(known.as_bytes()).unwrap();
    Realm::new("r", vec![Arc::new(BasicAuthenticator::new(credentials))], Counter::default())
}

fn over_http(address: &str, principal: &str) -> StatePort {
    let options = HttpOptions::new([address]).credential(principal, "s");
    StatePort::http(Http::new(options).unwrap(), "m").unwrap()
}

impl World {
    async fn new(below: Below, principal: &str) -> Self {
        match below {
            Below::Memory | Below::MemoryOverHttp => {
                Self::with(below, MemoryState::new(), principal).await
            }
            Below::Registry | Below::RegistryOverHttp => {
                let tmp = tempfile::tempdir().unwrap();
                let dir = DataDir::open(tmp.path()).unwrap();
                let options = consensus::Options { timeout: SOON, ..Default::default() };
                let registry = Registry::open(&dir, options).await.unwrap();
                let epoch = registry.begin().await.unwrap();
                let mut world =
                    Self::with(below, State::new(registry, epoch, 64 << 20), principal).await;
                world._registry = Some((dir, tmp));
                world
            }
        }
    }

    async fn with(below: Below, server: impl StateServer, principal: &str) -> Self {
        let server: Arc<dyn StateServer> = Arc::new(server);
        let (port, running) = match below {
            Below::Memory | Below::Registry => {
                let scope = Scope { namespace: "m".into(), principal: Some(principal.into()) };
                (StatePort::in_process(server.clone(), scope).unwrap(), None)
            }
            Below::MemoryOverHttp | Below::RegistryOverHttp => {
                let face = state::face(Fixed(server.clone()), &realm());
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let running = Server::new("state", face).start(listener).unwrap();
                (over_http(&running.address().to_string(), principal), Some(running))
            }
        };
        Self { port, server, running, _registry: None }
    }

    /// The same state for somebody else.
    fn other(&self, principal: &str) -> StatePort {
        match &self.running {
            Some(running) => over_http(&running.address().to_string(), principal),
            None => {
                let scope = Scope { namespace: "m".into(), principal: Some(principal.into()) };
                StatePort::in_process(self.server.clone(), scope).unwrap()
            }
        }
    }
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

async fn keeps_what_it_is_given(below: Below) {
    let world = World::new(below, "p").await;
    let port = &world.port;
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

async fn refuses_what_is_not_as_expected(below: Below) {
    let world = World::new(below, "p").await;
    let port = &world.port;
    let version = port.put("k", b"1".to_vec(), Expect::Any).await.unwrap();
    assert_eq!(code(port.put("k", vec![], Expect::Absent)).await, Code::Conflict);
    assert_eq!(code(port.put("k", vec![], Expect::Version(version + 1))).await, Code::Conflict);
    assert_eq!(code(port.delete("other", Expect::Version(1))).await, Code::Conflict);
    let both = vec![put("new", "x", Expect::Any), put("k", "y", Expect::Absent)];
    assert_eq!(code(port.commit(both)).await, Code::Conflict);
    assert_eq!(port.get("new").await.unwrap(), None, "all or nothing");
    assert_eq!(port.get("k").await.unwrap().unwrap().value, b"1");
}

async fn commits_together_and_lists_in_order(below: Below) {
    let world = World::new(below, "p").await;
    let port = &world.port;
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

async fn large_lists_come_in_pages_by_bytes(below: Below) {
    let world = World::new(below, "p").await;
    let port = &world.port;
    for n in 0..9 {
        port.put(&format!("k{n}"), vec![n; VALUE_BYTES_MAX], Expect::Any).await.unwrap();
    }
    assert!(port.list_page("", None, 1000).await.unwrap().more);
    assert_eq!(port.list("").await.unwrap().len(), 9);
}

async fn refuses_what_is_over_the_limits(below: Below) {
    let world = World::new(below, "p").await;
    let port = &world.port;
    assert_eq!(code(port.put("", vec![], Expect::Any)).await, Code::Invalid);
    assert_eq!(code(port.put("a/../b", vec![], Expect::Any)).await, Code::Invalid);
    let large = vec![0; VALUE_BYTES_MAX + 1];
    assert_eq!(code(port.put("k", large, Expect::Any)).await, Code::Invalid);
    let twice = vec![put("k", "", Expect::Any), put("k", "", Expect::Any)];
    assert_eq!(code(port.commit(twice)).await, Code::Invalid);
}

async fn says_when_it_is_full(below: Below) {
    let world = match below {
        Below::Memory | Below::MemoryOverHttp => {
            World::with(below, MemoryState::new().with_quota(70), "p").await
        }
        // Its limit is 64 MiB here.
        Below::Registry | Below::RegistryOverHttp => World::new(below, "p").await,
    };
    let mut refused = None;
    for n in 0..100 {
        let value = vec![0; VALUE_BYTES_MAX];
        if let Err(e) = world.port.put(&format!("k{n}"), value, Expect::Any).await {
            refused = Some((n, e));
            break;
        }
    }
    let (n, full) = refused.expect("a limit");
    assert!(n > 60, "{n}");
    assert_eq!(full.code, Code::Overloaded);
    assert!(full.hint.is_some(), "{full:?}");
    world.port.delete("k0", Expect::Any).await.unwrap();
    world.port.put("again", vec![1], Expect::Any).await.unwrap();
}

async fn a_check_alone_holds_a_commit_back(below: Below) {
    let world = World::new(below, "p").await;
    let port = &world.port;
    let held = port.put("holder", b"a".to_vec(), Expect::Any).await.unwrap();
    let check = |version| Change::Check { key: "holder".into(), expect: Expect::Version(version) };
    let versions = port.commit(vec![put("k", "1", Expect::Any), check(held)]).await.unwrap();
    assert_eq!(versions[1], held);
    assert!(versions[0] > held);
    let taken = port.put("holder", b"b".to_vec(), Expect::Any).await.unwrap();
    let late = port.commit(vec![put("k", "2", Expect::Any), check(held)]);
    assert_eq!(code(late).await, Code::Conflict);
    assert_eq!(port.get("k").await.unwrap().unwrap().value, b"1");
    let absent = Change::Check { key: "none".into(), expect: Expect::Absent };
    assert_eq!(port.commit(vec![check(taken), absent]).await.unwrap(), [taken, 0]);
}

async fn empty_parts_of_a_key_are_kept(below: Below) {
    let world = World::new(below, "p").await;
    for key in ["a/b", "a//b", "/a/b", "a/b/", "a.json"] {
        world.port.put(key, key.as_bytes().to_vec(), Expect::Absent).await.unwrap();
    }
    let keys: Vec<_> = world.port.list("a").await.unwrap().into_iter().map(|e| e.key).collect();
    assert_eq!(keys, ["a.json", "a//b", "a/b", "a/b/"]);
    assert_eq!(world.port.get("/a/b").await.unwrap().unwrap().value, b"/a/b");
}

async fn a_namespace_of_others_is_closed(below: Below) {
    let world = World::new(below, "marathon").await;
    let owned = matches!(below, Below::Memory | Below::MemoryOverHttp);
    let world = match owned {
        true => World::with(below, MemoryState::new().owned_by("m", "marathon"), "marathon").await,
        // It belongs to whom first wrote to it.
        false => world,
    };
    world.port.put("k", vec![], Expect::Any).await.unwrap();
    let port = world.other("chronos");
    assert_eq!(code(port.get("k")).await, Code::Forbidden);
    assert_eq!(code(port.list("")).await, Code::Forbidden);
    assert_eq!(code(port.put("k", vec![], Expect::Any)).await, Code::Forbidden);
    world.port.get("k").await.unwrap().expect("is there for its owner");
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

macro_rules! over_all {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $name() { super::$name(super::Below::Memory).await; })*
        }
        mod memory_over_http {
            $(#[tokio::test] async fn $name() {
                super::$name(super::Below::MemoryOverHttp).await;
            })*
        }
        mod registry {
            $(#[tokio::test] async fn $name() { super::$name(super::Below::Registry).await; })*
        }
        mod registry_over_http {
            $(#[tokio::test] async fn $name() {
                super::$name(super::Below::RegistryOverHttp).await;
            })*
        }
    };
}

over_all!(
    keeps_what_it_is_given,
    refuses_what_is_not_as_expected,
    commits_together_and_lists_in_order,
    large_lists_come_in_pages_by_bytes,
    refuses_what_is_over_the_limits,
    says_when_it_is_full,
    a_check_alone_holds_a_commit_back,
    empty_parts_of_a_key_are_kept,
    a_namespace_of_others_is_closed,
);
