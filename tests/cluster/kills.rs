//! Processes and machines that die, while an app and a job run and values are written.

use super::history;
use super::load::Load;
use super::node::until;
use super::tasks::Lost;
use super::ticks::{check_ticks, tick};
use super::world::{World, rounds};
use std::collections::{BTreeMap, BTreeSet};

/// What an operator sets who wants lost machines replaced at once.
const SOON: &str = "--agent-loss-timeout=2s";

// covers: CHR-0136, CHR-0143, CHR-0144, CHR-0145, MES-0562
#[test]
fn the_leader_dies_and_then_its_machine() {
    let Some(mut world) = World::start(3, 3, &[]) else { return };
    world.deploy(1, "/web", 1, 9, Lost::ReplacedAtOnce);
    assert_eq!(world.spread(1), BTreeMap::from([(1, 3), (2, 3), (3, 3)]), "an equal part each");
    let ran = tick(&world);
    let all = [1, 2, 3];
    for round in 0..rounds() {
        let before = world.processes(1);
        let load = Load::begin(&world, &all, &format!("a{round}"));
        until("writes are under way", || load.acknowledged() > 10);
        let leader = world.leader_among(&all);
        world.node(leader).kill();
        let at = load.acknowledged();
        world.up(leader);
        world.leader_among(&all);
        until("writes go on", || load.acknowledged() > at + 10);
        world.wait_for_voters(3);
        world.wait_for_agents(3);
        history::check(&world, &all, &load.end());
        assert_eq!(world.processes(1), before, "the same processes, of the same tasks");
        check_ticks(&world, leader, &ran);
    }
    world.restart_with(SOON);
    for round in 0..rounds() {
        let load = Load::begin(&world, &all, &format!("b{round}"));
        until("writes are under way", || load.acknowledged() > 10);
        let leader = world.leader_among(&all);
        let others = world.others(&[leader]);
        let kept = |world: &World| -> BTreeSet<i32> {
            let each = others.iter().map(|n| world.nodes[n - 1].tasks(&world.sleeper(1)));
            each.flat_map(|tasks| tasks.into_keys()).collect()
        };
        let before = kept(&world);
        world.node(leader).kill_everything();
        until("the lost instances run elsewhere", || {
            let running = world.running(others[0], "/web");
            running.len() == 9 && running.values().all(|host| others.contains(host))
        });
        let after = kept(&world);
        assert!(after.is_superset(&before), "tasks of the others are untouched");
        assert_eq!(after.len(), 9);
        world.up(leader);
        world.wait_for_voters(3);
        world.wait_for_agents(3);
        history::check(&world, &all, &load.end());
        check_ticks(&world, others[1], &ran);
    }
}
