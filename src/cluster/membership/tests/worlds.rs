//! Random worlds of one to seven nodes: they join, die, return, leave, move, are cut off, are ordered about; each
//! step is carried out on a model of the log, late, or not at all, or half. Every step must be safe by what the
//! leader has heard, and a world that has become quiet comes to rest where the policy says.
//!
//! `MESOLITH_SIM_SEEDS` runs more worlds; a failure names its seed.

use super::super::{
    Candidate, Decision, Life, Member, Memory, Node, Order, Policy, Step, Versions, View, decide,
};
use crate::base::rng::Rng;
use crate::base::time::Mono;
use std::collections::{BTreeMap, BTreeSet};

const WORLDS: u64 = 1000;
const NODES_MAX: u64 = 7;
/// How long a world is troubled, in ticks.
const TROUBLE: u64 = 250;
const TICK_MS: u64 = 250;
/// How long it then is quiet, in longer ticks; for the second half it must be at rest.
const QUIET: u64 = 250;
const QUIET_TICK_MS: u64 = 1600;
/// When gossip notices a death, in ms.
const NOTICED_MS: u64 = 2000;
/// When others elect a leader, in ms.
const ELECTION_MS: u64 = 1000;
const VERSIONS: Versions = Versions { oldest: 1, newest: 2 };

struct Sim {
    zone: u64,
    alive: bool,
    /// Since when it is alive or dead.
    since: u64,
    /// Nothing reaches it, and nothing comes from it.
    cut: bool,
    /// The leader does not reach it, others do.
    deaf: bool,
    leaving: bool,
    agent: bool,
    foreign: bool,
    order: Order,
    moves: u64,
    behind: u64,
    heard: Option<u64>,
}

impl Sim {
    fn there(&self) -> bool {
        self.alive && !self.cut
    }

    fn barred(&self) -> bool {
        self.leaving || self.agent || self.order == Order::Demote
    }

    fn address(&self, node: Node) -> String {
        format!("n{node}:{}", 5052 + self.moves)
    }
}

struct World {
    seed: u64,
    rng: Rng,
    now: u64,
    /// How long a tick is, in ms.
    pace: u64,
    policy: Policy,
    nodes: BTreeMap<Node, Sim>,
    /// The log's members: where, and whether they vote.
    log: BTreeMap<Node, (String, bool)>,
    joint: Option<BTreeSet<Node>>,
    leader: Node,
    /// Since when the leader leads nobody.
    lost: Option<u64>,
    memory: Memory,
    /// A step that is being carried out, and when it is done.
    doing: Option<(Step, u64)>,
    changed: bool,
    wake: Option<Mono>,
    events: usize,
    steps: usize,
}

fn mono(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

fn majority(of: &BTreeSet<Node>, has: impl Fn(&Node) -> bool) -> bool {
    of.iter().filter(|n| has(n)).count() * 2 > of.len()
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let voters_max = [1, 3, 5, 5, 7][rng.below(5) as usize];
        let policy = Policy { voters_max, ..Policy::default() };
        let mut world = Self {
            seed,
            rng,
            now: 1_000_000,
            pace: TICK_MS,
            policy,
            nodes: BTreeMap::new(),
            log: BTreeMap::new(),
            joint: None,
            leader: 1,
            lost: None,
            memory: Memory::default(),
            doing: None,
            changed: true,
            wake: None,
            events: 0,
            steps: 0,
        };
        world.join(1);
        world.log.insert(1, ("n1:5052".into(), true));
        world
    }

    fn join(&mut self, node: Node) {
        let zones = if self.seed.is_multiple_of(3) { 1 } else { 3 };
        let sim = Sim {
            zone: self.rng.below(zones),
            alive: true,
            since: self.now,
            cut: false,
            deaf: false,
            leaving: false,
            agent: self.rng.chance(1, 15),
            foreign: self.rng.chance(1, 15),
            order: Order::None,
            moves: 0,
            behind: 1 + self.rng.below(2000),
            heard: None,
        };
        let first = self.nodes.is_empty();
        let sim = if first { Sim { agent: false, foreign: false, behind: 0, ..sim } } else { sim };
        self.nodes.insert(node, sim);
    }

    fn voters(&self) -> BTreeSet<Node> {
        self.log.iter().filter(|(_, (_, votes))| *votes).map(|(n, _)| *n).collect()
    }

    fn sets(&self) -> Vec<BTreeSet<Node>> {
        std::iter::once(self.voters()).chain(self.joint.clone()).collect()
    }

    /// Whether this node could lead: it votes, and reaches a majority.
    fn could_lead(&self, node: Node) -> bool {
        if !self.sets().iter().any(|set| set.contains(&node)) {
            return false;
        }
        let there = |n: &Node| self.nodes[n].there();
        let reached = |n: &Node| there(n) && (*n == node || !self.nodes[n].deaf);
        there(&node) && self.sets().iter().all(|set| majority(set, reached))
    }

    /// Something happens.
    fn event(&mut self) {
        self.events += 1;
        self.changed = true;
        let now = self.now;
        let new = self.nodes.keys().max().map_or(1, |n| n + 1);
        let living = self.nodes.values().filter(|s| !s.leaving).count() as u64;
        let pick = self.rng.below(self.nodes.len() as u64) as usize;
        let node = *self.nodes.keys().nth(pick).expect("in range");
        let what = self.rng.below(13);
        let order = [Order::None, Order::None, Order::Promote, Order::Pin, Order::Demote]
            [self.rng.below(5) as usize];
        if what < 3 && living < NODES_MAX && new < 30 {
            return self.join(new);
        }
        let zone = self.rng.below(3);
        let sim = self.nodes.get_mut(&node).expect("picked");
        match what {
            3 | 4 => (sim.alive, sim.since) = (false, now),
            5..=7 if !sim.alive => (sim.alive, sim.since) = (true, now),
            8 => {
                sim.cut = !sim.cut;
                sim.since = now;
            }
            9 => sim.deaf = !sim.deaf,
            10 => sim.leaving = living > 1,
            11 => (sim.moves, sim.zone, sim.since) = (sim.moves + 1, zone, now),
            12 => sim.order = order,
            _ => {}
        }
    }

    fn quiet(&mut self) {
        let dead_stay = self.rng.chance(1, 3);
        let orders_stay = self.rng.chance(1, 3);
        for sim in self.nodes.values_mut() {
            if sim.cut || (!sim.alive && !dead_stay) {
                (sim.alive, sim.since) = (true, self.now);
            }
            (sim.cut, sim.deaf) = (false, false);
            if !orders_stay {
                sim.order = Order::None;
            }
        }
        // The lost majority of a cluster is no matter of policy.
        let sets = self.sets();
        if !sets.iter().all(|set| majority(set, |n| self.nodes[n].alive)) {
            for sim in self.nodes.values_mut().filter(|s| !s.alive) {
                (sim.alive, sim.since) = (true, self.now);
            }
        }
        (self.changed, self.pace, self.doing) = (true, QUIET_TICK_MS, None);
    }

    fn tick(&mut self) {
        self.now += self.pace;
        self.elect();
        self.hear();
        if let Some((step, at)) = self.doing.clone()
            && at <= self.now
        {
            self.doing = None;
            self.changed = true;
            self.carry_out(step);
        }
        if self.nodes[&self.leader].alive
            && (self.changed || self.wake.is_some_and(|w| w <= mono(self.now)))
        {
            self.changed = false;
            self.look();
        }
    }

    fn elect(&mut self) {
        if self.could_lead(self.leader) {
            self.lost = None;
            return;
        }
        let lost = *self.lost.get_or_insert(self.now);
        if self.now < lost + ELECTION_MS {
            return;
        }
        let voters: BTreeSet<Node> = self.sets().into_iter().flatten().collect();
        let able = voters.into_iter().find(|n| *n != self.leader && self.could_lead(*n));
        if let Some(able) = able {
            self.lead(able);
        }
    }

    fn lead(&mut self, node: Node) {
        self.leader = node;
        self.lost = None;
        self.memory = Memory::default();
        self.doing = None;
        self.changed = true;
        self.nodes.values_mut().for_each(|s| s.heard = None);
        self.nodes.get_mut(&node).expect("a node").behind = 0;
    }

    fn hear(&mut self) {
        let leads = self.nodes[&self.leader].there();
        for (node, sim) in &mut self.nodes {
            if *node == self.leader {
                continue;
            }
            if leads && sim.there() && !sim.deaf && self.log.contains_key(node) {
                sim.heard = Some(self.now);
                sim.behind = sim.behind.saturating_sub(300);
            } else {
                sim.behind += self.rng.below(3);
            }
        }
    }

    fn view(&self) -> View {
        let members = self.log.iter().map(|(node, (address, votes))| {
            let sim = &self.nodes[node];
            let member = Member {
                address: address.clone(),
                votes: *votes,
                behind: sim.heard.map(|_| sim.behind),
                heard: sim.heard.map(mono),
            };
            (*node, member)
        });
        let candidates = self.nodes.iter().filter_map(|(node, sim)| {
            let life = match (sim.there(), self.now - sim.since) {
                (true, _) => Life::Alive { since: mono(sim.since) },
                (false, gone) if gone < NOTICED_MS => {
                    Life::Alive { since: mono(sim.since - 60_000) }
                }
                // Gossip forgets, too.
                (false, gone) if gone > 3_600_000 => return None,
                (false, _) => Life::Dead { since: mono(sim.since + NOTICED_MS) },
            };
            let versions = if sim.foreign { Versions { oldest: 3, newest: 3 } } else { VERSIONS };
            let candidate = Candidate {
                address: sim.address(*node),
                zone: format!("z{}", sim.zone),
                master: !sim.agent,
                versions,
                life,
                leaving: sim.leaving,
                order: sim.order,
            };
            Some((*node, candidate))
        });
        View {
            me: self.leader,
            versions: VERSIONS,
            members: members.collect(),
            joint: self.joint.clone(),
            changing: self.doing.is_some(),
            candidates: candidates.collect(),
        }
    }

    fn look(&mut self) {
        let view = self.view();
        let now = mono(self.now);
        let decision = decide(&view, &self.policy, &mut self.memory, now);
        self.wake = decision.wake;
        self.check(&view, &decision);
        let Some(step) = decision.step else { return };
        self.steps += 1;
        // Soon, later, or never.
        let takes = if self.rng.chance(1, 2) { 0 } else { self.rng.below(2000) };
        self.doing = Some((step, self.now + takes));
    }

    /// What the log does with a step.
    fn carry_out(&mut self, step: Step) {
        // Without a majority nothing is committed; and now and then nothing comes of it for another reason.
        if !self.could_lead(self.leader) || (self.troubled() && self.rng.chance(1, 10)) {
            return;
        }
        match step {
            Step::AddLearner { node, address } => {
                self.log.entry(node).or_insert((address, false));
            }
            Step::RemoveLearner { node } => {
                assert!(!self.log[&node].1, "{}: removes a voter", self.seed);
                self.log.remove(&node);
                self.nodes.get_mut(&node).expect("a node").heard = None;
            }
            Step::UpdateAddress { node, address } => {
                if let Some(member) = self.log.get_mut(&node) {
                    member.0 = address;
                }
            }
            Step::TransferLeadership { to } => {
                if self.could_lead(to) {
                    self.lead(to);
                }
            }
            Step::ChangeVoters { voters } => {
                // The leader may die between the two halves.
                if self.joint.is_none() && self.troubled() && self.rng.chance(1, 10) {
                    self.joint = Some(voters);
                    let leader = self.nodes.get_mut(&self.leader).expect("a node");
                    (leader.alive, leader.since) = (false, self.now);
                    self.events += 1;
                    return;
                }
                // From its beginning on a change needs both majorities.
                self.joint = Some(voters.clone());
                if !self.could_lead(self.leader) {
                    return;
                }
                self.joint = None;
                for (node, member) in &mut self.log {
                    member.1 = voters.contains(node);
                }
            }
        }
    }

    fn troubled(&self) -> bool {
        self.pace == TICK_MS
    }

    /// Whether a step is safe, by what the leader was told and nothing else.
    fn check(&self, view: &View, decision: &Decision) {
        let seed = self.seed;
        let now = mono(self.now);
        assert!(decision.wake.is_none_or(|w| w > now), "{seed}: wakes in the past");
        let all: BTreeSet<Node> =
            view.members.keys().chain(view.candidates.keys()).copied().collect();
        let told: Vec<Node> = decision.explanations.iter().map(|e| e.node).collect();
        assert_eq!(told, all.into_iter().collect::<Vec<_>>(), "{seed}: explanations");
        let Some(step) = &decision.step else { return };
        assert!(!view.changing, "{seed}: two steps at a time");
        let fresh = |n: &Node| {
            *n == view.me
                || view
                    .members
                    .get(n)
                    .and_then(|m| m.heard)
                    .is_some_and(|h| now.since(h) < self.policy.fresh)
        };
        let voters = view.voters();
        assert!(majority(&voters, fresh), "{seed}: {step:?} without a majority");
        if let Some(joint) = &view.joint {
            assert!(majority(joint, fresh), "{seed}: {step:?} without the joint majority");
            assert_eq!(*step, Step::ChangeVoters { voters: joint.clone() }, "{seed}");
            return;
        }
        let ready = |n: &Node| {
            let caught_up = view.members[n].behind.is_some_and(|b| b <= self.policy.behind_max);
            let steady = view.candidates.get(n).is_some_and(|c| {
                matches!(c.life, Life::Alive { since } if now.since(since) >= self.policy.steady)
                    && c.versions.meet(VERSIONS)
            });
            fresh(n) && caught_up && steady && !self.nodes[n].barred()
        };
        match step {
            Step::AddLearner { node, .. } => {
                assert!(!view.members.contains_key(node), "{seed}: adds a member");
                assert!(self.nodes[node].there() || self.now - self.nodes[node].since < NOTICED_MS);
                assert!(!self.nodes[node].barred() && !self.nodes[node].foreign, "{seed}");
            }
            Step::RemoveLearner { node } => {
                assert!(!view.members[node].votes, "{seed}: removes a voter");
            }
            Step::UpdateAddress { node, address } => {
                assert_eq!(*address, self.nodes[node].address(*node), "{seed}");
            }
            Step::TransferLeadership { to } => {
                assert!(self.nodes[&view.me].barred(), "{seed}: hands over for no reason");
                assert!(voters.contains(to) && *to != view.me && fresh(to), "{seed}");
                assert!(view.members[to].behind.is_some_and(|b| b <= self.policy.behind_max));
                assert!(!self.nodes[to].barred(), "{seed}: hands over to one that leaves, too");
            }
            Step::ChangeVoters { voters: new } => {
                assert!(new.contains(&view.me), "{seed}: the leader votes itself out");
                assert!(majority(new, fresh), "{seed}: {new:?} would have no majority");
                let sure = |n: &Node| {
                    let heard = view.members.get(n).and_then(|m| m.heard);
                    *n == view.me || heard.is_some_and(|h| now.since(h) < self.policy.sure)
                };
                assert!(majority(new, sure) && majority(&voters, sure), "{seed}: {new:?} unsure");
                assert!(
                    new.len()
                        <= self
                            .policy
                            .voters_max
                            .max(1 + usize::from(self.nodes[&view.me].barred())),
                    "{seed}: too many voters"
                );
                let ordered = self.nodes.values().any(|s| s.order != Order::None);
                let hands_over = self.nodes[&view.me].barred();
                let beside = hands_over && new.len() == 2;
                assert!(new.len() % 2 == 1 || ordered || beside, "{seed}: {new:?} is even");
                for node in new.difference(&voters) {
                    assert!(ready(node), "{seed}: {node} votes unprepared");
                }
                self.check_dropped(view, new, &voters, &ready);
            }
        }
    }

    /// Who loses a vote does so for a reason.
    fn check_dropped(
        &self,
        view: &View,
        new: &BTreeSet<Node>,
        old: &BTreeSet<Node>,
        ready: &dyn Fn(&Node) -> bool,
    ) {
        let seed = self.seed;
        let now = mono(self.now);
        let able = old.iter().filter(|n| !self.nodes[n].barred()).count()
            + view.members.keys().filter(|n| !old.contains(n) && ready(n)).count();
        let ordered = self.nodes.values().any(|s| s.order != Order::None);
        for node in old.difference(new) {
            let sim = &self.nodes[node];
            assert!(
                sim.order != Order::Pin
                    || sim.barred()
                    || !view.candidates.contains_key(node)
                    || new.len() == self.policy.voters_max,
                "{seed}: a pin"
            );
            let silent =
                view.members[node].heard.is_none_or(|h| now.since(h) >= self.policy.patience);
            if sim.barred() || silent || ordered {
                continue;
            }
            if new.len() < old.len() {
                let fewer = self.policy.voters_of(able) < old.len();
                assert!(fewer, "{seed}: {node} loses its vote though {able} can vote");
            } else {
                let spread = |set: &BTreeSet<Node>| {
                    let mut zones = BTreeMap::<u64, usize>::new();
                    set.iter().for_each(|n| *zones.entry(self.nodes[n].zone).or_default() += 1);
                    zones.values().map(|n| n * n).sum::<usize>()
                };
                // Others may be replaced in the same step.
                let replaced = old.iter().any(|n| self.nodes[n].barred() || !self.nodes[n].alive);
                assert!(
                    replaced || spread(new) < spread(old),
                    "{seed}: {node} replaced for nothing"
                );
            }
        }
    }

    /// Where a world is that has been quiet for long.
    fn check_rest(&self) {
        let seed = self.seed;
        assert!(self.joint.is_none(), "{seed}: half a change");
        assert!(self.could_lead(self.leader), "{seed}: nobody leads");
        let voters = self.voters();
        let able = |n: &Node| {
            let s = &self.nodes[n];
            s.there() && !s.barred() && (!s.foreign || voters.contains(n))
        };
        let healthy: BTreeSet<Node> = self.nodes.keys().filter(|n| able(n)).copied().collect();
        if healthy.is_empty() {
            return;
        }
        let ordered = self.nodes.values().any(|s| s.order != Order::None);
        let dead: Vec<&Node> = voters.iter().filter(|n| !self.nodes[n].alive).collect();
        let due = self.policy.voters_of(healthy.len());
        let state = format!("{seed}: voters {voters:?}, healthy {healthy:?}, dead {dead:?}");
        assert!(voters.len() % 2 == 1 || ordered, "an even number; {state}");
        assert!(voters.len() >= due, "too few; {state}");
        assert!(voters.len() == due || !dead.is_empty() || ordered, "too many; {state}");
        let pinned = |n: &Node| self.nodes[n].order == Order::Pin;
        // A vote that the operator keeps with the dead may keep others from going.
        let held = dead.iter().any(|n| pinned(n));
        for node in &voters {
            assert!(!self.nodes[node].barred() || held, "{node} votes; {state}");
        }
        let idle: Vec<&Node> = healthy.iter().filter(|n| !voters.contains(n)).collect();
        if dead.iter().any(|n| !pinned(n)) {
            assert!(idle.is_empty(), "a dead voter is not replaced; {state}");
        }
        let crowd =
            |n: &Node| voters.iter().filter(|v| self.nodes[v].zone == self.nodes[n].zone).count();
        for (out, into) in voters.iter().flat_map(|v| idle.iter().map(move |i| (v, *i))) {
            let fixed = *out == self.leader || ordered;
            assert!(fixed || crowd(out) < crowd(into) + 2, "{out} for {into}; {state}");
        }
        let learners = idle.iter().filter(|n| self.log.contains_key(n)).count();
        assert!(learners >= idle.len().min(self.policy.learners_max), "few learners; {state}");
        for (node, (address, _)) in &self.log {
            let sim = &self.nodes[node];
            assert!(!sim.there() || *address == sim.address(*node), "an old address; {state}");
            let stays = !sim.leaving && !sim.agent;
            assert!(stays || held, "{node} is still a member; {state}");
        }
    }
}

#[test]
fn every_step_is_safe_and_every_world_comes_to_rest() {
    let more = std::env::var("MESOLITH_SIM_SEEDS").ok().and_then(|n| n.parse().ok());
    let (mut steps, mut events, mut most) = (0, 0, 0.0_f64);
    for seed in 0..more.unwrap_or(WORLDS) {
        let mut world = World::new(seed);
        let often = 2 + world.rng.below(40);
        for _ in 0..TROUBLE {
            if world.rng.chance(1, often) {
                world.event();
            }
            world.tick();
        }
        world.quiet();
        for _ in 0..QUIET / 2 {
            world.tick();
        }
        let settled = world.steps;
        for _ in 0..QUIET / 2 {
            world.tick();
        }
        assert_eq!(world.steps, settled, "{seed}: never comes to rest");
        world.check_rest();
        let bound = 20 + 6 * world.events;
        assert!(settled <= bound, "{seed}: {settled} steps for {} events", world.events);
        steps += settled;
        events += world.events;
        most = most.max(settled as f64 / (world.events.max(1)) as f64);
    }
    println!("{events} events, {steps} steps, at most {most:.1} an event");
    assert!(steps > events / 4, "the worlds are too quiet: {steps} steps for {events} events");
}

#[test]
fn three_fresh_nodes_are_three_voters_within_five_seconds() {
    let mut world = World::new(1);
    world.policy = Policy::default();
    for node in 2..=3 {
        world.join(node);
        let sim = world.nodes.get_mut(&node).expect("joined");
        (sim.agent, sim.foreign) = (false, false);
    }
    let start = world.now;
    while world.voters().len() < 3 {
        assert!(world.now < start + 5000, "{:?}", world.log);
        world.changed = true;
        world.tick();
    }
}

#[test]
fn a_link_that_flaps_costs_no_votes() {
    let mut world = World::new(1);
    world.policy = Policy::default();
    for node in 2..=4 {
        world.join(node);
        let sim = world.nodes.get_mut(&node).expect("joined");
        (sim.agent, sim.foreign, sim.zone) = (false, false, 0);
    }
    for _ in 0..200 {
        world.tick();
    }
    let (voters, steps) = (world.voters(), world.steps);
    assert_eq!(voters.len(), 3);
    let flaps = *voters.iter().find(|n| **n != world.leader).expect("another");
    // Ten minutes, five seconds each way.
    for tick in 0..2400 {
        if tick % 20 == 0 {
            let sim = world.nodes.get_mut(&flaps).expect("there");
            (sim.cut, sim.since) = (!sim.cut, world.now);
            world.changed = true;
        }
        world.tick();
    }
    assert_eq!((world.voters(), world.steps), (voters, steps));
}
