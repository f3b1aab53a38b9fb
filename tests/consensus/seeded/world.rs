//! A cluster of real nodes, with relays between them: what is done to it is carried out here, and how it comes to rest.

use super::faults::{Fault, Who};
use super::history::Recorder;
use super::node::{NOWHERE, Node, Running};
use super::relay::Net;
use crate::{DEADLINE, until};
use mesolith::base::rng::Rng;
use mesolith::cluster::consensus::{Op, Pace, Start};
use mesolith::cluster::identity::{Authority, ClusterId, NodeId, wall_now};
use mesolith::store::raft::Row;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// What is written when all comes to rest.
pub const LAST: &str = "last";
const CLUSTER: ClusterId = ClusterId(0xc1);
/// How many nodes may be added to those of the beginning.
const MORE_NODES: usize = 2;
/// How often a change of members is asked for before it is left.
const CHANGES_MAX: usize = 4;
/// How long one may take.
const CHANGE_PATIENCE: Duration = Duration::from_secs(3);
/// How long a disk that shall fail is waited for.
const DISK_PATIENCE: Duration = Duration::from_millis(500);

/// The cluster.
pub struct World {
    pub nodes: Vec<Node>,
    pub net: Net,
    pub recorder: Arc<Recorder>,
    /// The change of members that is under way.
    change: Mutex<Option<JoinHandle<()>>>,
}

impl World {
    /// So many voters, the first of which has founded the cluster; and nodes that may be added later.
    pub async fn start(voters: usize, pace: Pace) -> Arc<Self> {
        let authority = Authority::create(CLUSTER, wall_now()).expect("made");
        let all = voters + MORE_NODES;
        let world = Arc::new(Self {
            nodes: (0..all).map(|number| Node::new(number, &authority, pace)).collect(),
            net: Net::between(all).await,
            recorder: Arc::default(),
            change: Mutex::default(),
        });
        world.start_node(0, Start::Found { cluster: CLUSTER.0 }).await;
        for number in 1..voters {
            world.start_node(number, Start::Join { cluster: CLUSTER.0 }).await;
        }
        // On a busy machine others may be elected meanwhile.
        let settled = async {
            while world.settled().await.is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(DEADLINE, settled).await.expect("all vote");
        world
    }

    fn raft_ids(&self, numbers: impl IntoIterator<Item = usize>) -> BTreeSet<u64> {
        numbers.into_iter().map(|number| self.nodes[number].id().0).collect()
    }

    async fn start_node(&self, number: usize, start: Start) {
        let all: Vec<(usize, NodeId)> =
            self.nodes.iter().enumerate().map(|(at, node)| (at, node.id())).collect();
        self.nodes[number].start(start, &self.net, &all, &self.recorder).await;
    }

    /// Which node has an id.
    pub fn number(&self, id: u64) -> Option<usize> {
        self.nodes.iter().position(|node| node.id().0 == id)
    }

    fn running(&self) -> Vec<Arc<Running>> {
        self.nodes.iter().filter_map(Node::running).collect()
    }

    /// Of those that believe that they lead, the one of the newest term.
    pub fn leader(&self) -> Option<Arc<Running>> {
        let leads = |running: Arc<Running>| Some((running.leads()?, running));
        let leaders = self.running().into_iter().filter_map(leads);
        leaders.max_by_key(|(term, _)| *term).map(|(_, running)| running)
    }

    /// Who is met; nobody when none of that kind runs.
    fn meet(&self, who: Who) -> Option<usize> {
        let leader = self.leader().map(|running| running.process.node);
        match who {
            Who::Leader => leader,
            Who::Other(n) => {
                let others: Vec<usize> = self
                    .running()
                    .iter()
                    .map(|running| running.process.node)
                    .filter(|node| Some(*node) != leader)
                    .collect();
                let at = n.checked_rem(others.len() as u64)?;
                others.get(at as usize).copied()
            }
        }
    }

    /// Does it, and tells it.
    pub async fn carry_out(self: &Arc<Self>, fault: &Fault, rng: &mut Rng) {
        let met = self.done(fault, rng).await;
        let met = met.map_or("nobody".to_owned(), |met| format!("nodes {met:?}"));
        self.recorder.tell(format!("{fault:?}: {met}"));
    }

    /// Whom it has met.
    async fn done(self: &Arc<Self>, fault: &Fault, rng: &mut Rng) -> Option<Vec<usize>> {
        let net = &self.net;
        let met = match fault {
            Fault::Mute(who) => {
                let it = self.meet(*who)?;
                net.cut(|from, _| from == it);
                it
            }
            Fault::Deafen(who) => {
                let it = self.meet(*who)?;
                net.cut(|_, to| to == it);
                it
            }
            Fault::Isolate(who) => {
                let it = self.meet(*who)?;
                net.cut(|from, to| from == it || to == it);
                it
            }
            Fault::CutBetween(one, other) => {
                let both = [self.meet(*one)?, self.meet(*other)?];
                net.cut(|from, to| both.contains(&from) && both.contains(&to));
                return Some(both.to_vec());
            }
            Fault::Halve(bits) => {
                let side = |node: usize| bits >> (node % 64) & 1;
                net.cut(|from, to| side(from) != side(to));
                return Some((0..self.nodes.len()).filter(|node| side(*node) == 1).collect());
            }
            Fault::Slow(who, delay) => {
                let it = self.meet(*who)?;
                net.slow(*delay, |from, _| from == it);
                it
            }
            Fault::Harm(who, harm, bytes) => {
                let it = self.meet(*who)?;
                net.harm(*harm, *bytes, |from, _| from == it);
                it
            }
            Fault::Reset(who) => {
                let it = self.meet(*who)?;
                net.reset(|from, to| from == it || to == it);
                it
            }
            Fault::Heal { lost } => {
                if *lost {
                    net.reset(|_, _| true);
                }
                net.heal();
                self.running().iter().for_each(|running| running.told_nothing());
                return Some(Vec::new());
            }
            Fault::Crash(who) => {
                let it = self.meet(*who)?;
                self.nodes[it].crash(net, rng).await;
                it
            }
            Fault::DiskDies(who, operations) => {
                let it = self.meet(*who)?;
                self.nodes[it].disk_dies_after(*operations);
                let dead = async {
                    while !self.nodes[it].disk_is_dead() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                // One that has nothing to write crashes with a disk that is well.
                let _ = tokio::time::timeout(DISK_PATIENCE, dead).await;
                self.nodes[it].crash(net, rng).await;
                it
            }
            Fault::PowerFails => return Some(self.power_fails(rng).await),
            Fault::Stop(who) => {
                let it = self.meet(*who)?;
                self.nodes[it].stop(net).await;
                it
            }
            Fault::StartAll => return Some(self.start_all().await),
            Fault::HandOverTo(who) => {
                let it = self.meet(*who)?;
                let leader = self.leader()?;
                // It may have ended meanwhile.
                let _ = leader.registry.transfer_leadership(self.nodes[it].id().0).await;
                it
            }
            Fault::FalseWord(who) => {
                let it = self.meet(*who)?;
                self.nodes[it].running()?.told_that_its_leader_is_gone();
                it
            }
            Fault::Grow => {
                let it = self.nodes.iter().position(|node| !node.was_started())?;
                self.start_node(it, Start::Join { cluster: CLUSTER.0 }).await;
                self.change_members(it, true);
                it
            }
            Fault::Shrink(who) => {
                let it = self.meet(*who)?;
                self.change_members(it, false);
                it
            }
            Fault::Snapshot(who) => {
                let it = self.meet(*who)?;
                // It may have ended meanwhile.
                let _ = self.nodes[it].running()?.registry.snapshot_now().await;
                it
            }
        };
        Some(vec![met])
    }

    /// All crash, each with its disk as it was at that time.
    pub async fn power_fails(&self, rng: &mut Rng) -> Vec<usize> {
        let running: Vec<usize> = self.running().iter().map(|r| r.process.node).collect();
        running.iter().for_each(|node| self.net.down(*node));
        for node in &running {
            self.nodes[*node].crash(&self.net, rng).await;
        }
        running
    }

    /// Starts all that ever ran and do not.
    pub async fn start_all(&self) -> Vec<usize> {
        let down = |(_, node): &(usize, &Node)| node.was_started() && node.running().is_none();
        let down: Vec<usize> =
            self.nodes.iter().enumerate().filter(down).map(|(at, _)| at).collect();
        for node in &down {
            self.start_node(*node, Start::Join { cluster: CLUSTER.0 }).await;
        }
        down
    }

    /// Asks whoever leads to make a node a voter, or none; one change at a time.
    fn change_members(self: &Arc<Self>, node: usize, votes: bool) {
        let mut change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        if change.as_ref().is_some_and(|change| !change.is_finished()) {
            return self.recorder.tell("a change of members is under way still");
        }
        let world = self.clone();
        *change = Some(tokio::spawn(async move {
            for _ in 0..CHANGES_MAX {
                let changed = tokio::time::timeout(CHANGE_PATIENCE, world.changed(node, votes));
                if matches!(changed.await, Ok(Some(()))) {
                    let what = if votes { "votes" } else { "is no member" };
                    return world.recorder.tell(format!("node {node} {what}"));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }));
    }

    async fn changed(&self, node: usize, votes: bool) -> Option<()> {
        let registry = &self.leader()?.registry;
        let id = self.nodes[node].id().0;
        let mut voters = registry.voters();
        if votes {
            registry.add_learner(id, NOWHERE).await.ok()?;
            voters.insert(id);
            return registry.change_voters(voters).await.ok();
        }
        if voters.contains(&id) && voters.len() < 3 {
            return Some(());
        }
        voters.remove(&id);
        registry.change_voters(voters).await.ok()?;
        registry.remove_learners(BTreeSet::from([id])).await.ok()
    }

    /// Ends all that goes wrong, and whatever change is under way: it may be half done.
    pub async fn end_faults(&self) {
        let change = self.change.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(change) = change {
            change.abort();
            // It was ended, or has ended.
            let _ = change.await;
        }
        self.net.reset(|_, _| true);
        self.net.heal();
        self.running().iter().for_each(|running| running.told_nothing());
        self.start_all().await;
        self.recorder.tell("all is well again");
    }

    /// All nodes that ever ran vote, and have the same state; answers with it.
    ///
    /// # Errors
    /// That they do not come to it.
    pub async fn converge(&self) -> Result<Vec<Row>, String> {
        let settled = tokio::time::timeout(DEADLINE, async {
            loop {
                if let Some(index) = self.settled().await {
                    return index;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let index = settled.await.map_err(|_| self.stuck("the voters cannot be changed"))?;
        let same = || {
            let running = self.running();
            let mut states = running.iter().map(|running| {
                let reached = running.registry.status().applied >= Some(index);
                let state = running.registry.scan("").expect("is read");
                reached.then_some((running.registry.epoch(), state))
            });
            let first = states.next().flatten();
            first.is_some() && states.all(|state| state == first)
        };
        let all = tokio::time::timeout(DEADLINE, async {
            while !same() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        all.await.map_err(|_| self.stuck("the states differ"))?;
        Ok(self.running()[0].registry.scan("").expect("is read"))
    }

    /// Makes all voters and writes a last time.
    async fn settled(&self) -> Option<u64> {
        let leader = self.leader()?;
        let registry = &leader.registry;
        let all = self.raft_ids((0..self.nodes.len()).filter(|at| self.nodes[*at].was_started()));
        let members = registry.members();
        let change = async {
            for node in all.iter().filter(|node| !members.contains_key(node)) {
                registry.add_learner(*node, NOWHERE).await.ok()?;
            }
            registry.change_voters(all.clone()).await.ok()?;
            let epoch = (*leader.epoch.borrow())?;
            let last = registry.propose(epoch, vec![Op::put(LAST, "")]).await;
            last.ok().map(|done| done.index)
        };
        tokio::time::timeout(CHANGE_PATIENCE, change).await.ok().flatten()
    }

    /// What is wrong, and how the nodes are.
    pub fn stuck(&self, what: &str) -> String {
        let nodes = self.running();
        let states: Vec<String> = nodes
            .iter()
            .map(|running| {
                let leadership = *running.registry.leadership().borrow();
                let status = running.registry.status();
                let link = running.metrics.snapshot(None);
                format!("  {:?}: {leadership:?}, {status:?}, {link:?}", running.process)
            })
            .collect();
        self.recorder.tell("is given up");
        format!("{what}, {DEADLINE:?} after all was well again\n{}", states.join("\n"))
    }

    /// Waits for a leader that holds an epoch.
    pub async fn led(&self) -> Arc<Running> {
        let leader = || self.leader().filter(|leader| leader.epoch.borrow().is_some());
        until("somebody leads", || leader().is_some()).await;
        match leader() {
            Some(leader) => leader,
            None => Box::pin(self.led()).await,
        }
    }

    /// All end; what goes wrong with that is no part of a run.
    pub async fn end(&self) {
        for node in &self.nodes {
            node.stop(&self.net).await;
        }
    }
}
