//! Everything is restarted: all at once after all were killed, in an order that chance chooses, and one after the other.

use super::history;
use super::load::Load;
use super::node::until;
use super::tasks::Lost;
use super::ticks::{check_ticks, tick};
use super::world::{World, rounds};
use mesolith::base::rng::Rng;
use std::time::Duration;

const ALL: [usize; 3] = [1, 2, 3];

/// What chance begins with: told, or different each time, and printed.
fn seed() -> u64 {
    let told = std::env::var("MESOLITH_CLUSTER_SEED").ok().and_then(|n| n.parse().ok());
    let seed = told.unwrap_or(u64::from(std::process::id()));
    eprintln!("MESOLITH_CLUSTER_SEED={seed}");
    seed
}

#[test]
fn all_are_killed_and_come_back_in_any_order() {
    let Some(mut world) = World::start(3, 3, &[]) else { return };
    world.deploy(1, "/web", 1, 6, Lost::WaitedFor);
    let before = world.processes(1);
    let mut rng = Rng::new(seed());
    for round in 0..2 * rounds() {
        let load = Load::begin(&world, &ALL, &format!("k{round}"));
        until("writes are under way", || load.acknowledged() > 10);
        let mut order = ALL;
        rng.shuffle(&mut order);
        for number in order {
            std::thread::sleep(rng.up_to(Duration::from_millis(500)));
            world.node(number).kill();
        }
        rng.shuffle(&mut order);
        for number in order {
            std::thread::sleep(rng.up_to(Duration::from_millis(1500)));
            world.begin(number);
        }
        ALL.iter().for_each(|number| world.node(*number).is_up());
        world.wait_for_voters(3);
        world.wait_for_agents(3);
        let at = load.acknowledged();
        until("writes go on", || load.acknowledged() > at + 10);
        history::check(&world, &ALL, &load.end());
        assert_eq!(world.processes(1), before, "the same processes, of the same tasks");
        until("all instances are known again", || world.running(2, "/web").len() == 6);
    }
}

// covers: CHR-0146
#[test]
fn one_after_the_other_is_restarted() {
    let Some(mut world) = World::start(3, 3, &[]) else { return };
    world.deploy(1, "/web", 1, 6, Lost::WaitedFor);
    let before = world.processes(1);
    let ran = tick(&world);
    let load = Load::begin(&world, &ALL, "r");
    for round in 0..rounds() {
        for number in ALL {
            world.node(number).stop();
            let others = world.others(&[number]);
            world.leader_among(&others);
            let at = load.acknowledged();
            until(&format!("round {round}: writes go on without h{number}"), || {
                load.acknowledged() > at + 10
            });
            world.up(number);
            world.wait_for_voters(3);
            world.wait_for_agents(3);
        }
    }
    history::check(&world, &ALL, &load.end());
    assert_eq!(world.processes(1), before, "the same processes, of the same tasks");
    check_ticks(&world, 1, &ran);
}
