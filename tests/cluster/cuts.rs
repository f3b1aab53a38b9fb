//! Nodes that stand still, and nodes that cannot reach each other.

use super::ask::{MARATHON, ask};
use super::history;
use super::load::Load;
use super::node::{Node, until};
use super::record::Outcome;
use super::tasks::Lost;
use super::ticks::{check_ticks, tick};
use super::world::{World, rounds};
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::{Duration, Instant};

/// A lost agent is noticed soon; its tasks are waited for.
const SOON: &[&str] = &["--agent-loss-timeout=2s"];

/// A write is refused within this time where there is no majority.
const REFUSED_WITHIN: Duration = Duration::from_secs(5);

const ALL: [usize; 3] = [1, 2, 3];

/// Waits for so many more writes.
#[track_caller]
fn more(load: &Load, count: usize, what: &str) {
    let at = load.acknowledged();
    until(what, || load.acknowledged() >= at + count);
}

/// All is as it should be again: three voters, three agents, and every process there ever was.
#[track_caller]
fn whole(world: &mut World) {
    world.wait_for_voters(3);
    world.wait_for_agents(3);
    world.leader_among(&ALL);
    assert!(world.nodes.iter_mut().all(Node::runs), "no fault ends a node");
}

// covers: CHR-0147
#[test]
fn a_leader_stands_still_and_goes_on() {
    let Some(mut world) = World::start(3, 3, SOON) else { return };
    world.deploy(1, "/web", 1, 6, Lost::WaitedFor);
    let before = world.processes(1);
    let ran = tick(&world);
    for round in 0..rounds() {
        let load = Load::begin(&world, &ALL, &format!("s{round}"));
        more(&load, 10, "writes are under way");
        let leader = world.leader_among(&ALL);
        world.node(leader).signal(Signal::SIGSTOP);
        let since = Instant::now();
        let others = world.others(&[leader]);
        assert_ne!(world.leader_among(&others), leader);
        more(&load, 10, "writes go on");
        let still = Duration::from_secs(if rounds() > 1 { 20 } else { 5 });
        std::thread::sleep(still.saturating_sub(since.elapsed()));
        world.node(leader).signal(Signal::SIGCONT);
        whole(&mut world);
        more(&load, 10, "writes go on after it is back");
        history::check(&world, &ALL, &load.end());
        assert_eq!(world.processes(1), before, "the same processes, of the same tasks");
        check_ticks(&world, leader, &ran);
    }
}

// covers: CHR-0149, MES-0564
#[test]
fn a_leader_is_alone_and_refuses() {
    let Some(mut world) = World::start(3, 3, SOON) else { return };
    world.deploy(1, "/web", 1, 6, Lost::WaitedFor);
    let before = world.processes(1);
    let ran = tick(&world);
    for round in 0..rounds() {
        let load = Load::begin(&world, &ALL, &format!("i{round}"));
        more(&load, 10, "writes are under way");
        let leader = world.leader_among(&ALL);
        let cutting = Instant::now();
        world.net.isolate(leader);
        let cut = Instant::now();
        let others = world.others(&[leader]);
        assert_ne!(world.leader_among(&others), leader);
        more(&load, 20, "writes go on with the others");
        // Asked once more, with nothing under way from before.
        let asked = Instant::now();
        let body =
            json!({"id": format!("/alone{round}"), "cmd": "true", "instances": 0}).to_string();
        let host = world.net.host(leader);
        let answer = ask(host, MARATHON, "POST /v2/apps", &body, REFUSED_WITHIN);
        let answer = answer.unwrap_or_else(|e| panic!("{e} after {:?}", asked.elapsed()));
        assert_eq!((answer.status, answer.says_when()), (503, true), "{answer:?}");
        // What it has is shown to whoever says that it may be old.
        let old = world.look(leader, MARATHON, "/v2/apps//web?stale=true");
        assert_eq!(old["app"]["tasksRunning"], 6, "{old}");
        let read = ask(host, MARATHON, "GET /v2/apps//web", "", REFUSED_WITHIN).unwrap();
        assert_eq!((read.status, read.says_when()), (503, true), "{read:?}");
        until("its agent is missed", || world.agents(others[0]).len() == 2);
        world.net.heal();
        let healed = Instant::now();
        whole(&mut world);
        more(&load, 10, "writes go on when it is back");
        let seen = load.end();
        let taken = seen
            .attempts
            .iter()
            .filter(|a| a.node != leader && a.begun > cut && a.outcome == Outcome::Acknowledged);
        let next = taken.map(|a| a.ended - cutting).min().unwrap_or_default();
        eprintln!("cut off → next write: {} ms", next.as_millis());
        for attempt in seen.attempts.iter().filter(|a| a.node == leader) {
            let alone = attempt.begun > cut && attempt.ended < healed;
            let took = attempt.ended - attempt.begun;
            assert!(!alone || attempt.outcome != Outcome::Acknowledged, "{attempt:?}");
            assert!(!alone || took < REFUSED_WITHIN, "{took:?}: {attempt:?}");
            let is_503 = attempt.answer == Some((503, true));
            assert!(!alone || is_503, "{attempt:?}");
        }
        history::check(&world, &ALL, &seen);
        assert_eq!(world.processes(1), before, "the same processes, of the same tasks");
        check_ticks(&world, leader, &ran);
    }
}

#[test]
fn two_parts_and_one_way_streets() {
    let Some(mut world) = World::start(3, 3, SOON) else { return };
    world.deploy(1, "/web", 1, 6, Lost::WaitedFor);
    let before = world.processes(1);
    let ran = tick(&world);
    for round in 0..rounds() {
        let load = Load::begin(&world, &ALL, &format!("p{round}"));
        more(&load, 10, "writes are under way");
        let leader = world.leader_among(&ALL);
        let others = world.others(&[leader]);
        // The leader and one other against the third: an agent that is lost and comes back.
        world.net.part(&[leader, others[0]], &[others[1]]);
        more(&load, 20, "the greater part goes on");
        until("the agent is missed", || world.agents(leader).len() == 2);
        assert_eq!(world.leader_among(&[leader, others[0]]), leader, "nobody had to elect");
        world.net.heal();
        whole(&mut world);
        // What the leader says does not reach another; then the other way round.
        let mut cuts = Vec::new();
        for (from, to) in [(leader, others[0]), (others[0], leader)] {
            world.net.cut_way(from, to);
            let since = Instant::now();
            more(&load, 20, "writes go on with a one-way street");
            std::thread::sleep(REFUSED_WITHIN + Duration::from_secs(2));
            more(&load, 20, "writes still go on with a one-way street");
            cuts.push((since, Instant::now()));
            world.net.heal();
            whole(&mut world);
        }
        let seen = load.end();
        let whole_in = |(since, until): &(Instant, Instant), at: Instant| {
            at > *since && at + REFUSED_WITHIN < *until
        };
        for attempt in &seen.attempts {
            let took = attempt.ended - attempt.begun;
            let in_a_cut = cuts.iter().any(|cut| whole_in(cut, attempt.begun));
            assert!(!in_a_cut || took < REFUSED_WITHIN, "{took:?}: {attempt:?}");
        }
        history::check(&world, &ALL, &seen);
        assert_eq!(world.processes(1), before, "the same processes, of the same tasks");
        check_ticks(&world, leader, &ran);
    }
}

#[test]
fn a_cable_that_comes_and_goes() {
    let Some(mut world) = World::start(3, 3, SOON) else { return };
    let load = Load::begin(&world, &ALL, "f");
    more(&load, 10, "writes are under way");
    let flaps = 5 * rounds();
    let epoch = |world: &World| world.cluster(1)["epoch"].as_u64().unwrap();
    let elected = |world: &World| -> usize {
        let said: Vec<String> = world.nodes.iter().map(Node::said).collect();
        said.iter().map(|said| said.matches("leading with epoch ").count()).sum()
    };
    let (elections, first) = (elected(&world), epoch(&world));
    let leader = world.leader_among(&ALL);
    for n in 0..flaps {
        world.net.cable(leader, false);
        std::thread::sleep(Duration::from_millis(500 + 300 * (n % 4)));
        world.net.cable(leader, true);
        std::thread::sleep(Duration::from_millis(500 + 300 * ((n + 1) % 4)));
    }
    whole(&mut world);
    more(&load, 20, "writes go on");
    let more_elections = elected(&world) - elections;
    eprintln!(
        "{flaps} times off and on: {more_elections} elections, epoch {first} → {}",
        epoch(&world)
    );
    assert!(more_elections as u64 <= flaps, "{more_elections} elections in {flaps} flaps");
    history::check(&world, &ALL, &load.end());
}
