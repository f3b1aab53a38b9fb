//! Apps with instances that wait to be launched: what has become of their offers, and how long they are held back.

use super::backoff::Backoff;
use super::explain::Tally;
use super::ids::InstanceId;
use crate::base::time::Mono;
use crate::marathon::model::{App, PathId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Waiting instances of one app.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// What they will be launched as.
    pub spec: Arc<App>,
    /// Which; never empty.
    pub ids: BTreeSet<InstanceId>,
    /// Their offers so far.
    pub tally: Tally,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<PathId, Waiting>,
    backoff: BTreeMap<PathId, Backoff>,
    /// The app that was served last: others come first next time.
    pub served: Option<PathId>,
    /// Something waits that offers were not called for yet.
    pub fresh: bool,
}

impl Queue {
    /// These of an app wait now.
    pub fn set(&mut self, app: &PathId, now: Timestamp, spec: Arc<App>, ids: BTreeSet<InstanceId>) {
        if ids.is_empty() {
            self.waiting.remove(app);
            return;
        }
        let entry = self.waiting.entry(app.clone());
        let entry = entry.or_insert_with(|| Waiting {
            spec: spec.clone(),
            ids: BTreeSet::new(),
            tally: Tally::new(now),
        });
        let more = ids.iter().any(|id| !entry.ids.contains(id));
        let other = entry.spec.version != spec.version;
        if other {
            entry.tally = Tally::new(now);
        }
        (entry.spec, entry.ids) = (spec, ids);
        self.fresh |= more || other;
    }

    /// None of an app waits.
    pub fn remove(&mut self, app: &PathId) {
        self.waiting.remove(app);
    }

    pub fn get(&self, app: &PathId) -> Option<&Waiting> {
        self.waiting.get(app)
    }

    pub fn get_mut(&mut self, app: &PathId) -> Option<&mut Waiting> {
        self.waiting.get_mut(app)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&PathId, &Waiting)> {
        self.waiting.iter()
    }

    /// A task of the app ended by itself after it had run so long.
    pub fn failed(&mut self, app: &App, ran: Option<Duration>, now: Mono) {
        let former = self.backoff.get(&app.id);
        let next = Backoff::failed(app, ran, now, former);
        self.backoff.insert(app.id.clone(), next);
    }

    /// Nothing holds the app back any more. False if nothing did.
    pub fn reset(&mut self, app: &PathId) -> bool {
        self.fresh = true;
        self.backoff.remove(app).is_some()
    }

    /// No launch of that app before this; none if it may be launched now.
    pub fn delayed(&self, app: &App, now: Mono) -> Option<Mono> {
        self.backoff.get(&app.id)?.until(app, now)
    }

    /// Forgets what no longer holds back: of this app, unless it matters still.
    pub fn forget(&mut self, app: &PathId, current: Option<&App>, now: Mono) {
        let matters = |b: &Backoff| current.is_some_and(|app| !b.forgotten(app, now));
        if self.backoff.get(app).is_some_and(|b| !matters(b)) {
            self.backoff.remove(app);
        }
    }

    /// Apps that may be launched now, beginning after the one that was served last.
    pub fn ready(&self, now: Mono) -> Vec<PathId> {
        let may = |(_, waiting): &(&PathId, &Waiting)| self.delayed(&waiting.spec, now).is_none();
        let mut all: Vec<PathId> =
            self.waiting.iter().filter(may).map(|(id, _)| id.clone()).collect();
        let after = self.served.as_ref().map_or(0, |s| all.partition_point(|id| id <= s));
        let after = after % all.len().max(1);
        all.rotate_left(after);
        all
    }

    /// Whether any may be launched now.
    pub fn wants(&self, now: Mono) -> bool {
        self.waiting.values().any(|waiting| self.delayed(&waiting.spec, now).is_none())
    }
}
