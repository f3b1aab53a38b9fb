//! Whose an agent is: nobody comes with another node's id, or pushes out another node's agent.

use super::super::Options;
use super::super::binding::Whereabouts;
use super::super::io::NodeId;
use super::world::*;
use crate::base::ids::AgentId;
use crate::mesos::internal::{AdmittedAgent, AgentMessage, RegisterAgent, UnregisterAgent};
use crate::mesos::{stored, v1};

const OWNER: NodeId = NodeId(11);
const STRANGER: NodeId = NodeId(12);

fn registers(info: &v1::AgentInfo) -> RegisterAgent {
    RegisterAgent { agent_info: info.clone(), ..registration() }
}

/// An agent of [`OWNER`].
fn owned(w: &mut World) -> FakeAgent {
    w.register_from(OWNER, registers(&agent_info("node1", "cpus:4;mem:1024")))
}

fn whereabouts(w: &World, agent: &FakeAgent) -> Whereabouts {
    w.core.whereabouts(&AgentId::from(agent.id.as_str()))
}

/// Another node comes with the agent's id, wherever it says that it is: it gets nothing but a cut.
#[track_caller]
fn stranger_is_refused(w: &mut World, agent: &FakeAgent) {
    for hostname in ["node1", "elsewhere"] {
        let info = v1::AgentInfo { hostname: hostname.into(), ..agent.info.clone() };
        let refused = w.counter("slaves_of_other_nodes_refused");
        let stranger = w.register_from(STRANGER, registers(&info));
        let why = w.refused_links.get(&stranger.link).expect("it is refused");
        assert!(why.contains(&agent.id) && why.contains(&OWNER.to_string()), "{why}");
        assert!(why.contains(&STRANGER.to_string()), "{why}");
        assert!(w.inbox(&stranger).is_empty(), "and told nothing");
        assert_eq!(w.counter("slaves_of_other_nodes_refused"), refused + 1);
    }
    w.audit().expect("the books balance");
}

#[test]
fn a_forged_id_is_refused_and_the_agent_never_notices() {
    let mut w = World::new();
    let mut agent = owned(&mut w);
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    assert_eq!(whereabouts(&w, &agent), Whereabouts::Node(OWNER));
    stranger_is_refused(&mut w, &agent);
    assert!(!w.closed_links.contains(&agent.link) && w.inbox(&agent).is_empty());
    assert!(w.statuses(&scheduler).is_empty());
    assert!(w.view().agents[0].active);
    // Nor while its connection is lost, nor when it is unreachable.
    w.cut(&agent);
    stranger_is_refused(&mut w, &agent);
    w.pass(HOUR);
    assert_eq!(w.view().unreachable_agents.len(), 1);
    assert_eq!(whereabouts(&w, &agent), Whereabouts::Node(OWNER));
    stranger_is_refused(&mut w, &agent);
    let task = w.task(&scheduler, "t1");
    let info = agent.info.clone();
    let back = RegisterAgent {
        tasks: vec![task],
        frameworks: vec![scheduler.info.clone()],
        ..registers(&info)
    };
    agent = w.register_from(OWNER, back);
    assert!(w.inbox(&agent).iter().any(|m| m.registered.is_some()));
    assert_eq!(w.view().frameworks[0].tasks.len(), 1);
}

#[test]
fn the_next_master_knows_whose_it_is_registered_or_unreachable() {
    for is_lost in [false, true] {
        let mut w = World::new();
        let agent = owned(&mut w);
        if is_lost {
            w.cut(&agent);
            w.pass(HOUR);
        }
        w.fail_over();
        assert_eq!(whereabouts(&w, &agent), Whereabouts::Node(OWNER));
        stranger_is_refused(&mut w, &agent);
        let back = w.register_from(OWNER, registers(&agent.info));
        assert!(w.inbox(&back).iter().any(|m| m.registered.is_some()));
    }
}

#[test]
fn an_agent_of_a_row_without_a_node_is_bound_when_it_comes_back() {
    let mut w = World::new();
    let agent = owned(&mut w);
    let key = format!("agents/{}", agent.id);
    let mut row: AdmittedAgent = stored::decode(&key, &w.registry[&key]).unwrap();
    assert_eq!(row.node.take(), Some(OWNER.0));
    w.registry.insert(key.clone(), stored::encode(&row));
    w.fail_over();
    assert_eq!(whereabouts(&w, &agent), Whereabouts::Unbound);
    w.register_from(OWNER, registers(&agent.info));
    let row: AdmittedAgent = stored::decode(&key, &w.registry[&key]).unwrap();
    assert_eq!(row.node, Some(OWNER.0));
    stranger_is_refused(&mut w, &agent);
}

#[test]
fn a_link_whose_agent_turns_to_anothers_id_is_lost_with_all_that_it_says() {
    let mut w = World::new();
    let agent = owned(&mut w);
    let own = w.register_from(STRANGER, registers(&agent_info("node2", "cpus:1")));
    let forged = AgentMessage { register: Some(registers(&agent.info)), ..Default::default() };
    w.agent_says(own.link, forged);
    assert!(w.refused_links.contains_key(&own.link));
    let bye = AgentMessage { unregister: Some(UnregisterAgent {}), ..Default::default() };
    w.agent_says(own.link, bye);
    assert_eq!(w.view().agents.len(), 2, "nobody is removed by it");
    assert_eq!(w.counter("slave_removals"), 0);
    w.audit().expect("the books balance");
}

#[test]
fn an_agent_is_not_pushed_out_of_its_address_by_another_node_while_it_is_there() {
    let mut w = World::new();
    let agent = owned(&mut w);
    let same_place = agent_info("node1", "cpus:1");
    let other = w.register_from(STRANGER, registers(&same_place));
    let why = &w.refused_links[&other.link];
    assert!(why.contains("node1:5051") && why.contains(&agent.id), "{why}");
    // Nor by one that has an id.
    let own = w.register_from(STRANGER, registers(&agent_info("node2", "cpus:1")));
    w.fail_over();
    let back = w.register_from(OWNER, registers(&agent.info));
    assert!(w.inbox(&back).iter().any(|m| m.registered.is_some()));
    let moved = v1::AgentInfo { hostname: "node1".into(), ..own.info.clone() };
    let moved = w.register_from(STRANGER, registers(&moved));
    assert!(w.refused_links.contains_key(&moved.link));
    assert_eq!(w.view().agents.len(), 1);
    // A machine that was set up anew has another key: its agent takes the place of the one that is gone.
    w.cut(&back);
    let anew = w.register_from(STRANGER, registers(&agent_info("node1", "cpus:4;mem:1024")));
    assert_ne!(anew.id, agent.id);
    assert_eq!(whereabouts(&w, &anew), Whereabouts::Node(STRANGER));
    assert_eq!(whereabouts(&w, &agent), Whereabouts::Unknown);
    w.audit().expect("the books balance");
}

#[test]
fn every_node_has_a_loopback_of_its_own() {
    for hostname in ["127.0.0.1", "localhost", "::1"] {
        let mut w = World::new();
        let info = agent_info(hostname, "cpus:4;mem:1024");
        let agents = [OWNER, STRANGER].map(|node| w.register_from(node, registers(&info)));
        assert_ne!(agents[0].id, agents[1].id);
        assert_eq!(w.view().agents.iter().filter(|a| a.active).count(), 2, "{hostname}");
        // On one node it is one place.
        let anew = w.register_from(OWNER, registers(&agent_info(hostname, "cpus:1")));
        assert_eq!(w.view().agents.len(), 2, "{hostname}");
        assert_eq!(whereabouts(&w, &agents[0]), Whereabouts::Unknown);
        assert_eq!(whereabouts(&w, &anew), Whereabouts::Node(OWNER));
        w.unregister(&anew);
        w.audit().expect("the books balance");
    }
}

#[test]
fn whose_agents_were_that_are_forgotten_is_forgotten_too() {
    let options = Options { registry_max_agent_count: 0, ..Options::default() };
    let mut w = World::with(options);
    let agent = owned(&mut w);
    w.cut(&agent);
    w.pass(2 * HOUR);
    assert!(w.view().unreachable_agents.is_empty());
    assert_eq!(whereabouts(&w, &agent), Whereabouts::Unknown);
    assert!(w.core.agents.nodes.is_empty());
}
