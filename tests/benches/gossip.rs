//! What gossip costs and how fast it is, with many nodes in one process: how long until all have found each other, until
//! a change is seen by all, until a death is noticed; bytes and CPU a node and second.
//!
//! `cargo bench --bench gossip`; `MESOLITH_GOSSIP_NODES=50` runs only that many. All nodes share this machine's processors:
//! where they are busy (a row says so), times are of the machine and not of gossip.

use mesolith::base::rng::Rng;
use mesolith::cluster::gossip::memory::Network;
use mesolith::cluster::gossip::{Gossip, GossipOptions, Members, ROLES};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How many nodes, at which interval.
const ROWS: &[(usize, u64)] = &[(50, 250), (50, 500), (200, 250), (200, 500), (500, 1000)];
const CHANGES: usize = 10;
const WINDOW: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(180);
/// From this part of all processors on, a row is told to be busy.
const BUSY: f64 = 0.7;

fn main() {
    // `cargo test --benches` asks only whether it runs.
    let quick = std::env::args().any(|arg| arg == "--test");
    let only: Option<usize> =
        std::env::var("MESOLITH_GOSSIP_NODES").ok().and_then(|n| n.parse().ok());
    let rows: Vec<(usize, u64)> = match (quick, only) {
        (true, _) => vec![(5, 50)],
        (_, Some(nodes)) => ROWS.iter().copied().filter(|(n, _)| *n == nodes).collect(),
        _ => ROWS.to_vec(),
    };
    println!(
        "nodes interval | all found | change seen by half, all (p50, max of {CHANGES}) | death noticed p50, max \
         | KB/s, frames/s, CPU ms a node-second"
    );
    for (nodes, interval) in rows {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let window = if quick { Duration::from_millis(200) } else { WINDOW };
        runtime.block_on(row(nodes, Duration::from_millis(interval), window));
        runtime.shutdown_background();
    }
}

struct Node {
    id: u64,
    address: SocketAddr,
    gossip: Gossip,
    members: watch::Receiver<Arc<Members>>,
}

async fn row(count: usize, interval: Duration, window: Duration) {
    let network = Network::default();
    let mut rng = Rng::new(count as u64);
    let begun = Instant::now();
    let mut nodes: Vec<Node> = Vec::new();
    for n in 0..count {
        let address = SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 5052));
        let id = rng.next_u64();
        let mut options = GossipOptions::new(0xc1, id, 1, address);
        options.interval = interval;
        options.nodes_max = count.max(options.nodes_max);
        options.seeds = nodes.first().map(|first| first.address.to_string()).into_iter().collect();
        let facts = &mut options.facts;
        facts.version = "0.1.0".into();
        facts.wire = Some((1, 1));
        facts.roles = ROLES.into();
        facts.zone = format!("zone{}", n % 3);
        facts.candidate = true;
        facts.faces =
            ROLES.into_iter().map(|role| (role, format!("{}:5050", address.ip()))).collect();
        let gossip = Gossip::start(options, network.courier(id, address)).expect("gossip starts");
        network.attach(id, address, gossip.inbox());
        let members = gossip.members();
        nodes.push(Node { id, address, gossip, members });
    }
    let alive = move |m: &Members| m.nodes.values().filter(|m| m.alive).count() == count;
    let found = when(&nodes, begun, alive).await;

    let (mut half, mut all) = (Vec::new(), Vec::new());
    for change in 0..CHANGES as u32 {
        let at = rng.below(count as u64) as usize;
        let id = nodes[at].id;
        let begun = Instant::now();
        nodes[at].gossip.facts(|facts| facts.load = Some(change)).expect("it fits");
        let seen =
            move |m: &Members| m.nodes.get(&id).is_some_and(|m| m.facts.load == Some(change));
        let times = when(&nodes, begun, seen).await;
        half.push(times[times.len() / 2]);
        all.push(times[times.len() - 1]);
    }
    half.sort_by(f64::total_cmp);
    all.sort_by(f64::total_cmp);

    let (begun, cpu, carried) = (Instant::now(), cpu(), network.carried());
    tokio::time::sleep(window).await;
    let seconds = begun.elapsed().as_secs_f64();
    let used = self::cpu() - cpu;
    let now = network.carried();
    let each = |n: u64| n as f64 / seconds / count as f64;
    let processors = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let busy = used / seconds / processors;

    let dead = nodes.pop().expect("there are nodes");
    network.cut(dead.address);
    let id = dead.id;
    let gone = move |m: &Members| m.nodes.get(&id).is_some_and(|m| !m.alive);
    let noticed = when(&nodes, Instant::now(), gone).await;
    println!(
        "{count:>5} {:>5} ms | {:>7.1} s | {:>5.2} s, {:>5.2} s ({:.2} s) {:>16} | {:>5.1} s, {:.1} s {:>6} \
         | {:>6.1} {:>6.1} {:>6.2}{}",
        interval.as_millis(),
        found[found.len() - 1],
        half[half.len() / 2],
        all[all.len() / 2],
        all[all.len() - 1],
        "",
        noticed[noticed.len() / 2],
        noticed[noticed.len() - 1],
        "",
        each(now.1 - carried.1) / 1000.0,
        each(now.0 - carried.0),
        used * 1000.0 / seconds / count as f64,
        if busy > BUSY {
            format!("  (processors {:.0} % busy)", busy * 100.0)
        } else {
            String::new()
        },
    );
}

/// After how many seconds each node sees it so, in order.
async fn when(
    nodes: &[Node],
    begun: Instant,
    is: impl Fn(&Members) -> bool + Clone + Send + Sync + 'static,
) -> Vec<f64> {
    let waits = nodes.iter().map(|node| {
        let (mut members, is) = (node.members.clone(), is.clone());
        tokio::spawn(async move {
            let seen = tokio::time::timeout(LONG, members.wait_for(|m| is(m))).await;
            assert!(seen.is_ok_and(|seen| seen.is_ok()), "not within {LONG:?}");
            begun.elapsed().as_secs_f64()
        })
    });
    let mut times = Vec::new();
    for wait in waits.collect::<Vec<_>>() {
        times.push(wait.await.expect("it is seen"));
    }
    times.sort_by(f64::total_cmp);
    times
}

/// What this process has used of the processors, in seconds.
fn cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("this process has a usage");
    (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
}
