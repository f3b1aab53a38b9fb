//! Whether leaders kept to their epochs, and the log to one order for all keys: judged by a record that each batch leaves
//! behind, whatever its client was told.

use super::history::{Ask, Begun, Event, Process, Told};
use std::collections::{BTreeMap, BTreeSet};

/// What a batch has left: which write it was, where in the log, under which epoch, through whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub id: u64,
    pub index: u64,
    pub epoch: u64,
    pub by: Process,
}

/// Judges a run.
///
/// # Errors
/// What is wrong.
pub fn check(events: &[Event], begun: &[Begun], rows: &[Row]) -> Result<(), String> {
    outcomes(events, rows)?;
    epochs(begun, rows)?;
    real_time(events)
}

/// What was acknowledged is there, once and where it was said to be; what was refused is not.
fn outcomes(events: &[Event], rows: &[Row]) -> Result<(), String> {
    let mut by_index = BTreeMap::new();
    for row in rows {
        if let Some(other) = by_index.insert(row.index, row.id) {
            return Err(format!("#{other} and #{} are both at {}", row.id, row.index));
        }
    }
    let mut left: BTreeMap<u64, &Row> = rows.iter().map(|row| (row.id, row)).collect();
    for event in events.iter().filter(|event| event.ask != Ask::Read) {
        match (event.told, left.remove(&event.id)) {
            (Told::Done(index), Some(row)) if row.index == index => {}
            (Told::Done(_), Some(row)) => {
                return Err(format!("applied again, at {}: {event}", row.index));
            }
            (Told::Done(_), None) => return Err(format!("acknowledged and lost: {event}")),
            (Told::Unknown, _) | (_, None) => {}
            (_, Some(row)) => {
                return Err(format!("refused, and applied at {}: {event}", row.index));
            }
        }
    }
    match left.values().next() {
        Some(row) => Err(format!("nobody asked for {row:?}")),
        None => Ok(()),
    }
}

/// One leader an epoch, and no batch of an older one after a newer began.
fn epochs(begun: &[Begun], rows: &[Row]) -> Result<(), String> {
    let mut leaders: BTreeMap<u64, Process> = BTreeMap::new();
    for Begun { epoch, by } in begun {
        if let Some(other) = leaders.insert(*epoch, *by) {
            return Err(format!("epoch {epoch} was begun by {other:?} and by {by:?}"));
        }
    }
    for row in rows {
        let newest = leaders.range(..row.index).next_back().map(|(epoch, _)| *epoch);
        if newest.is_some_and(|newest| newest != row.epoch) {
            return Err(format!("epoch {} had begun before {row:?}", newest.unwrap_or(0)));
        }
        if leaders.get(&row.epoch) != Some(&row.by) {
            let by = leaders.get(&row.epoch);
            return Err(format!("the epoch was begun by {by:?}, not by the leader of {row:?}"));
        }
    }
    Ok(())
}

/// Over all keys: what begins after something has ended is not before it in the log.
fn real_time(events: &[Event]) -> Result<(), String> {
    let index = |event: &Event| match event.told {
        Told::Done(index) | Told::Found { index, .. } => Some(index),
        _ => None,
    };
    let mut ended: BTreeMap<u64, (u64, Event)> = BTreeMap::new();
    for event in events {
        if let Some(index) = index(event) {
            ended.insert(event.end, (index, *event));
        }
    }
    // The newest index of all that have ended by then.
    let mut newest: Option<(u64, Event)> = None;
    for told in ended.values_mut() {
        if newest.is_none_or(|(index, _)| told.0 > index) {
            newest = Some(*told);
        }
        *told = newest.unwrap_or(*told);
    }
    for event in events {
        let Some(own) = index(event) else { continue };
        let Some((_, (before, other))) = ended.range(..event.begin).next_back() else { continue };
        // A read may reflect the very entry that was there already.
        if own < *before || (own == *before && event.ask != Ask::Read && other.id != event.id) {
            return Err(format!(
                "at {own}, after something at {before} had ended:\n{other}\n{event}"
            ));
        }
    }
    Ok(())
}

/// What the keys must be when the batches that left a record are applied in the order of the log: value and version.
pub fn replay(events: &[Event], rows: &[Row]) -> BTreeMap<usize, (u64, u64)> {
    let asked: BTreeMap<u64, &Event> = events.iter().map(|event| (event.id, event)).collect();
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| row.index);
    let mut keys = BTreeMap::new();
    for row in rows {
        let Some(event) = asked.get(&row.id) else { continue };
        if event.ask == Ask::Delete {
            keys.remove(&event.key);
        } else {
            keys.insert(event.key, (event.id, row.index));
        }
    }
    keys
}

/// Which epochs have left a batch.
pub fn used(rows: &[Row]) -> BTreeSet<u64> {
    rows.iter().map(|row| row.epoch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Process = Process { node: 1, start: 1 };
    const TWO: Process = Process { node: 2, start: 1 };

    fn done(begin: u64, end: u64, id: u64, index: u64) -> Event {
        Event { id, client: 0, key: 0, ask: Ask::Put, told: Told::Done(index), begin, end }
    }

    fn row(id: u64, index: u64, epoch: u64, by: Process) -> Row {
        Row { id, index, epoch, by }
    }

    fn refused(events: &[Event], begun: &[Begun], rows: &[Row], why: &str) {
        let e = check(events, begun, rows).expect_err(why);
        assert!(e.contains(why), "{e}");
    }

    #[test]
    fn two_leaders_in_their_own_epochs_are_accepted() {
        let begun = [Begun { epoch: 2, by: ONE }, Begun { epoch: 5, by: TWO }];
        let events = [done(0, 1, 1, 3), done(2, 3, 2, 6)];
        let rows = [row(1, 3, 2, ONE), row(2, 6, 5, TWO)];
        check(&events, &begun, &rows).expect("kept to their epochs");
        assert_eq!(replay(&events, &rows), BTreeMap::from([(0, (2, 6))]));
        assert_eq!(used(&rows), BTreeSet::from([2, 5]));
    }

    #[test]
    fn a_batch_of_an_old_epoch_after_a_newer_began_is_refused() {
        let begun = [Begun { epoch: 2, by: ONE }, Begun { epoch: 5, by: TWO }];
        let late = [done(0, 1, 1, 6)];
        refused(&late, &begun, &[row(1, 6, 2, ONE)], "epoch 5 had begun before");
    }

    #[test]
    fn two_leaders_in_one_epoch_are_refused() {
        let begun = [Begun { epoch: 2, by: ONE }];
        let events = [done(0, 1, 1, 3), done(2, 3, 2, 4)];
        let rows = [row(1, 3, 2, ONE), row(2, 4, 2, TWO)];
        refused(&events, &begun, &rows, "not by the leader");
        let twice = [Begun { epoch: 2, by: ONE }, Begun { epoch: 2, by: TWO }];
        refused(&[], &twice, &[], "epoch 2 was begun by");
        // A process that was started again is another leader.
        let again = [row(1, 3, 2, Process { start: 2, ..ONE })];
        refused(&events[..1], &begun, &again, "not by the leader");
    }

    #[test]
    fn outcomes_that_were_not_as_told_are_refused() {
        let begun = [Begun { epoch: 2, by: ONE }];
        let event = done(0, 1, 1, 3);
        refused(&[event], &begun, &[], "acknowledged and lost");
        refused(&[event], &begun, &[row(1, 4, 2, ONE)], "applied again");
        for told in [Told::Refused, Told::Conflict(None)] {
            let event = Event { told, ..event };
            refused(&[event], &begun, &[row(1, 3, 2, ONE)], "refused, and applied");
            check(&[event], &begun, &[]).expect("it was not");
        }
        let unknown = Event { told: Told::Unknown, ..event };
        check(&[unknown], &begun, &[row(1, 9, 2, ONE)]).expect("it was applied");
        check(&[unknown], &begun, &[]).expect("it was not applied");
        refused(&[], &begun, &[row(1, 3, 2, ONE)], "nobody asked");
    }

    #[test]
    fn what_came_later_is_not_earlier_in_the_log() {
        let begun = [Begun { epoch: 2, by: ONE }];
        let other = Event { key: 1, ..done(2, 3, 2, 3) };
        let events = [done(0, 1, 1, 4), other];
        let rows = [row(1, 4, 2, ONE), row(2, 3, 2, ONE)];
        refused(&events, &begun, &rows, "after something at 4 had ended");
        let found = Told::Found { value: None, index: 3 };
        let read = Event { ask: Ask::Read, told: found, key: 1, ..done(2, 3, 7, 0) };
        refused(&[events[0], read], &begun, &rows[..1], "after something at 4 had ended");
    }
}
