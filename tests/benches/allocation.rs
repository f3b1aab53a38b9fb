//! How long the allocator takes: whole cycles, and the one agent of an incremental one, beside a
//! bare loop that makes the same choices on plain arrays (the floor).
//!
//! Figures are medians of interleaved rounds; read the ratios, not the times. The benches `alloc` and
//! `kernel` run it.

use mesolith::base::ids::{AgentId, FrameworkId, Role};
use mesolith::base::resources::Resources;
use mesolith::base::rng::Rng;
use mesolith::base::time::Mono;
use mesolith::master::allocator::{AgentTraits, Allocation, Allocator, FrameworkTraits, Options};
use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;
const SINGLE_ROUNDS: usize = 2000;
const NOW: Mono = Mono(1);

/// The row; `quick` asks only whether it runs.
pub fn row(quick: bool) {
    let sizes: &[(usize, usize)] =
        if quick { &[(50, 10)] } else { &[(1000, 100), (10_000, 1000), (20_000, 2000)] };
    println!(
        "agents/frameworks roles   | whole cycle  floor   ratio | offer  recover | one dirty agent"
    );
    for (agents, frameworks) in sizes {
        for per_role in [*frameworks, 10] {
            let mut cluster = Cluster::new(*agents, *frameworks, per_role);
            cluster.measure();
        }
    }
    for (agents, frameworks) in sizes {
        Cluster::new(*agents, *frameworks, 10).refused(if quick { 5 } else { 200 });
    }
}

/// A cluster of equal agents.
struct Cluster {
    allocator: Allocator,
    rng: Rng,
    agents: usize,
    frameworks: usize,
    roles: usize,
}

impl Cluster {
    fn new(agents: usize, frameworks: usize, per_role: usize) -> Self {
        let mut allocator = Allocator::new(Options::default());
        let text = "cpus:32;mem:131072;disk:1000000;ports:[31000-32000]";
        let total = Resources::parse(text, "*").unwrap_or_default();
        for n in 0..agents {
            let id = AgentId::from(format!("7a1c0c9e-54a5-4c4f-b0a7-6c1b3a3c6a11-S{n}"));
            allocator.add_agent(id, AgentTraits::default(), total.clone(), &[]);
        }
        for n in 0..frameworks {
            let role = Role::from(format!("role{}", n / per_role));
            let traits = FrameworkTraits { roles: [role].into(), ..FrameworkTraits::default() };
            let id = FrameworkId::from(format!("7a1c0c9e-54a5-4c4f-b0a7-6c1b3a3c6a11-{n:04}"));
            allocator.add_framework(id, traits, &BTreeSet::new(), true, &[]);
        }
        let roles = frameworks.div_ceil(per_role);
        Self { allocator, rng: Rng::new(1), agents, frameworks, roles }
    }

    fn allocate(&mut self) -> Vec<Allocation> {
        self.allocator.allocate(NOW, &mut self.rng)
    }

    fn recover(&mut self, offers: &[Allocation], filter: Option<Duration>) {
        for offer in offers {
            let (framework, agent) = (&offer.framework, &offer.agent);
            let back = self.allocator.recover(framework, agent, &offer.resources, filter, NOW);
            assert!(back.is_ok(), "it was offered");
        }
    }

    fn measure(&mut self) {
        let (mut whole, mut floor, mut back) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (time, offers) = timed(|| self.allocate());
            assert_eq!(offers.len(), self.agents);
            whole.push(time);
            floor.push(bare_loop(self.agents, self.frameworks, &mut self.rng));
            back.push(timed(|| self.recover(&offers, None)).0);
        }
        let mut held = self.allocate();
        let mut one = Vec::new();
        for round in 0..SINGLE_ROUNDS {
            let at = round % held.len();
            self.recover(&held[at..=at], None);
            let (time, got) = timed(|| self.allocate());
            assert_eq!(got.len(), 1);
            one.push(time);
            held.splice(at..=at, got);
        }
        let (whole, floor, back, one) = (median(whole), median(floor), median(back), median(one));
        println!(
            "{:>6} / {:<6} {:>6} | {:>8.2} ms {:>6.3} ms {:>6.1} | {:>4.0} ns {:>5.0} ns | \
             {:>6.2} us",
            self.agents,
            self.frameworks,
            self.roles,
            whole * 1e3,
            floor * 1e3,
            whole / floor,
            whole * 1e9 / self.agents as f64,
            back * 1e9 / self.agents as f64,
            one * 1e6,
        );
    }

    /// Every framework refuses every offer for long, until nobody is left to ask; on `rounds`
    /// cycles.
    fn refused(&mut self, rounds: usize) {
        let (mut declined, mut times) = (0, Vec::new());
        for _ in 0..rounds {
            let (time, offers) = timed(|| self.allocate());
            times.push(time / self.agents as f64);
            declined += offers.len();
            self.recover(&offers, Some(Duration::from_secs(3600)));
            if offers.is_empty() || declined > 2_000_000 {
                break;
            }
        }
        let last = times.last().copied().unwrap_or_default();
        println!(
            "{:>6} / {:<6} all refused: {declined} offers; {:.0} ns an agent at first, {:.0} ns with {} \
             filters",
            self.agents,
            self.frameworks,
            times.first().copied().unwrap_or_default() * 1e9,
            last * 1e9,
            self.allocator.counters().filters_active,
        );
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let out = black_box(work());
    (start.elapsed().as_secs_f64(), out)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The choices alone: a shuffle, a binary heap of shares, three sums an agent.
fn bare_loop(agents: usize, frameworks: usize, rng: &mut Rng) -> f64 {
    let total = agents as f32;
    let mut held = vec![[0f32; 3]; frameworks];
    let mut heap: Vec<(f32, u32)> = (0..frameworks as u32).map(|n| (0.0, n)).collect();
    let mut order: Vec<u32> = (0..agents as u32).collect();
    let mut offers = vec![0u32; agents];
    let (time, ()) = timed(|| {
        rng.shuffle(&mut order);
        for agent in &order {
            let (_, who) = heap[0];
            let mine = &mut held[who as usize];
            *mine = [mine[0] + 32.0, mine[1] + 131_072.0, mine[2] + 1e6];
            let parts =
                [mine[0] / (32.0 * total), mine[1] / (131_072.0 * total), mine[2] / (1e6 * total)];
            heap[0].0 = parts.into_iter().fold(0.0, f32::max);
            offers[*agent as usize] = who;
            sift_down(&mut heap);
        }
    });
    black_box(offers);
    time
}

fn sift_down(heap: &mut [(f32, u32)]) {
    let mut at = 0;
    loop {
        let mut least = at;
        for child in [2 * at + 1, 2 * at + 2] {
            if child < heap.len() && heap[child].0 < heap[least].0 {
                least = child;
            }
        }
        if least == at {
            return;
        }
        heap.swap(at, least);
        at = least;
    }
}
