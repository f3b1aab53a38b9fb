//! Marathon in the world: its core as a process that comes and goes, over a store whose commits take their time, are
//! lost, or have an outcome nobody is told.
//!
//! Sessions with masters are those of the scripted frameworks; what clients ask for is in `clients`.

mod clients;
mod hear;
mod rest;

use super::Mutation;
use super::cluster::{Home, Owner};
use super::driven::{Clocks, Driven, Turn};
use super::invariants::Seen;
use super::lines::decides;
use super::log::apply;
use super::queue::What;
use super::world::World;
use crate::base::kv::Op;
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::machine::{Cx, Effects};
use crate::marathon::core::io::{Act, Input};
use crate::marathon::core::{self, MarathonCore};
use crate::master::core::io::SessionId;
use crate::mesos::v1;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The number that stands for Marathon among the schedulers of sessions.
pub(super) const MARATHON: usize = usize::MAX;

/// How far the end of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Every app is to have its instances.
    Serves,
    /// All apps are being removed.
    Emptied,
    /// In a cluster one more is deployed.
    Last,
    /// That is being removed, too.
    Over,
}

/// Marathon's process, its store, and its session.
pub(super) struct Marathon {
    driven: Option<Driven<MarathonCore>>,
    rows: BTreeMap<String, Vec<u8>>,
    unsynced: VecDeque<Vec<Op>>,
    last_sync: Mono,
    skew: u64,
    session: Option<SessionId>,
    pub subscribed: bool,
    /// Where it runs, in a cluster.
    pub home: Option<Home>,
    heard: Mono,
    /// What it was told and has not acknowledged, by task and uuid.
    told: BTreeMap<(String, Vec<u8>), v1::TaskStatus>,
    /// How far the end of the run is.
    ending: Ending,
}

impl Marathon {
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
            ending: Ending::Serves,
        }
    }

    fn core(&self) -> Option<&MarathonCore> {
        self.driven.as_ref().map(|driven| &driven.machine)
    }

    /// The framework's id, as its store has it.
    pub fn id(&self) -> &str {
        self.core().and_then(MarathonCore::framework_id).unwrap_or_default()
    }

    fn is(&self, proc: u64) -> bool {
        self.driven.as_ref().is_some_and(|driven| driven.proc == proc)
    }

    /// What is to be written next, and under which epoch.
    pub fn next_commits(&mut self) -> Option<(u64, Vec<Vec<Op>>)> {
        let epoch = self.home?.epoch;
        Some((epoch, core::commits(self.unsynced.pop_front()?)))
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

impl World {
    /// The process starts, from what is in the store.
    pub(super) fn marathon_up(&mut self) {
        if self.cluster.is_some() && !self.marathon_comes_home() {
            return;
        }
        let proc = self.fresh();
        let now = self.now;
        let mut rng = Rng::new(self.rng.next_u64());
        let Some(marathon) = self.marathon.as_mut().filter(|m| m.driven.is_none()) else { return };
        let clocks = Clocks::new(now, marathon.skew, &mut self.rng);
        let mut cx = Cx { now: clocks.mono(now), wall: clocks.wall(now), rng: &mut rng };
        let mut out = Effects::default();
        let rows = marathon.rows.clone();
        let remembered = rows.clone();
        match MarathonCore::recover(core::Options::default(), rows, &mut cx, &mut out) {
            Ok(core) => {
                let mut driven = Driven::new(core, proc, clocks, rng);
                let first = driven.carry_out(out);
                marathon.driven = Some(driven);
                marathon.last_sync = now;
                (marathon.session, marathon.subscribed) = (None, false);
                marathon.told.clear();
                self.see(&Seen::Remembered { rows: &remembered });
                self.marathon_did(proc, first);
            }
            Err(e) => self.violated("recovery", format!("Marathon cannot be built: {e}")),
        }
    }

    /// The process ends without a word. Some of what was on its way to the store got there.
    pub(super) fn marathon_crash(&mut self) {
        let Some(marathon) = self.marathon.as_mut() else { return };
        if marathon.driven.take().is_none() {
            return;
        }
        let in_cluster = marathon.home.take().is_some();
        let waiting = if in_cluster { 0 } else { marathon.unsynced.len() as u64 };
        let session = marathon.session.take();
        marathon.subscribed = false;
        for _ in 0..self.rng.below(waiting + 1) {
            self.sync_marathon();
        }
        if let Some(marathon) = self.marathon.as_mut() {
            marathon.unsynced.clear();
        }
        if let Some(session) = session {
            self.cut_session(&session);
        }
        let most = if self.chance(200) { 60_000 } else { 3000 };
        let pause = self.between(10, most);
        self.after(pause, What::MarathonUp);
    }

    pub(super) fn tell_marathon(&mut self, input: Input) {
        let at = self.now + self.rng.up_to(Duration::from_millis(1));
        let Some(driven) = self.marathon.as_mut().and_then(|m| m.driven.as_mut()) else { return };
        driven.mail(None, input);
        let proc = driven.proc;
        self.wake_marathon(proc, at);
    }

    fn wake_marathon(&mut self, proc: u64, at: Mono) {
        let Some(driven) = self.marathon.as_mut().and_then(|m| m.driven.as_mut()) else { return };
        if driven.turn_at.is_none_or(|set| at < set) {
            driven.turn_at = Some(at);
            self.queue.push(at, What::MarathonTurn(proc));
        }
    }

    pub(super) fn marathon_turn(&mut self, proc: u64) {
        let now = self.now;
        let driven = self.marathon.as_mut().and_then(|m| m.driven.as_mut());
        let Some(driven) = driven.filter(|d| d.proc == proc && d.turn_at == Some(now)) else {
            return;
        };
        driven.turn_at = None;
        let turn = driven.turn(now);
        self.marathon_did(proc, turn);
    }

    fn marathon_did(&mut self, proc: u64, turn: Turn<MarathonCore>) {
        // What it knows now, and what it has made of that.
        self.show_definitions();
        if let Some(batch) = turn.batch {
            let line = decides(&batch);
            self.note(&line);
            self.see(&Seen::Decided { batch: &batch });
            self.show_rest();
            let mut delay = self.rng.up_to(self.profile.sync);
            if self.chance(20) {
                delay += self.between(0, 5000);
            }
            let now = self.now;
            if let Some(marathon) = self.marathon.as_mut() {
                marathon.unsynced.push_back(batch);
                let at = (now + delay).max(marathon.last_sync);
                marathon.last_sync = at;
                self.queue.push(at, What::MarathonSynced(proc));
            }
        }
        self.marathon_acts(turn.acts);
        let now = self.now;
        let driven = self.marathon.as_ref().and_then(|m| m.driven.as_ref());
        if let Some(at) = driven.filter(|d| d.proc == proc).and_then(Driven::wake_at) {
            self.wake_marathon(proc, at.max(now));
        }
    }

    /// The oldest batch reaches the store, is lost on the way, or nobody is told what became of it.
    pub(super) fn marathon_synced(&mut self, proc: u64) {
        if self.marathon.as_ref().is_none_or(|m| !m.is(proc)) {
            return;
        }
        if self.cluster.is_some() {
            return self.marathon_writes(proc);
        }
        if self.chance(self.profile.unknown_outcomes / 2) {
            // The process has to give up all it has decided since. The batch may be there.
            return self.marathon_crash();
        }
        self.sync_marathon();
        self.marathon_answered();
    }

    /// The oldest batch is in the store, and Marathon is told.
    pub(super) fn marathon_answered(&mut self) {
        let driven = self.marathon.as_mut().and_then(|m| m.driven.as_mut());
        let acts = driven.map(Driven::synced).unwrap_or_default();
        self.marathon_acts(acts);
    }

    /// Rows of Marathon's have changed in the log. Says whether who wrote them is still there.
    pub(super) fn marathon_stored(&mut self, proc: u64, ops: &[Op]) -> bool {
        let Some(marathon) = self.marathon.as_mut() else { return false };
        apply(&mut marathon.rows, ops);
        marathon.is(proc)
    }

    /// Marathon starts where the leader is. Until there is one it waits.
    fn marathon_comes_home(&mut self) -> bool {
        let home = self.home(|owner| matches!(owner, Owner::Marathon { .. }));
        let Some(marathon) = self.marathon.as_mut().filter(|m| m.driven.is_none()) else {
            return false;
        };
        marathon.home = home;
        // Every node has a clock of its own.
        let node = home.and_then(|home| self.nodes.get(home.node));
        marathon.skew = node.map_or(marathon.skew, |node| node.skew);
        if home.is_none() {
            let pause = self.between(100, 300);
            self.after(pause, What::MarathonUp);
        }
        home.is_some()
    }

    fn sync_marathon(&mut self) {
        let forgets = self.profile.mutation == Some(Mutation::ForgetLaunch);
        let Some(marathon) = self.marathon.as_mut() else { return };
        let Some(batch) = marathon.unsynced.pop_front() else { return };
        for mut commit in core::commits(batch) {
            if forgets {
                commit.retain(|op| !is_relaunch(op));
            }
            apply(&mut marathon.rows, &commit);
        }
    }

    fn marathon_acts(&mut self, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Call(call) => self.marathon_calls(*call),
                // Clients do not wait: they look again. Listeners are none here.
                Act::Answer { .. } | Act::Publish(_) | Act::Roles(_) => {}
            }
        }
    }
}

/// Whether a write says that an instance is launched, or starts, not for the first time.
fn is_relaunch(op: &Op) -> bool {
    let Op::Put { key, value } = op else { return false };
    let text = String::from_utf8_lossy(value);
    let launched = [r#""condition":"Provisioned""#, r#""condition":"Starting""#];
    key.starts_with("instances/")
        && launched.iter().any(|part| text.contains(part))
        && !text.contains(r#""incarnation":1,"#)
}
