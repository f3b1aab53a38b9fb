//! The table of jobs: each with its state and its history, in the order they were registered, and who is whose child.

use super::row::{Row, Summary};
use crate::chronos::model::{Counters, Job};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What changes of a job as it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// All planned times up to this one have a run, a row, or are summed up.
    pub through: i64,
    /// When it was first registered.
    pub registered: i64,
    /// The latest time that was put into task ids of the job: no two runs have the same, whatever they were due.
    #[serde(default = "never")]
    pub stamped: i64,
    /// What is counted.
    pub counters: Counters,
    /// What has no row of its own.
    pub earlier: Summary,
    /// Of its parents, those that have succeeded since it was last triggered.
    pub ready: BTreeSet<String>,
    /// One of its parents has failed since: a parent that starts again counts anew.
    pub broken: bool,
}

impl State {
    pub(super) fn new(registered: i64) -> Self {
        Self {
            through: i64::MIN,
            registered,
            stamped: registered - 1,
            counters: Counters::default(),
            earlier: Summary::default(),
            ready: BTreeSet::new(),
            broken: false,
        }
    }
}

fn never() -> i64 {
    i64::MIN
}

impl State {
    /// The time that task ids of a new run have: when it is due, unless that is not after those of the runs before it. A
    /// time before the job was registered may have been given away too, by a job of that name that was deleted.
    pub(super) fn stamp(&mut self, due: i64) -> i64 {
        self.stamped = due.max(self.stamped.saturating_add(1));
        self.stamped
    }
}

/// A job, what is known of it, and its last runs.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its place among all jobs.
    pub number: u64,
    /// The job.
    pub job: Arc<Job>,
    /// What changes.
    pub state: State,
    /// Runs that are over, by due time, oldest first.
    pub history: VecDeque<Arc<Row>>,
}

impl Entry {
    /// Where a row of that time is, or would be.
    pub(super) fn place(&self, due: i64) -> Result<usize, usize> {
        self.history.binary_search_by_key(&due, |row| row.due)
    }

    /// How far its planned times have been dealt with, for showing its schedule.
    pub fn through(&self) -> i64 {
        self.state.through
    }
}

/// All jobs.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    by_name: BTreeMap<String, Arc<Entry>>,
    order: BTreeMap<u64, String>,
    children: BTreeMap<String, BTreeSet<String>>,
}

impl Entries {
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Entry>> {
        self.by_name.get(name)
    }

    /// A job to be changed; what a picture holds of it stays as it was.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Entry> {
        self.by_name.get_mut(name).map(Arc::make_mut)
    }

    /// In the order they were registered.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.order.values().filter_map(|name| self.by_name.get(name))
    }

    pub fn next_number(&self) -> u64 {
        self.order.last_key_value().map_or(0, |(last, _)| last + 1)
    }

    /// Puts an entry in the place of one with that name, if there is one.
    pub fn insert(&mut self, entry: Entry) {
        let name = entry.job.name.clone();
        self.remove(&name);
        for parent in entry.job.parents() {
            self.children.entry(parent.clone()).or_default().insert(name.clone());
        }
        self.order.insert(entry.number, name.clone());
        self.by_name.insert(name, Arc::new(entry));
    }

    pub fn remove(&mut self, name: &str) -> Option<Arc<Entry>> {
        let entry = self.by_name.remove(name)?;
        self.order.remove(&entry.number);
        for parent in entry.job.parents() {
            if let Some(children) = self.children.get_mut(parent) {
                children.remove(name);
                if children.is_empty() {
                    self.children.remove(parent);
                }
            }
        }
        Some(entry)
    }

    /// The jobs that name this one as a parent.
    pub fn children(&self, name: &str) -> Vec<String> {
        self.children.get(name).into_iter().flatten().cloned().collect()
    }

    /// The way from `from` up through its parents to `to`, both included; `None` if there is none.
    pub fn way_up(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut came_from: BTreeMap<String, String> = BTreeMap::new();
        let mut next = vec![from.to_string()];
        while let Some(name) = next.pop() {
            if name == to {
                let mut way = vec![name];
                while let Some(before) = way.last().and_then(|last| came_from.get(last)) {
                    way.push(before.clone());
                }
                way.reverse();
                return Some(way);
            }
            for parent in self.get(&name).into_iter().flat_map(|e| e.job.parents()) {
                if parent != from && !came_from.contains_key(parent) {
                    came_from.insert(parent.clone(), name.clone());
                    next.push(parent.clone());
                }
            }
        }
        None
    }
}
