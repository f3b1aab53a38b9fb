//! Agents that are asked back because their node leaves: they get no new tasks, and each framework with tasks there gets
//! an inverse offer that is due at once, so that it can start others elsewhere before these are ended. What is left after a
//! while is drained. Who is asked back is told anew to each master; only that such an agent is deactivated is stored.

use super::agents::Deactivated;
use super::{MasterCore, Out, Timer, events};
use crate::base::ids::{AgentId, FrameworkId, OfferId};
use crate::machine::Cx;
use crate::mesos::v1;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long frameworks may take to put what they have there elsewhere.
const CLEAR_WITHIN: Duration = Duration::from_secs(60);

/// The agents that are asked back, with the inverse offers that are out.
#[derive(Debug, Default)]
pub(super) struct Asked {
    agents: BTreeMap<AgentId, BTreeMap<FrameworkId, OfferId>>,
}

impl Asked {
    /// Whether this one is.
    pub fn is_asked(&self, agent: &AgentId) -> bool {
        self.agents.contains_key(agent)
    }

    /// A framework that comes back is asked again.
    pub fn forget(&mut self, framework: &FrameworkId) {
        for told in self.agents.values_mut() {
            told.remove(framework);
        }
    }
}

impl MasterCore {
    /// These are asked back, and no others.
    pub(super) fn ask_back(&mut self, cx: &Cx<'_>, agents: BTreeSet<AgentId>, out: &mut Out) {
        let no_more: Vec<AgentId> =
            self.asked.agents.keys().filter(|id| !agents.contains(*id)).cloned().collect();
        for id in no_more {
            self.timers.cancel(&Timer::Clear(id.clone()));
            let told = self.asked.agents.remove(&id).unwrap_or_default();
            for (framework, offer) in told {
                self.send(&framework, events::rescind_inverse(offer), out);
            }
        }
        for id in agents {
            if !self.asked.agents.contains_key(&id) {
                self.timers.set(Timer::Clear(id.clone()), cx.now + CLEAR_WITHIN);
                self.asked.agents.insert(id, BTreeMap::new());
            }
        }
    }

    /// The agent's frameworks have had their time: what is left there is ended. One that is not there has it when it is
    /// back; of one that is being drained nothing more is asked.
    pub(super) fn clear_due(&mut self, cx: &mut Cx<'_>, id: &AgentId, out: &mut Out) {
        let draining = self.drain_config(id).is_some();
        let Some(agent) = self.agents.get(id.as_str()).filter(|agent| agent.link.is_some()) else {
            return self.timers.set(Timer::Clear(id.clone()), cx.now + CLEAR_WITHIN);
        };
        if !agent.tasks.is_empty() && !draining {
            self.begin_drain(cx, id, v1::DrainConfig::default(), out);
        }
    }

    /// Deactivates those that are there by now, and asks frameworks that have tasks on them and were not asked.
    pub(super) fn ask_frameworks(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        if self.asked.agents.is_empty() {
            return;
        }
        let (mut deactivate, mut ask) = (Vec::new(), Vec::new());
        for (id, told) in &mut self.asked.agents {
            if self.agents.is_known(id) && !self.agents.deactivated.contains_key(id) {
                deactivate.push(id.clone());
            }
            let Some(agent) = self.agents.get(id.as_str()) else { continue };
            let with_tasks: BTreeSet<&FrameworkId> = agent.tasks.iter().map(|(f, _)| f).collect();
            told.retain(|framework, _| with_tasks.contains(framework));
            for framework in with_tasks {
                let listens =
                    self.frameworks.registered.get(framework).is_some_and(|f| f.session.is_some());
                if listens && !told.contains_key(framework) {
                    let offer = self.mint.offer();
                    told.insert(framework.clone(), offer.clone());
                    ask.push((framework.clone(), id.clone(), offer));
                }
            }
        }
        for id in deactivate {
            self.deactivate(cx, &id, Deactivated { since: cx.wall, drain: None }, out);
        }
        for (framework, agent, offer) in ask {
            let start = i64::try_from(cx.wall.0).unwrap_or(i64::MAX);
            let offer = v1::InverseOffer {
                id: (&offer).into(),
                url: None,
                framework_id: (&framework).into(),
                agent_id: Some((&agent).into()),
                unavailability: v1::Unavailability {
                    start: v1::TimeInfo { nanoseconds: start },
                    duration: None,
                },
                resources: Vec::new(),
            };
            self.send(&framework, events::inverse_offer(offer), out);
        }
    }
}
