//! A naive allocator's book-keeping: everything computed from scratch, to hold the real one
//! against.

use super::*;
use crate::base::resources::Quantities;
use std::collections::BTreeMap;

/// A framework in a role.
pub type Client = (FrameworkId, Role);

#[derive(Clone, Debug)]
pub struct Agent {
    pub traits: AgentTraits,
    pub total: Resources,
    pub used: BTreeMap<Client, Resources>,
}

#[derive(Clone, Debug)]
pub struct Framework {
    pub traits: FrameworkTraits,
    pub suppressed: BTreeSet<Role>,
    pub active: bool,
}

#[derive(Clone, Debug)]
pub struct Filter {
    pub client: Client,
    pub agent: AgentId,
    pub refused: Resources,
    pub until: Mono,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub agents: BTreeMap<AgentId, Agent>,
    pub frameworks: BTreeMap<FrameworkId, Framework>,
    pub filters: Vec<Filter>,
    pub weights: BTreeMap<Role, f64>,
    /// Allocations counted: by client, by role for itself, by role with all below.
    client_count: BTreeMap<Client, u64>,
    own_count: BTreeMap<Role, u64>,
    tree_count: BTreeMap<Role, u64>,
}

impl Agent {
    pub fn free(&self) -> Resources {
        let mut used = Resources::new();
        self.used.values().for_each(|r| used += r);
        &self.total - &used.non_shared()
    }
}

impl Model {
    pub fn served(&self, (framework, role): &Client) -> bool {
        self.frameworks.get(framework).is_some_and(|f| {
            f.active && f.traits.roles.contains(role) && !f.suppressed.contains(role)
        })
    }

    /// Everybody who is subscribed or holds something.
    fn clients(&self) -> BTreeSet<Client> {
        let subscribed = self
            .frameworks
            .iter()
            .flat_map(|(id, f)| f.traits.roles.iter().map(|role| (id.clone(), role.clone())));
        let holding = self.agents.values().flat_map(|a| a.used.keys().cloned());
        subscribed.chain(holding).collect()
    }

    /// Counts are kept no longer than who is counted.
    pub fn forget(&mut self) {
        let clients = self.clients();
        self.client_count.retain(|c, _| clients.contains(c));
        let alive = |role: &Role| {
            clients.iter().any(|(_, r)| r == role || r.as_str().starts_with(&format!("{role}/")))
        };
        self.own_count.retain(|r, _| alive(r));
        self.tree_count.retain(|r, _| alive(r));
        let served: Vec<bool> = self.filters.iter().map(|f| self.served(&f.client)).collect();
        let mut served = served.into_iter();
        let agents = &self.agents;
        self.filters.retain(|f| served.next().unwrap_or(false) && agents.contains_key(&f.agent));
    }

    pub fn count(&mut self, client: &Client) {
        *self.client_count.entry(client.clone()).or_default() += 1;
        *self.own_count.entry(client.1.clone()).or_default() += 1;
        for (at, _) in client.1.as_str().match_indices('/') {
            *self.tree_count.entry(client.1.as_str()[..at].into()).or_default() += 1;
        }
        *self.tree_count.entry(client.1.clone()).or_default() += 1;
    }

    /// The scalars held by the clients a rule picks.
    pub fn held(&self, pick: &dyn Fn(&Client) -> bool) -> Quantities {
        let mut out = Quantities::default();
        for agent in self.agents.values() {
            for (_, held) in agent.used.iter().filter(|(c, _)| pick(c)) {
                out += &held.quantities();
            }
        }
        out
    }

    pub fn share(&self, held: &Quantities) -> f64 {
        let mut total = Quantities::default();
        self.agents.values().for_each(|a| total += &a.total.quantities());
        let part = |(name, amount): (&std::sync::Arc<str>, crate::base::resources::Scalar)| {
            let total = total.get(name).thousandths();
            if total > 0 { amount.thousandths() as f64 / total as f64 } else { 0.0 }
        };
        held.iter().map(part).fold(0.0, f64::max)
    }

    /// All clients that are served, in fair order.
    pub fn order(&self) -> Vec<Client> {
        let served: Vec<Client> = self.clients().into_iter().filter(|c| self.served(c)).collect();
        let mut out = Vec::new();
        self.order_below("", &served, &mut out);
        out
    }

    fn order_below(&self, above: &str, served: &[Client], out: &mut Vec<Client>) {
        let mut level = BTreeMap::new();
        for (_, role) in served {
            let rest = match above {
                "" => role.as_str(),
                _ => match role.as_str().strip_prefix(above) {
                    Some("") => {
                        level.insert(format!("{above}/."), role.clone());
                        continue;
                    }
                    Some(rest) if rest.starts_with('/') => &rest[1..],
                    _ => continue,
                },
            };
            let head = rest.split('/').next().unwrap_or_default();
            let child = if above.is_empty() { head.into() } else { format!("{above}/{head}") };
            level.insert(child.clone(), Role::from(child));
        }
        let mut keyed: Vec<_> = level
            .into_iter()
            .map(|(path, role)| {
                let own = path.ends_with("/.");
                let below = format!("{role}/");
                let held =
                    self.held(&|(_, r)| *r == role || (!own && r.as_str().starts_with(&below)));
                let weight =
                    if own { 1.0 } else { self.weights.get(&role).copied().unwrap_or(1.0) };
                let counts = if own { &self.own_count } else { &self.tree_count };
                let count = counts.get(&role).copied().unwrap_or(0);
                (self.share(&held) / weight, count, path, role)
            })
            .collect();
        keyed.sort_by(|a, b| a.partial_cmp(b).expect("no share is not a number"));
        for (_, _, path, role) in keyed {
            let has_below =
                self.clients().iter().any(|(_, r)| r.as_str().starts_with(&format!("{role}/")));
            if path.ends_with("/.") || !has_below {
                self.order_in(&role, served, out);
            } else {
                self.order_below(role.as_str(), served, out);
            }
        }
    }

    fn order_in(&self, role: &Role, served: &[Client], out: &mut Vec<Client>) {
        let mut keyed: Vec<_> = served
            .iter()
            .filter(|(_, r)| r == role)
            .map(|client| {
                let share = self.share(&self.held(&|c| c == client));
                (share, self.client_count.get(client).copied().unwrap_or(0), client.clone())
            })
            .collect();
        keyed.sort_by(|a, b| a.partial_cmp(b).expect("no share is not a number"));
        out.extend(keyed.into_iter().map(|(_, _, client)| client));
    }

    /// What a client may take of what is left of an agent.
    pub fn takes(
        &self,
        client: &Client,
        id: &AgentId,
        left: &Resources,
        now: Mono,
    ) -> Option<Resources> {
        let (framework, agent) = (&self.frameworks[&client.0], &self.agents[id]);
        let can = &framework.traits;
        let gpus = !agent.total.gpus().is_zero();
        if !agent.traits.active
            || (gpus && !can.gpu)
            || (agent.traits.remote_region && !can.region_aware)
        {
            return None;
        }
        let offer = left.allocatable_to(client.1.as_str()).filter(|r| {
            (can.revocable || !r.revocable)
                && (can.shared || !r.shared)
                && (can.reservation_refinement || !r.is_refined())
        });
        let enough = offer.cpus().as_f64() >= 0.01 || offer.mem().as_f64() >= 32.0;
        let filtered = self.filters.iter().any(|f| {
            f.client == *client && f.agent == *id && f.until > now && f.refused.contains(&offer)
        });
        (enough && !filtered).then_some(offer)
    }

    /// Checks a cycle's answer, allocation for allocation, and enters it.
    pub fn check_cycle(&mut self, answer: &[Allocation], now: Mono) {
        self.filters.retain(|f| f.until > now);
        let mut seen = BTreeSet::new();
        let mut at = 0;
        while at < answer.len() {
            let id = answer[at].agent.clone();
            assert!(seen.insert(id.clone()), "agent {id} has two turns in one cycle");
            let mut left = self.agents[&id].free();
            for client in self.order() {
                let Some(offer) = self.takes(&client, &id, &left, now) else { continue };
                let expected = Allocation {
                    framework: client.0.clone(),
                    role: client.1.clone(),
                    agent: id.clone(),
                    resources: offer.allocate(&client.1),
                };
                assert_eq!(answer.get(at), Some(&expected));
                at += 1;
                left -= &offer;
                self.enter(&client, &id, &offer);
            }
            assert!(answer.get(at).is_none_or(|a| a.agent != id), "{:?}", answer.get(at));
        }
        // An agent that had no turn, or has had it, has nothing left that anybody could take; but
        // for a shared volume with it, which makes an offer of what alone would be none.
        for (id, agent) in &self.agents {
            let left = agent.free().non_shared();
            for client in self.order() {
                let offer = self.takes(&client, id, &left, now);
                assert_eq!(offer, None, "{client:?} could have it of {id}");
            }
        }
    }

    fn enter(&mut self, client: &Client, id: &AgentId, offer: &Resources) {
        let agent = self.agents.get_mut(id).expect("known");
        *agent.used.entry(client.clone()).or_default() += offer;
        self.count(client);
    }

    /// A client holds something else now; counts as an allocation if it is more.
    pub fn set_held(&mut self, id: &AgentId, client: &Client, held: Resources) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        let before = agent.used.remove(client).unwrap_or_default();
        if !held.is_empty() {
            agent.used.insert(client.clone(), held.clone());
        }
        let (had, has) = (before.quantities(), held.quantities());
        if had != has && has.contains(&had) {
            self.count(client);
        }
    }
}
