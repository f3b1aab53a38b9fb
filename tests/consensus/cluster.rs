//! Three nodes on a network within the process: elect, replicate, fail over, install snapshots,
//! fence.

use super::{DEADLINE, put, until};
use mesolith::base::error::Code;
use mesolith::cluster::consensus::memory::Network;
use mesolith::cluster::consensus::recover;
use mesolith::cluster::consensus::{Epoch, Op, Options, Pace, ProposeError, Registry, Start};
use mesolith::store::RaftStore;
use mesolith::store::crash::CrashDisk;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Nodes of one cluster.
pub struct Cluster {
    pub network: Network,
    pub nodes: BTreeMap<u64, Registry>,
    disks: BTreeMap<u64, CrashDisk>,
    id: u64,
    pace: Pace,
}

/// Time-outs that end within a test.
const USUAL: Pace = Pace {
    heartbeat: Duration::from_millis(60),
    election_min: Duration::from_millis(400),
    election_max: Duration::from_millis(600),
};

impl Cluster {
    fn options(&self, node: u64, start: Start) -> Options {
        Options {
            start,
            address: format!("node-{node}:5052"),
            transport: Some(self.network.transport(node)),
            pace: self.pace,
            runtime: None,
            timeout: Duration::from_secs(10),
            snapshot_entries: 100,
            log_keep: 10,
        }
    }

    /// One voter, alone.
    async fn one() -> Self {
        Self::one_at(USUAL).await
    }

    async fn one_at(pace: Pace) -> Self {
        let mut cluster = Self {
            network: Network::default(),
            nodes: BTreeMap::new(),
            disks: BTreeMap::new(),
            id: 0,
            pace,
        };
        cluster.start(1, Start::Bootstrap).await;
        cluster.id = cluster.nodes[&1].cluster_id();
        cluster
    }

    /// Three voters; node 1 leads.
    async fn three() -> Self {
        Self::three_at(USUAL).await
    }

    /// The same, with other time-outs.
    pub async fn three_at(pace: Pace) -> Self {
        let mut cluster = Self::one_at(pace).await;
        for node in [2, 3] {
            cluster.join(node).await;
        }
        let voters = cluster.nodes[&1].change_voters(BTreeSet::from([1, 2, 3])).await;
        voters.expect("all vote");
        cluster
    }

    async fn join(&mut self, node: u64) {
        self.start(node, Start::Join { cluster: self.id }).await;
        let added = self.nodes[&1].add_learner(node, &format!("node-{node}:5052")).await;
        added.expect("is added");
    }

    async fn start(&mut self, node: u64, start: Start) {
        let disk = self.disks.entry(node).or_default().clone();
        let store = RaftStore::open_on(disk).expect("opens");
        let opened = Registry::open_on(store, node, self.options(node, start)).await;
        let registry = opened.expect("opens");
        self.network.attach(node, registry.inbox());
        self.nodes.insert(node, registry);
    }

    /// Starts one that was stopped, with its disk.
    pub async fn again(&mut self, node: u64) {
        self.start(node, Start::Join { cluster: self.id }).await;
    }

    pub async fn stop(&mut self, node: u64) {
        self.network.detach(node);
        let registry = self.nodes.remove(&node).expect("runs");
        registry.shutdown().await.expect("stops");
    }

    /// Waits until one of these leads and can commit; answers with it and its new epoch.
    pub async fn leader_among(&self, among: &[u64]) -> (u64, Epoch) {
        let start = std::time::Instant::now();
        loop {
            for node in among {
                if self.nodes[node].leadership().borrow().is_me
                    && let Ok(epoch) = self.nodes[node].begin().await
                {
                    return (*node, epoch);
                }
            }
            assert!(start.elapsed() < DEADLINE, "no leader among {among:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn all_have(&self, key: &str, value: &str) {
        for (node, registry) in &self.nodes {
            let has =
                || registry.get(key).expect("is read").is_some_and(|(v, _)| v == value.as_bytes());
            until(&format!("node {node} has {key}={value}"), has).await;
        }
    }
}

#[tokio::test]
async fn three_nodes_replicate_and_survive_the_loss_of_the_leader() {
    let mut cluster = Cluster::three().await;
    let (leader, epoch) = cluster.leader_among(&[1]).await;
    put(&cluster.nodes[&leader], epoch, "a", "1").await.expect("is written");
    cluster.all_have("a", "1").await;
    let members = cluster.nodes[&3].members();
    assert_eq!(members.len(), 3);
    assert!(members.values().all(|m| m.votes));
    assert_eq!(members[&2].address, "node-2:5052");

    // A follower refuses and names the leader.
    let refused = put(&cluster.nodes[&2], epoch, "a", "2").await;
    let leader_is = Some((1, "node-1:5052".to_owned()));
    assert_eq!(refused, Err(ProposeError::Unavailable { leader: leader_is.clone() }));
    assert_eq!(
        cluster.nodes[&2].begin().await,
        Err(ProposeError::Unavailable { leader: leader_is })
    );
    let read = cluster.nodes[&2].read_index().await.expect_err("does not lead");
    assert_eq!(read.code, Code::Unavailable);

    cluster.stop(1).await;
    let (second, newer) = cluster.leader_among(&[2, 3]).await;
    assert!(newer > epoch);
    cluster.nodes[&second].read_index().await.expect("is linearizable");
    assert_eq!(cluster.nodes[&second].get("a").expect("is read").map(|v| v.0), Some(b"1".to_vec()));
    put(&cluster.nodes[&second], newer, "a", "3").await.expect("is written");
    // The first comes back with its disk, and learns what it missed.
    cluster.start(1, Start::Bootstrap).await;
    cluster.all_have("a", "3").await;
    assert_eq!(cluster.nodes[&1].epoch(), newer);
}

#[tokio::test]
async fn a_leader_that_was_cut_off_is_fenced() {
    let cluster = Cluster::three().await;
    let (old, epoch) = cluster.leader_among(&[1]).await;
    put(&cluster.nodes[&old], epoch, "a", "1").await.expect("is written");
    cluster.network.isolate(old);
    // It still believes that it leads, and can commit nothing.
    let lost = cluster.nodes[&old].propose(epoch, vec![Op::put("a", "lost")]);
    let (new, newer) = cluster.leader_among(&[2, 3]).await;
    put(&cluster.nodes[&new], newer, "a", "2").await.expect("is written");
    let stale = cluster.nodes[&old].read_index().await;
    assert!(stale.is_err(), "a stale read would be answered: {stale:?}");
    cluster.network.heal();
    let lost = lost.await;
    assert!(
        matches!(lost, Err(ProposeError::Unknown | ProposeError::Unavailable { .. })),
        "{lost:?}"
    );
    cluster.all_have("a", "2").await;
    // Wherever it is proposed now, the old epoch is refused.
    let (leader, newest) = cluster.leader_among(&[1, 2, 3]).await;
    let fenced = put(&cluster.nodes[&leader], epoch, "a", "3").await;
    assert_eq!(fenced, Err(ProposeError::Fenced { current: newest }));
    let fenced = put(&cluster.nodes[&leader], newer, "a", "3").await;
    assert_eq!(fenced, Err(ProposeError::Fenced { current: newest }));
}

#[tokio::test]
async fn a_node_that_is_far_behind_gets_a_snapshot() {
    let mut cluster = Cluster::one().await;
    let (_, epoch) = cluster.leader_among(&[1]).await;
    let leader = cluster.nodes[&1].clone();
    for round in 0..6 {
        let proposals: Vec<_> = (0..100)
            .map(|i| leader.propose(epoch, vec![Op::put(format!("k{i:03}"), vec![round; 5000])]))
            .collect();
        for proposal in proposals {
            proposal.await.expect("is written");
        }
    }
    until("the log is purged", || leader.status().purged.is_some_and(|p| p > 300)).await;
    cluster.join(2).await;
    cluster.join(3).await;
    assert!(cluster.network.snapshots() >= 2, "the log alone cannot have helped");
    put(&leader, epoch, "after", "x").await.expect("is written");
    cluster.all_have("after", "x").await;
    let all = leader.scan("").expect("is read");
    assert_eq!(all.len(), 101);
    for node in [2, 3] {
        assert_eq!(cluster.nodes[&node].scan("").expect("is read"), all, "with versions");
        assert_eq!(cluster.nodes[&node].epoch(), epoch);
    }
    // What was installed is on the disk.
    cluster.stop(2).await;
    cluster.start(2, Start::Join { cluster: cluster.id }).await;
    cluster.all_have("after", "x").await;
    assert_eq!(cluster.nodes[&2].scan("").expect("is read"), all);
}

#[tokio::test]
async fn leadership_is_handed_over_without_an_election_time_out() {
    let cluster = Cluster::three().await;
    let (_, epoch) = cluster.leader_among(&[1]).await;
    put(&cluster.nodes[&1], epoch, "a", "1").await.expect("is written");
    cluster.all_have("a", "1").await;
    cluster.nodes[&1].transfer_leadership(3).await.expect("is asked");
    let (leader, newer) = cluster.leader_among(&[3]).await;
    assert_eq!(leader, 3);
    put(&cluster.nodes[&3], newer, "a", "2").await.expect("is written");
    cluster.all_have("a", "2").await;
    until("the first has seen it", || {
        let now = *cluster.nodes[&1].leadership().borrow();
        now.leader == Some(3) && !now.is_me
    })
    .await;
}

#[tokio::test]
async fn a_node_without_a_quorum_does_not_raise_the_term() {
    let cluster = Cluster::three().await;
    let (_, epoch) = cluster.leader_among(&[1]).await;
    let term = cluster.nodes[&1].status().term;
    cluster.network.isolate(3);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(cluster.nodes[&3].status().term, term, "pre-vote asks before it disturbs");
    cluster.network.heal();
    put(&cluster.nodes[&1], epoch, "a", "1").await.expect("still leads");
    cluster.all_have("a", "1").await;
    assert_eq!(cluster.nodes[&1].status().term, term);
}

#[tokio::test]
async fn clusters_do_not_mix() {
    let one = Cluster::one().await;
    let mut other = Cluster::one().await;
    assert_ne!(one.id, other.id);
    // A node of the other cluster on the first one's network.
    other.start(2, Start::Join { cluster: other.id }).await;
    one.network.attach(2, other.nodes[&2].inbox());
    let adding = one.nodes[&1].add_learner(2, "node-2:5052");
    let added = tokio::time::timeout(Duration::from_millis(500), adding).await;
    assert!(!matches!(added, Ok(Ok(()))), "a node of another cluster took part");
    assert_eq!(other.nodes[&2].members().len(), 0);
    // Nor does a disk that has been in one join another.
    let disk = one.disks[&1].clone();
    one.nodes[&1].shutdown().await.expect("stops");
    let options = other.options(1, Start::Join { cluster: other.id });
    let store = RaftStore::open_on(disk).expect("opens");
    let refused = Registry::open_on(store, 1, options).await.map(|_| ()).expect_err("is foreign");
    assert_eq!(refused.code, Code::Conflict);
}

#[tokio::test]
async fn a_leader_that_no_majority_answers_leads_no_more_until_one_does() {
    let cluster = Cluster::three().await;
    let first = &cluster.nodes[&1];
    let (_, epoch) = cluster.leader_among(&[1]).await;
    let mut leadership = first.leadership();
    // One other is a majority with it.
    cluster.network.isolate(2);
    put(first, epoch, "a", "1").await.expect("is written");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(leadership.borrow().is_me, "two of three go on");
    // Both answers are lost, so that nobody else can be elected either.
    cluster.network.isolate(3);
    let lost = tokio::time::timeout(DEADLINE, leadership.wait_for(|now| !now.is_me)).await;
    assert_eq!(lost.expect("it notices").expect("it lives").leader, None);
    let refused = first.begin().await;
    assert!(matches!(refused, Err(ProposeError::Unavailable { leader: None })), "{refused:?}");
    cluster.network.heal();
    cluster.leader_among(&[1, 2, 3]).await;
}

#[tokio::test]
async fn a_survivor_of_a_lost_majority_goes_on_alone_with_what_it_has() {
    let mut cluster = Cluster::three().await;
    let (_, epoch) = cluster.leader_among(&[1]).await;
    put(&cluster.nodes[&1], epoch, "a", "1").await.expect("is written");
    cluster.all_have("a", "1").await;
    for node in [1, 2, 3] {
        cluster.stop(node).await;
    }
    let store =
        |cluster: &Cluster, node| RaftStore::open_on(cluster.disks[&node].clone()).expect("opens");
    // Shown first: who voted, and how far each is.
    let database = store(&cluster, 2);
    let held = recover::held_on(&database, "a").expect("is read");
    assert_eq!((held.node, held.cluster), (2, cluster.id));
    assert_eq!(held.voters, BTreeSet::from([1, 2, 3]));
    assert_eq!(held.records, [("a".to_string(), b"1".to_vec())]);
    database.close();
    drop(database);
    let database = store(&cluster, 3);
    let other = recover::held_on(&database, "a").expect("is read");
    assert_eq!(other.last, held.last, "both have all that was acknowledged");
    database.close();
    drop(database);
    // Done to one of them.
    let database = store(&cluster, 2);
    recover::go_on_alone_on(&database).await.expect("is written");
    let after = recover::held_on(&database, "a").expect("is read");
    assert_eq!(after.voters, BTreeSet::from([2]));
    assert!(after.last > held.last);
    let again = recover::go_on_alone_on(&database).await.expect_err("it votes alone already");
    assert_eq!(again.code, Code::Conflict);
    database.close();
    drop(database);
    cluster.start(2, Start::Bootstrap).await;
    let (_, newer) = cluster.leader_among(&[2]).await;
    assert!(newer > epoch);
    assert_eq!(cluster.nodes[&2].get("a").expect("is read").map(|v| v.0), Some(b"1".to_vec()));
    put(&cluster.nodes[&2], newer, "a", "2").await.expect("is written");
    // Another survivor follows it.
    cluster.start(3, Start::Bootstrap).await;
    let added = cluster.nodes[&2].add_learner(3, "node-3:5052").await;
    added.expect("is added");
    cluster.all_have("a", "2").await;
    let voters = cluster.nodes[&2].change_voters(BTreeSet::from([2, 3])).await;
    voters.expect("both vote");
}
