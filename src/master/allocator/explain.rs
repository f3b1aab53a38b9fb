//! Why a framework got nothing, worked out when somebody asks.

use super::Allocator;
use super::cycle::{Left, Refused};
use super::pool::Agent;
use super::tree::Client;
use crate::base::explain::{Explanation, REFUSALS_MAX, Refusal};
use crate::base::ids::FrameworkId;
use crate::base::resources::Scalar;
use crate::base::time::Mono;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Why an agent has nothing for a client, in the order in which a reader can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    AgentInactive,
    NothingFree,
    Gpus,
    Region,
    Reserved,
    Scraps,
    Filtered,
}

/// What one rule refused so far.
#[derive(Debug, Default)]
struct Tally {
    count: u64,
    /// The agent that came nearest, by free cpus, then memory.
    nearest: Option<(i64, i64, String)>,
    until: Option<Mono>,
}

impl Allocator {
    /// Why a framework has no offer now, or what will be offered to it: by role, each rule with how
    /// many agents it refuses. Walks all agents once for each of its roles; costs nothing until
    /// asked.
    pub fn explain(&self, id: &FrameworkId, now: Mono) -> Explanation {
        let mut out = Explanation {
            subject: format!("framework {id}"),
            candidates: self.pool.len() as u64,
            ..Explanation::default()
        };
        let Some(framework) = self.added(id).and_then(|slot| self.members.get(slot)) else {
            out.refuse("unknown", 0, "The framework is not subscribed".into());
            out.hint = Some("Subscribe the framework again".into());
            return out;
        };
        if !framework.active {
            out.refuse("inactive", out.candidates, "The framework is not connected".into());
            out.hint = Some("Offers are made again as soon as it has subscribed".into());
            return out;
        }
        for client in framework.clients.values() {
            let Some(state) = self.tree.client(*client).filter(|c| c.subscribed) else { continue };
            self.explain_role(*client, state, now, &mut out);
        }
        if framework.traits.roles.is_empty() {
            out.refuse("role", out.candidates, "The framework is in no role".into());
            out.hint = Some("Subscribe it with a role".into());
        }
        out.refusals.sort_by_key(|r| std::cmp::Reverse(r.count));
        out.refusals.truncate(REFUSALS_MAX);
        out
    }

    fn explain_role(&self, client: u32, state: &Client, now: Mono, out: &mut Explanation) {
        let role = self.tree.node(state.node).role.clone().unwrap_or_else(|| "*".into());
        if state.suppressed {
            let detail = format!("Offers for role '{role}' are suppressed by the framework");
            out.refuse("suppressed", out.candidates, detail);
            out.hint.get_or_insert_with(|| "A REVIVE call makes offers come again".into());
            return;
        }
        let mut tallies: BTreeMap<Rule, Tally> = BTreeMap::new();
        let mut open = 0;
        for (slot, agent) in self.pool.iter() {
            let (rule, until) = match self.rule_against(slot, agent, client) {
                Some(against) => against,
                None => {
                    open += 1;
                    continue;
                }
            };
            let tally = tallies.entry(rule).or_default();
            tally.count += 1;
            tally.until = tally.until.into_iter().chain(until).min();
            let free = &agent.free_vector;
            let near = (free.cpus(), free.mem(), agent.id.to_string());
            if tally.nearest.as_ref().is_none_or(|n| (n.0, n.1) < (near.0, near.1)) {
                tally.nearest = Some(near);
            }
        }
        if let Some(hint) = hint(&tallies, out.candidates, open) {
            out.hint.get_or_insert(hint);
        }
        for (rule, tally) in &tallies {
            out.refuse(rule.word(), tally.count, tally.detail(*rule, role.as_str(), now));
        }
        if open == 0 {
            self.explain_share(client, state, role.as_str(), out);
        }
    }

    fn rule_against(&self, slot: u32, agent: &Agent, client: u32) -> Option<(Rule, Option<Mono>)> {
        if !agent.traits.active {
            return Some((Rule::AgentInactive, None));
        }
        if agent.free.is_empty() {
            return Some((Rule::NothingFree, None));
        }
        match self.judge(slot, agent, client, &Left::free_of(agent)) {
            Ok(_) => None,
            Err(Refused::Gpus) => Some((Rule::Gpus, None)),
            Err(Refused::Region) => Some((Rule::Region, None)),
            Err(Refused::NotForIt) => Some((Rule::Reserved, None)),
            Err(Refused::Scraps) => Some((Rule::Scraps, None)),
            Err(Refused::Filtered(until)) => Some((Rule::Filtered, Some(until))),
        }
    }

    /// Who would be served before it, if something became free now.
    fn explain_share(&self, client: u32, state: &Client, role: &str, out: &mut Explanation) {
        if !self.tree.is_fresh() {
            // Agents or weights have changed since the last cycle: who comes before is decided in
            // the next.
            return;
        }
        let mut before = 0u64;
        let found = self.tree.walk(&|_| true, &mut |other| {
            if other == client {
                return ControlFlow::Break(());
            }
            before += 1;
            ControlFlow::Continue(())
        });
        if found.is_break() && before > 0 {
            let share = self.tree.share(&state.allocated) * 100.0;
            let whole = self.tree.share(&self.tree.node(state.node).allocated) * 100.0;
            let detail = format!(
                "Served before it: {before}; it holds a share of {share:.1} %, its role '{role}' \
                 {whole:.1} %"
            );
            out.refuse("share", before, detail);
        }
    }
}

impl Rule {
    fn word(self) -> &'static str {
        match self {
            Self::AgentInactive => "agent-inactive",
            Self::NothingFree => "resources",
            Self::Gpus => "gpus",
            Self::Region => "region",
            Self::Reserved => "reserved",
            Self::Scraps => "min-allocatable",
            Self::Filtered => "filter",
        }
    }
}

impl Tally {
    fn detail(&self, rule: Rule, role: &str, now: Mono) -> String {
        let count = agents(self.count);
        let near = self.nearest.as_ref().map_or_else(String::new, |(cpus, mem, agent)| {
            let (cpus, mem) = (Scalar::from_thousandths(*cpus), Scalar::from_thousandths(*mem));
            format!("; the nearest is agent {agent} with cpus:{cpus}; mem:{mem} free")
        });
        match rule {
            Rule::AgentInactive => format!("{count} disconnected or deactivated"),
            Rule::NothingFree => format!("{count} with nothing free"),
            Rule::Gpus => format!("{count} with gpus, kept for GPU_RESOURCES frameworks"),
            Rule::Region => format!("{count} in another region than the master"),
            Rule::Reserved => format!(
                "On {count} all that is free is reserved to others than role '{role}', or of a \
                 kind the framework cannot use{near}"
            ),
            Rule::Scraps => format!("{count} with less free than an offer must hold{near}"),
            Rule::Filtered => {
                let left = self.until.map_or(0.0, |until| until.since(now).as_secs_f64());
                format!(
                    "On {count} the framework refused as much in role '{role}'; the first filter \
                     ends in {left:.1} s"
                )
            }
        }
    }
}

/// What to do about the rule that refuses most.
fn hint(tallies: &BTreeMap<Rule, Tally>, all: u64, open: u64) -> Option<String> {
    if all == 0 {
        return Some("No agent has registered: start one, or look at its log".into());
    }
    if open > 0 {
        return Some(format!("Wait for the next cycle: it has {} to offer", agents(open)));
    }
    let most = tallies.iter().max_by_key(|(rule, t)| (t.count, std::cmp::Reverse(**rule)));
    Some(match most?.0 {
        Rule::AgentInactive => "Reconnect or activate the agents".into(),
        Rule::NothingFree => "Wait for tasks to end or offers to come back, or add agents".into(),
        Rule::Gpus => "Give the framework the GPU_RESOURCES capability".into(),
        Rule::Region => "Give the framework the REGION_AWARE capability".into(),
        Rule::Reserved => "Subscribe it in the role of the reservations, or unreserve".into(),
        Rule::Scraps => "Lower min_allocatable_resources, or free larger pieces".into(),
        Rule::Filtered => "A REVIVE call ends the filters at once".into(),
    })
}

fn agents(count: u64) -> String {
    format!("{count} agent{}", if count == 1 { "" } else { "s" })
}

trait Refuse {
    fn refuse(&mut self, rule: &str, count: u64, detail: String);
}

impl Refuse for Explanation {
    fn refuse(&mut self, rule: &str, count: u64, detail: String) {
        self.refusals.push(Refusal { rule: rule.into(), count, detail });
    }
}
