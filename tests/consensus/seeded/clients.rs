//! Who reads and writes meanwhile: each asks one thing at a time of the node it believes to lead, some of it of another
//! one or under an epoch of the past, and writes down what it was told.
//!
//! A key is two rows that are always changed together, and each write leaves a record beside it; so batches that were
//! applied in part, or without anybody knowing, are seen.

use super::audit;
use super::history::{Ask, Event, Process, Told};
use super::node::Running;
use super::world::World;
use mesolith::base::rng::Rng;
use mesolith::cluster::consensus::{Committed, Epoch, Op, ProposeError};
use mesolith::store::raft::{RaftView, Row};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long an answer is waited for; after that nobody knows.
const PATIENCE: Duration = Duration::from_millis(900);
/// The same of one who wants to know.
const MUCH_PATIENCE: Duration = Duration::from_secs(4);
/// How much a client thinks at the most before it asks again elsewhere.
const PAUSE: Duration = Duration::from_millis(20);
/// How many writes one that does not wait for answers has under way.
const BURST: usize = 3;
/// How large a value may be, in bytes: most of them, and some.
const SMALL: u64 = 200;
const LARGE: u64 = 250_000;
/// Where the records of batches are.
const RECORDS: &str = "records/";

fn rows_of(key: usize) -> [String; 2] {
    [format!("keys/{key}/a"), format!("keys/{key}/b")]
}

/// A value: a number, and so many bytes that follow from it.
fn value(id: u64, fill: usize) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.resize(8 + fill, id as u8);
    bytes
}

fn read_value(bytes: &[u8]) -> Option<u64> {
    let (number, fill) = bytes.split_first_chunk::<8>()?;
    let id = u64::from_be_bytes(*number);
    fill.iter().all(|byte| *byte == id as u8).then_some(id)
}

/// The value and the version of a key.
///
/// # Errors
/// That its two rows differ, or hold what nobody writes.
pub fn of_key(view: &RaftView, key: usize) -> Result<Option<(u64, u64)>, String> {
    let rows = rows_of(key).map(|row| view.get(&row).expect("is read"));
    let [a, b] = rows.map(|row| row.map(|(bytes, version)| (read_value(&bytes), version)));
    match (a, b) {
        (None, None) => Ok(None),
        (Some((Some(id), version)), Some((Some(other), same)))
            if (id, version) == (other, same) =>
        {
            Ok(Some((id, version)))
        }
        (a, b) => Err(format!("key {key} is {a:?} and {b:?}")),
    }
}

fn record(id: u64, process: Process, epoch: Epoch) -> Op {
    let text = format!("{} {} {epoch}", process.node, process.start);
    Op::put(format!("{RECORDS}{id}"), text)
}

/// The records that batches have left.
pub fn records(rows: &[Row]) -> Vec<audit::Row> {
    let read = |row: &Row| {
        let id = row.key.strip_prefix(RECORDS)?.parse().ok()?;
        let text = String::from_utf8_lossy(&row.value).into_owned();
        let mut words = text.split(' ').map(|word| word.parse::<u64>().expect("a number"));
        let mut word = || words.next().expect("three numbers");
        let by = Process { node: word() as usize, start: word() };
        Some(audit::Row { id, index: row.version, epoch: word(), by })
    };
    rows.iter().filter_map(read).collect()
}

/// A client.
pub struct Client {
    pub number: usize,
    pub keys: usize,
    pub world: Arc<World>,
    pub rng: Rng,
    /// The node that is asked.
    pub at: usize,
    /// How large a large value may be, in bytes.
    pub large: u64,
    /// The versions it has seen last.
    pub seen: BTreeMap<usize, Option<u64>>,
}

/// A write under way: which, about which key, since when, and its answer.
struct Asked<F> {
    id: u64,
    key: usize,
    ask: Ask,
    answer: F,
}

impl Client {
    pub fn new(number: usize, keys: usize, world: Arc<World>, rng: Rng) -> Self {
        Self { number, keys, world, rng, at: 0, large: LARGE, seen: BTreeMap::new() }
    }

    /// Asks until it is told to stop.
    pub async fn run(mut self, stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let asked = match self.world.nodes[self.at].running() {
                Some(running) => self.ask(&running).await,
                None => false,
            };
            if !asked {
                tokio::time::sleep(self.rng.up_to(PAUSE)).await;
            }
            if !asked && self.rng.chance(1, 2) || self.rng.chance(1, 40) {
                self.at = self.rng.below(self.world.nodes.len() as u64) as usize;
            }
        }
    }

    /// Whether a leader took it.
    async fn ask(&mut self, running: &Running) -> bool {
        let key = self.rng.below(self.keys as u64) as usize;
        match self.rng.below(20) {
            0..8 => return self.read(running, key).await,
            8..12 => self.write(running, &[(key, Ask::Put)]).await,
            12..17 => {
                let version = self.seen.get(&key).copied().flatten();
                self.write(running, &[(key, Ask::PutIf(version))]).await
            }
            17..19 => self.write(running, &[(key, Ask::Delete)]).await,
            _ => self.write(running, &[(key, Ask::Put); BURST]).await,
        }
    }

    /// Reads a key, so that all that was acknowledged before is seen. Whether a leader took it.
    pub async fn read(&mut self, running: &Running, key: usize) -> bool {
        let begin = self.world.recorder.now();
        let asked = tokio::time::timeout(PATIENCE, running.registry.read_index()).await;
        let told = match asked {
            Ok(Ok(index)) => match running.registry.view() {
                Ok(view) => self.look(&view, key, index),
                // It was stopped in between.
                Err(_) => Told::Unknown,
            },
            Ok(Err(_)) => return false,
            Err(_) => Told::Unknown,
        };
        self.told(begin, begin, key, Ask::Read, told);
        true
    }

    /// What a view shows of a key.
    pub fn look(&mut self, view: &RaftView, key: usize, index: u64) -> Told {
        match of_key(view, key) {
            Ok(value) => {
                self.seen.insert(key, value.map(|(_, version)| version));
                Told::Found { value, index }
            }
            Err(torn) => {
                self.world.recorder.torn(torn);
                Told::Unknown
            }
        }
    }

    /// Writes that are under way together, in this order. Whether a leader took them.
    pub async fn write(&mut self, running: &Running, all: &[(usize, Ask)]) -> bool {
        let Some(epoch) = self.epoch(running) else { return false };
        let begin = self.world.recorder.now();
        let mut asked = Vec::new();
        for (key, ask) in all {
            let id = self.world.recorder.now();
            let ops = self.batch(id, *key, *ask, running.process, epoch);
            let answer = running.registry.propose(epoch, ops);
            asked.push(Asked { id, key: *key, ask: *ask, answer });
        }
        let (mut taken, mut last) = (false, 0);
        for Asked { id, key, ask, answer } in asked {
            let told = self.answer(answer).await;
            if let Told::Done(index) = told {
                if index <= last {
                    let torn = format!("#{id} is at {index}, though it was asked after {last}");
                    self.world.recorder.torn(torn);
                }
                last = index;
                self.seen.insert(key, if ask == Ask::Delete { None } else { Some(index) });
            }
            taken |= told != Told::Refused;
            self.told(id, begin, key, ask, told);
        }
        taken
    }

    /// The epoch that the process holds; now and then one of the past, which is as good as none.
    fn epoch(&mut self, running: &Running) -> Option<Epoch> {
        let begun = self.world.recorder.all_begun();
        let newest = begun.iter().map(|begun| begun.epoch).max();
        if self.rng.chance(1, 25) {
            let past: Vec<u64> =
                begun.iter().map(|begun| begun.epoch).filter(|e| Some(*e) < newest).collect();
            let at = self.rng.below(past.len() as u64) as usize;
            if let Some(epoch) = past.get(at) {
                return Some(Epoch(*epoch));
            }
        }
        *running.epoch.borrow()
    }

    fn batch(&mut self, id: u64, key: usize, ask: Ask, by: Process, epoch: Epoch) -> Vec<Op> {
        let [a, b] = rows_of(key);
        let mut ops = vec![record(id, by, epoch)];
        if let Ask::PutIf(version) = ask {
            ops.push(Op::check(a.as_str(), version));
        }
        if ask == Ask::Delete {
            ops.extend([Op::delete(a), Op::delete(b)]);
        } else {
            // Some are so large that they go in many pieces, and a snapshot in many chunks.
            let large = if self.rng.chance(1, 20) { self.large } else { SMALL };
            let fill = self.rng.below(large) as usize;
            ops.extend([Op::put(a, value(id, 0)), Op::put(b, value(id, fill))]);
        }
        ops
    }

    async fn answer(
        &mut self,
        answer: impl Future<Output = Result<Committed, ProposeError>>,
    ) -> Told {
        let patience = if self.rng.chance(1, 5) { MUCH_PATIENCE } else { PATIENCE };
        match tokio::time::timeout(patience, answer).await {
            Ok(Ok(done)) => Told::Done(done.index),
            Ok(Err(ProposeError::Conflict { actual, .. })) => Told::Conflict(actual),
            Ok(Err(ProposeError::Unknown)) | Err(_) => Told::Unknown,
            Ok(Err(ProposeError::Unavailable { leader })) => {
                let at = leader.and_then(|(node, _)| self.world.number(node));
                self.at = at.unwrap_or(self.at);
                Told::Refused
            }
            Ok(Err(_)) => Told::Refused,
        }
    }

    /// Writes down what was told.
    pub fn told(&self, id: u64, begin: u64, key: usize, ask: Ask, told: Told) {
        let (client, end) = (self.number, self.world.recorder.now());
        self.world.recorder.event(Event { id, client, key, ask, told, begin, end });
    }
}
