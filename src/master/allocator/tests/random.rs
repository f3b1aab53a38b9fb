//! Random histories: whatever happens, the allocator agrees with the naive model.

use super::model::{Agent, Client, Filter, Framework, Model};
use super::*;
use crate::base::resources::{Disk, Persistence, Reservation, Resource};
use crate::base::rng::Rng;
use proptest::prelude::*;
use std::collections::BTreeMap;

const ROLES: [&str; 6] = ["*", "a", "a/b", "a/c", "d", "d/e/f"];

#[derive(Clone, Debug)]
enum Op {
    AddAgent(u8, u8, bool, u8),
    RemoveAgent(u8),
    AgentActive(u8, bool),
    AgentTotal(u8, u8),
    AddFramework(u8, u8, u8, u8, bool),
    UpdateFramework(u8, u8, u8, u8),
    RemoveFramework(u8),
    FrameworkActive(u8, bool),
    Revive(u8, u8),
    Suppress(u8, u8),
    Recover(u8, u8, Option<u8>),
    Assign(u8, u8, u8),
    Weight(u8, u8),
    Allocate(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let n = || 0..6u8;
    let any8 = any::<u8>;
    prop_oneof![
        3 => (n(), any8(), prop::bool::weighted(0.9), any8())
            .prop_map(|(a, k, s, u)| Op::AddAgent(a, k, s, u)),
        1 => n().prop_map(Op::RemoveAgent),
        1 => (n(), any::<bool>()).prop_map(|(a, s)| Op::AgentActive(a, s)),
        1 => (n(), any8()).prop_map(|(a, k)| Op::AgentTotal(a, k)),
        3 => (n(), any8(), any8(), 0..8u8, prop::bool::weighted(0.9))
            .prop_map(|(f, r, c, s, on)| Op::AddFramework(f, r, c, s, on)),
        1 => (n(), any8(), any8(), any8()).prop_map(|(f, r, c, s)| Op::UpdateFramework(f, r, c, s)),
        1 => n().prop_map(Op::RemoveFramework),
        1 => (n(), any::<bool>()).prop_map(|(f, on)| Op::FrameworkActive(f, on)),
        1 => (n(), any8()).prop_map(|(f, r)| Op::Revive(f, r)),
        1 => (n(), any8()).prop_map(|(f, r)| Op::Suppress(f, r)),
        8 => (any8(), 0..5u8, prop::option::of(0..5u8)).prop_map(|(w, p, f)| Op::Recover(w, p, f)),
        1 => (n(), n(), any8()).prop_map(|(f, a, k)| Op::Assign(f, a, k)),
        1 => (n(), 1..5u8).prop_map(|(r, w)| Op::Weight(r, w)),
        8 => (0..4u8).prop_map(Op::Allocate),
    ]
}

fn pick(mask: u8) -> BTreeSet<Role> {
    let named = ROLES.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0);
    named.map(|(_, role)| Role::from(*role)).collect()
}

fn total(kind: u8) -> Resources {
    let mut out = res(&format!("cpus:{};mem:{}", 1 + kind % 3, 128 * (1 + u32::from(kind % 4))));
    if kind & 16 != 0 {
        out += &res("cpus:1;mem:64").push_reservation(&Reservation::fixed("a"));
    }
    if kind & 32 != 0 {
        let first = res("mem:40").push_reservation(&Reservation::fixed("a"));
        out += &first.push_reservation(&Reservation::dynamic("a/b", None));
    }
    if kind & 64 != 0 {
        let mut cpus = Resource::scalar("cpus", 0.5);
        cpus.revocable = true;
        out.add_one(cpus);
    }
    if kind & 128 != 0 {
        let persistence = Some(Persistence { id: "v".into(), principal: None });
        let mut disk = Resource::scalar("disk", 9.0);
        disk.reservations.push(Reservation::dynamic("d", None));
        disk.disk = Some(std::sync::Arc::new(Disk { persistence, ..Disk::default() }));
        disk.shared = true;
        out.add_one(disk);
    }
    if kind.is_multiple_of(7) {
        out += &res("gpus:1");
    }
    if kind.is_multiple_of(5) {
        out += &res("ports:[1-100];licences:3");
    }
    out
}

fn framework_traits(mask: u8, can: u8) -> FrameworkTraits {
    FrameworkTraits {
        roles: pick(mask),
        gpu: can & 1 != 0,
        revocable: can & 2 != 0,
        shared: can & 4 != 0,
        reservation_refinement: can & 8 != 0,
        region_aware: can & 16 != 0,
        ..FrameworkTraits::default()
    }
}

/// A part of what is held: all, half of the scalars, only cpus, ports or volumes.
fn part(held: &Resources, how: u8) -> Resources {
    match how {
        1 => held.filter(|r| &*r.name == "cpus"),
        2 => held.filter(|r| &*r.name == "ports" || r.shared),
        3 => held.filter(|r| r.reservations.is_empty()),
        _ => held.clone(),
    }
}

struct World {
    lab: Lab,
    model: Model,
}

impl World {
    fn framework(
        &mut self,
        id: &FrameworkId,
        traits: FrameworkTraits,
        suppressed: BTreeSet<Role>,
        active: bool,
    ) {
        self.model.frameworks.insert(id.clone(), Framework { traits, suppressed, active });
    }

    fn end_filters(&mut self, gone: impl Fn(&Filter) -> bool) {
        self.model.filters.retain(|f| !gone(f));
    }

    fn apply(&mut self, op: &Op) {
        match op.clone() {
            Op::AddAgent(..) | Op::RemoveAgent(_) | Op::AgentActive(..) | Op::AgentTotal(..) => {
                self.apply_to_agent(op);
            }
            Op::Recover(which, how, filter) => self.recover(which, how, filter),
            Op::Assign(f, a, kind) => self.assign(f, a, kind),
            Op::Weight(role, weight) => {
                let (role, weight) = (Role::from(ROLES[role as usize]), f64::from(weight));
                self.lab.allocator.update_weight(role.clone(), weight).expect("positive");
                self.model.weights.insert(role, weight);
            }
            Op::Allocate(seconds) => {
                self.lab.pass(Duration::from_secs(seconds.into()));
                let answer = self.lab.allocate();
                self.model.check_cycle(&answer, self.lab.now);
            }
            _ => self.apply_to_framework(op),
        }
        self.model.forget();
        self.agree();
    }

    fn apply_to_agent(&mut self, op: &Op) {
        let id = |n: u8| AgentId::from(format!("s{n}"));
        match *op {
            Op::AddAgent(n, kind, active, user) => {
                let traits = AgentTraits { active, remote_region: kind == 3 };
                let client = (
                    fw(&format!("f{}", user % 6)),
                    Role::from(ROLES[usize::from(user) % ROLES.len()]),
                );
                let used = res("cpus:0.25").allocate(&client.1);
                let of = [(client.0.clone(), used.clone())];
                let of = if user < 100 { &of[..] } else { &[] };
                self.model.agents.remove(&id(n));
                self.model.forget();
                self.lab.allocator.add_agent(id(n), traits, total(kind), of);
                self.model
                    .agents
                    .insert(id(n), Agent { traits, total: total(kind), used: BTreeMap::new() });
                if user < 100 {
                    self.model.set_held(&id(n), &client, used.unallocate());
                }
            }
            Op::RemoveAgent(n) => {
                self.lab.allocator.remove_agent(&id(n));
                self.model.agents.remove(&id(n));
            }
            Op::AgentActive(n, active) => {
                match active {
                    true => self.lab.allocator.activate_agent(&id(n)),
                    false => self.lab.allocator.deactivate_agent(&id(n)),
                }
                if let Some(agent) = self.model.agents.get_mut(&id(n)) {
                    agent.traits.active = active;
                }
            }
            Op::AgentTotal(n, kind) => {
                self.lab.allocator.update_agent_total(&id(n), total(kind));
                let Some(agent) = self.model.agents.get_mut(&id(n)) else { return };
                let before = std::mem::replace(&mut agent.total, total(kind));
                if !before.contains(&total(kind)) {
                    self.end_filters(|f| f.agent == id(n));
                }
            }
            _ => {}
        }
    }

    fn apply_to_framework(&mut self, op: &Op) {
        let id = |n: u8| fw(&format!("f{n}"));
        match *op {
            Op::AddFramework(n, mask, can, suppressed, active) => {
                let (traits, quiet) = (framework_traits(mask, can), pick(suppressed));
                self.lab.allocator.add_framework(id(n), traits.clone(), &quiet, active, &[]);
                self.unsuppress(&id(n), &traits, &quiet, active);
                self.framework(&id(n), traits, quiet, active);
            }
            Op::UpdateFramework(n, mask, can, suppressed) => {
                let (traits, quiet) = (framework_traits(mask, can), pick(suppressed));
                self.lab.allocator.update_framework(&id(n), traits.clone(), &quiet);
                if let Some(old) = self.model.frameworks.get(&id(n)) {
                    let active = old.active;
                    self.unsuppress(&id(n), &traits, &quiet, active);
                    self.framework(&id(n), traits, quiet, active);
                }
            }
            Op::RemoveFramework(n) => {
                self.lab.allocator.remove_framework(&id(n));
                self.model.frameworks.remove(&id(n));
                for agent in self.model.agents.values_mut() {
                    agent.used.retain(|(f, _), _| *f != id(n));
                }
            }
            Op::FrameworkActive(n, active) => {
                match active {
                    true => self.lab.allocator.activate_framework(&id(n)),
                    false => self.lab.allocator.deactivate_framework(&id(n)),
                }
                if let Some(framework) = self.model.frameworks.get_mut(&id(n)) {
                    framework.active = active;
                }
            }
            Op::Revive(n, mask) => {
                self.lab.allocator.revive(&id(n), &pick(mask));
                let Some(framework) = self.model.frameworks.get_mut(&id(n)) else { return };
                let all = pick(mask).is_empty();
                framework.suppressed.retain(|r| !all && !pick(mask).contains(r));
                self.end_filters(|f| {
                    f.client.0 == id(n) && (all || pick(mask).contains(&f.client.1))
                });
            }
            Op::Suppress(n, mask) => {
                self.lab.allocator.suppress(&id(n), &pick(mask));
                let Some(framework) = self.model.frameworks.get_mut(&id(n)) else { return };
                let roles = framework.traits.roles.clone();
                let named = pick(mask);
                framework
                    .suppressed
                    .extend(roles.into_iter().filter(|r| named.is_empty() || named.contains(r)));
            }
            _ => {}
        }
    }

    /// A role that was not served and now is has no filters.
    fn unsuppress(
        &mut self,
        id: &FrameworkId,
        traits: &FrameworkTraits,
        quiet: &BTreeSet<Role>,
        active: bool,
    ) {
        let before = self.model.clone();
        self.end_filters(|f| {
            let served =
                active && traits.roles.contains(&f.client.1) && !quiet.contains(&f.client.1);
            f.client.0 == *id && served && !before.served(&f.client)
        });
    }

    fn recover(&mut self, which: u8, how: u8, filter: Option<u8>) {
        let held: Vec<(AgentId, Client, Resources)> = self
            .model
            .agents
            .iter()
            .flat_map(|(id, a)| a.used.iter().map(|(c, r)| (id.clone(), c.clone(), r.clone())))
            .collect();
        let Some((id, client, all)) = held.get(usize::from(which) % held.len().max(1)) else {
            return;
        };
        let back = part(all, how);
        let life = filter.map(|s| Duration::from_secs(s.into()));
        let now = self.lab.now;
        let result =
            self.lab.allocator.recover(&client.0, id, &back.allocate(&client.1), life, now);
        assert_eq!(result, Ok(()));
        if let (Some(life), true) = (life, self.model.served(client) && !back.is_empty()) {
            let until = now + life.max(Duration::from_secs(1));
            let (client, agent, refused) = (client.clone(), id.clone(), back.clone());
            self.model.filters.push(Filter { client, agent, refused, until });
        }
        self.model.set_held(id, client, all - &back);
    }

    fn assign(&mut self, f: u8, a: u8, kind: u8) {
        let (id, framework) = (ag(&format!("s{a}")), fw(&format!("f{f}")));
        let client = (framework, Role::from(ROLES[usize::from(kind) % ROLES.len()]));
        let Some(agent) = self.model.agents.get(&id) else { return };
        let task = res("cpus:0.125;mem:16");
        if !agent.free().contains(&task) && kind < 200 {
            return;
        }
        let held = &agent.used.get(&client).cloned().unwrap_or_default() + &task;
        self.lab.allocator.assign(&client.0, &id, &task.allocate(&client.1));
        self.model.set_held(&id, &client, held);
    }

    /// The allocator's books are those of the model.
    fn agree(&self) {
        let allocator = &self.lab.allocator;
        let mut agents = BTreeMap::new();
        for (_, agent) in allocator.pool.iter() {
            let client = |slot: &u32| {
                let client = allocator.tree.client(*slot).expect("a holder is a client");
                let framework = allocator.members.get(client.framework).expect("of a framework");
                (
                    framework.id.clone(),
                    allocator.tree.node(client.node).role.clone().expect("in a role"),
                )
            };
            let used: BTreeMap<Client, Resources> =
                agent.used.iter().map(|(c, r)| (client(c), r.clone())).collect();
            agents.insert(agent.id.clone(), (agent.free.clone(), used));
        }
        let expected: BTreeMap<_, _> = self
            .model
            .agents
            .iter()
            .map(|(id, a)| (id.clone(), (a.free(), a.used.clone())))
            .collect();
        assert_eq!(agents, expected);
        for agent in self.model.agents.values() {
            let mut all = agent.free().non_shared();
            agent.used.values().for_each(|r| all += &r.non_shared());
            assert!(all.contains(&agent.total.non_shared()), "nothing is lost");
        }
        for (role, status) in allocator.roles() {
            let below = format!("{role}/");
            let held = self.model.held(&|(_, r)| *r == role || r.as_str().starts_with(&below));
            assert_eq!(status.allocated, held, "{role}");
            assert_eq!(status.dominant_share, self.model.share(&held), "{role}");
        }
    }
}

fn run(ops: &[Op]) {
    let mut world = World { lab: Lab::new(), model: Model::default() };
    for op in ops {
        world.apply(op);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    // covers: MES-0715, MES-0721, MES-0723, MES-0725
    #[test]
    fn any_history_agrees_with_the_model(ops in prop::collection::vec(op(), 1..60)) {
        run(&ops);
    }

    /// Everything that comes back is offered again, once nobody refuses it.
    // covers: MES-0724
    #[test]
    fn what_is_recovered_is_offered_again(ops in prop::collection::vec(op(), 1..40)) {
        let mut world = World { lab: Lab::new(), model: Model::default() };
        ops.iter().for_each(|op| world.apply(op));
        for n in 0..6 {
            world.apply(&Op::RemoveFramework(n));
            world.apply(&Op::AgentActive(n, true));
        }
        let able = FrameworkTraits { region_aware: true, ..framework_traits(63, 31) };
        world.lab.framework_with("last", able.clone());
        world.framework(&fw("last"), able, BTreeSet::new(), true);
        world.apply(&Op::Allocate(0));
        for (id, agent) in &world.model.agents {
            prop_assert!(agent.free().non_shared().is_empty(), "{} keeps {}", id, agent.free());
        }
    }

    // covers: MES-0732
    #[test]
    fn the_order_of_coming_does_not_matter(
        seed in any::<u64>(),
        agents in 1..20u64,
        frameworks in 1..8u64,
    ) {
        let build = |order: u64| {
            let mut lab = Lab::new();
            let mut comers: Vec<(bool, u64)> = (0..agents).map(|n| (true, n)).collect();
            comers.extend((0..frameworks).map(|n| (false, n)));
            Rng::new(order).shuffle(&mut comers);
            for (is_agent, n) in comers {
                if is_agent {
                    let of = fw(&format!("f{}", n % frameworks));
                    let used = res("cpus:0.5").allocate(&ROLES[n as usize % ROLES.len()].into());
                    let total = total((n * 16) as u8);
                    let (id, used) = (ag(&format!("s{n}")), [(of, used)]);
                    lab.allocator.add_agent(id, AgentTraits::default(), total, &used);
                } else {
                    let traits = framework_traits((n * 5 + 1) as u8, n as u8);
                    lab.framework_with(&format!("f{n}"), traits);
                }
            }
            let answer = lab.allocate();
            (answer, lab.allocator.roles())
        };
        prop_assert_eq!(build(seed), build(seed ^ 1));
    }
}
