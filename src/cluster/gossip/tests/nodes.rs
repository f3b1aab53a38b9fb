//! Nodes that hear, lose and find each other.

use super::super::counts::Counts;
use super::super::courier::{Outbox, Sending};
use super::super::frame::{Content, Frame};
use super::super::memory::Network;
use super::super::roster::Roster;
use super::super::socket::Sockets;
use super::super::{
    Courier, FRAME_BYTES_MAX, Gossip, GossipOptions, INBOX_MAX, Inbox, Member, Members, NODES_MAX,
    Role, VALUE_BYTES_MAX,
};
use super::frames::Message;
use crate::telemetry::Metrics;
use bytes::Bytes;
use chitchat::transport::Transport as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// More than anything here takes, so that a failure is told and not hung on.
const LONG: Duration = Duration::from_secs(30);
const CLUSTER: u64 = 0xc1;
/// The generation that nodes begin with.
const FIRST: u64 = 1000;

fn address(n: u64) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, n as u8], 5052))
}

fn options(n: u64) -> GossipOptions {
    let mut options = GossipOptions::new(CLUSTER, n, FIRST, address(n));
    options.interval = Duration::from_millis(40);
    options.silence = Duration::from_millis(500);
    options.facts.zone = format!("zone{n}");
    options
}

struct Node {
    n: u64,
    gossip: Gossip,
    metrics: Metrics,
    members: watch::Receiver<Arc<Members>>,
}

impl Node {
    fn start(network: &Network, options: GossipOptions) -> Self {
        let (n, at, metrics) = (options.node, options.advertise, options.metrics.clone());
        let gossip = Gossip::start(options, network.courier(n, at)).expect("gossip starts");
        network.attach(n, at, gossip.inbox());
        let members = gossip.members();
        Self { n, gossip, metrics, members }
    }

    /// Waits until the members are as said.
    async fn sees(&mut self, what: &str, is: impl Fn(&Members) -> bool) -> Arc<Members> {
        let waits = self.members.wait_for(|m| is(m));
        if let Ok(found) = tokio::time::timeout(LONG, waits).await {
            return found.expect("gossip goes on").clone();
        }
        panic!("node {} never sees {what}: {:?}", self.n, self.members.borrow())
    }

    async fn sees_alive(&mut self, nodes: usize) -> Arc<Members> {
        let all = |m: &Members| m.nodes.values().filter(|m| m.alive).count() == nodes;
        self.sees(&format!("{nodes} alive"), all).await
    }

    async fn sees_one(&mut self, node: u64, what: &str, is: impl Fn(&Member) -> bool) -> Member {
        let what = format!("{node} {what}");
        let members = self.sees(&what, |m| m.nodes.get(&node).is_some_and(&is)).await;
        members.nodes[&node].clone()
    }

    fn count(&self, name: &str) -> u64 {
        self.metrics.counter(&format!("gossip/{name}")).get()
    }
}

fn many(network: &Network, nodes: u64) -> Vec<Node> {
    let node = |n| {
        let seeds = if n == 1 { Vec::new() } else { vec![address(1).to_string()] };
        Node::start(network, GossipOptions { seeds, ..options(n) })
    };
    (1..=nodes).map(node).collect()
}

#[tokio::test]
async fn five_nodes_find_each_other_and_hear_what_changes() {
    let mut nodes = many(&Network::default(), 5);
    for node in &mut nodes {
        let members = node.sees_alive(5).await;
        for (n, member) in &members.nodes {
            assert_eq!((member.address, member.generation), (address(*n), FIRST));
        }
        let zone = |m: &Members| m.nodes.iter().all(|(n, m)| m.facts.zone == format!("zone{n}"));
        node.sees("the zones", zone).await;
    }
    let told = nodes[2].gossip.facts(|facts| {
        facts.leader = Some((4, 77));
        facts.roles = [Role::Master].into();
        facts.zone = String::new();
    });
    told.expect("they fit");
    for node in &mut nodes {
        let says = |m: &Member| m.facts.leader == Some((4, 77)) && m.facts.zone.is_empty();
        let member = node.sees_one(3, "with its leader", says).await;
        assert_eq!(member.facts.roles, [Role::Master].into());
        assert_eq!(node.count("bad_facts") + node.count("frames_garbage"), 0);
    }
}

#[tokio::test]
async fn one_that_is_cut_off_is_dead_and_then_alive_again() {
    let network = Network::default();
    let mut nodes = many(&network, 5);
    for node in &mut nodes {
        node.sees_alive(5).await;
    }
    let since = |node: &Node| node.members.borrow().nodes[&5].since;
    let before: Vec<_> = nodes[..4].iter().map(since).collect();
    network.cut(address(5));
    for (node, before) in nodes[..4].iter_mut().zip(before) {
        let dead = node.sees_one(5, "dead", |m| !m.alive).await;
        assert!(dead.since > before);
        assert_eq!(dead.facts.zone, "zone5", "what it said is known");
    }
    nodes[4].sees_alive(1).await;
    network.heal(address(5));
    for node in &mut nodes {
        node.sees_alive(5).await;
    }
    assert_eq!(nodes[0].members.borrow().nodes[&5].generation, FIRST, "it is the same one");
}

#[tokio::test]
async fn two_halves_that_met_through_a_name_are_one() {
    let network = Network::default();
    let port = 5052;
    let at = |n: u8| SocketAddr::from(([127, 0, 0, 1], port + u16::from(n)));
    let first = GossipOptions { advertise: at(0), ..options(1) };
    let second = GossipOptions {
        advertise: at(1),
        seeds: vec!["no.such.name.invalid:1".into(), format!("localhost:{port}")],
        ..options(2)
    };
    let mut first = Node::start(&network, first);
    let mut second = Node::start(&network, second);
    first.sees_alive(2).await;
    second.sees_alive(2).await;
}

#[tokio::test]
async fn seeds_that_are_named_later_are_greeted() {
    let network = Network::default();
    let mut first = Node::start(&network, options(1));
    let mut second = Node::start(&network, options(2));
    second.sees_alive(1).await;
    second.gossip.seeds(vec![address(1).to_string()]);
    first.sees_alive(2).await;
    second.sees_alive(2).await;
}

/// A frame of a node that nobody runs.
fn frame(sender: u64, message: Vec<u8>) -> Frame {
    let content = Content::Message(message.into());
    Frame { cluster: CLUSTER, sender, address: address(sender), content }
}

#[tokio::test]
async fn what_is_not_right_is_dropped_and_counted() {
    let network = Network::default();
    let mut nodes = many(&network, 2);
    nodes[0].sees_alive(2).await;
    let syn = Message::new(0).digest(&[(9, 1)]).text("00000000000000c1").0;
    let whole = frame(9, syn.clone()).encode();
    let inbox = nodes[0].gossip.inbox();
    let mut garbage = 0;
    for len in 0..whole.len() {
        assert!(inbox.put(Some(9), whole.slice(..len)));
        garbage += 1;
        // It is not the queue that is tried here.
        if garbage % 50 == 0 {
            counted(&nodes[0], "frames_garbage", garbage).await;
        }
    }
    assert!(!inbox.put(None, vec![0; FRAME_BYTES_MAX + 1].into()));
    counted(&nodes[0], "frames_garbage", garbage + 1).await;
    let foreign = Frame { cluster: 0xc2, ..frame(9, syn.clone()) };
    inbox.put(Some(9), foreign.encode());
    counted(&nodes[0], "frames_foreign", 1).await;
    // In another's name; in its own.
    inbox.put(Some(8), whole.clone());
    inbox.put(None, frame(1, syn).encode());
    counted(&nodes[0], "frames_forged", 2).await;
    assert!(!nodes[0].members.borrow().nodes.contains_key(&9), "nobody has joined");
    assert_eq!((nodes[0].count("restarts"), nodes[0].count("inbox_overflows")), (0, 0));
    // And one that is right is taken.
    inbox.put(Some(9), whole);
    nodes[0].sees_one(9, "named", |m| !m.alive).await;
    nodes[1].sees_one(9, "named", |m| !m.alive).await;
    assert!(nodes[1].gossip.forget(9).await);
    assert!(!nodes[1].gossip.forget(1).await, "it is alive");
}

async fn counted(node: &Node, name: &str, times: u64) {
    let counted = async {
        while node.count(name) < times {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let there = tokio::time::timeout(LONG, counted).await;
    assert!(there.is_ok() && node.count(name) == times, "{name}: {} of {times}", node.count(name));
}

#[tokio::test]
async fn a_task_that_has_died_is_started_again_as_another_generation() {
    let network = Network::default();
    let mut nodes = many(&network, 3);
    for node in &mut nodes {
        node.sees_alive(3).await;
    }
    nodes[2].gossip.kill().await;
    for node in &mut nodes {
        let again = |m: &Member| m.alive && m.generation == FIRST + 1 && m.facts.zone == "zone3";
        node.sees_one(3, "again", again).await;
        node.sees_alive(3).await;
    }
    assert_eq!(nodes[2].count("restarts"), 1);
    assert_eq!(nodes[0].count("restarts"), 0);
    // All at once, and nobody has a seed: they remember each other.
    for node in &nodes {
        node.gossip.seeds(Vec::new());
        node.gossip.kill().await;
    }
    for node in &mut nodes {
        for (n, generation) in [(1, FIRST + 1), (2, FIRST + 1), (3, FIRST + 2)] {
            node.sees_one(n, "again", |m| m.alive && m.generation == generation).await;
        }
    }
}

#[tokio::test]
async fn a_frame_that_kills_the_task_does_not_kill_gossip() {
    let network = Network::default();
    let mut nodes = many(&network, 2);
    for node in &mut nodes {
        node.sees_alive(2).await;
        node.sees_one(2, "with its zone", |m| m.facts.zone == "zone2").await;
    }
    // A key of version 1000, and then the claim that there is nothing beyond 900: the library stops itself.
    let ops = Message(vec![0]).name(2, FIRST).u64(0).u64(0).bytes(&[1]);
    let ops = ops.text("zone").text("b").u64(1000).bytes(&[0]).bytes(&[2]).u64(900).0;
    let poison = frame(2, Message::new(2).block(&ops).0).encode();
    assert!(nodes[0].gossip.inbox().put(Some(2), poison));
    let again = |m: &Member| m.alive && m.generation == FIRST + 1;
    nodes[1].sees_one(1, "again", again).await;
    assert_eq!(nodes[0].count("restarts"), 1);
    nodes[0].sees_one(2, "with its zone", |m| m.alive && m.facts.zone == "zone2").await;
}

#[tokio::test]
async fn a_node_that_comes_back_elsewhere_is_the_same_node() {
    let network = Network::default();
    let mut nodes = many(&network, 3);
    nodes[0].sees_alive(3).await;
    nodes[2].gossip.stop().await;
    network.detach(address(3));
    let moved = GossipOptions {
        advertise: address(33),
        generation: FIRST + 500,
        seeds: vec![address(1).to_string()],
        ..options(3)
    };
    let mut back = Node::start(&network, moved);
    back.sees_alive(3).await;
    for node in &mut nodes[..2] {
        let there = |m: &Member| m.alive && m.address == address(33);
        node.sees_one(3, "elsewhere", there).await;
        assert_eq!(node.members.borrow().nodes.len(), 3);
    }
}

#[tokio::test]
async fn one_that_stops_is_dead_and_takes_nothing_in() {
    let network = Network::default();
    let mut nodes = many(&network, 2);
    nodes[0].sees_alive(2).await;
    nodes[1].gossip.stop().await;
    assert!(!nodes[1].gossip.inbox().put(None, Bytes::from_static(b"x")));
    nodes[0].sees_one(2, "dead", |m| !m.alive).await;
    nodes[1].gossip.stop().await;
}

fn elsewhere(n: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 1, n], 5052))
}

#[tokio::test]
async fn there_is_room_for_so_many_and_who_is_refused_is_told() {
    let network = Network::default();
    let mut first = Node::start(&network, options(1));
    first.sees_alive(1).await;
    assert!(first.gossip.room_for(9999).is_ok());
    let names: Vec<(u64, u64)> = (2..=NODES_MAX as u64).map(|n| (n, 1)).collect();
    let syn = Message::new(0).digest(&names).text("00000000000000c1").0;
    assert!(first.gossip.inbox().put(Some(2), frame(2, syn).encode()));
    first.sees("all of them", |m| m.nodes.len() == NODES_MAX).await;
    assert!(first.gossip.room_for(9999).is_err());
    assert!(first.gossip.room_for(7).is_ok(), "it is there already");

    let late = GossipOptions {
        node: 9999,
        // None of the addresses above, or it would be greeted there.
        advertise: elsewhere(1),
        seeds: vec![address(1).to_string()],
        ..options(0)
    };
    let mut late = Node::start(&network, late);
    let members = late.sees("that it is refused", |m| m.refused.is_some()).await;
    let refused = members.refused.as_ref().expect("refused");
    assert_eq!(refused.by, 1);
    assert!(refused.reason.starts_with("256 nodes gossip already"), "{}", refused.reason);
    assert!(!first.members.borrow().nodes.contains_key(&9999));
    assert!(first.count("frames_refused") > 0);
    // Where there is room it is let in, and says no longer that it is not.
    let open = GossipOptions { advertise: elsewhere(2), ..options(201) };
    let _open = Node::start(&network, open);
    late.gossip.seeds(vec![elsewhere(2).to_string()]);
    late.sees("that it is let in", |m| m.nodes.len() == 2 && m.refused.is_none()).await;
}

#[tokio::test]
async fn what_cannot_be_told_is_refused_and_changes_nothing() {
    let node = Node::start(&Network::default(), options(1));
    let long = "z".repeat(VALUE_BYTES_MAX + 1);
    assert!(node.gossip.facts(|facts| facts.zone = long.clone()).is_err());
    let mut facts = options(1).facts;
    facts.zone = long;
    let network = Network::default();
    let start = |options| Gossip::start(options, network.courier(1, address(1)));
    assert!(start(GossipOptions { facts, ..options(1) }).is_err());
    assert!(start(GossipOptions { interval: Duration::ZERO, ..options(1) }).is_err());
}

#[tokio::test]
async fn an_inbox_that_nobody_reads_is_full_once() {
    let metrics = Metrics::new();
    let counts = Counts::new(&metrics);
    let inbox = Inbox::new(&counts);
    let sockets = Sockets {
        cluster: CLUSTER,
        node: 1,
        address: address(1),
        inbox: inbox.clone(),
        outbox: Outbox::start(Network::default().courier(1, address(1)), &counts),
        roster: Roster::new(NODES_MAX),
        refused: watch::Sender::new(None),
        counts,
    };
    let first = sockets.open(address(1)).await.expect("a socket");
    for _ in 0..INBOX_MAX {
        assert!(inbox.put(None, Bytes::from_static(b"x")));
    }
    assert!(!inbox.put(None, Bytes::from_static(b"x")));
    assert_eq!(metrics.counter("gossip/inbox_overflows").get(), 1);
    // The next socket begins with an empty one.
    let _second = sockets.open(address(1)).await.expect("another");
    drop(first);
    assert!(inbox.put(None, Bytes::from_static(b"x")));
}

/// Never arrives at one address.
struct Stuck(Arc<dyn Courier>, SocketAddr);

impl Courier for Stuck {
    fn send(&self, to: SocketAddr, frame: Bytes) -> Sending {
        if to == self.1 { Box::pin(std::future::pending()) } else { self.0.send(to, frame) }
    }
}

#[tokio::test]
async fn a_node_that_does_not_take_its_frames_holds_up_nobody() {
    let network = Network::default();
    let mut nodes = many(&network, 2);
    nodes[0].sees_alive(2).await;
    let mut third = options(3);
    third.seeds = vec![address(1).to_string()];
    let metrics = third.metrics.clone();
    let courier = Arc::new(Stuck(network.courier(3, address(3)), address(2)));
    let gossip = Gossip::start(third, courier).expect("gossip starts");
    network.attach(3, address(3), gossip.inbox());
    let members = gossip.members();
    let mut third = Node { n: 3, gossip, metrics, members };
    third.sees_alive(3).await;
    third.gossip.facts(|facts| facts.zone = "new".into()).expect("it fits");
    nodes[1].sees_one(3, "with its new zone", |m| m.facts.zone == "new").await;
    counted_at_least(&third, "outbox_overflows", 1).await;
}

/// Tells what arrives, but never arrives at one address.
struct Told(mpsc::UnboundedSender<SocketAddr>, SocketAddr);

impl Courier for Told {
    fn send(&self, to: SocketAddr, _: Bytes) -> Sending {
        if to == self.1 {
            return Box::pin(std::future::pending());
        }
        self.0.send(to).expect("the test listens");
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn few_frames_are_on_the_way_to_one_node() {
    let metrics = Metrics::new();
    let (told, mut arrived) = mpsc::unbounded_channel();
    let outbox = Outbox::start(Arc::new(Told(told, address(2))), &Counts::new(&metrics));
    for _ in 0..5 {
        outbox.send(address(2), Bytes::from_static(b"x"));
    }
    outbox.send(address(3), Bytes::from_static(b"x"));
    assert_eq!(arrived.recv().await, Some(address(3)));
    assert_eq!(metrics.counter("gossip/outbox_overflows").get(), 3, "two are on the way");
    assert_eq!(metrics.counter("gossip/frames_sent").get(), 3);
}

async fn counted_at_least(node: &Node, name: &str, times: u64) {
    let counted = async {
        while node.count(name) < times {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, counted).await.unwrap_or_else(|_| panic!("{name} is never {times}"));
}

#[tokio::test]
async fn a_node_alone_is_its_only_member_until_it_hears_of_another() {
    let network = Network::default();
    // Its own address among the seeds is nobody.
    let seeds = vec![address(1).to_string()];
    let mut alone = Node::start(&network, GossipOptions { seeds, ..options(1) });
    let member = alone.sees_one(1, "itself", |m| m.alive && m.facts.zone == "zone1").await;
    assert_eq!((member.generation, member.address), (FIRST, address(1)));
    alone.gossip.facts(|facts| facts.zone = "other".into()).expect("they fit");
    alone.sees_one(1, "as it is now", |m| m.facts.zone == "other").await;
    // What is no node of this cluster is no company.
    assert!(alone.gossip.inbox().put(None, Bytes::from_static(b"garbage")));
    counted(&alone, "frames_garbage", 1).await;
    let foreign = Frame { cluster: CLUSTER + 1, ..frame(2, Vec::new()) };
    assert!(alone.gossip.inbox().put(Some(2), foreign.encode()));
    counted(&alone, "frames_foreign", 1).await;
    assert!(!alone.gossip.forget(2).await);
    assert_eq!(network.carried(), (0, 0));
    let since = alone.members.borrow().nodes[&1].since;
    // The first that greets it finds it.
    let seeds = vec![address(1).to_string()];
    let mut second = Node::start(&network, GossipOptions { seeds, ..options(2) });
    second.sees_alive(2).await;
    let members = alone.sees_alive(2).await;
    assert_eq!(members.nodes[&1].since, since, "it is no other for that");
    second.sees_one(1, "as it is now", |m| m.facts.zone == "other").await;
    alone.gossip.stop().await;
}

#[tokio::test]
async fn a_node_that_stays_alone_stops_at_once() {
    let alone = Node::start(&Network::default(), options(1));
    tokio::time::timeout(LONG, alone.gossip.stop()).await.expect("it stops");
    assert!(!alone.gossip.inbox().put(None, Bytes::from_static(b"x")), "and takes nothing in");
}
