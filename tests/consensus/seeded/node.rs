//! One node of the cluster under test: its key, its disk, and, while it runs, its registry and its link.

use super::history::{Begun, Process, Recorder};
use super::relay::Net;
use crate::DEADLINE;
use mesolith::base::rng::Rng;
use mesolith::cluster::consensus::{Epoch, Options, Pace, Registry, Start, Word};
use mesolith::cluster::identity::{
    Authorities, Authority, Credentials, NodeId, NodeKey, Roles, wall_now,
};
use mesolith::cluster::link::{Doors, Limits, Link, LinkOptions, Listening};
use mesolith::store::RaftStore;
use mesolith::store::crash::CrashDisk;
use mesolith::telemetry::Metrics;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Where the log says that nodes are. It is a hint, and here a wrong one: the link knows better.
pub const NOWHERE: &str = "127.0.0.1:9";
/// A node, running or not.
pub struct Node {
    number: usize,
    pace: Pace,
    credentials: Arc<Credentials>,
    disk: Mutex<CrashDisk>,
    running: Mutex<Option<Arc<Running>>>,
    starts: Mutex<u64>,
}

/// A process of a node.
pub struct Running {
    pub process: Process,
    pub registry: Registry,
    /// What this process holds while it leads.
    pub epoch: watch::Receiver<Option<Epoch>>,
    pub metrics: Metrics,
    link: Link,
    listening: Listening,
    word: watch::Sender<Word>,
    _credentials: watch::Sender<Arc<Credentials>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    pub fn new(number: usize, authority: &Authority, pace: Pace) -> Self {
        let key = Arc::new(NodeKey::generate().expect("made"));
        let signed = authority.sign(&key.public(), Roles::FULL, wall_now());
        let certificate = signed.expect("signed");
        let authorities = Authorities::of(authority);
        Self {
            number,
            pace,
            credentials: Arc::new(Credentials { key, certificate, authorities }),
            disk: Mutex::default(),
            running: Mutex::default(),
            starts: Mutex::default(),
        }
    }

    pub fn id(&self) -> NodeId {
        self.credentials.certificate.node
    }

    /// Its process, if it runs.
    pub fn running(&self) -> Option<Arc<Running>> {
        lock(&self.running).clone()
    }

    /// Whether it ever ran.
    pub fn was_started(&self) -> bool {
        *lock(&self.starts) > 0
    }

    /// Whether its disk has failed under it.
    pub fn disk_is_dead(&self) -> bool {
        lock(&self.disk).is_dead()
    }

    /// Its disk fails after so many operations.
    pub fn disk_dies_after(&self, operations: u64) {
        lock(&self.disk).die_after(operations);
    }

    /// Starts it, with what its disk has. Where the others are, `others` says.
    pub async fn start(
        &self,
        start: Start,
        net: &Net,
        others: &[(usize, NodeId)],
        recorder: &Arc<Recorder>,
    ) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let place = listener.local_addr().expect("an address");
        let (credentials, seen) = watch::channel(self.credentials.clone());
        let mut options = LinkOptions::new(place.to_string());
        // A handshake across a cut is given up soon, as a connect would be.
        options.limits = Limits { handshake: Duration::from_secs(1), ..Limits::default() };
        let metrics = options.metrics.clone();
        let link = Link::new(seen, Default::default(), options).expect("fits together");
        let way = |(number, id): &(usize, NodeId)| (*id, net.address(self.number, *number));
        link.locate(others.iter().filter(|(number, _)| *number != self.number).map(way));
        let disk = lock(&self.disk).clone();
        let opened = tokio::task::spawn_blocking(move || RaftStore::open_on(disk)).await;
        let store = opened.expect("no panics").expect("the database is whole");
        let options = Options {
            start,
            address: NOWHERE.into(),
            transport: Some(Arc::new(link.clone())),
            pace: self.pace,
            runtime: None,
            timeout: DEADLINE,
            snapshot_entries: 40,
            log_keep: 8,
        };
        let registry = Registry::open_on(store, self.id().0, options).await.expect("opens");
        let doors = Doors { raft: Some(registry.inbox()), ..Doors::default() };
        let listening = link.listen(listener, doors).expect("listens");
        let process = {
            let mut starts = lock(&self.starts);
            *starts += 1;
            Process { node: self.number, start: *starts }
        };
        let (word, words) = watch::channel(Word::Nothing);
        tokio::spawn(registry.hasten(words).expect("there is randomness"));
        let (say, epoch) = watch::channel(None);
        tokio::spawn(lead(registry.clone(), process, say, recorder.clone()));
        let _credentials = credentials;
        let running =
            Running { metrics, process, registry, epoch, link, listening, word, _credentials };
        *lock(&self.running) = Some(Arc::new(running));
        net.up(self.number, place);
    }

    /// Its process ends at once; what was not synced is lost, or not, as `rng` says.
    pub async fn crash(&self, net: &Net, rng: &mut Rng) {
        net.down(self.number);
        {
            let mut disk = lock(&self.disk);
            let found = disk.crash(rng);
            *disk = found;
        }
        // What is left of the process writes to the disk that is gone, and reaches nobody.
        let running = lock(&self.running).take();
        if let Some(running) = running {
            // Its database has failed: it says so.
            let _ = running.end(Duration::ZERO).await;
        }
    }

    /// It stops in order.
    pub async fn stop(&self, net: &Net) {
        let running = lock(&self.running).take();
        if let Some(running) = running {
            running.end(Duration::from_millis(100)).await.expect("stops");
        }
        net.down(self.number);
    }
}

impl Running {
    async fn end(&self, patience: Duration) -> mesolith::base::error::Result<()> {
        self.listening.stop(patience).await;
        self.link.close();
        let shutdown = tokio::time::timeout(DEADLINE, self.registry.shutdown()).await;
        shutdown.expect("it ends, whatever has failed")
    }

    /// Whether it believes that it leads, and since which term.
    pub fn leads(&self) -> Option<u64> {
        let now = *self.registry.leadership().borrow();
        now.is_me.then_some(now.term)
    }

    /// It is told that its leader is gone.
    pub fn told_that_its_leader_is_gone(&self) {
        let Some(leader) = self.registry.leadership().borrow().leader else { return };
        self.word.send_replace(Word::Gone(leader));
    }

    /// It is told nothing any more.
    pub fn told_nothing(&self) {
        self.word.send_replace(Word::Nothing);
    }
}

/// What a process does whenever it leads: it begins an incarnation, and holds its epoch until leadership is lost.
async fn lead(
    registry: Registry,
    process: Process,
    say: watch::Sender<Option<Epoch>>,
    recorder: Arc<Recorder>,
) {
    let mut leadership = registry.leadership();
    loop {
        let now = *leadership.borrow_and_update();
        let begun = async { if now.is_me { registry.begin().await.ok() } else { None } };
        let changed = tokio::select! {
            epoch = begun => {
                if let Some(epoch) = epoch {
                    recorder.begun(Begun { epoch: epoch.0, by: process });
                    say.send_replace(Some(epoch));
                }
                // One that leads and could not begin asks again, for as long as it leads.
                let again = async {
                    if now.is_me && epoch.is_none() {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    } else {
                        std::future::pending().await
                    }
                };
                tokio::select! {
                    changed = leadership.changed() => changed,
                    () = again => continue,
                }
            }
            changed = leadership.changed() => changed,
        };
        say.send_replace(None);
        if changed.is_err() {
            return;
        }
    }
}
