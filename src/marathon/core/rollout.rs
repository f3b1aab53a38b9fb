//! How many instances a rolling replacement may kill and start now. Pure arithmetic over counts: whoever asks again
//! after each change gets the next moves, also after a crash in the middle.
//!
//! The rules are Marathon's, applied to the present instead of once at the beginning. Instances that are being killed
//! count as capacity until they have ended, so the upper bound holds for what really runs.

use crate::marathon::model::UpgradeStrategy;

/// What there is of an app whose instances are being replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Present {
    /// How many there shall be of the new definition.
    pub target: usize,
    /// Of former definitions, launched and not being killed.
    pub old: usize,
    /// Of these, in service: healthy, or running if there are no health checks.
    pub old_in_service: usize,
    /// Of the new definition and not being killed, also those that wait to be launched.
    pub new: usize,
    /// Of these, in service and ready.
    pub new_in_service: usize,
    /// Being killed and not yet ended.
    pub leaving: usize,
}

/// What may be done now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// Kill so many old ones; those not in service first.
    pub kill_old: usize,
    /// Kill so many new ones, which are more than the target; those not in service first.
    pub kill_new: usize,
    /// Start so many new ones.
    pub start: usize,
    /// How many there may be, with those that are being killed.
    pub most: usize,
    /// All is done.
    pub done: bool,
}

/// What 0.7 × 10 is in binary may be a little more than 7.
const ROUNDING: f64 = 1e-9;

/// How many have to be in service at least.
pub(super) fn least_in_service(target: usize, strategy: &UpgradeStrategy) -> usize {
    (target as f64 * strategy.minimum_health_capacity - ROUNDING).ceil().max(0.0) as usize
}

/// How many there may be at the most, without the one that is allowed where nothing would move otherwise.
pub(super) fn most(target: usize, strategy: &UpgradeStrategy) -> usize {
    (target as f64 * (1.0 + strategy.maximum_over_capacity) + ROUNDING).floor() as usize
}

/// The next moves.
pub(super) fn next(now: Present, strategy: &UpgradeStrategy) -> Moves {
    let least = least_in_service(now.target, strategy);
    let mut most = most(now.target, strategy);
    let in_service = now.old_in_service + now.new_in_service;
    // All have to stay and none may be added: nothing would ever move, so one is added.
    if least == most && most <= in_service {
        most += 1;
    }
    let spare = in_service.saturating_sub(least);
    // Each new one in service takes the place of an old one, of one out of service first: so this costs no service.
    let surplus = (now.old + now.new_in_service).saturating_sub(now.target);
    let there = now.old + now.new + now.leaving;
    let start = now.target.saturating_sub(now.new).min(most.saturating_sub(there));
    let mut kill_old = spare.max(surplus).min(now.old);
    let waiting = now.new - now.new_in_service + now.leaving;
    let out_of_service = now.old - now.old_in_service;
    if kill_old == 0 && start == 0 && waiting == 0 && out_of_service > 0 && now.new < now.target {
        // No room, and nothing that could make some: an old one that serves nobody has to go.
        kill_old = 1;
    }
    let extra = now.new.saturating_sub(now.target);
    let kill_new = if now.old == 0 { extra } else { extra.min(spare - kill_old.min(spare)) };
    let done = now.old == 0
        && now.leaving == 0
        && now.new == now.target
        && now.new_in_service == now.target;
    Moves { kill_old, kill_new, start, most, done }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(least: f64, over: f64) -> UpgradeStrategy {
        UpgradeStrategy { minimum_health_capacity: least, maximum_over_capacity: over }
    }

    fn all_old(count: usize, target: usize) -> Present {
        Present { target, old: count, old_in_service: count, ..Present::default() }
    }

    /// Plays a replacement to its end: (most killed at once at first, most that were there, least in service).
    fn play(mut now: Present, strategy: &UpgradeStrategy) -> (Moves, usize, usize) {
        let first = next(now, strategy);
        let (mut most, mut least) = (0, usize::MAX);
        for _ in 0..1000 {
            let moves = next(now, strategy);
            if moves.done {
                return (first, most, least);
            }
            // Those not in service go first.
            let idle = now.old - now.old_in_service;
            now.old -= moves.kill_old;
            now.old_in_service -= moves.kill_old.saturating_sub(idle).min(now.old_in_service);
            now.leaving += moves.kill_old;
            now.new += moves.start;
            most = most.max(now.old + now.new + now.leaving);
            least = least.min(now.old_in_service + now.new_in_service);
            // One thing happens: a kill takes effect, or else a new one gets into service.
            if now.leaving > 0 {
                now.leaving -= 1;
            } else if now.new_in_service < now.new {
                now.new_in_service += 1;
            } else {
                assert!(moves.kill_old + moves.start > 0, "nothing moves: {now:?}");
            }
        }
        panic!("it never ends");
    }

    // covers: MAR-0322, MAR-0323, MAR-0324, MAR-0325, MAR-0331, MAR-0332
    #[test]
    fn first_moves() {
        for (now, least, over, kill, start) in [
            (all_old(10, 10), 1.0, 1.0, 0, 10),
            (all_old(10, 10), 0.5, 0.0, 5, 0),
            (all_old(10, 10), 1.0, 0.0, 0, 1),
            (all_old(1, 1), 0.0, 0.0, 1, 0),
            (all_old(1, 1), 1.0, 1.0, 0, 1),
            (all_old(0, 5), 1.0, 0.0, 0, 5),
            (all_old(3, 3), 1.0, 2.0 / 3.0, 0, 2),
            (Present { old_in_service: 3, ..all_old(10, 10) }, 0.5, 1.0, 0, 10),
            (all_old(10, 4), 1.0, 0.0, 6, 0),
            (Present { old_in_service: 1, ..all_old(10, 4) }, 1.0, 0.0, 6, 0),
        ] {
            let moves = next(now, &strategy(least, over));
            assert_eq!((moves.kill_old, moves.start), (kill, start), "{now:?} {least} {over}");
        }
    }

    // covers: MAR-0330
    #[test]
    fn the_bounds_hold_all_the_way_and_it_ends() {
        for count in 1..12 {
            for target in 1..12 {
                for (least, over) in
                    [(1.0, 1.0), (1.0, 0.0), (0.5, 0.0), (0.0, 0.0), (0.7, 0.3), (0.9, 0.1)]
                {
                    let strategy = strategy(least, over);
                    let (_, most_seen, least_seen) = play(all_old(count, target), &strategy);
                    let bound = most(target, &strategy).max(count);
                    let bound = bound.max(least_in_service(target, &strategy) + 1);
                    assert!(most_seen <= bound, "{count} {target} {least} {over}: {most_seen}");
                    let floor = least_in_service(target, &strategy).min(count);
                    assert!(least_seen >= floor, "{count} {target} {least} {over}: {least_seen}");
                }
            }
        }
    }

    #[test]
    fn old_ones_that_serve_nobody_do_not_block() {
        let dead = Present { target: 3, old: 3, ..Present::default() };
        let moves = next(dead, &strategy(1.0, 0.0));
        assert_eq!((moves.kill_old, moves.start), (1, 0));
        let going = Present { old: 2, leaving: 1, ..dead };
        assert_eq!(next(going, &strategy(1.0, 0.0)), Moves { most: 3, ..Moves::default() });
        let (_, most_seen, _) = play(dead, &strategy(1.0, 0.0));
        assert!(most_seen <= 4);
    }

    #[test]
    fn parts_are_not_rounded_up_by_binary_fractions() {
        assert_eq!(least_in_service(10, &strategy(0.7, 0.0)), 7);
        assert_eq!(most(10, &strategy(1.0, 0.1)), 11);
        assert_eq!(least_in_service(3, &strategy(0.5, 0.0)), 2);
    }

    #[test]
    fn old_ones_that_serve_nobody_go_when_all_new_ones_serve() {
        let now = Present { target: 2, old: 2, new: 2, new_in_service: 2, ..Present::default() };
        assert_eq!(next(now, &strategy(1.0, 1.0)).kill_old, 2);
        let half = Present { new_in_service: 1, ..now };
        assert_eq!(next(half, &strategy(1.0, 1.0)).kill_old, 1);
    }

    // covers: MAR-0333, MAR-0335
    #[test]
    fn it_is_done_when_all_are_new_and_none_is_leaving() {
        let replaced = Present { target: 2, new: 2, new_in_service: 2, ..Present::default() };
        assert!(next(replaced, &strategy(1.0, 1.0)).done);
        let leaving = Present { leaving: 1, ..replaced };
        assert!(!next(leaving, &strategy(1.0, 1.0)).done);
    }
}
