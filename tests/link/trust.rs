//! Who is believed, on both sides of a real handshake, and what each role may do then.

use super::{Node, World, in_time};
use bytes::Bytes;
use mesolith::base::error::Code;
use mesolith::base::time::Wall;
use mesolith::cluster::consensus::{self, Chunks, Transport as _};
use mesolith::cluster::identity::{Authorities, ClusterId, Credentials, NodeId, Roles, wall_now};
use mesolith::cluster::link::{Doors, FaceName, Limits, LinkOptions, Versions};
use std::collections::BTreeSet;
use std::time::Duration;

const MONTH: Duration = Duration::from_secs(31 * 24 * 3600);

#[tokio::test]
async fn members_know_each_other_by_certificate_on_both_sides() {
    let world = World::default();
    let (a, b) = (world.node(Roles::FULL, Doors::default()).await, world.client(Roles::AGENT));
    let hello = in_time("hello", b.to(&a).hello()).await.expect("met");
    assert_eq!((hello.node, hello.cluster, hello.address), (a.id(), ClusterId(0xc1), a.address()));
    // Any node will do; another than the one that was meant will not.
    assert_eq!(b.link.peer(&a.address(), None).hello().await.expect("met").node, a.id());
    let wrong = b.link.peer(&a.address(), Some(NodeId(1))).hello().await.expect_err("not that");
    assert_eq!(wrong.code, Code::Forbidden);
    assert!(wrong.cause.contains(&format!("it is node {}, not {}", a.id(), NodeId(1))), "{wrong}");
    a.until("members", |n| n >= 2.0).await;
}

#[tokio::test]
async fn a_forged_authority_is_believed_by_nobody() {
    let world = World::default();
    // The same cluster id, but another key.
    let forger = World::default();
    let a = world.node(Roles::FULL, Doors::default()).await;
    // It does not believe us: a real node that meets a forged one.
    let forged = forger.node(Roles::FULL, Doors::default()).await;
    let b = world.client(Roles::FULL);
    let e = b.link.peer(&forged.address(), None).hello().await.expect_err("forged");
    assert_eq!(e.code, Code::Forbidden, "{e}");
    assert!(e.cause.contains("not of this cluster"), "{e}");
    // One that trusts the real authority, and shows a certificate of its own.
    let mut shown = forger.credentials(Roles::FULL, wall_now());
    shown.authorities = world.authorities.clone();
    let intruder = Node::new(shown, "", Limits::default());
    let e = in_time("refusal", intruder.to(&a).hello()).await.expect_err("forged");
    assert!(e.cause.contains("not of the other node's cluster"), "{e}");
    a.until("handshakes_failed", |n| n >= 1.0).await;
    assert_eq!(a.count("members"), 0.0);
}

#[tokio::test]
async fn an_expired_certificate_and_a_removed_node_are_refused_and_told_why() {
    let world = World::default();
    let a = world.node(Roles::FULL, Doors::default()).await;
    let past = Wall(wall_now().0 - MONTH.as_nanos() as u64);
    let old = World::default().authority;
    // The authority must be as old as its certificates.
    let elder =
        mesolith::cluster::identity::Authority::create(ClusterId(0xc1), past).expect("made");
    drop(old);
    let authorities = Authorities::of(&elder);
    let elders = World { authority: elder, authorities };
    let b = elders.node(Roles::FULL, Doors::default()).await;
    let expired = Node::new(elders.credentials(Roles::FULL, past), "", Limits::default());
    let e = in_time("refusal", expired.to(&b).hello()).await.expect_err("expired");
    assert!(e.cause.contains("this node's certificate has expired"), "{e}");
    // The other way round: who listens has an expired one.
    let stale =
        Node::start(elders.credentials(Roles::FULL, past), Doors::default(), Limits::default());
    let stale = stale.await;
    let e = elders.client(Roles::FULL).to(&stale).hello().await.expect_err("expired");
    assert_eq!(e.code, Code::Forbidden);
    assert!(e.cause.contains("expired"), "{e}");

    // Removed while it is connected: the connection ends, and no other is made.
    let c = world.client(Roles::FULL);
    c.to(&a).hello().await.expect("a member yet");
    a.until("members", |n| n == 1.0).await;
    a.revoked.set(BTreeSet::from([c.id()]));
    a.until("members", |n| n == 0.0).await;
    assert_eq!(a.count("distrusted"), 1.0);
    let again = async {
        loop {
            match c.to(&a).hello().await {
                Err(e) if e.cause.contains("removed") => break,
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    in_time("the removed node is told", again).await;
    // And one that others have removed is not spoken to.
    let d = world.client(Roles::FULL);
    d.revoked.set(BTreeSet::from([a.id()]));
    let e = d.to(&a).hello().await.expect_err("removed");
    assert_eq!(e.code, Code::Forbidden, "{e}");
}

#[tokio::test]
async fn an_agents_certificate_does_not_vote_or_replicate_and_a_masters_runs_no_tasks() {
    let world = World::default();
    let a = world.node(Roles::FULL, Doors::default()).await;
    let to = consensus::Peer { node: a.id().0, address: a.address() };
    let agent = world.client(Roles::AGENT);
    let master = world.client(Roles::MASTER);
    for lane in [consensus::Lane::Log, consensus::Lane::Heartbeat, consensus::Lane::Snapshot] {
        let e = agent.link.call(&to, lane, b"vote".to_vec()).await.expect_err("an agent");
        assert_eq!(e.code, Code::Forbidden, "{lane:?}: {e}");
        let e = master.link.call(&to, lane, b"vote".to_vec()).await.expect_err("no log there");
        assert_eq!(e.code, Code::Unavailable, "{lane:?}: {e}");
    }
    let chunks = || Chunks::new(std::iter::once(Ok(vec![1])));
    let e = agent.link.send_snapshot(&to, b"head".to_vec(), chunks()).await.expect_err("an agent");
    assert_eq!(e.code, Code::Forbidden);
    let e = master.link.send_snapshot(&to, b"head".to_vec(), chunks()).await.expect_err("no log");
    assert_eq!(e.code, Code::Unavailable);
    assert_eq!(
        master.to(&a).dial_agent().await.map(drop).expect_err("no agent").code,
        Code::Forbidden
    );
    assert_eq!(
        agent.to(&a).dial_agent().await.map(drop).expect_err("no door").code,
        Code::Unavailable
    );
    // What both may, here without anything behind it.
    for node in [&agent, &master] {
        assert_eq!(
            node.to(&a).gossip(Bytes::new()).await.expect_err("no gossip").code,
            Code::Unavailable
        );
        let request = hyper::Request::new(http_body_util::Empty::<Bytes>::new());
        let e =
            node.to(&a).forward(FaceName::Master, request).await.map(drop).expect_err("no face");
        assert_eq!(e.code, Code::Unavailable);
        assert_eq!(node.to(&a).renew().await.expect_err("no admission").code, Code::Unavailable);
    }
    assert_eq!(a.count("forbidden"), 5.0);
}

#[tokio::test]
async fn versions_that_do_not_overlap_are_refused_by_both_and_overlapping_ones_speak() {
    let world = World::default();
    let node = |oldest, newest| {
        let credentials = world.credentials(Roles::FULL, wall_now());
        let (sender, seen) = tokio::sync::watch::channel(std::sync::Arc::new(credentials));
        let mut options = LinkOptions::new("");
        options.wire = Versions { oldest, newest };
        let link = mesolith::cluster::link::Link::new(seen, Default::default(), options);
        (link.expect("fits together"), sender)
    };
    let a = world.node(Roles::FULL, Doors::default()).await;
    let (ahead, _kept) = node(1, 2);
    ahead.peer(&a.address(), None).hello().await.expect("neighbours understand each other");
    let (far, _kept) = node(2, 3);
    let e = far.peer(&a.address(), None).hello().await.expect_err("too far");
    assert!(e.cause.contains("versions are too far apart") && e.hint.is_some(), "{e}");
}

/// Kept from growing by one who connects over and over: the oldest connections of a member go first.
#[tokio::test]
async fn a_member_has_a_bounded_number_of_connections() {
    let world = World::default();
    let limits = Limits { per_member: 3, ..Limits::default() };
    let a = Node::start(world.credentials(Roles::FULL, wall_now()), Doors::default(), limits).await;
    let shown: Credentials = world.credentials(Roles::FULL, wall_now());
    let mut many = Vec::new();
    for _ in 0..8 {
        let node = Node::new(shown.clone(), "", Limits::default());
        node.to(&a).hello().await.expect("met");
        many.push(node);
    }
    a.until("members", |n| n <= 3.0).await;
    assert_eq!(a.count("members_evicted"), 5.0);
}
