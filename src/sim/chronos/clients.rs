//! Chronos's clients: they upload, force, kill and delete jobs at random. They wait for no answers: what became of a
//! command is seen in what is stored.

use crate::base::rng::Rng;
use crate::chronos::core::io::{Command, Input, RequestId};
use crate::chronos::model::{self, Era};
use crate::chronos::schedule;
use crate::sim::world::World;
use serde_json::{Value, json};

/// A job there is now and then; whether it may overlap never changes.
struct Kind {
    name: &'static str,
    parents: &'static [&'static str],
    concurrent: bool,
    /// The usual time between two runs, in seconds. Tasks last up to 20 seconds.
    period: u64,
}

const JOBS: [Kind; 7] = [
    Kind { name: "fast", parents: &[], concurrent: false, period: 3 },
    Kind { name: "slow", parents: &[], concurrent: false, period: 15 },
    Kind { name: "wide", parents: &[], concurrent: true, period: 7 },
    Kind { name: "steady", parents: &[], concurrent: false, period: 30 },
    Kind { name: "child", parents: &["fast"], concurrent: false, period: 0 },
    Kind { name: "both", parents: &["slow", "wide"], concurrent: true, period: 0 },
    Kind { name: "leaf", parents: &["child", "both"], concurrent: false, period: 0 },
];

fn pick<T: Copy>(rng: &mut Rng, all: &[T]) -> Option<T> {
    all.get(rng.below(all.len() as u64) as usize).copied()
}

/// A schedule that begins about now.
fn plan(rng: &mut Rng, period: u64, now: i64) -> String {
    let start = now / 1000 * 1000 + rng.below(30) as i64 * 1000 - 15_000;
    let repeat = if rng.chance(1, 4) { (1 + rng.below(8)).to_string() } else { String::new() };
    let period = period + rng.below(3);
    format!("R{repeat}/{}/PT{period}S", schedule::print(start))
}

impl World {
    /// A client does something, if it is time for that.
    pub(super) fn job_clients_act(&mut self) {
        if self.calm || self.chronos.as_ref().is_none_or(|c| c.driven.is_none()) {
            return;
        }
        let at = self.rng.below(JOBS.len() as u64) as usize;
        let Some(kind) = JOBS.get(at) else { return };
        let name = kind.name.to_string();
        let command = match self.rng.below(16) {
            0..=5 => self.upload(kind),
            6 | 7 => Some(Command::Force { name, arguments: None }),
            8 | 9 => Some(Command::Kill { name }),
            10 if self.rng.chance(1, 2) => Some(Command::Delete { name }),
            11 => Some(Command::MarkSuccess { name }),
            12 if self.rng.chance(1, 3) => Some(Command::ClearQueue),
            _ => None,
        };
        if let Some(command) = command {
            self.ask_chronos(command);
        }
    }

    /// A job, new or with the schedule it has or another.
    fn upload(&mut self, kind: &Kind) -> Option<Command> {
        let now = self.chronos_clock();
        let epsilon = pick(&mut self.rng, &[5, 20, 60]).unwrap_or(60);
        let mut job = json!({
            "name": kind.name,
            "command": "work",
            "concurrent": kind.concurrent,
            "retries": self.rng.below(4),
            "epsilon": format!("PT{epsilon}S"),
            "cpus": 0.2,
            "mem": 16.0,
            "disk": 0.0,
            "disabled": self.rng.chance(1, 12),
        });
        if kind.parents.is_empty() {
            let another = self.rng.chance(1, 4);
            let rng = &mut self.rng;
            let chronos = self.chronos.as_mut()?;
            if another {
                chronos.schedules.remove(kind.name);
            }
            let schedule = chronos.schedules.entry(kind.name);
            job["schedule"] =
                schedule.or_insert_with(|| plan(rng, kind.period, now)).clone().into();
        } else {
            job["parents"] = Value::from(kind.parents.to_vec());
        }
        let rules = super::options().rules;
        match model::read(&job, &rules, schedule::wall(now)) {
            Ok((job, counters)) => {
                Some(Command::Upload { job: Box::new(job), counters, era: Era::Two })
            }
            Err(problem) => {
                self.violated("clients", format!("{job} is no job: {problem:?}"));
                None
            }
        }
    }

    pub(super) fn ask_chronos(&mut self, command: Command) {
        let request = RequestId(self.fresh());
        self.report.commands += 1;
        self.tell_chronos(Input::Request { request, command });
    }
}
