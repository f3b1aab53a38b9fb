//! More nodes and fewer, under an app that never has less than its instances.

use super::history;
use super::load::Load;
use super::node::{mesolith, until};
use super::tasks::Lost;
use super::world::World;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const INSTANCES: usize = 6;

/// A lost agent is noticed soon.
const SOON: &[&str] = &["--agent-loss-timeout=2s"];

/// Counts the processes of the app again and again, and tells what changes; answers the fewest.
fn watch(world: &World, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<usize> {
    let hosts: Vec<_> = (1..=5).map(|n| world.net.host(n).clone()).collect();
    let (command, stop) = (world.sleeper(1), Arc::clone(stop));
    std::thread::spawn(move || {
        let mut fewest = INSTANCES;
        let count = |host: &super::net::Host| {
            let all = host.processes().into_iter().filter(|pid| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).replace('\0', " ").trim_end() == command
            });
            all.count()
        };
        let (since, mut last) = (Instant::now(), Vec::new());
        while !stop.load(Ordering::Relaxed) {
            // Who is replaced is counted before its replacement.
            let counts: Vec<usize> = hosts.iter().map(count).collect();
            fewest = fewest.min(counts.iter().sum());
            if counts != last {
                eprintln!("after {:.2?}: {counts:?}", since.elapsed());
                last = counts;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        fewest
    })
}

#[test]
fn one_three_five_and_three_again() {
    let Some(mut world) = World::prepare(5, SOON) else { return };
    world.found();
    world.wait_for_agents(1);
    world.deploy(1, "/web", 1, INSTANCES, Lost::ReplacedAtOnce);
    let before = world.processes(1);
    let stop = Arc::new(AtomicBool::new(false));
    let watching = watch(&world, &stop);
    let load = Load::begin(&world, &[1], "g");
    for size in [3, 5] {
        for number in size - 1..=size {
            world.join(number);
        }
        world.wait_for_voters(size);
        world.wait_for_agents(size);
    }
    history::check(&world, &[1, 5], &load.end());
    assert_eq!(world.processes(1), before, "who joins disturbs no task");
    // The founder goes, where all the tasks are, and one more.
    let load = Load::begin(&world, &[3, 4, 5], "h");
    for (leaver, rest) in [(1, vec![2, 3, 4, 5]), (2, vec![3, 4, 5])] {
        leave(&mut world, leaver);
        until(&format!("{rest:?} are the cluster"), || {
            let members = world.standing(5, &["voter", "leader", "learner"]);
            members.iter().eq(&rest) && world.agents(5).iter().eq(&rest)
        });
        until("the app is whole", || {
            let running = world.running(5, "/web");
            running.len() == INSTANCES && running.values().all(|host| rest.contains(host))
        });
    }
    until("three vote", || world.standing(5, &["voter", "leader"]).len() == 3);
    history::check(&world, &[3, 4, 5], &load.end());
    until("none runs twice", || world.processes(1).len() == INSTANCES);
    stop.store(true, Ordering::Relaxed);
    assert_eq!(watching.join().unwrap(), INSTANCES, "there were fewer once");
}

/// A node leaves for good: it gives its vote and its tasks away, and ends.
#[track_caller]
fn leave(world: &mut World, leaver: usize) {
    let mut verb = mesolith();
    verb.args(["leave", "--yes", "--timeout=50s"]);
    let said = world.net.host(leaver).command(&mut verb).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    world.node(leaver).ended();
}
