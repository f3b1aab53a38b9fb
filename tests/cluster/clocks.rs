//! Nodes whose clocks are five minutes ahead (by libfaketime): such a one is not let in and told why; one that has been set
//! wrong later on goes on, leads too, and costs nothing that was acknowledged.

use super::history;
use super::load::Load;
use super::node::{faketime, until};
use super::tasks::Lost;
use super::world::World;

const ALL: [usize; 3] = [1, 2, 3];

#[test]
fn a_clock_five_minutes_ahead() {
    if faketime().is_none() {
        let needed = std::env::var_os("MESOLITH_REQUIRE_NAMESPACES").is_some();
        assert!(!needed, "libfaketime is missing");
        return eprintln!("skipped: no clocks that differ: libfaketime is missing");
    }
    let Some(mut world) = World::prepare(3, &[]) else { return };
    world.found();
    world.join(2);
    world.node(3).set_clock(Some("+5m"));
    world.begin_to_join(3);
    until("it is not let in", || !world.node(3).runs());
    let said = world.node(3).said();
    assert!(said.contains("clock") && said.contains("ahead"), "{said}");
    world.node(3).ended();
    world.node(3).set_clock(None);
    world.join(3);
    world.wait_for_voters(3);
    world.wait_for_agents(3);
    world.deploy(1, "/web", 1, 6, Lost::WaitedFor);
    let before = world.processes(1);
    let load = Load::begin(&world, &ALL, "c");
    let ahead = world.others(&[world.leader_among(&ALL)])[0];
    world.node(ahead).stop();
    world.node(ahead).set_clock(Some("+5m"));
    world.up(ahead);
    world.wait_for_voters(3);
    world.wait_for_agents(3);
    let at = load.acknowledged();
    until("writes go on", || load.acknowledged() > at + 20);
    // Until it leads.
    let mut leader = world.leader_among(&ALL);
    while leader != ahead {
        world.node(leader).kill();
        let others = world.others(&[leader]);
        let next = world.leader_among(&others);
        world.up(leader);
        world.wait_for_voters(3);
        leader = next;
    }
    world.wait_for_agents(3);
    let at = load.acknowledged();
    until("writes go on under it", || load.acknowledged() > at + 20);
    world.deploy(2, "/more", 2, 3, Lost::WaitedFor);
    let warned = world.nodes.iter().any(|node| node.said().contains("the clock of node"));
    assert!(warned, "and it is told");
    history::check(&world, &ALL, &load.end());
    assert_eq!(world.processes(1), before, "the same processes, of the same tasks");
}
