//! Agents that are asked for back.

use super::world::{SECOND, World, app};
use crate::marathon::model::{App, Constraint, Operator, UpgradeStrategy};
use crate::mesos::v1::TaskState;
use crate::mesos::v1::scheduler::call;
use std::collections::BTreeMap;
use std::time::Duration;

fn hosts(world: &World) -> BTreeMap<String, usize> {
    let mut hosts = BTreeMap::new();
    for task in world.tasks.values().filter(|t| t.state == TaskState::TaskRunning) {
        *hosts.entry(task.agent.clone()).or_default() += 1;
    }
    hosts
}

fn strategy(least: f64, over: f64) -> UpgradeStrategy {
    UpgradeStrategy { minimum_health_capacity: least, maximum_over_capacity: over }
}

/// Nine instances, spread over three agents.
fn spread(upgrade_strategy: UpgradeStrategy) -> World {
    let mut world = World::new(3);
    let rule = Constraint { field: "hostname".into(), operator: Operator::GroupBy, value: None };
    world.deploy(&[App { constraints: vec![rule], upgrade_strategy, ..app("/a", 9) }]);
    assert_eq!(hosts(&world).values().copied().collect::<Vec<_>>(), [3, 3, 3]);
    world
}

#[test]
fn what_runs_there_is_replaced_before_it_is_ended() {
    for (least, over) in [(1.0, 1.0), (1.0, 0.0), (0.5, 0.5)] {
        let mut world = spread(strategy(least, over));
        // Those that are started take their time, so that what ends too early would be seen.
        world.manners.runs = false;
        world.ask_back(0, Some(Duration::ZERO));
        for _ in 0..200 {
            world.run();
            let running = hosts(&world).values().sum::<usize>() as f64;
            assert!(running >= (9.0 * least).floor(), "{running} run with {least}, {over}");
            let starting = world.tasks.iter().find(|(_, t)| t.state == TaskState::TaskStaging);
            match starting.map(|(id, _)| id.clone()) {
                Some(task) => world.status(&task, TaskState::TaskRunning),
                None => break,
            }
        }
        let hosts = hosts(&world);
        assert_eq!(hosts.get("s0"), None);
        assert_eq!(hosts.values().sum::<usize>(), 9, "{hosts:?}");
        assert_eq!(world.calls_of(call::Type::AcceptInverseOffers), 1);
    }
}

#[test]
fn what_is_given_back_later_or_not_at_all_stays() {
    let mut world = spread(strategy(1.0, 1.0));
    world.ask_back(0, Some(SECOND * 3600));
    world.run();
    assert_eq!(world.calls_of(call::Type::DeclineInverseOffers), 1);
    assert_eq!(hosts(&world).get("s0"), Some(&3));
    // Asked for, and then not any more before anything could move.
    world.agents[1].lost = true;
    world.agents[2].lost = true;
    world.ask_back(0, Some(Duration::ZERO));
    world.run();
    assert_eq!(hosts(&world).get("s0"), Some(&3), "there is nowhere to go yet");
    world.ask_back(0, None);
    world.agents[1].lost = false;
    world.agents[2].lost = false;
    world.run();
    world.pass(SECOND * 10);
    assert_eq!(hosts(&world).get("s0"), Some(&3));
    assert_eq!(hosts(&world).values().sum::<usize>(), 9);
}

#[test]
fn nothing_new_is_put_on_what_is_given_back() {
    let mut world = spread(strategy(1.0, 1.0));
    world.ask_back(0, Some(Duration::ZERO));
    // It is offered all the same, as machines of a maintenance schedule are.
    world.agents[0].lost = false;
    for _ in 0..200 {
        world.run();
    }
    assert_eq!(hosts(&world).get("s0"), None);
    assert_eq!(hosts(&world).values().sum::<usize>(), 9);
}

#[test]
fn another_subscription_asks_again() {
    let mut world = spread(strategy(1.0, 1.0));
    world.agents[1].lost = true;
    world.agents[2].lost = true;
    world.ask_back(0, Some(Duration::ZERO));
    world.run();
    world.disconnect();
    world.run();
    world.subscribe();
    world.run();
    world.agents[1].lost = false;
    world.agents[2].lost = false;
    world.pass(SECOND * 10);
    assert_eq!(hosts(&world).get("s0"), Some(&3), "it is not asked for any more");
    world.ask_back(0, Some(Duration::ZERO));
    world.pass(SECOND * 10);
    assert_eq!(hosts(&world).get("s0"), None);
    assert_eq!(hosts(&world).values().sum::<usize>(), 9);
}
