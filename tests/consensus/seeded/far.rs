//! Nodes that are far apart, or badly connected: what takes its time is no fault.

use super::clients::Client;
use super::history::{Ask, Told};
use super::judge;
use super::world::World;
use crate::DEADLINE;
use mesolith::base::rng::Rng;
use mesolith::cluster::consensus::{Op, Pace};
use std::time::{Duration, Instant};

/// How long bytes take one way: between two continents.
const AWAY: Duration = Duration::from_millis(70);
/// What takes more than two seconds so, in bytes.
const LARGE: usize = 600_000;
/// More than a leader goes on that nobody answers: from then on all rests on answers that came from afar.
const SETTLED: Duration = Duration::from_secs(3);
/// How many reads must succeed one after the other, while nothing is written that would be answered, too.
const ENOUGH: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_on_two_continents_agree_when_their_time_out_is_long_enough() {
    let world = World::start(3, Pace::within(Duration::from_secs(1))).await;
    let mut client = Client::new(0, 1, world.clone(), Rng::new(1));
    client.large = 1;
    world.net.slow(AWAY, |_, _| true);
    let start = Instant::now();
    client.write(&*world.led().await, &[(0, Ask::Put)]).await;
    let (mut good, mut begun) = (0, 0);
    while good < ENOUGH || start.elapsed() < SETTLED {
        if start.elapsed() > DEADLINE {
            panic!("{}", world.stuck(&format!("{good} reads")));
        }
        client.read(&*world.led().await, 0).await;
        let told = world.recorder.events().last().map(|event| event.told);
        let now = world.recorder.all_begun().len();
        let fine = matches!(told, Some(Told::Found { .. })) && now == begun;
        (good, begun) = (if fine { good + 1 } else { 0 }, now);
    }
    world.net.heal();
    let state = world.converge().await.expect("they are the same");
    judge(&world, &state).expect("all is in order");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_long_to_send_arrives_in_the_end() {
    let world = World::start(3, Pace::within(Duration::from_secs(1))).await;
    world.net.slow(AWAY, |_, _| true);
    let start = Instant::now();
    loop {
        let leader = world.led().await;
        let Some(epoch) = *leader.epoch.borrow() else { continue };
        let written = leader.registry.propose(epoch, vec![Op::put("large", vec![7; LARGE])]);
        match tokio::time::timeout(DEADLINE, written).await {
            Ok(Ok(_)) => break,
            // It does not lead any more.
            Ok(Err(_)) if start.elapsed() < DEADLINE => {}
            other => panic!("{other:?}: {}", world.stuck("nothing large arrives")),
        }
    }
    world.net.heal();
    world.converge().await.expect("they are the same");
    world.end().await;
}
