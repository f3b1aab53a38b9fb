//! The checker: what was acknowledged is there on every node, nothing is there twice, what was refused is not there, and no
//! epoch has had two leaders.

use super::ask::{CHRONOS, MARATHON};
use super::node::until;
use super::record::{Attempt, Outcome, Reign, Seen, Written};
use super::world::World;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Of how many apps the versions are looked at.
const VERSIONS: usize = 40;

/// Answers that took longer are told.
const SLOW: Duration = Duration::from_secs(2);

/// What is wrong with a history; empty if nothing is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<String>);

impl Faults {
    fn find(&mut self, wrong: bool, text: impl FnOnce() -> String) {
        if wrong {
            self.0.push(text());
        }
    }
}

/// Compares what was done with what is there in the end: names of values, as often as they are listed.
pub fn judge(values: &BTreeMap<Written, Outcome>, there: &[Written], node: usize) -> Faults {
    let mut faults = Faults::default();
    let mut counts: BTreeMap<&Written, usize> = BTreeMap::new();
    there.iter().for_each(|value| *counts.entry(value).or_default() += 1);
    for (value, outcome) in values {
        let count = counts.get(value).copied().unwrap_or(0);
        match outcome {
            Outcome::Acknowledged => faults
                .find(count == 0, || format!("h{node}: {value:?} was acknowledged and is lost")),
            Outcome::Refused => {
                faults.find(count > 0, || format!("h{node}: {value:?} was refused and is there"))
            }
            Outcome::Unknown => {}
        }
        faults.find(count > 1, || format!("h{node}: {value:?} is there {count} times"));
    }
    for value in counts.keys() {
        faults
            .find(!values.contains_key(*value), || format!("h{node}: nobody ever wrote {value:?}"));
    }
    faults
}

/// An epoch has one leader, and who asks after a later one was seen does not see an earlier one.
pub fn judge_reigns(reigns: &[Reign]) -> Faults {
    let mut faults = Faults::default();
    let mut leaders: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    for reign in reigns {
        leaders.entry(reign.epoch).or_default().insert(reign.leader);
    }
    for (epoch, leaders) in leaders {
        faults.find(leaders.len() > 1, || format!("epoch {epoch} had {leaders:?} for leaders"));
    }
    let mut by_end: Vec<&Reign> = reigns.iter().collect();
    by_end.sort_by_key(|reign| reign.answered);
    for reign in reigns {
        let before = by_end.partition_point(|other| other.answered < reign.asked);
        let known = by_end[..before].iter().map(|other| other.epoch).max().unwrap_or(0);
        faults.find(reign.epoch < known, || {
            format!("h{} told of epoch {} when {known} had been seen", reign.by, reign.epoch)
        });
    }
    faults
}

/// What each node has said of epochs it leads in, in all its lives.
fn epochs_told(world: &World) -> BTreeMap<u64, Vec<usize>> {
    let mut told: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for node in &world.nodes {
        let said = node.said();
        for line in said.lines() {
            let epoch = line.split_once("leading with epoch ").map(|(_, rest)| rest.trim());
            if let Some(epoch) = epoch.and_then(|e| e.parse().ok()) {
                told.entry(epoch).or_default().push(node.host.number());
            }
        }
    }
    told
}

/// The values of a load, as a node lists them.
fn there(world: &World, node: usize, load: &str) -> Option<Vec<Written>> {
    let apps = world.look(node, MARATHON, "/v2/apps?id=/w/");
    let jobs = world.look(node, CHRONOS, "/v1/scheduler/jobs");
    let apps = apps["apps"].as_array()?.iter().filter_map(|app| app["id"].as_str());
    let apps = apps.filter_map(|id| id.strip_prefix("/w/")).map(String::from).map(Written::App);
    let jobs = jobs.as_array()?.iter().filter_map(|job| job["name"].as_str());
    let jobs = jobs.map(String::from).map(Written::Job);
    let is_of = |value: &Written| value.name().starts_with(&format!("{load}-"));
    Some(apps.chain(jobs).filter(is_of).collect())
}

/// Looks at all values through each of these nodes, at all that readers saw, and at what the nodes said.
#[track_caller]
pub fn check(world: &World, nodes: &[usize], seen: &Seen) {
    let values = seen.values();
    let acknowledged = || values.iter().filter(|(_, o)| **o == Outcome::Acknowledged);
    let outcomes = |outcome| seen.attempts.iter().filter(|a| a.outcome == outcome).count();
    eprintln!(
        "{} values, {} acknowledged; attempts: {} refused, {} unknown; longest without: {:.1?}; {} looks at the leader",
        values.len(),
        acknowledged().count(),
        outcomes(Outcome::Refused),
        outcomes(Outcome::Unknown),
        seen.longest_gap(nodes),
        seen.reigns.len(),
    );
    let slow = |a: &&Attempt| a.ended - a.begun > SLOW;
    for attempt in seen.attempts.iter().filter(slow) {
        let took = attempt.ended - attempt.begun;
        eprintln!(
            "  slow, by h{}: {took:.1?}, {:?}: {}",
            attempt.node, attempt.outcome, attempt.text
        );
    }
    let mut others: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for attempt in seen.attempts.iter().filter(|a| a.outcome == Outcome::Unknown) {
        *others.entry((attempt.node, &attempt.text)).or_default() += 1;
    }
    for ((node, text), count) in others {
        eprintln!("  {count} times unknown, by h{node}: {text}");
    }
    let mut faults = judge_reigns(&seen.reigns);
    for node in nodes {
        let mut listed = None;
        until(&format!("h{node} lists what there is"), || {
            listed = there(world, *node, &seen.load);
            listed.is_some()
        });
        faults.0.extend(judge(&values, &listed.unwrap_or_default(), *node).0);
    }
    // Whatever was written once has one version.
    for (n, value) in acknowledged().map(|(value, _)| value).enumerate() {
        if let Written::App(name) = value
            && n % (values.len() / VERSIONS + 1) == 0
        {
            let path = format!("/v2/apps//w/{name}/versions");
            let versions: Value = world.look(nodes[0], MARATHON, &path);
            let count = versions["versions"].as_array().map_or(0, Vec::len);
            faults.find(count != 1, || format!("{name} has {count} versions"));
        }
    }
    for (epoch, leaders) in epochs_told(world) {
        faults.find(leaders.len() > 1, || format!("{leaders:?} said they lead with {epoch}"));
    }
    let stale = seen.stale.iter().map(|text| format!("acknowledged before and not seen: {text}"));
    faults.0.extend(stale);
    assert!(faults.0.is_empty(), "{:#?}", faults.0);
    assert!(acknowledged().count() > 0, "nothing was ever acknowledged");
}

#[test]
fn the_checker_sees_what_is_wrong() {
    let app = |n: &str| Written::App(n.into());
    let values: BTreeMap<Written, Outcome> = [
        (app("a"), Outcome::Acknowledged),
        (app("b"), Outcome::Refused),
        (app("c"), Outcome::Unknown),
    ]
    .into();
    let faults = |there: &[&str]| {
        let there: Vec<Written> = there.iter().map(|n| app(n)).collect();
        judge(&values, &there, 1).0.len()
    };
    assert_eq!(faults(&["a"]), 0);
    assert_eq!(faults(&["a", "c"]), 0);
    assert_eq!(faults(&[]), 1, "lost");
    assert_eq!(faults(&["a", "a"]), 1, "twice");
    assert_eq!(faults(&["a", "b"]), 1, "refused, and there all the same");
    assert_eq!(faults(&["a", "d"]), 1, "nobody wrote it");
}

#[test]
fn the_checker_sees_two_leaders_and_steps_back() {
    use std::time::Instant;
    let zero = Instant::now();
    let reign = |epoch, leader, at| Reign {
        epoch,
        leader,
        asked: zero + Duration::from_secs(at),
        answered: zero + Duration::from_secs(at + 2),
        by: 1,
    };
    let faults = |reigns: &[Reign]| judge_reigns(reigns).0.len();
    assert_eq!(faults(&[reign(1, 1, 0), reign(5, 2, 3), reign(5, 2, 9)]), 0);
    // Asked before the later one was known: either may be the answer.
    assert_eq!(faults(&[reign(5, 2, 3), reign(1, 1, 4)]), 0);
    assert_eq!(faults(&[reign(5, 2, 3), reign(1, 1, 6)]), 1);
    assert_eq!(faults(&[reign(5, 2, 3), reign(5, 1, 3)]), 1);
}
