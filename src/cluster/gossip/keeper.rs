//! The task that keeps gossip running: it starts the library's task, tells it what this node says, looks at what it
//! knows, greets nodes that may not know of this one, and starts it again when it has died.

use super::alone::Company;
use super::book::{Book, Seen};
use super::facts::Facts;
use super::frame::{name_of, node_of};
use super::socket::{Arrived, Sockets};
use super::{GossipOptions, Members, Refusal};
use crate::base::rng::Rng;
use chitchat::{
    Chitchat, ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, spawn_chitchat,
};
use futures_util::FutureExt as _;
use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// How many times the mean time between signs of life may pass: the library's own default. With it, and about one sign
/// an interval from each of 50 nodes, death is noticed after 8 to 10 intervals.
const PHI: f64 = 8.0;
/// How many times between signs are averaged. A thousand (the default) would be 8 KB for each pair of nodes, and would
/// take minutes to follow a change of pace.
const SAMPLES: usize = 100;
/// Longer times between signs are not averaged: they are absences, not pace.
const LONGEST_SAMPLE: Duration = Duration::from_secs(10);
/// How long a dead generation of a node is carried in every frame (half of that) and remembered (all of it). A node that
/// starts again and again fills the frames for no longer.
const DEAD_GRACE: Duration = Duration::from_secs(600);
/// How long a deletion is remembered; nothing is deleted here, keys are emptied.
const TOMBSTONES: Duration = Duration::from_secs(3600);
/// The shortest pause before the library's task is started again, and the longest.
const RESTART_MIN: Duration = Duration::from_millis(100);
const RESTART_MAX: Duration = Duration::from_secs(5);
/// How long a task must have lived for the pause to be short again.
const CALM: Duration = Duration::from_secs(60);
/// How often a node that knows nobody greets all seeds.
const ALONE: Duration = Duration::from_millis(500);
/// How often a node greets a seed that it does not hear: two halves of a cluster that have forgotten each other meet
/// again by that.
const REUNION: Duration = Duration::from_secs(10);
/// How many are told at once of what has changed on this node.
const TOLD_AT_ONCE: usize = 3;
/// How long the library's task may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// What the task is told to do.
pub(super) enum Command {
    Forget {
        node: u64,
        answer: oneshot::Sender<bool>,
    },
    #[cfg(test)]
    Kill,
}

/// What the task listens to, and where it tells.
pub(super) struct Ends {
    pub(super) seeds: watch::Receiver<Vec<SocketAddr>>,
    pub(super) facts: watch::Receiver<Facts>,
    pub(super) refused: watch::Receiver<Option<Refusal>>,
    pub(super) members: watch::Sender<Arc<Members>>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) stop: watch::Receiver<bool>,
}

pub(super) struct Keeper {
    pub(super) options: GossipOptions,
    pub(super) sockets: Sockets,
    pub(super) ends: Ends,
    pub(super) book: Book,
    /// How much of what each generation says was read.
    read: BTreeMap<(u64, u64), u64>,
    rng: Rng,
    greeted: Option<Instant>,
}

/// Resolves when gossip is to end: it was told to, or all handles are gone.
pub(super) async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// How a life of the library's task ended.
enum End {
    Stopped,
    Died(String),
}

impl Keeper {
    pub(super) fn new(options: GossipOptions, sockets: Sockets, ends: Ends) -> Self {
        let book = Book::new(options.node, options.silence);
        let rng = Rng::new(options.node ^ options.generation);
        Self { options, sockets, ends, book, read: BTreeMap::new(), rng, greeted: None }
    }

    pub(super) async fn run(mut self) {
        let mut generation = self.options.generation;
        let mut pause = RESTART_MIN;
        let mut heard = match self.alone(generation).await {
            Company::Named => None,
            Company::Heard(first) => Some(first),
            Company::Stopped => return,
        };
        loop {
            let begun = Instant::now();
            let end = self.live(generation, heard.take()).await;
            let why = match end {
                End::Stopped => return,
                End::Died(why) => why,
            };
            self.sockets.counts.restarts.inc();
            tracing::warn!("gossip has stopped and is started again: {why}");
            if begun.elapsed() >= CALM {
                pause = RESTART_MIN;
            }
            tokio::select! {
                () = stopped(self.ends.stop.clone()) => return,
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(RESTART_MAX);
            // Others must not take it for the one that they have heard before.
            generation += 1;
        }
    }

    /// One life of the library's task; `heard` is what it begins with.
    async fn live(&mut self, generation: u64, heard: Option<Arrived>) -> End {
        let facts = self.ends.facts.borrow_and_update().encode();
        let said = facts.into_iter().filter(|(_, value)| !value.is_empty());
        let said = said.map(|(key, value)| (key.to_string(), value)).collect();
        let config = self.config(generation);
        let handle = match spawn_chitchat(config, said, &self.sockets).await {
            Ok(handle) => handle,
            Err(e) => return End::Died(e.to_string()),
        };
        if let Some((from, frame)) = heard {
            self.sockets.inbox.put(from, frame);
        }
        self.read.clear();
        self.greeted = None;
        let end = self.tend(&handle).await;
        if matches!(end, End::Stopped) {
            // It has ended if it cannot be told to.
            let _ = handle.initiate_shutdown();
            let _ = timeout(STOP_TIMEOUT, handle.termination_watcher()).await;
        }
        handle.abort();
        end
    }

    fn config(&self, generation: u64) -> ChitchatConfig {
        let address = self.options.advertise;
        ChitchatConfig {
            chitchat_id: ChitchatId::new(name_of(self.options.node), generation, address),
            cluster_id: name_of(self.options.cluster),
            gossip_interval: self.options.interval,
            listen_addr: address,
            // They are greeted from here: the list may change, and a name may be slow.
            seed_nodes: Vec::new(),
            failure_detector_config: FailureDetectorConfig {
                phi_threshold: PHI,
                sampling_window_size: SAMPLES,
                max_interval: LONGEST_SAMPLE,
                // The default of 5 s would make each node seem slow for a minute after it came.
                initial_interval: self.options.interval,
                dead_node_grace_period: DEAD_GRACE,
            },
            marked_for_deletion_grace_period: TOMBSTONES,
            catchup_callback: None,
            extra_liveness_predicate: None,
        }
    }

    async fn tend(&mut self, handle: &ChitchatHandle) -> End {
        let died = handle.termination_watcher();
        tokio::pin!(died);
        let news = Arc::new(Notify::new());
        let bell = news.clone();
        let listen = |chitchat: &mut Chitchat| {
            let bell = bell.clone();
            chitchat.subscribe_event("", move |_| bell.notify_one())
        };
        let _listening = handle.with_chitchat(listen).await;
        let stop = stopped(self.ends.stop.clone());
        tokio::pin!(stop);
        let mut ticks = interval(self.options.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                end = &mut died => {
                    return End::Died(end.err().map_or("its task ended".into(), |e| e.to_string()));
                }
                () = &mut stop => return End::Stopped,
                changed = self.ends.facts.changed() => {
                    if changed.is_err() {
                        return End::Stopped;
                    }
                    if let Err(why) = self.tell(handle).await {
                        return End::Died(why);
                    }
                }
                _ = ticks.tick() => {
                    self.look(handle).await;
                    self.greet(handle);
                }
                () = news.notified() => self.look(handle).await,
                Ok(()) = self.ends.refused.changed() => self.publish(),
                Some(command) = self.ends.commands.recv() => match command {
                    Command::Forget { node, answer } => {
                        let forgotten = self.book.forget(node);
                        self.publish();
                        // Who asked may have gone.
                        let _ = answer.send(forgotten);
                    }
                    #[cfg(test)]
                    Command::Kill => handle.abort(),
                },
            }
        }
    }

    /// Tells the library what this node says now, and a few nodes at once.
    async fn tell(&mut self, handle: &ChitchatHandle) -> Result<(), String> {
        let said = self.ends.facts.borrow_and_update().encode();
        let told = handle.with_chitchat(|chitchat| {
            let state = chitchat.self_node_state();
            for (key, value) in &said {
                if !value.is_empty() || state.get(key).is_some() {
                    state.set(key, value);
                }
            }
        });
        // The library stops itself where what was said in this node's name makes no sense.
        if AssertUnwindSafe(told).catch_unwind().await.is_err() {
            return Err("it could not take what this node says".into());
        }
        let mut others: Vec<SocketAddr> = self.others().collect();
        self.rng.shuffle(&mut others);
        for address in others.into_iter().take(TOLD_AT_ONCE) {
            // A task that has ended is noticed by its end.
            let _ = handle.gossip(address);
        }
        Ok(())
    }

    /// The others that are alive.
    fn others(&self) -> impl Iterator<Item = SocketAddr> {
        let me = self.options.node;
        let others = self.book.members().iter().filter(move |(node, m)| **node != me && m.alive);
        others.map(|(_, member)| member.address)
    }

    /// Looks at what the library knows.
    async fn look(&mut self, handle: &ChitchatHandle) {
        let read = &self.read;
        let seen = handle.with_chitchat(|chitchat| {
            let live: HashSet<&ChitchatId> = chitchat.live_nodes().collect();
            let see = |(id, state): (&ChitchatId, &chitchat::NodeState)| {
                let (node, generation) = (node_of(&id.node_id)?, id.generation_id);
                let version = state.max_version();
                let more = read.get(&(node, generation)) != Some(&version);
                let facts = more.then(|| Facts::decode(state.key_values()));
                let (facts, bad) = facts.map_or((None, 0), |(facts, bad)| (Some(facts), bad));
                let seen = Seen {
                    node,
                    generation,
                    address: id.gossip_advertise_addr,
                    heartbeat: state.heartbeat().into(),
                    live: live.contains(id),
                    facts,
                };
                Some((seen, version, bad))
            };
            chitchat.node_states().iter().filter_map(see).collect::<Vec<_>>()
        });
        let seen = seen.await;
        let names = seen.iter().map(|(s, ..)| (s.node, s.generation));
        self.sockets.roster.replace(names);
        self.read = seen.iter().map(|(s, version, _)| ((s.node, s.generation), *version)).collect();
        self.sockets.counts.bad_facts.add(seen.iter().map(|(.., bad)| bad).sum());
        let seen = seen.into_iter().map(|(seen, ..)| seen).collect();
        if self.book.observe(seen, Instant::now()) {
            self.publish();
        }
    }

    pub(super) fn publish(&mut self) {
        let refused = self.ends.refused.borrow_and_update().clone();
        let nodes = self.book.members().clone();
        let alive = nodes.values().filter(|m| m.alive).count();
        self.sockets.counts.alive.set(alive as f64);
        self.sockets.counts.dead.set((nodes.len() - alive) as f64);
        self.ends.members.send_replace(Arc::new(Members { nodes, refused }));
    }

    /// Greets nodes that may not know of this one.
    fn greet(&mut self, handle: &ChitchatHandle) {
        let heard: HashSet<SocketAddr> = self.others().collect();
        let pause = if heard.is_empty() { ALONE } else { REUNION };
        if self.greeted.is_some_and(|at| at.elapsed() < pause) {
            return;
        }
        self.greeted = Some(Instant::now());
        let mut strangers = self.ends.seeds.borrow_and_update().clone();
        if heard.is_empty() {
            // Whoever was known before is as good as a seed.
            strangers.extend(self.book.members().values().map(|m| m.address));
        }
        strangers.sort_unstable();
        strangers.dedup();
        strangers.retain(|a| *a != self.options.advertise && !heard.contains(a));
        self.rng.shuffle(&mut strangers);
        let some = if heard.is_empty() { super::SEEDS_MAX } else { 1 };
        for address in strangers.into_iter().take(some) {
            // A task that has ended is noticed by its end.
            let _ = handle.gossip(address);
        }
    }
}
