//! The judge of histories is judged: by histories made by hand that it must refuse or accept, and by all orders of small
//! ones made at random.

use super::history::{Ask, Event, Told};
use super::linear::check;
use mesolith::base::rng::Rng;
use std::collections::BTreeMap;

/// One operation: when it began and ended, its number, what was asked and told.
fn op(begin: u64, end: u64, id: u64, ask: Ask, told: Told) -> Event {
    Event { id, client: 0, key: 0, ask, told, begin, end }
}

fn put(begin: u64, end: u64, value: u64, index: u64) -> Event {
    op(begin, end, value, Ask::Put, Told::Done(index))
}

fn lost(begin: u64, value: u64) -> Event {
    op(begin, begin + 1, value, Ask::Put, Told::Unknown)
}

fn read(begin: u64, end: u64, value: Option<(u64, u64)>) -> Event {
    op(begin, end, 1000 + begin, Ask::Read, Told::Found { value, index: 0 })
}

fn refused(history: &[Event], why: &str) {
    let e = check(history).expect_err(why);
    assert!(e.contains(why), "{e}");
}

fn accepted(history: &[Event]) {
    check(history).unwrap_or_else(|e| panic!("{e}"));
}

const NO_ORDER: &str = "no order explains";

#[test]
fn one_thing_after_the_other_is_accepted() {
    accepted(&[]);
    accepted(&[
        read(0, 1, None),
        put(2, 3, 1, 10),
        read(4, 5, Some((1, 10))),
        op(6, 7, 2, Ask::PutIf(Some(10)), Told::Done(11)),
        op(8, 9, 3, Ask::PutIf(Some(10)), Told::Conflict(Some(11))),
        op(10, 11, 4, Ask::Delete, Told::Done(12)),
        op(12, 13, 5, Ask::PutIf(None), Told::Done(13)),
        read(14, 15, Some((5, 13))),
    ]);
}

#[test]
fn what_overlaps_may_be_in_any_order_but_in_one_only() {
    // Two puts and two reads at a time: the first read sees the second put.
    let puts = [put(0, 10, 1, 6), put(1, 9, 2, 5)];
    accepted(&[puts[0], puts[1], read(2, 3, Some((2, 5))), read(4, 5, Some((1, 6)))]);
    // The other way round the versions say otherwise.
    refused(&[puts[0], puts[1], read(2, 3, Some((1, 6))), read(4, 5, Some((2, 5)))], NO_ORDER);
}

#[test]
fn a_stale_read_is_refused() {
    let history = [put(0, 1, 1, 10), put(2, 3, 2, 11), read(4, 5, Some((1, 10)))];
    refused(&history, NO_ORDER);
    refused(&[put(0, 1, 1, 10), read(2, 3, None)], NO_ORDER);
    // Two readers of a write under way: once it was seen, it was there.
    let write = put(0, 20, 1, 10);
    accepted(&[write, read(1, 2, None), read(3, 4, Some((1, 10)))]);
    refused(&[write, read(1, 2, Some((1, 10))), read(3, 4, None)], NO_ORDER);
}

#[test]
fn a_lost_acknowledged_write_is_refused() {
    let history = [put(0, 1, 1, 10), put(2, 3, 2, 11), read(4, 5, None)];
    refused(&history, NO_ORDER);
    // Not lost, but deleted.
    let delete = op(2, 6, 2, Ask::Delete, Told::Unknown);
    accepted(&[put(0, 1, 1, 10), delete, read(4, 5, None)]);
}

#[test]
fn a_write_that_is_applied_twice_is_refused() {
    let puts = [put(0, 1, 1, 10), put(2, 3, 2, 11)];
    refused(&[puts[0], puts[1], read(4, 5, Some((1, 12)))], "written at 10 and again at 12");
    let again = [puts[0], read(2, 3, Some((1, 10))), put(4, 5, 2, 11), read(6, 7, Some((2, 11)))];
    accepted(&again);
    refused(&[&again[..], &[read(8, 9, Some((1, 10)))]].concat(), NO_ORDER);
    // The same of one whose outcome nobody knew: it may happen once.
    let unknown = [lost(0, 1), put(2, 3, 2, 11)];
    accepted(&[unknown[0], unknown[1], read(4, 5, Some((1, 12)))]);
    let back = [read(4, 5, Some((1, 12))), put(6, 7, 3, 13), read(8, 9, Some((1, 12)))];
    refused(&[&unknown[..], &back[..]].concat(), NO_ORDER);
}

#[test]
fn an_unknown_outcome_may_come_late_or_never_but_not_be_taken_back() {
    let unknown = lost(0, 1);
    accepted(&[unknown, read(5, 6, None), read(7, 8, None)]);
    accepted(&[unknown, read(5, 6, None), read(7, 8, Some((1, 10))), read(9, 10, Some((1, 10)))]);
    refused(&[unknown, read(5, 6, Some((1, 10))), read(7, 8, None)], NO_ORDER);
    // Never before it was asked for.
    refused(&[read(0, 1, Some((1, 10))), lost(2, 1)], NO_ORDER);
    // One under a condition happens only where the condition holds.
    let conditional = op(2, 3, 2, Ask::PutIf(Some(10)), Told::Unknown);
    accepted(&[put(0, 1, 1, 10), conditional, read(4, 5, Some((2, 11)))]);
    let other = op(2, 3, 2, Ask::PutIf(None), Told::Unknown);
    refused(&[put(0, 1, 1, 10), other, read(4, 5, Some((2, 11)))], NO_ORDER);
}

#[test]
fn a_refused_write_that_is_read_is_refused() {
    let written = op(0, 1, 1, Ask::Put, Told::Refused);
    accepted(&[written, read(2, 3, None)]);
    refused(&[written, read(2, 3, Some((1, 10)))], "nobody can have written");
    let conflict = op(0, 1, 1, Ask::PutIf(Some(3)), Told::Conflict(None));
    refused(&[conflict, read(2, 3, Some((1, 10)))], "nobody can have written");
    refused(&[read(2, 3, Some((7, 10)))], "nobody can have written");
}

#[test]
fn a_condition_that_did_not_hold_is_refused() {
    // Two that both replaced the same version: one update is lost.
    let first = put(0, 1, 1, 10);
    let swap = |id, index| op(2, 9, id, Ask::PutIf(Some(10)), Told::Done(index));
    accepted(&[first, swap(2, 11)]);
    refused(&[first, swap(2, 11), swap(3, 12)], NO_ORDER);
    // A conflict where there was none, and one with a version that was never there at that time.
    let conflict = |actual| op(2, 3, 2, Ask::PutIf(Some(10)), Told::Conflict(actual));
    refused(&[first, conflict(Some(10))], NO_ORDER);
    refused(&[first, conflict(None)], NO_ORDER);
    let later = put(4, 5, 3, 11);
    refused(&[first, conflict(Some(11)), later], NO_ORDER);
    // The version of a write that nobody knows of otherwise.
    accepted(&[first, lost(1, 4), conflict(Some(11))]);
    refused(&[first, conflict(Some(11))], NO_ORDER);
}

#[test]
fn two_writes_at_one_index_are_refused() {
    refused(&[put(0, 9, 1, 10), put(1, 8, 2, 10)], "both written at 10");
    // A delete has an index of its own, too.
    refused(&[put(0, 1, 1, 10), op(2, 3, 2, Ask::Delete, Told::Done(10))], NO_ORDER);
}

#[test]
fn keys_are_judged_apart() {
    let of = |key, event| Event { key, ..event };
    let history = [of(1, put(0, 1, 1, 10)), of(2, read(2, 3, None)), of(1, read(4, 5, None))];
    accepted(&history[..2]);
    refused(&history, "key 1");
}

/// Tries all orders of all choices of the unknown ones. `known` is what was read of versions, as the judge knows it.
struct Trying<'a> {
    known: &'a BTreeMap<u64, u64>,
}

impl Trying<'_> {
    /// Whether a value may have a version: the one that was told, or one that no other has.
    fn has(&self, value: Option<u64>, version: Option<u64>) -> bool {
        match (value, version) {
            (Some(value), Some(version)) => match self.known.get(&value) {
                Some(known) => *known == version,
                None => self.known.values().all(|known| *known != version),
            },
            (value, version) => value.is_none() && version.is_none(),
        }
    }

    fn explains(&self, left: &[Event], value: Option<u64>, last: u64) -> bool {
        let must = |event: &&Event| event.told != Told::Unknown;
        let Some(first_end) = left.iter().filter(must).map(|event| event.end).min() else {
            return true;
        };
        (0..left.len()).any(|at| {
            let event = &left[at];
            let rest = [&left[..at], &left[at + 1..]].concat();
            let fits = event.begin < first_end
                && match (event.ask, event.told) {
                    (Ask::Read, Told::Found { value: found, .. }) => {
                        return event.begin < first_end
                            && found.map(|(value, _)| value) == value
                            && self.explains(&rest, value, last);
                    }
                    (Ask::PutIf(wanted), Told::Conflict(actual)) => {
                        return event.begin < first_end
                            && wanted != actual
                            && self.has(value, actual)
                            && self.explains(&rest, value, last);
                    }
                    (Ask::PutIf(wanted), _) => self.has(value, wanted),
                    _ => true,
                };
            match self.known.get(&event.id) {
                Some(index) => {
                    fits && *index > last && self.explains(&rest, Some(event.id), *index)
                }
                None => fits && self.explains(&rest, Some(event.id), last),
            }
        })
    }
}

/// The same verdict, the slow way.
fn by_trying(history: &[Event]) -> bool {
    let mut known = BTreeMap::new();
    for event in history {
        match event.told {
            Told::Found { value: Some((value, version)), .. } => known.insert(value, version),
            Told::Done(index) => known.insert(event.id, index),
            _ => None,
        };
    }
    Trying { known: &known }.explains(history, None, 0)
}

/// A few operations at a time; what is told is often true, sometimes not.
fn at_random(rng: &mut Rng) -> Vec<Event> {
    let writes = 1 + rng.below(3);
    let mut history = Vec::new();
    for id in 1..=writes {
        let begin = rng.below(30);
        let ask = match rng.below(3) {
            0 => Ask::PutIf(rng.chance(1, 2).then(|| 10 * (1 + rng.below(writes)))),
            _ => Ask::Put,
        };
        let told = if rng.chance(1, 3) { Told::Unknown } else { Told::Done(10 * id) };
        history.push(op(2 * begin, 2 * (begin + 1 + rng.below(12)) + 1, id, ask, told));
    }
    for n in 0..1 + rng.below(4) {
        let begin = rng.below(40);
        let some = rng.chance(3, 4).then(|| 1 + rng.below(writes));
        let end = 2 * (begin + 1 + rng.below(8)) + 1;
        let conflict = Told::Conflict(some.map(|id| 10 * id));
        let (ask, told) = match rng.below(4) {
            0 => (Ask::PutIf(Some(10 * (1 + rng.below(writes)))), conflict),
            _ => (Ask::Read, Told::Found { value: some.map(|id| (id, 10 * id)), index: 0 }),
        };
        history.push(op(2 * begin, end, 100 + n, ask, told));
    }
    history
}

#[test]
fn the_search_agrees_with_trying_all_orders() {
    let mut rng = Rng::new(4);
    let mut verdicts = [0, 0];
    for round in 0..20_000 {
        let history = at_random(&mut rng);
        let (judged, tried) = (check(&history), by_trying(&history));
        assert_eq!(judged.is_ok(), tried, "round {round}: {judged:?} of {history:#?}");
        verdicts[usize::from(tried)] += 1;
    }
    assert!(verdicts[0] > 2000 && verdicts[1] > 2000, "both happen often: {verdicts:?}");
}

#[test]
fn a_long_history_with_many_unknown_outcomes_is_decided() {
    // Forty clients at a time, a third of their writes unknown, every tenth of those seen.
    let mut rng = Rng::new(9);
    let (mut history, mut value) = (Vec::new(), None);
    for n in 1..600u64 {
        let at = 100 * n;
        let (begin, end) = (at - 2 * rng.below(50), at + 1 + 2 * rng.below(200));
        if rng.chance(1, 2) {
            history.push(op(begin, end, 10_000 + n, Ask::Read, Told::Found { value, index: 0 }));
            continue;
        }
        let happens = !rng.chance(1, 3) || rng.chance(1, 10);
        let told = if happens && rng.chance(5, 6) { Told::Done(at) } else { Told::Unknown };
        history.push(op(begin, end, n, Ask::Put, told));
        if happens {
            value = Some((n, at));
        }
    }
    // Of those that were seen with no version told, the version is what was read.
    accepted(&history);
    let broken = history.iter().rposition(|e| matches!(e.told, Told::Found { .. }));
    let broken = broken.expect("there are reads");
    history[broken].told = Told::Found { value: None, index: 0 };
    refused(&history, NO_ORDER);
}
