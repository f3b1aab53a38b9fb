//! The real log over the real link: three nodes elect, replicate, hand over, send snapshots.

use super::{DEADLINE, Node, World, in_time, until};
use mesolith::base::error::Code;
use mesolith::cluster::consensus::{
    self, Epoch, Lane, Op, Options, Pace, Registry, Start, Transport as _,
};
use mesolith::cluster::identity::{Roles, wall_now};
use mesolith::cluster::link::{Doors, Limits, Link, LinkOptions, Listening};
use mesolith::store::RaftStore;
use mesolith::store::crash::CrashDisk;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

struct Voter {
    link: Link,
    registry: Registry,
    listening: Listening,
    _credentials: tokio::sync::watch::Sender<Arc<mesolith::cluster::identity::Credentials>>,
}

impl Voter {
    async fn start(world: &World, start: Start) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let credentials = world.credentials(Roles::FULL, wall_now());
        let (sender, seen) = tokio::sync::watch::channel(Arc::new(credentials));
        let link = Link::new(seen, Default::default(), LinkOptions::new(&address));
        let link = link.expect("fits together");
        let options = Options {
            start,
            address,
            transport: Some(Arc::new(link.clone())),
            pace: Pace {
                heartbeat: Duration::from_millis(60),
                election_min: Duration::from_millis(400),
                election_max: Duration::from_millis(600),
            },
            runtime: None,
            timeout: Duration::from_secs(10),
            snapshot_entries: 100,
            log_keep: 10,
        };
        let store = RaftStore::open_on(CrashDisk::new()).expect("opens");
        let opened = Registry::open_on(store, link.node().0, options).await;
        let registry = opened.expect("opens");
        let doors = Doors { raft: Some(registry.inbox()), ..Doors::default() };
        let listening = link.listen(listener, doors).expect("listens");
        Self { link, registry, listening, _credentials: sender }
    }

    fn id(&self) -> u64 {
        self.link.node().0
    }

    async fn stop(self) {
        self.listening.stop(Duration::from_millis(50)).await;
        self.link.close();
        self.registry.shutdown().await.expect("stops");
    }
}

async fn leader_among<'a>(voters: &[&'a Voter]) -> (&'a Voter, Epoch) {
    let start = Instant::now();
    loop {
        for voter in voters {
            if voter.registry.leadership().borrow().is_me
                && let Ok(epoch) = voter.registry.begin().await
            {
                return (voter, epoch);
            }
        }
        assert!(start.elapsed() < DEADLINE, "no leader");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn put(voter: &Voter, epoch: Epoch, key: &str, value: impl Into<Vec<u8>>) {
    let proposed = voter.registry.propose(epoch, vec![Op::put(key, value)]);
    in_time("a write", proposed).await.expect("is written");
}

async fn all_have(voters: &[&Voter], key: &str) {
    for voter in voters {
        let has = || voter.registry.get(key).expect("is read").is_some();
        until(&format!("all have {key}"), has).await;
    }
}

#[tokio::test]
async fn three_nodes_elect_replicate_snapshot_and_fail_over_across_the_link() {
    let world = World::default();
    let cluster = world.authority.cluster().0;
    let a = Voter::start(&world, Start::Found { cluster }).await;
    let (_, epoch) = leader_among(&[&a]).await;
    // Enough that the log alone cannot bring the others up to date.
    for round in 0..6u8 {
        let proposals: Vec<_> = (0..100)
            .map(|i| {
                a.registry.propose(epoch, vec![Op::put(format!("k{i:03}"), vec![round; 5000])])
            })
            .collect();
        for proposal in proposals {
            proposal.await.expect("is written");
        }
    }
    until("the log is purged", || a.registry.status().purged.is_some_and(|p| p > 300)).await;
    let b = Voter::start(&world, Start::Join { cluster }).await;
    let c = Voter::start(&world, Start::Join { cluster }).await;
    for voter in [&b, &c] {
        let added = a.registry.add_learner(voter.id(), voter.link.address());
        in_time("is added", added).await.expect("is added");
    }
    let everybody = BTreeSet::from([a.id(), b.id(), c.id()]);
    in_time("all vote", a.registry.change_voters(everybody)).await.expect("all vote");
    put(&a, epoch, "after", "x").await;
    all_have(&[&a, &b, &c], "after").await;
    let all = a.registry.scan("").expect("is read");
    assert_eq!(all.len(), 101);
    for voter in [&b, &c] {
        assert_eq!(voter.registry.scan("").expect("is read"), all, "with versions");
    }
    // A value as large as one may be.
    put(&a, epoch, "large", vec![1; 8 << 20 >> 1]).await;
    all_have(&[&b, &c], "large").await;
    in_time("a read", a.registry.read_index()).await.expect("is linearizable");
    // Handed over, then lost.
    a.registry.transfer_leadership(b.id()).await.expect("is asked");
    let (leader, newer) = leader_among(&[&b]).await;
    assert!(leader.id() == b.id() && newer > epoch);
    put(&b, newer, "b", "1").await;
    all_have(&[&a, &c], "b").await;
    b.stop().await;
    let (leader, newest) = leader_among(&[&a, &c]).await;
    assert!(newest > newer);
    put(leader, newest, "c", "1").await;
    all_have(&[&a, &c], "c").await;
    a.stop().await;
    c.stop().await;
}

#[tokio::test]
async fn signs_of_life_have_a_connection_of_their_own() {
    let world = World::default();
    let a = Voter::start(&world, Start::Found { cluster: 1 }).await;
    let metrics_of = Node::new(world.credentials(Roles::FULL, wall_now()), "", Limits::default());
    let to = consensus::Peer { node: a.id(), address: a.link.address().to_owned() };
    for (lane, connections) in [(Lane::Log, 1.0), (Lane::Heartbeat, 2.0), (Lane::Log, 2.0)] {
        let e = metrics_of.link.call(&to, lane, vec![1]).await.expect_err("no request");
        assert_eq!(e.code, Code::Corrupt, "{e}");
        assert_eq!(metrics_of.count("dials"), connections, "{lane:?}");
    }
    a.stop().await;
}
