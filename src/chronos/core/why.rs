//! Why a job does not run just now: the first rule in its way, and of the agents how many each rule refuses.

use super::ChronosCore;
use super::launch::needs;
use super::run::{Phase, Run};
use crate::base::explain::{Explanation, REFUSALS_MAX, Refusal};
use crate::chronos::model::Job;
use crate::chronos::schedule;
use std::collections::BTreeMap;

impl ChronosCore {
    /// The explanation; `None` if there is no job of that name.
    pub fn why(&self, name: &str) -> Option<Explanation> {
        let entry = self.entries.get(name)?;
        let job = &entry.job;
        let mut told = Explanation { subject: format!("job '{name}'"), ..Explanation::default() };
        let say = |told: &mut Explanation, rule: &str, detail: String| {
            told.refusals.push(Refusal { rule: rule.into(), count: 1, detail });
        };
        if job.disabled {
            say(&mut told, "disabled", "the job is disabled".into());
            told.hint = Some("upload it again with \"disabled\": false".into());
            return Some(told);
        }
        let mut waits = false;
        for run in self.runs.of_job(name) {
            if told.refusals.len() >= REFUSALS_MAX {
                break;
            }
            match &run.phase {
                Phase::Waiting => {
                    let key = (run.job.clone(), run.due);
                    if self.runs.is_queued(&key) {
                        waits = true;
                    } else {
                        say(&mut told, "overlap", self.overlap(run));
                    }
                }
                Phase::Retrying { until } => {
                    let at = schedule::print(*until);
                    let detail = format!("attempt {} failed; the next is at {at}", run.attempt - 1);
                    say(&mut told, "retry", detail);
                }
                Phase::Launched(task) if task.unreachable => {
                    let detail = format!("task {} runs on an unreachable agent", task.id);
                    say(&mut told, "unreachable", detail);
                }
                Phase::Launched(_) | Phase::AwaitingReport { .. } => {}
            }
        }
        if waits {
            self.explain_queue(job, &mut told);
        } else if told.refusals.is_empty() && self.runs.load(name).active == 0 {
            say(&mut told, "not_due", self.not_due(name, job));
        }
        Some(told)
    }

    fn overlap(&self, run: &Run) -> String {
        let due = schedule::print(run.due);
        match self.runs.has_dying(&run.job) {
            true => format!("the run of {due} waits for the end of a task of a deleted job"),
            false => format!("the run of {due} waits for the end of an earlier run of the job"),
        }
    }

    fn not_due(&self, name: &str, job: &Job) -> String {
        if let Some(at) = self.agenda.at(&super::Due::Planned(name.to_string())) {
            return format!("its next run is planned for {}", schedule::print(at));
        }
        let Some(entry) = self.entries.get(name) else { return String::new() };
        let missing: Vec<&str> = job
            .parents()
            .filter(|parent| !entry.state.ready.contains(*parent))
            .map(String::as_str)
            .collect();
        match missing.is_empty() {
            true => "its schedule has no further runs".into(),
            false => format!("it waits for the success of {}", missing.join(", ")),
        }
    }

    /// A run stands in the queue: nothing but the master and the agents is in its way.
    fn explain_queue(&self, job: &Job, told: &mut Explanation) {
        if !self.offers.is_connected() {
            let why = match self.offers.why() {
                "" => "no subscription was made yet",
                why => why,
            };
            let detail = format!("not subscribed with a master: {why}");
            told.refusals.push(Refusal { rule: "disconnected".into(), count: 1, detail });
            return;
        }
        let wanted = needs(job);
        let needed = &wanted;
        let mut rules: BTreeMap<(&str, String), u64> = BTreeMap::new();
        let mut nearest = None;
        for (_, seen) in self.offers.seen() {
            told.candidates += 1;
            let broken = job.constraints.iter().find(|c| !c.holds(&seen.attributes, &seen.host));
            if let Some(broken) = broken {
                let detail = format!("the constraint {:?} does not hold", broken.parts());
                *rules.entry(("constraint", detail)).or_default() += 1;
                continue;
            }
            if seen.resources.find(&wanted, &self.options.role).is_none() {
                let free = &seen.resources;
                if nearest.as_ref().is_none_or(|(cpus, _)| free.cpus() > *cpus) {
                    let wanted = ["cpus", "mem", "disk", "gpus"].iter();
                    let wanted = wanted.filter(|name| !needed.scalar(name).is_zero());
                    let had: Vec<String> =
                        wanted.map(|name| format!("{name}:{}", free.scalar(name))).collect();
                    let had = format!("{} on {}", had.join("; "), seen.host);
                    nearest = Some((free.cpus(), had));
                }
                *rules.entry(("resources", String::new())).or_default() += 1;
            }
        }
        for ((rule, detail), count) in rules {
            let detail = match (&nearest, rule) {
                (Some((_, nearest)), "resources") => {
                    format!("needs {wanted}; the nearest offer was {nearest}")
                }
                _ => detail,
            };
            told.refusals.push(Refusal { rule: rule.into(), count, detail });
        }
        told.refusals.sort_by_key(|refusal| std::cmp::Reverse(refusal.count));
        told.refusals.truncate(REFUSALS_MAX);
        if told.candidates == 0 {
            let detail = "no agent has offered anything yet".into();
            told.refusals.push(Refusal { rule: "offers".into(), count: 1, detail });
        } else if told.refusals.is_empty() {
            let detail = "an agent fits; its next offer is waited for".into();
            told.refusals.push(Refusal { rule: "offers".into(), count: 1, detail });
        }
        told.hint =
            Some("GET /mesolith/v1/explain on the master says what other frameworks use".into());
    }
}
