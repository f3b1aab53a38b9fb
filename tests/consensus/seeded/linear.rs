//! Whether a history is one of a register that does one thing at a time (Herlihy and Wing 1990): for each key an order of
//! what was asked that fits what was told and what came before what. The search is Wing and Gong's with the memory of Lowe
//! (2017): an operation may be next as long as none that is left has ended before it began.
//!
//! - What nobody knows the outcome of may be put in anywhere after it began, or left out.
//! - What was refused is left out: a value of it that is read is an error.
//! - Versions are log indexes: they grow along the order, and a value has one for ever.

use super::history::{Ask, Event, Told};
use std::collections::{BTreeMap, HashSet};

/// How many states of the search are looked at for a key before it is given up, as an error.
const STATES_MAX: usize = 4_000_000;

/// Judges all keys.
///
/// # Errors
/// What is wrong, with the operations on that key.
pub fn check(history: &[Event]) -> Result<(), String> {
    let mut keys: BTreeMap<usize, Vec<Event>> = BTreeMap::new();
    for event in history {
        keys.entry(event.key).or_default().push(*event);
    }
    for (key, mut events) in keys {
        events.sort_by_key(|event| event.begin);
        let judged = Versions::of(&events).and_then(|versions| search(&events, &versions));
        judged.map_err(|why| format!("key {key}: {why}\n{}", list(&events)))?;
    }
    Ok(())
}

fn list(events: &[Event]) -> String {
    let lines: Vec<String> = events.iter().map(|event| format!("  {event}")).collect();
    lines.join("\n")
}

/// Which version each value was told to have, both ways.
#[derive(Default)]
struct Versions {
    of: BTreeMap<u64, u64>,
    values: BTreeMap<u64, u64>,
}

impl Versions {
    fn of(events: &[Event]) -> Result<Self, String> {
        let by_id: BTreeMap<u64, &Event> = events.iter().map(|event| (event.id, event)).collect();
        let mut versions = Self::default();
        for event in events {
            let seen = match (event.ask, event.told) {
                (Ask::Read, Told::Found { value: Some((value, version)), .. }) => {
                    let written = by_id.get(&value).is_some_and(|e| e.may_have_written());
                    if !written {
                        return Err(format!("{value} was read, which nobody can have written"));
                    }
                    (value, version)
                }
                (Ask::Put | Ask::PutIf(_), Told::Done(version)) => (event.id, version),
                _ => continue,
            };
            versions.note(seen)?;
        }
        Ok(versions)
    }

    fn note(&mut self, (value, version): (u64, u64)) -> Result<(), String> {
        let had = *self.of.entry(value).or_insert(version);
        let was = *self.values.entry(version).or_insert(value);
        match (had == version, was == value) {
            (true, true) => Ok(()),
            (false, _) => Err(format!("{value} was written at {had} and again at {version}")),
            (_, false) => Err(format!("{was} and {value} were both written at {version}")),
        }
    }

    /// Whether a key in this state may have that version.
    fn fits(&self, value: Option<u64>, version: Option<u64>) -> bool {
        match (value, version) {
            (None, None) => true,
            (Some(value), Some(version)) => {
                let own = self.of.get(&value).is_none_or(|of| *of == version);
                own && self.values.get(&version).is_none_or(|of| *of == value)
            }
            _ => false,
        }
    }

    /// Versions that were told without the value that has them.
    fn loose(&self, events: &[Event]) -> bool {
        let told = |event: &Event| match (event.ask, event.told) {
            (_, Told::Conflict(Some(version))) | (Ask::PutIf(Some(version)), _) => Some(version),
            _ => None,
        };
        events.iter().filter_map(told).any(|version| !self.values.contains_key(&version))
    }
}

/// What a key is: its value, and the newest log index that is known to have changed it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    value: Option<u64>,
    last: u64,
}

impl State {
    fn then(&self, value: Option<u64>, index: Option<u64>) -> Option<State> {
        match index {
            Some(index) => (index > self.last).then_some(State { value, last: index }),
            None => Some(State { value, last: self.last }),
        }
    }

    /// The state after an operation, if it can have happened in this one.
    fn step(&self, event: &Event, versions: &Versions) -> Option<State> {
        let version = versions.of.get(&event.id).copied();
        match (event.ask, event.told) {
            (Ask::Read, Told::Found { value, .. }) => {
                (value.map(|(value, _)| value) == self.value).then(|| self.clone())
            }
            (Ask::Put, Told::Done(_) | Told::Unknown) => self.then(Some(event.id), version),
            (Ask::PutIf(wanted), Told::Done(_) | Told::Unknown) => {
                let fits = versions.fits(self.value, wanted);
                if fits { self.then(Some(event.id), version) } else { None }
            }
            (Ask::PutIf(wanted), Told::Conflict(actual)) => {
                (actual != wanted && versions.fits(self.value, actual)).then(|| self.clone())
            }
            (Ask::Delete, Told::Done(index)) => self.then(None, Some(index)),
            (Ask::Delete, Told::Unknown) => self.then(None, None),
            // Told what does not answer what was asked.
            _ => None,
        }
    }
}

/// Which operations have their place in the order already.
type Placed = Vec<u64>;

/// Begins and ends in the order of time, as a list that can be taken out of and put back into. 0 is before the first.
struct Line {
    next: Vec<usize>,
    prev: Vec<usize>,
    /// Of each place: which operation, and whether it begins there.
    marks: Vec<(usize, bool)>,
    /// Of each operation: where it begins, and where it ends, if it must have happened by then.
    places: Vec<(usize, Option<usize>)>,
}

impl Line {
    fn of(events: &[Event]) -> Self {
        let mut marks = Vec::new();
        for (at, event) in events.iter().enumerate() {
            marks.push((event.begin, at, true));
            if event.told != Told::Unknown {
                marks.push((event.end, at, false));
            }
        }
        marks.sort_unstable();
        let mut places = vec![(0, None); events.len()];
        for (place, (_, at, begins)) in marks.iter().enumerate() {
            if *begins {
                places[*at].0 = place + 1;
            } else {
                places[*at].1 = Some(place + 1);
            }
        }
        let count = marks.len();
        let marks = std::iter::once((0, false)).chain(marks.into_iter().map(|m| (m.1, m.2)));
        Self {
            next: (0..count + 2).map(|place| place + 1).collect(),
            prev: (0..count + 2).map(|place| place.saturating_sub(1)).collect(),
            marks: marks.collect(),
            places,
        }
    }

    fn first(&self) -> usize {
        self.next[0]
    }

    /// What begins (or ends) at a place; nothing after the last one.
    fn mark(&self, place: usize) -> Option<(usize, bool)> {
        self.marks.get(place).copied()
    }

    fn take(&mut self, operation: usize) {
        let (begin, end) = self.places[operation];
        for place in [Some(begin), end].into_iter().flatten() {
            let (prev, next) = (self.prev[place], self.next[place]);
            self.next[prev] = next;
            self.prev[next] = prev;
        }
    }

    fn put_back(&mut self, operation: usize) {
        let (begin, end) = self.places[operation];
        // In the opposite order of taking.
        for place in [end, Some(begin)].into_iter().flatten() {
            let (prev, next) = (self.prev[place], self.next[place]);
            self.next[prev] = place;
            self.prev[next] = place;
        }
    }
}

fn search(events: &[Event], versions: &Versions) -> Result<(), String> {
    let loose = versions.loose(events);
    // A put of unknown outcome that nobody saw explains nothing: leaving it out is never worse.
    let unseen = |event: &Event| {
        matches!(event.ask, Ask::Put | Ask::PutIf(_)) && !versions.of.contains_key(&event.id)
    };
    let matters = |event: &&Event| match event.told {
        Told::Refused => false,
        Told::Unknown => event.ask != Ask::Read && (loose || !unseen(event)),
        _ => true,
    };
    let events: Vec<Event> = events.iter().filter(matters).copied().collect();
    let must = events.iter().filter(|event| event.told != Told::Unknown).count();
    let mut line = Line::of(&events);
    let mut state = State { value: None, last: 0 };
    let mut placed: Placed = vec![0; events.len().div_ceil(64)];
    let mut seen: HashSet<(Placed, State)> = HashSet::new();
    let mut order: Vec<(usize, State)> = Vec::new();
    let (mut left, mut best) = (must, (0, None));
    let mut place = line.first();
    while left > 0 {
        let next = line.mark(place);
        if let Some((operation, true)) = next {
            let event = &events[operation];
            if let Some(after) = state.step(event, versions) {
                placed[operation / 64] |= 1 << (operation % 64);
                if seen.insert((placed.clone(), after.clone())) {
                    if seen.len() > STATES_MAX {
                        return Err(format!("undecided after {STATES_MAX} states"));
                    }
                    left -= usize::from(event.told != Told::Unknown);
                    order.push((operation, std::mem::replace(&mut state, after)));
                    line.take(operation);
                    place = line.first();
                    continue;
                }
                placed[operation / 64] &= !(1 << (operation % 64));
            }
            place = line.next[place];
            continue;
        }
        // Something has ended that found no place: what was placed last was placed wrongly.
        if order.len() >= best.0 {
            best = (order.len(), next.map(|(operation, _)| events[operation]));
        }
        let Some((operation, before)) = order.pop() else {
            let at = best.1.map_or_else(String::new, |event| format!(", stuck at #{}", event.id));
            return Err(format!(
                "no order explains what was told: {} of {} have a place{at}",
                best.0,
                events.len()
            ));
        };
        placed[operation / 64] &= !(1 << (operation % 64));
        left += usize::from(events[operation].told != Told::Unknown);
        state = before;
        line.put_back(operation);
        place = line.next[line.places[operation].0];
    }
    Ok(())
}
