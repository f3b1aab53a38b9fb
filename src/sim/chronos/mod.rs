//! Chronos in the world: its core as a process that comes and goes, over a store whose commits take their time, are lost,
//! or have an outcome nobody is told.
//!
//! Sessions with masters are those of the scripted frameworks; what clients ask for is in `clients`.

mod clients;
mod hear;
mod rest;

use super::Mutation;
use super::cluster::{Home, Owner};
use super::driven::{Clocks, Driven, Turn};
use super::invariants::Seen;
use super::log::apply;
use super::queue::What;
use super::world::World;
use crate::base::kv::Op;
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::chronos::core::io::{Act, Input};
use crate::chronos::core::{ChronosCore, Options};
use crate::chronos::model::Rules;
use crate::chronos::schedule;
use crate::machine::{Cx, Effects};
use crate::master::core::io::SessionId;
use crate::mesos::v1;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The number that stands for Chronos among the schedulers of sessions.
pub(super) const CHRONOS: usize = usize::MAX - 1;
/// The name it has for masters, and by which its containers are known.
pub(super) const NAME: &str = "chronos";

/// Writes that wait for the store, and when they were decided on Chronos's clock, in milliseconds since 1970.
type Waiting = (Vec<Op>, i64);

/// Chronos's process, its store, and its session.
pub(super) struct Chronos {
    driven: Option<Driven<ChronosCore>>,
    rows: BTreeMap<String, Vec<u8>>,
    unsynced: VecDeque<Waiting>,
    last_sync: Mono,
    skew: u64,
    session: Option<SessionId>,
    subscribed: bool,
    /// Where it runs, in a cluster.
    pub home: Option<Home>,
    heard: Mono,
    /// What it was told and has not acknowledged, by task and uuid.
    told: BTreeMap<(String, Vec<u8>), v1::TaskStatus>,
    /// The schedules its clients know of, by job.
    schedules: BTreeMap<&'static str, String>,
}

impl Chronos {
    pub fn new(skew: u64) -> Self {
        Self {
            driven: None,
            rows: BTreeMap::new(),
            unsynced: VecDeque::new(),
            last_sync: Mono(0),
            skew,
            session: None,
            subscribed: false,
            home: None,
            heard: Mono(0),
            told: BTreeMap::new(),
            schedules: BTreeMap::new(),
        }
    }

    fn core(&self) -> Option<&ChronosCore> {
        self.driven.as_ref().map(|driven| &driven.machine)
    }

    /// The framework's id, as its store has it.
    pub fn id(&self) -> &str {
        self.core().and_then(ChronosCore::framework_id).map_or("", |id| id.as_str())
    }

    fn is(&self, proc: u64) -> bool {
        self.driven.as_ref().is_some_and(|driven| driven.proc == proc)
    }

    /// What is to be written next, under which epoch, and when it was decided.
    pub fn next_commit(&mut self) -> Option<(u64, Vec<Op>, i64)> {
        let epoch = self.home?.epoch;
        self.unsynced.pop_front().map(|(ops, decided)| (epoch, ops, decided))
    }

    /// Its turn comes later.
    pub fn put_off(&mut self, until: Mono) {
        if let Some(driven) = &mut self.driven {
            driven.turn_at = Some(until);
        }
    }

    /// When its turn was set for.
    pub fn turn_at(&self, proc: u64) -> Option<Option<Mono>> {
        self.driven.as_ref().filter(|d| d.proc == proc).map(|d| d.turn_at)
    }
}

fn options() -> Options {
    let usual = Options::default();
    Options {
        // Agents here have no disk to offer.
        rules: Rules { disk: 0.0, ..usual.rules },
        failure_retry: Duration::from_secs(2),
        // The rules look at all rows; what is summed up has tests beside the core.
        history_limit: 100_000,
        ..usual
    }
}

impl World {
    /// The process starts, from what is in the store.
    pub(super) fn chronos_up(&mut self) {
        if self.cluster.is_some() && !self.chronos_comes_home() {
            return;
        }
        let proc = self.fresh();
        let now = self.now;
        let mut rng = Rng::new(self.rng.next_u64());
        let Some(chronos) = self.chronos.as_mut().filter(|c| c.driven.is_none()) else { return };
        let clocks = Clocks::new(now, chronos.skew, &mut self.rng);
        let mut cx = Cx { now: clocks.mono(now), wall: clocks.wall(now), rng: &mut rng };
        let mut out = Effects::default();
        match ChronosCore::recover(options(), chronos.rows.clone(), &mut cx, &mut out) {
            Ok(core) => {
                let mut driven = Driven::new(core, proc, clocks, rng);
                let first = driven.carry_out(out);
                chronos.driven = Some(driven);
                chronos.last_sync = now;
                (chronos.session, chronos.subscribed) = (None, false);
                chronos.told.clear();
                self.chronos_did(proc, first);
            }
            Err(e) => self.violated("recovery", format!("Chronos cannot be built: {e}")),
        }
    }

    /// The process ends without a word. Some of what was on its way to the store got there.
    pub(super) fn chronos_crash(&mut self) {
        let Some(chronos) = self.chronos.as_mut() else { return };
        if chronos.driven.take().is_none() {
            return;
        }
        let in_cluster = chronos.home.take().is_some();
        let waiting = if in_cluster { 0 } else { chronos.unsynced.len() as u64 };
        let session = chronos.session.take();
        chronos.subscribed = false;
        for _ in 0..self.rng.below(waiting + 1) {
            self.sync_chronos();
        }
        if let Some(chronos) = self.chronos.as_mut() {
            chronos.unsynced.clear();
        }
        if let Some(session) = session {
            self.cut_session(&session);
        }
        let most = if self.chance(200) { 60_000 } else { 3000 };
        let pause = self.between(10, most);
        self.after(pause, What::ChronosUp);
    }

    pub(super) fn tell_chronos(&mut self, input: Input) {
        let at = self.now + self.rng.up_to(Duration::from_millis(1));
        let Some(driven) = self.chronos.as_mut().and_then(|c| c.driven.as_mut()) else { return };
        driven.mail(None, input);
        let proc = driven.proc;
        self.wake_chronos(proc, at);
    }

    fn wake_chronos(&mut self, proc: u64, at: Mono) {
        let Some(driven) = self.chronos.as_mut().and_then(|c| c.driven.as_mut()) else { return };
        if driven.turn_at.is_none_or(|set| at < set) {
            driven.turn_at = Some(at);
            self.queue.push(at, What::ChronosTurn(proc));
        }
    }

    pub(super) fn chronos_turn(&mut self, proc: u64) {
        let now = self.now;
        let driven = self.chronos.as_mut().and_then(|c| c.driven.as_mut());
        let Some(driven) = driven.filter(|d| d.proc == proc && d.turn_at == Some(now)) else {
            return;
        };
        driven.turn_at = None;
        let turn = driven.turn(now);
        self.chronos_did(proc, turn);
    }

    fn chronos_did(&mut self, proc: u64, turn: Turn<ChronosCore>) {
        let now = self.now;
        if let Some(batch) = turn.batch {
            self.note(&decides(&batch));
            let mut delay = self.rng.up_to(self.profile.sync);
            if self.chance(20) {
                delay += self.between(0, 5000);
            }
            let decided = self.chronos_clock();
            if let Some(chronos) = self.chronos.as_mut() {
                chronos.unsynced.push_back((batch, decided));
                let at = (now + delay).max(chronos.last_sync);
                chronos.last_sync = at;
                self.queue.push(at, What::ChronosSynced(proc));
            }
        }
        self.chronos_acts(turn.acts);
        let driven = self.chronos.as_ref().and_then(|c| c.driven.as_ref());
        if let Some(at) = driven.filter(|d| d.proc == proc).and_then(Driven::wake_at) {
            self.wake_chronos(proc, at.max(now));
        }
    }

    /// What Chronos's clock shows, in milliseconds since 1970.
    fn chronos_clock(&self) -> i64 {
        let driven = self.chronos.as_ref().and_then(|c| c.driven.as_ref());
        driven.map_or(0, |driven| schedule::millis(driven.wall(self.now)))
    }

    /// The oldest batch reaches the store, is lost on the way, or nobody is told what became of it.
    pub(super) fn chronos_synced(&mut self, proc: u64) {
        if self.chronos.as_ref().is_none_or(|c| !c.is(proc)) {
            return;
        }
        if self.cluster.is_some() {
            return self.chronos_writes(proc);
        }
        if self.chance(self.profile.unknown_outcomes / 2) {
            // The process has to give up all it has decided since. The batch may be there.
            return self.chronos_crash();
        }
        self.sync_chronos();
        self.chronos_answered();
    }

    /// The oldest batch is in the store, and Chronos is told.
    pub(super) fn chronos_answered(&mut self) {
        let driven = self.chronos.as_mut().and_then(|c| c.driven.as_mut());
        let acts = driven.map(Driven::synced).unwrap_or_default();
        self.chronos_acts(acts);
    }

    /// Rows of Chronos's have changed in the log. Says whether who wrote them is still there.
    pub(super) fn chronos_stored(&mut self, proc: u64, ops: &[Op], decided: i64) -> bool {
        let Some(chronos) = self.chronos.as_mut() else { return false };
        apply(&mut chronos.rows, ops);
        let is_there = chronos.is(proc);
        self.see(&Seen::JobsStored { batch: ops, decided });
        is_there
    }

    /// Chronos starts where the leader is. Until there is one it waits.
    fn chronos_comes_home(&mut self) -> bool {
        let home = self.home(|owner| matches!(owner, Owner::Chronos { .. }));
        let Some(chronos) = self.chronos.as_mut().filter(|c| c.driven.is_none()) else {
            return false;
        };
        chronos.home = home;
        // Every node has a clock of its own.
        let node = home.and_then(|home| self.nodes.get(home.node));
        chronos.skew = node.map_or(chronos.skew, |node| node.skew);
        if home.is_none() {
            let pause = self.between(100, 300);
            self.after(pause, What::ChronosUp);
        }
        home.is_some()
    }

    fn sync_chronos(&mut self) {
        let mutation = self.profile.mutation;
        let Some(chronos) = self.chronos.as_mut() else { return };
        let Some((mut batch, decided)) = chronos.unsynced.pop_front() else { return };
        match mutation {
            Some(Mutation::ForgetRow) => batch.retain(|op| !is_row(op)),
            Some(Mutation::ForgetRun) => batch.retain(|op| !is_launch(op)),
            _ => {}
        }
        apply(&mut chronos.rows, &batch);
        self.see(&Seen::JobsStored { batch: &batch, decided });
    }

    fn chronos_acts(&mut self, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Call(call) => self.chronos_calls(*call),
                // Clients do not wait: they look again. Listeners are none here.
                Act::Answer { .. } | Act::Publish(_) => {}
            }
        }
    }
}

/// Whether a write is the row of a run that is over.
fn is_row(op: &Op) -> bool {
    matches!(op, Op::Put { key, .. } if key.starts_with("history/"))
}

/// Whether a write says that a run was launched.
fn is_launch(op: &Op) -> bool {
    let Op::Put { key, value } = op else { return false };
    key.starts_with("runs/") && String::from_utf8_lossy(value).contains(r#""launched":{"#)
}

/// What Chronos has decided, in a line.
fn decides(batch: &[Op]) -> String {
    let row = |op: &Op| match op {
        Op::Put { key, value } if key.starts_with("runs/") => {
            let text = String::from_utf8_lossy(value.get(1..).unwrap_or_default());
            let row: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let field = |name: &str| row.get(name).map(ToString::to_string).unwrap_or_default();
            format!("+{key} attempt {} {}", field("attempt"), field("phase"))
        }
        Op::Put { key, .. } => format!("+{key}"),
        Op::Delete { key } => format!("-{key}"),
    };
    format!("Chronos decides: {}", batch.iter().map(row).collect::<Vec<_>>().join("; "))
}
