//! Why an app's instances are not launched: which rule turned down how many offers, the nearest miss, and what to do.
//!
//! Counting costs a few additions an offer; words are made only when somebody asks.

use super::matcher::Miss;
use super::view::{Reason, Rejects, UnusedOffer};
use crate::base::explain::{Explanation, Refusal};
use crate::base::ids::AgentId;
use crate::marathon::model::{App, Timestamp};
use crate::mesos::v1;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Agents whose last offer is remembered for each app that waits.
const AGENTS_MAX: usize = 1000;

/// How the last offer of an agent was met.
#[derive(Clone, Debug)]
struct Last {
    offer: Arc<v1::Offer>,
    at: Timestamp,
    /// None: it was used.
    miss: Option<Miss>,
}

/// What became of the offers that one app has seen since it began to wait.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Since when it waits.
    pub since: Timestamp,
    pub processed: u64,
    pub unused: u64,
    pub last_unused_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    declined: BTreeMap<Reason, u64>,
    nearest: BTreeMap<Reason, (Miss, Arc<v1::Offer>)>,
    last: BTreeMap<AgentId, Last>,
}

impl Tally {
    pub fn new(since: Timestamp) -> Self {
        Self {
            since,
            processed: 0,
            unused: 0,
            last_unused_at: None,
            last_used_at: None,
            declined: BTreeMap::new(),
            nearest: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }

    /// An offer was used.
    pub fn used(&mut self, agent: &AgentId, offer: &Arc<v1::Offer>, at: Timestamp) {
        self.processed += 1;
        self.last_used_at = Some(at);
        self.remember(agent, Last { offer: offer.clone(), at, miss: None });
    }

    /// An offer was turned down.
    pub fn missed(&mut self, agent: &AgentId, offer: &Arc<v1::Offer>, at: Timestamp, miss: Miss) {
        self.processed += 1;
        self.unused += 1;
        self.last_unused_at = Some(at);
        *self.declined.entry(miss.reason).or_default() += 1;
        let nearest = self.nearest.entry(miss.reason).or_insert_with(|| (miss, offer.clone()));
        if miss.distance() < nearest.0.distance() {
            *nearest = (miss, offer.clone());
        }
        self.remember(agent, Last { offer: offer.clone(), at, miss: Some(miss) });
    }

    fn remember(&mut self, agent: &AgentId, last: Last) {
        if self.last.len() < AGENTS_MAX || self.last.contains_key(agent) {
            self.last.insert(agent.clone(), last);
        }
    }

    /// Over all offers.
    pub fn rejects_attempt(&self) -> Vec<Rejects> {
        funnel(self.processed, &self.declined)
    }

    /// Over the last offer of each agent.
    pub fn rejects_last(&self) -> Vec<Rejects> {
        let mut declined = BTreeMap::new();
        for miss in self.last.values().filter_map(|last| last.miss) {
            *declined.entry(miss.reason).or_default() += 1;
        }
        funnel(self.last.len() as u64, &declined)
    }

    /// The last offer of each agent, where it was not used.
    pub fn last_unused(&self) -> Vec<UnusedOffer> {
        let unused = |last: &Last| {
            let reason = last.miss?.reason;
            Some(UnusedOffer { offer: last.offer.clone(), reason, at: last.at })
        };
        self.last.values().filter_map(unused).collect()
    }

    /// In words. `delayed` is how many seconds no launch is tried.
    pub fn explain(&self, app: &App, waiting: usize, delayed: Option<f64>) -> Explanation {
        let mut refusals = Vec::new();
        if let Some(seconds) = delayed {
            let detail = format!(
                "its tasks ended too often: the next launch is tried in {seconds:.0} seconds"
            );
            refusals.push(Refusal { rule: "backoff".into(), count: waiting as u64, detail });
        }
        let mut by_rule: Vec<(&Reason, &u64)> = self.declined.iter().collect();
        by_rule.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), **reason));
        for (reason, count) in by_rule {
            let nearest = self.nearest.get(reason);
            let detail = nearest.map_or_else(String::new, |(miss, at)| detail(app, miss, at));
            refusals.push(Refusal { rule: reason.name().into(), count: *count, detail });
        }
        Explanation {
            subject: format!("app {}", app.id),
            candidates: self.processed,
            hint: self.hint(delayed),
            refusals,
        }
    }

    fn hint(&self, delayed: Option<f64>) -> Option<String> {
        if delayed.is_some() {
            return Some(
                "look at the app's last failure; deleting its launch delay tries again at once"
                    .into(),
            );
        }
        if self.processed == 0 {
            return Some(
                "no offer has come yet: ask the master why the framework gets none".into(),
            );
        }
        let (reason, _) = self.declined.iter().max_by_key(|(_, count)| **count)?;
        Some(advice(*reason).into())
    }
}

/// Each rule counts only what passed the former ones.
fn funnel(all: u64, declined: &BTreeMap<Reason, u64>) -> Vec<Rejects> {
    let mut processed = all;
    let row = |reason: Reason| {
        let declined = declined.get(&reason).copied().unwrap_or(0);
        let row = Rejects { reason, declined, processed };
        processed = processed.saturating_sub(declined);
        row
    };
    Reason::ALL.into_iter().map(row).collect()
}

/// The nearest miss in words; the offer it was of names the agent.
fn detail(app: &App, miss: &Miss, offer: &v1::Offer) -> String {
    let (wanted, had, host) = (miss.wanted, miss.had, &offer.hostname);
    let nearest =
        |what: &str| format!("needs {wanted} {what}; the nearest offer had {had} {what} on {host}");
    match miss.reason {
        Reason::UnfulfilledRole => match &app.accepted_resource_roles {
            Some(roles) => format!("nothing is offered of the roles {}", roles.join(", ")),
            None => format!("nothing is offered to the role {}", app.role),
        },
        Reason::UnfulfilledConstraint => constraint(app, wanted),
        Reason::NoCorrespondingReservationFound => "no reservation of its own is offered".into(),
        Reason::AgentMaintenance => "the agent is under maintenance".into(),
        Reason::InsufficientCpus => nearest("cpus"),
        Reason::InsufficientMemory => nearest("MiB of memory"),
        Reason::InsufficientDisk => nearest("MiB of disk"),
        Reason::InsufficientGpus => nearest("gpus"),
        Reason::InsufficientPorts if app.require_ports => {
            format!("needs its own host ports; the nearest offer, on {host}, did not have them all")
        }
        Reason::InsufficientPorts => nearest("host ports"),
        Reason::DeclinedScarceResources => {
            "agents with gpus are kept for apps that want some".into()
        }
    }
}

fn constraint(app: &App, which: f64) -> String {
    if which < 0.0 {
        return "the agent is in another region, and no constraint on @region allows that".into();
    }
    match app.constraints.get(which as usize) {
        Some(c) => {
            let value = c.value.as_deref().unwrap_or_default();
            format!("{} {} {value}", c.field, c.operator.word()).trim_end().to_string()
        }
        None => "a constraint".into(),
    }
}

fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::UnfulfilledRole => "look at the app's acceptedResourceRoles and role",
        Reason::UnfulfilledConstraint => {
            "relax the constraint, or add agents that satisfy it (`hostname` and attributes count)"
        }
        Reason::NoCorrespondingReservationFound => "the agent with the reservation is not offered",
        Reason::AgentMaintenance => "wait for the end of the maintenance, or add agents",
        Reason::InsufficientCpus
        | Reason::InsufficientMemory
        | Reason::InsufficientDisk
        | Reason::InsufficientGpus => "ask for less, free some on an agent, or add an agent",
        Reason::InsufficientPorts => {
            "use port 0 without requirePorts, or free the ports on an agent that offers them"
        }
        Reason::DeclinedScarceResources => "add agents without gpus",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marathon::model::{Constraint, Operator, PathId};

    fn miss(reason: Reason, wanted: f64, had: f64) -> Miss {
        Miss { reason, wanted, had }
    }

    // covers: MAR-0301, MAR-0303
    #[test]
    fn each_offer_counts_under_its_first_unmet_need() {
        let at = Timestamp::from_millis(5);
        let offer = Arc::new(v1::Offer { hostname: "n2".into(), ..v1::Offer::default() });
        let mut tally = Tally::new(at);
        let mut app = App::new(PathId::parse("/a").expect("an id"), "*", at);
        app.constraints =
            vec![Constraint { field: "rack".into(), operator: Operator::Unique, value: None }];
        tally.missed(&"s1".into(), &offer, at, miss(Reason::InsufficientCpus, 4.0, 1.0));
        tally.missed(&"s1".into(), &offer, at, miss(Reason::InsufficientCpus, 4.0, 3.5));
        tally.missed(&"s2".into(), &offer, at, miss(Reason::UnfulfilledConstraint, 0.0, 0.0));
        tally.used(&"s3".into(), &offer, at);
        assert_eq!((tally.processed, tally.unused), (4, 3));
        let of = |rows: Vec<Rejects>, reason| {
            let row = rows.into_iter().find(|r| r.reason == reason).expect("a row");
            (row.declined, row.processed)
        };
        assert_eq!(of(tally.rejects_attempt(), Reason::UnfulfilledRole), (0, 4));
        assert_eq!(of(tally.rejects_attempt(), Reason::UnfulfilledConstraint), (1, 4));
        assert_eq!(of(tally.rejects_attempt(), Reason::InsufficientCpus), (2, 3));
        assert_eq!(of(tally.rejects_attempt(), Reason::InsufficientPorts), (0, 1));
        assert_eq!(of(tally.rejects_last(), Reason::InsufficientCpus), (1, 2));
        assert_eq!(tally.last_unused().len(), 2);
        let words = tally.explain(&app, 2, None);
        assert_eq!(words.refusals[0].rule, "InsufficientCpus");
        assert_eq!(words.refusals[0].detail, "needs 4 cpus; the nearest offer had 3.5 cpus on n2");
        assert_eq!(words.refusals[1].detail, "rack UNIQUE");
        assert!(words.hint.is_some());
    }
}
