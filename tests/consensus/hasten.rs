//! Elections that are hastened by the kernel's word about the leader. Time-outs are so long here that none of them ends
//! within a test: what happens, happens because of the word.

use super::cluster::Cluster;
use super::{put, until};
use mesolith::cluster::consensus::{Pace, Word};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;

/// Twice the time that a test may take.
const NEVER: Pace = Pace {
    heartbeat: Duration::from_millis(60),
    election_min: Duration::from_secs(60),
    election_max: Duration::from_secs(61),
};

/// What each node is told.
#[derive(Default)]
struct Words(BTreeMap<u64, watch::Sender<Word>>);

impl Words {
    fn of(cluster: &Cluster) -> Self {
        let mut words = Self::default();
        cluster.nodes.keys().for_each(|node| words.follow(cluster, *node));
        words
    }

    fn follow(&mut self, cluster: &Cluster, node: u64) {
        let (say, word) = watch::channel(Word::Nothing);
        tokio::spawn(cluster.nodes[&node].hasten(word).expect("follows"));
        self.0.insert(node, say);
    }

    fn say(&self, node: u64, word: Word) {
        self.0[&node].send_replace(word);
    }
}

#[tokio::test]
async fn a_leader_that_is_gone_is_replaced_before_any_time_out() {
    let mut cluster = Cluster::three_at(NEVER).await;
    let mut words = Words::of(&cluster);
    let (mut leader, mut epoch) = cluster.leader_among(&[1]).await;
    // Again and again: sooner or later both ask at the same time.
    for round in 0..6 {
        put(&cluster.nodes[&leader], epoch, "round", &round.to_string()).await.expect("is written");
        let before = cluster.nodes[&leader].status().term;
        cluster.stop(leader).await;
        let others: Vec<u64> = cluster.nodes.keys().copied().collect();
        others.iter().for_each(|node| words.say(*node, Word::Gone(leader)));
        let gone = leader;
        (leader, epoch) = cluster.leader_among(&others).await;
        assert!(cluster.nodes[&leader].status().term > before);
        cluster.again(gone).await;
        words.follow(&cluster, gone);
        others.iter().for_each(|node| words.say(*node, Word::There(gone)));
        put(&cluster.nodes[&leader], epoch, "seen", &round.to_string()).await.expect("is written");
        cluster.all_have("seen", &round.to_string()).await;
    }
}

#[tokio::test]
async fn the_word_of_one_node_unseats_no_leader_that_another_hears() {
    let mut cluster = Cluster::three_at(NEVER).await;
    let words = Words::of(&cluster);
    let (_, epoch) = cluster.leader_among(&[1]).await;
    put(&cluster.nodes[&1], epoch, "a", "1").await.expect("is written");
    cluster.all_have("a", "1").await;
    let term = cluster.nodes[&1].status().term;
    let asked = cluster.network.pre_votes();
    words.say(2, Word::Gone(1));
    // The leader and node 3 are asked until it gives up, and both refuse.
    until("node 2 has asked", || cluster.network.pre_votes() >= asked + 12).await;
    put(&cluster.nodes[&1], epoch, "a", "2").await.expect("still leads");
    cluster.all_have("a", "2").await;
    for node in cluster.nodes.values() {
        assert_eq!(node.status().term, term, "no term was begun");
    }
    // What node 2 has given up is given back by no word; with node 3 of the same mind it is enough.
    cluster.stop(1).await;
    words.say(3, Word::Gone(1));
    let (_, newer) = cluster.leader_among(&[2, 3]).await;
    assert!(newer > epoch);
}

#[tokio::test]
async fn one_that_lacks_entries_does_not_win() {
    let mut cluster = Cluster::three_at(NEVER).await;
    let words = Words::of(&cluster);
    let (_, epoch) = cluster.leader_among(&[1]).await;
    // Node 2 would ask first. It misses what 1 and 3 have committed.
    cluster.network.isolate(2);
    put(&cluster.nodes[&1], epoch, "a", "1").await.expect("is written");
    cluster.stop(1).await;
    cluster.network.heal();
    words.say(2, Word::Gone(1));
    words.say(3, Word::Gone(1));
    let (leader, newer) = cluster.leader_among(&[2, 3]).await;
    assert_eq!(leader, 3);
    put(&cluster.nodes[&3], newer, "b", "1").await.expect("is written");
    cluster.all_have("a", "1").await;
}
