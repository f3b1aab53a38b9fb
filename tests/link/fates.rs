//! What is told of a node that dies, stops, refuses or says nothing, and how soon.

use super::{Node, World, in_time};
use mesolith::cluster::consensus::{self, Lane, Transport as _};
use mesolith::cluster::identity::{Authority, Credentials, NodeId, Roles, wall_now};
use mesolith::cluster::link::{Doors, Fate, Limits};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const AUTHORITY: &str = "MESOLITH_TEST_LINK_AUTHORITY";

/// A node in a process of its own, to be killed; connects to the address it reads. Does nothing in a usual run.
#[tokio::test]
async fn child() {
    let Ok(hex) = std::env::var(AUTHORITY) else { return };
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("digits"))
        .collect();
    let authority = Authority::decode(&bytes).expect("read");
    let authorities = mesolith::cluster::identity::Authorities::of(&authority);
    let node = World { authority, authorities }.node(Roles::FULL, Doors::default()).await;
    println!("\nnode {} {}", node.id(), node.address());
    std::io::stdout().flush().expect("the parent reads");
    let to = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).expect("the parent writes");
        line.trim().to_owned()
    });
    let to = to.await.expect("no panics");
    node.link.peer(&to, None).hello().await.expect("met");
    println!("\nconnected");
    std::io::stdout().flush().expect("the parent reads");
    std::future::pending::<()>().await;
}

struct Other {
    process: Child,
    output: std::io::Lines<BufReader<std::process::ChildStdout>>,
    node: mesolith::cluster::identity::NodeId,
    address: String,
}

impl Other {
    fn start(world: &World) -> Self {
        let bytes = world.authority.encode().expect("a form");
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let mut process = Command::new(std::env::current_exe().expect("has a path"))
            .args(["--exact", "fates::child", "--nocapture"])
            .env(AUTHORITY, hex)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut output = BufReader::new(process.stdout.take().expect("is piped")).lines();
        let line = loop {
            let line = output.next().expect("it says so").expect("is read");
            if let Some(rest) = line.strip_prefix("node ") {
                break rest.to_owned();
            }
        };
        let (node, address) = line.split_once(' ').expect("two words");
        let (node, address) = (node.parse().expect("an id"), address.to_owned());
        Self { process, output, node, address }
    }

    /// Has it connect to a node.
    fn connect(&mut self, to: &Node) {
        let input = self.process.stdin.as_mut().expect("is piped");
        writeln!(input, "{}", to.address()).expect("it reads");
        while self.output.next().expect("it says so").expect("is read") != "connected" {}
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_death_of_a_node_is_told_at_once_whoever_connected_to_whom() {
    let world = World::default();
    let (a, mut other) = (world.node(Roles::FULL, Doors::default()).await, Other::start(&world));
    // As a follower sees its leader: the leader connected, the follower never did.
    other.connect(&a);
    let mut fate = a.link.fate(other.node);
    in_time("connected", fate.wait_for(|fate| *fate == Fate::Connected)).await.expect("followed");
    other.process.kill().expect("killed");
    let killed = Instant::now();
    in_time("reset", fate.wait_for(|fate| matches!(fate, Fate::Reset | Fate::Refused)))
        .await
        .expect("followed");
    let reset = killed.elapsed();
    in_time("refused", fate.wait_for(|fate| *fate == Fate::Refused)).await.expect("followed");
    let refused = killed.elapsed();
    println!("reset told after {reset:?}, refused after {refused:?}");
    // Not by a time-out: the shortest of those is a quarter of a second.
    let other_way = Other::start(&world);
    let mut fate = a.link.fate(other_way.node);
    let peer = a.link.peer(&other_way.address, Some(other_way.node));
    peer.hello().await.expect("met");
    assert_eq!(*fate.borrow_and_update(), Fate::Connected);
    assert_eq!(peer.probe().await, Fate::Connected);
    drop(other_way);
    in_time("refused", fate.wait_for(|fate| *fate == Fate::Refused)).await.expect("followed");
    assert_eq!(peer.probe().await, Fate::Refused);
    assert!(peer.hello().await.is_err());
}

#[tokio::test]
async fn a_node_that_stops_in_order_is_closed_not_reset_and_comes_back() {
    let world = World::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    let shown = world.credentials(Roles::FULL, wall_now());
    let b = Node::start_on(listener, shown.clone(), Doors::default(), Limits::default());
    let a = world.client(Roles::FULL);
    let mut fate = a.link.fate(b.id());
    a.to(&b).hello().await.expect("met");
    let (seen, trail) = tokio::sync::oneshot::channel();
    let mut watched = fate.clone();
    tokio::spawn(async move {
        let mut all = Vec::new();
        loop {
            all.push(*watched.borrow_and_update());
            if all.last() == Some(&Fate::Closed) || watched.changed().await.is_err() {
                break;
            }
        }
        let _ = seen.send(all);
    });
    let listening = b.listening.as_ref().expect("it listens");
    in_time("stops", listening.stop(super::DEADLINE)).await;
    let trail = in_time("closed", trail).await.expect("watched");
    assert!(!trail.contains(&Fate::Reset), "{trail:?}");
    assert!(a.to(&b).hello().await.is_err());
    in_time("refused", fate.wait_for(|fate| *fate == Fate::Refused)).await.expect("followed");
    let listener = tokio::net::TcpListener::bind(at).await.expect("its port");
    let again = Node::start_on(listener, shown, Doors::default(), Limits::default());
    // It says hello first: the other one need not wait before it tries.
    again.to(&a_listening(&world).await).hello().await.expect("met");
    let back = async { while a.to(&again).hello().await.is_err() {} };
    in_time("it is back", back).await;
    assert_eq!(*fate.borrow_and_update(), Fate::Connected);
}

async fn a_listening(world: &World) -> Node {
    world.node(Roles::FULL, Doors::default()).await
}

#[tokio::test]
async fn a_node_that_takes_connections_and_says_nothing_is_silent_and_given_up() {
    let world = World::default();
    // What a stopped process looks like: its kernel takes connections, nobody answers.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = mute.local_addr().expect("an address").to_string();
    let limits = Limits { handshake: Duration::from_millis(100), ..Limits::default() };
    let shown: Credentials = world.credentials(Roles::FULL, wall_now());
    let a = Node::new(shown, "", limits);
    let node = mesolith::cluster::identity::NodeId(5);
    let mut fate = a.link.fate(node);
    let before = Instant::now();
    let to = consensus::Peer { node: 5, address: address.clone() };
    let e = in_time("given up", a.link.call(&to, Lane::Heartbeat, vec![1])).await;
    assert!(e.expect_err("silent").cause.contains("no handshake"), "and says what was waited for");
    match *fate.borrow_and_update() {
        Fate::Silent { since } => assert!(since >= before),
        other => panic!("{other:?}"),
    }
    // While it waits before it tries again, callers are told at once.
    let start = Instant::now();
    for _ in 0..20 {
        assert!(a.link.call(&to, Lane::Heartbeat, vec![1]).await.is_err());
    }
    assert!(a.count("dials") <= 8.0, "{} dials in {:?}", a.count("dials"), start.elapsed());
}

#[tokio::test]
async fn an_answer_that_does_not_come_makes_a_node_silent_and_a_fresh_connection() {
    let world = World::default();
    let b = world.node(Roles::FULL, Doors::default()).await;
    let relay = Relay::start(b.address()).await;
    let a = world.client(Roles::FULL);
    let mut fate = a.link.fate(b.id());
    let to = consensus::Peer { node: b.id().0, address: relay.address.clone() };
    let call = || a.link.call(&to, Lane::Heartbeat, vec![1]);
    assert!(call().await.is_err(), "no log there, but an answer");
    assert_eq!(*fate.borrow_and_update(), Fate::Connected);
    relay.cut.send_replace(true);
    let silent = async {
        while !matches!(*fate.borrow_and_update(), Fate::Silent { .. }) {
            let _ = tokio::time::timeout(Duration::from_millis(60), call()).await;
        }
    };
    in_time("silent", silent).await;
    assert!(a.count("stale") >= 1.0);
    // Healed: a connection that was made before would wait for its kernel to send again.
    relay.cut.send_replace(false);
    let back = async {
        while *fate.borrow_and_update() != Fate::Connected {
            let _ = tokio::time::timeout(Duration::from_millis(500), call()).await;
        }
    };
    in_time("back", back).await;
}

#[tokio::test]
async fn a_node_that_gives_no_sign_of_life_is_silent_and_its_connection_given_up() {
    let world = World::default();
    let b = world.node(Roles::FULL, Doors::default()).await;
    let relay = Relay::start(b.address()).await;
    let a = world.client(Roles::FULL);
    let to = a.link.peer(&relay.address, Some(b.id()));
    in_time("a sign", to.sign()).await.expect("it lives");
    let mut fate = a.link.fate(b.id());
    assert_eq!(*fate.borrow_and_update(), Fate::Connected);
    relay.cut.send_replace(true);
    let e = in_time("no sign", to.sign()).await.expect_err("nothing comes");
    assert_eq!(e.code, mesolith::base::error::Code::Timeout, "{e}");
    assert!(matches!(*fate.borrow_and_update(), Fate::Silent { .. }));
    assert_eq!(a.count("stale"), 1.0, "the next one is not sent into the void");
    // Healed: over the old connection nothing would come.
    relay.cut.send_replace(false);
    in_time("a sign again", to.sign()).await.expect("over a new connection");
    assert_eq!(*fate.borrow_and_update(), Fate::Connected);
}

/// Passes bytes on until it is cut; nothing is closed then.
struct Relay {
    address: String,
    cut: Arc<tokio::sync::watch::Sender<bool>>,
}

impl Relay {
    async fn start(to: String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let cut = Arc::new(tokio::sync::watch::channel(false).0);
        let cutting = cut.clone();
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                let (to, mut cut) = (to.clone(), cutting.subscribe());
                tokio::spawn(async move {
                    // A cut one stays cut: its bytes are lost for long.
                    let _ = cut.wait_for(|cut| !*cut).await;
                    let (mut from, mut to) =
                        (from, tokio::net::TcpStream::connect(to).await.expect("connects"));
                    let cut = async {
                        // The relay lives as long as the test.
                        let _ = cut.wait_for(|cut| *cut).await;
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut from, &mut to) => return,
                        () = cut => {}
                    }
                    // Both sockets stay open, and nothing comes any more.
                    std::future::pending::<()>().await;
                    drop((from, to));
                });
            }
        });
        Self { address, cut }
    }
}

#[tokio::test]
async fn whoever_waits_for_where_a_node_is_hears_that_it_moved() {
    let node = World::default().client(Roles::FULL);
    let (other, here, there) = (NodeId(7), "127.0.0.1:1", "127.0.0.1:2");
    let mut located = node.link.located();
    node.link.locate([(other, here.to_owned())]);
    in_time("it is told", located.changed()).await.expect("the link lives");
    assert_eq!(node.link.where_is(other, there), here);
    node.link.locate([(other, here.to_owned())]);
    assert!(!located.has_changed().expect("the link lives"), "nothing is new");
    node.link.locate([(other, there.to_owned())]);
    in_time("it is told", located.changed()).await.expect("the link lives");
    assert_eq!(node.link.where_is(other, here), there);
    node.link.locate([]);
    in_time("it is told", located.changed()).await.expect("the link lives");
    assert_eq!(node.link.where_is(other, here), here, "what it was is all that is known");
}
