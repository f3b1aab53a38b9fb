//! Jobs that follow jobs.

use super::world::World;
use crate::chronos::core::io::{Answer, Command};
use crate::chronos::core::row::Outcome;
use crate::chronos::core::run::Cause;
use serde_json::json;

/// A job that fails at once.
fn upload_strict(world: &mut World, name: &str, parents: &[&str], soft: bool) {
    let mut job = json!({"name": name, "command": "c", "retries": 0, "softError": soft});
    match parents {
        [] => job["schedule"] = "R/2030-01-01T00:00:00Z/P1Y".into(),
        parents => job["parents"] = json!(parents),
    }
    world.upload(job);
}

fn run(world: &mut World, name: &str) {
    world.force(name);
    world.finish(name);
}

/// covers: CHR-0060
/// covers: CHR-0066
/// covers: CHR-0068
/// covers: CHR-0072
#[test]
fn a_job_runs_when_all_its_parents_have_succeeded() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.idle(name);
    }
    world.dependent("one", &["a"]);
    world.dependent("two", &["a", "b"]);
    world.dependent("three", &["a", "b", "c"]);
    run(&mut world, "a");
    assert_eq!((world.live_of("one").len(), world.live_of("two").len()), (1, 0));
    run(&mut world, "a");
    assert_eq!(world.live_of("two").len(), 0);
    run(&mut world, "b");
    assert_eq!((world.live_of("two").len(), world.live_of("three").len()), (1, 0));
    run(&mut world, "c");
    assert_eq!(world.live_of("three").len(), 1);
    world.finish_all();
    assert!(world.rows("three").iter().all(|r| r.cause == Cause::Triggered));
    // The next round needs all of them again.
    run(&mut world, "b");
    assert_eq!(world.live_of("two").len(), 0);
}

/// covers: CHR-0061
/// covers: CHR-0062
#[test]
fn a_failed_parent_triggers_only_if_its_error_is_soft() {
    let mut world = World::new();
    upload_strict(&mut world, "soft", &[], true);
    upload_strict(&mut world, "hard", &[], false);
    world.dependent("of-soft", &["soft"]);
    world.dependent("of-hard", &["hard"]);
    for name in ["soft", "hard"] {
        world.force(name);
        world.fail(name);
    }
    assert_eq!((world.live_of("of-soft").len(), world.live_of("of-hard").len()), (1, 0));
}

/// covers: CHR-0059
/// covers: CHR-0067
#[test]
fn a_disabled_child_does_not_run() {
    let mut world = World::new();
    world.idle("a");
    world.dependent("b", &["a"]);
    world.dependent("c", &["b"]);
    world.upload(json!({"name": "off", "command": "c", "parents": ["a"], "disabled": true}));
    let marked = world.ask(Command::MarkSuccess { name: "a".into() });
    assert_eq!(marked, Answer::Marked(true));
    assert_eq!((world.live_of("b").len(), world.live_of("off").len()), (1, 0));
    assert_eq!(world.outcomes("off"), [Outcome::Skipped]);
    assert_eq!(world.shown("off")["successCount"], 0);
    world.finish("b");
    assert_eq!(world.live_of("c").len(), 1);
    assert_eq!(world.ask(Command::MarkSuccess { name: "x".into() }), Answer::Marked(false));
}

/// covers: CHR-0063
/// covers: CHR-0071
#[test]
fn a_new_parent_is_waited_for() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.idle(name);
    }
    world.dependent("child", &["a", "b", "a"]);
    run(&mut world, "a");
    world.dependent("child", &["a", "b", "c"]);
    run(&mut world, "b");
    assert!(world.live_of("child").is_empty());
    run(&mut world, "c");
    assert_eq!(world.live_of("child").len(), 1);
}

/// covers: CHR-0064
/// covers: CHR-0073
#[test]
fn a_diamond_runs_once_a_round_whatever_the_order() {
    let mut world = World::new();
    world.idle("a");
    world.dependent("b", &["a"]);
    world.dependent("c", &["a"]);
    world.dependent("d", &["b"]);
    world.dependent("e", &["b", "c"]);
    world.dependent("f", &["d", "e"]);
    for (round, first, second) in [(1, "b", "c"), (2, "c", "b")] {
        run(&mut world, "a");
        world.finish(first);
        assert!(world.live_of("e").is_empty());
        world.finish(second);
        assert_eq!((world.live_of("d").len(), world.live_of("e").len()), (1, 1));
        world.finish("e");
        assert!(world.live_of("f").is_empty());
        world.finish("d");
        world.finish("f");
        for name in ["a", "b", "c", "d", "e", "f"] {
            assert_eq!(world.shown(name)["successCount"], round, "{name}");
        }
    }
}

/// covers: CHR-0075
#[test]
fn after_a_failed_round_a_parent_that_starts_again_counts_anew() {
    let mut world = World::new();
    upload_strict(&mut world, "slow", &[], false);
    upload_strict(&mut world, "fast", &[], false);
    world.dependent("join", &["slow", "fast"]);
    for name in ["fast", "slow"] {
        world.force(name);
    }
    world.fail("fast");
    world.finish("slow");
    // The next round.
    for name in ["fast", "slow"] {
        world.force(name);
    }
    world.finish("fast");
    assert!(world.live_of("join").is_empty());
    world.finish("slow");
    assert_eq!(world.live_of("join").len(), 1);
}

#[test]
fn parents_that_never_rest_at_once_do_not_starve_a_child() {
    let mut world = World::new();
    world.idle("a");
    world.idle("b");
    world.dependent("child", &["a", "b"]);
    world.force("a");
    world.force("b");
    world.finish("a");
    world.force("a");
    world.finish("b");
    assert_eq!(world.live_of("child").len(), 1);
}

/// covers: CHR-0076
#[test]
fn what_parents_did_survives_a_restart() {
    let mut world = World::new();
    world.idle("a");
    world.idle("b");
    world.dependent("child", &["a", "b"]);
    run(&mut world, "a");
    world.restart();
    run(&mut world, "b");
    assert_eq!(world.live_of("child").len(), 1);
}

/// covers: CHR-0065
/// covers: CHR-0078
#[test]
fn an_upload_again_does_not_lose_what_parents_did() {
    let mut world = World::new();
    world.idle("a");
    world.idle("b");
    world.dependent("child", &["a", "b"]);
    run(&mut world, "a");
    world.dependent("child", &["a", "b"]);
    world.idle("a");
    run(&mut world, "b");
    assert_eq!(world.live_of("child").len(), 1);
}

/// covers: CHR-0069
/// covers: CHR-0077
#[test]
fn cycles_and_unknown_parents_are_refused_and_change_nothing() {
    let mut world = World::new();
    world.idle("a");
    world.dependent("b", &["a"]);
    world.dependent("c", &["b"]);
    let before = world.store.clone();
    let refused = |world: &mut World, name: &str, parents: &[&str]| {
        let json = json!({"name": name, "command": "c", "parents": parents});
        let problem = world.try_upload(json).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("parents"));
        problem.message
    };
    let unknown = refused(&mut world, "d", &["a", "nobody"]);
    assert!(unknown.starts_with("requirement failed: Job d does not have all parents defined!"));
    let cycle = refused(&mut world, "a", &["c"]);
    assert!(cycle.ends_with("a -> c -> b -> a"), "{cycle}");
    refused(&mut world, "b", &["b"]);
    refused(&mut world, "b", &["a", "c"]);
    assert_eq!(world.store, before);
    run(&mut world, "a");
    assert_eq!(world.live_of("b").len(), 1);
}

/// covers: CHR-0162
#[test]
fn deleting_a_job_in_the_middle_hands_its_parents_on() {
    let mut world = World::new();
    world.idle("a");
    world.idle("x");
    world.dependent("b", &["a"]);
    world.dependent("c", &["b", "x"]);
    run(&mut world, "x");
    assert_eq!(world.ask(Command::Delete { name: "b".into() }), Answer::Done);
    assert_eq!(world.shown("c")["parents"], json!(["a", "x"]));
    run(&mut world, "a");
    assert_eq!(world.live_of("c").len(), 1);
}

/// covers: CHR-0163
#[test]
fn deleting_a_scheduled_root_makes_its_children_scheduled() {
    let mut world = World::new();
    world.upload(json!({"name": "root", "command": "c", "schedule": "R/2024-01-01T02:00:00/PT1H",
        "scheduleTimeZone": "Europe/Paris"}));
    world.upload(json!({"name": "child", "command": "c", "parents": ["root"], "shell": false,
        "arguments": ["x"], "concurrent": true, "constraints": [["rack", "EQUALS", "r1"]],
        "environmentVariables": [{"name": "A", "value": "b"}]}));
    let mut expected = world.shown("child");
    world.advance(1);
    assert_eq!(world.ask(Command::Delete { name: "root".into() }), Answer::Done);
    let map = expected.as_object_mut().unwrap();
    map.remove("parents");
    map.insert("schedule".into(), "R/2024-01-01T02:00:00/PT1H".into());
    map.insert("scheduleTimeZone".into(), "Europe/Paris".into());
    assert_eq!(world.shown("child"), expected);
    world.restart();
    assert_eq!(world.shown("child"), expected);
    let next = world.core.job("child").unwrap().job.next;
    assert_eq!(next, Some(super::world::ms("2024-01-01T01:00:00Z")));
}
