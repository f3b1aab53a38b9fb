//! Agents: what each has, who holds what of it, and which must be looked at.

use super::options::AgentTraits;
use super::vector::Vector;
use crate::base::ids::{AgentId, Role};
use crate::base::resources::Resources;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Why an agent is looked at in the next cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Dirty {
    /// It is not: nobody who is served could take anything of it.
    #[default]
    No,
    /// For one client alone, who wants again what all others could not take.
    For(u32),
    /// For everybody.
    All,
}

/// One agent.
#[derive(Debug)]
pub(super) struct Agent {
    /// Its id.
    pub id: AgentId,
    /// A number made from its id, to sort by.
    pub label: u64,
    /// State and place.
    pub traits: AgentTraits,
    /// All it has, allocated to nobody.
    pub total: Resources,
    /// The scalars of `total`.
    pub total_vector: Vector,
    /// What each client holds, allocated to nobody (the client says for which role).
    pub used: BTreeMap<u32, Resources>,
    /// What nobody holds. Shared volumes are always in it: others may hold them too.
    pub free: Resources,
    /// The scalars of `free`.
    pub free_vector: Vector,
    /// Whether everybody may take all that is free: nothing reserved, revocable or shared.
    pub free_is_plain: bool,
    /// More is used than there is; `free` is then always computed whole.
    overcommitted: bool,
    dirty: Dirty,
}

/// What came of giving back.
#[derive(Debug, Default)]
pub(super) struct Returned {
    /// What the client held of it.
    pub back: Resources,
    /// What it did not hold.
    pub missing: Resources,
    /// How much less scalars it holds now.
    pub less: Vector,
    /// It held something, and holds nothing any more.
    pub ended: bool,
}

impl Agent {
    /// Everything that is held, by whomever.
    pub fn used_all(&self) -> Resources {
        let mut all = Resources::new();
        self.used.values().for_each(|r| all += r);
        all
    }

    /// Computes from scratch what is free.
    pub fn recount(&mut self) {
        let used = self.used_all().non_shared();
        self.overcommitted = !self.total.contains(&used);
        self.free = &self.total - &used;
        self.describe_free();
    }

    fn describe_free(&mut self) {
        self.free_vector = Vector::of(&self.free);
        self.free_is_plain = self.free.iter().all(|r| {
            r.reservations.is_empty() && !r.revocable && !r.shared && r.allocated_to.is_none()
        });
    }

    /// Gives a client all that is free; answers it, allocated to `role`. Only where
    /// [`Agent::free_is_plain`].
    pub fn take_all(&mut self, client: u32, role: &Role) -> Resources {
        let free = std::mem::take(&mut self.free);
        let granted = free.allocate(role);
        self.free_vector = Vector::default();
        match self.used.entry(client) {
            Entry::Vacant(none) => {
                none.insert(free);
            }
            Entry::Occupied(mut some) => *some.get_mut() += &free,
        }
        granted
    }

    /// Gives a client a part of what is free; answers by how much more scalars it holds (another
    /// copy of a shared volume is none).
    pub fn take(&mut self, client: u32, part: &Resources) -> Vector {
        let used = self.used.entry(client).or_default();
        let before = Vector::of(used);
        *used += part;
        let mut more = Vector::of(used);
        more.subtract(&before);
        if self.overcommitted {
            self.recount();
        } else {
            self.free -= &part.non_shared();
            self.describe_free();
        }
        more
    }

    /// Takes back from a client.
    pub fn give_back(&mut self, client: u32, part: &Resources) -> Returned {
        let Some(used) = self.used.get_mut(&client) else {
            return Returned { missing: part.clone(), ..Returned::default() };
        };
        if used == part {
            return self.give_back_all(client);
        }
        let missing = if used.contains(part) { Resources::new() } else { part - used };
        let back = if missing.is_empty() { part.clone() } else { part - &missing };
        let mut less = Vector::of(used);
        *used -= &back;
        less.subtract(&Vector::of(used));
        let ended = used.is_empty();
        if ended {
            self.used.remove(&client);
        }
        self.add_free(back.clone());
        Returned { back, missing, less, ended }
    }

    /// Takes back all that a client holds.
    pub fn give_back_all(&mut self, client: u32) -> Returned {
        let Some(back) = self.used.remove(&client) else { return Returned::default() };
        let less = Vector::of(&back);
        self.add_free(back.clone());
        Returned { back, missing: Resources::new(), less, ended: true }
    }

    fn add_free(&mut self, back: Resources) {
        if self.overcommitted {
            self.recount();
            return;
        }
        if self.free.is_empty() && !back.iter().any(|r| r.shared) {
            self.free = back;
        } else {
            self.free += &back.non_shared();
        }
        self.describe_free();
    }

    /// Whether it has something to offer and may offer it.
    pub fn is_open(&self) -> bool {
        self.traits.active && !self.free.is_empty()
    }

    /// Whether it has gpus.
    pub fn has_gpus(&self) -> bool {
        self.total_vector.gpus() > 0
    }
}

/// All agents.
#[derive(Debug, Default)]
pub(super) struct Pool {
    slots: Vec<Slot>,
    empty: Vec<u32>,
    by_id: BTreeMap<AgentId, u32>,
    /// Slots whose agent is dirty; each once, and perhaps others.
    dirty: Vec<u32>,
    /// Slots whose agent has something free; each once, and perhaps others.
    open: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    agent: Option<Agent>,
    in_dirty: bool,
    in_open: bool,
}

impl Pool {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The slot of an agent.
    pub fn find(&self, id: &AgentId) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// An agent.
    pub fn get(&self, slot: u32) -> Option<&Agent> {
        self.slots.get(slot as usize)?.agent.as_ref()
    }

    /// An agent, to change it.
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Agent> {
        self.slots.get_mut(slot as usize)?.agent.as_mut()
    }

    /// All agents, by id.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Agent)> {
        self.by_id.values().filter_map(|slot| Some((*slot, self.get(*slot)?)))
    }

    /// Adds an agent that nobody uses yet. The id must be new.
    pub fn insert(&mut self, id: AgentId, traits: AgentTraits, total: Resources) -> u32 {
        let slot = self.empty.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let mut agent = Agent {
            label: label(id.as_str()),
            id: id.clone(),
            traits,
            total_vector: Vector::of(&total),
            total,
            used: BTreeMap::new(),
            free: Resources::new(),
            free_vector: Vector::default(),
            free_is_plain: true,
            overcommitted: false,
            dirty: Dirty::No,
        };
        agent.recount();
        self.slots[slot as usize].agent = Some(agent);
        self.by_id.insert(id, slot);
        self.mark(slot, Dirty::All);
        slot
    }

    /// Takes an agent out.
    pub fn remove(&mut self, slot: u32) -> Option<Agent> {
        let agent = self.slots.get_mut(slot as usize)?.agent.take()?;
        self.by_id.remove(&agent.id);
        self.empty.push(slot);
        Some(agent)
    }

    /// The agent must be looked at; to be called whenever something of it has become free.
    pub fn mark(&mut self, slot: u32, why: Dirty) {
        let Some(Slot { agent: Some(agent), in_dirty, in_open }) =
            self.slots.get_mut(slot as usize)
        else {
            return;
        };
        agent.dirty = match (agent.dirty, why) {
            (Dirty::No, why) | (why, Dirty::No) => why,
            (Dirty::For(a), Dirty::For(b)) if a == b => why,
            _ => Dirty::All,
        };
        if agent.dirty != Dirty::No && !std::mem::replace(in_dirty, true) {
            self.dirty.push(slot);
        }
        if !agent.free.is_empty() && !std::mem::replace(in_open, true) {
            self.open.push(slot);
        }
    }

    /// Marks every agent that has something free.
    pub fn mark_open(&mut self, why: Dirty) {
        let mut open = std::mem::take(&mut self.open);
        open.retain(|slot| {
            let Some(entry) = self.slots.get_mut(*slot as usize) else { return false };
            entry.in_open = entry.agent.as_ref().is_some_and(|a| !a.free.is_empty());
            entry.in_open
        });
        open.iter().for_each(|slot| self.mark(*slot, why));
        self.open = open;
    }

    /// Whether some agent is to be looked at.
    pub fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The agents to look at, in an order that follows from their ids and the seed; they are clean
    /// from now.
    pub fn take_dirty(&mut self, seed: u64) -> Vec<(u32, Dirty)> {
        let mut out = Vec::with_capacity(self.dirty.len());
        for slot in self.dirty.drain(..) {
            let Some(entry) = self.slots.get_mut(slot as usize) else { continue };
            entry.in_dirty = false;
            let Some(agent) = &mut entry.agent else { continue };
            let why = std::mem::take(&mut agent.dirty);
            if why != Dirty::No && agent.is_open() {
                out.push((mix(agent.label ^ seed), agent.label, slot, why));
            }
        }
        out.sort_unstable_by_key(|(shuffled, label, slot, _)| (*shuffled, *label, *slot));
        out.into_iter().map(|(_, _, slot, why)| (slot, why)).collect()
    }
}

/// A number from an id: FNV-1a, well mixed. The same for ever, so that orders can be repeated.
fn label(id: &str) -> u64 {
    let fnv = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
    mix(id.bytes().fold(0xcbf2_9ce4_8422_2325, fnv))
}

/// The finishing step of SplitMix64: a bijection that leaves no pattern.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
