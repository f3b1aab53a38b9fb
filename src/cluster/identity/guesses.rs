//! How often a token may be guessed wrong: pure, time as an argument. A secret has 160 bits, so this is not what keeps
//! guessers out; it keeps them from filling logs and from costing work.

use crate::base::time::Mono;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// How many sources are remembered: the one that guessed longest ago is forgotten first.
const SOURCES_MAX: usize = 1024;

/// How much guessing is borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuessesLimits {
    /// Wrong guesses of one source in a window.
    pub per_source: u32,
    /// Wrong guesses of all sources in a window.
    pub in_all: u32,
    /// How long a window is.
    pub window: Duration,
}

impl Default for GuessesLimits {
    fn default() -> Self {
        Self { per_source: 5, in_all: 500, window: Duration::from_secs(60) }
    }
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: Mono,
    wrong: u32,
}

impl Window {
    fn at(self, now: Mono, length: Duration) -> Self {
        if now.since(self.since) >= length { Self { since: now, wrong: 0 } } else { self }
    }

    fn left(self, now: Mono, length: Duration) -> Duration {
        length.saturating_sub(now.since(self.since))
    }
}

/// Counts wrong guesses.
#[derive(Clone, Debug)]
pub struct Guesses {
    limits: GuessesLimits,
    sources: BTreeMap<IpAddr, Window>,
    all: Window,
}

/// Who has one IPv6 address has its whole /64.
fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        },
        v4 => v4,
    }
}

impl Guesses {
    /// None yet.
    pub fn new(limits: GuessesLimits) -> Self {
        Self { limits, sources: BTreeMap::new(), all: Window { since: Mono::default(), wrong: 0 } }
    }

    /// Whether a source may try.
    ///
    /// # Errors
    /// After how long it may again.
    pub fn admit(&self, from: IpAddr, now: Mono) -> Result<(), Duration> {
        let window = self.limits.window;
        let own = self.sources.get(&source(from)).map(|own| own.at(now, window));
        if let Some(own) = own.filter(|own| own.wrong >= self.limits.per_source) {
            return Err(own.left(now, window));
        }
        let all = self.all.at(now, window);
        if all.wrong >= self.limits.in_all { Err(all.left(now, window)) } else { Ok(()) }
    }

    /// Counts a wrong guess.
    pub fn wrong(&mut self, from: IpAddr, now: Mono) {
        let (from, window) = (source(from), self.limits.window);
        if !self.sources.contains_key(&from) && self.sources.len() >= SOURCES_MAX {
            let oldest = self.sources.iter().min_by_key(|(_, own)| own.since).map(|(ip, _)| *ip);
            if let Some(oldest) = oldest {
                self.sources.remove(&oldest);
            }
        }
        let fresh = Window { since: now, wrong: 0 };
        let own = self.sources.entry(from).or_insert(fresh);
        *own = own.at(now, window);
        own.wrong = own.wrong.saturating_add(1);
        self.all = self.all.at(now, window);
        self.all.wrong = self.all.wrong.saturating_add(1);
    }

    /// How many sources are remembered.
    pub fn sources(&self) -> usize {
        self.sources.len()
    }
}
