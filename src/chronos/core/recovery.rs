//! Building the core anew from what was written: every job, every run that is not over, every row.

use super::agenda::Due;
use super::entry::{Entry, State};
use super::records::{self, JobRecord, Record};
use super::row::Row;
use super::run::{Phase, Run};
use super::{ChronosCore, Options, Out, now_ms};
use crate::base::error::{Code, Error, Result};
use crate::base::time::Wall;
use crate::chronos::model::{self, Job, Rules, When};
use crate::chronos::schedule::Schedule;
use crate::machine::Cx;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

impl ChronosCore {
    /// A core that nothing was ever written by.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            framework_id: None,
            entries: super::entry::Entries::default(),
            runs: super::runs::Runs::default(),
            dying: BTreeMap::new(),
            agenda: super::Agenda::default(),
            timers: crate::machine::timers::Timers::default(),
            offers: super::offers::Offers::default(),
            reconciling: super::reconcile::Reconciling::default(),
            again: Vec::new(),
            rows: 0,
            counts: BTreeMap::new(),
        }
    }

    /// A core from all rows of its namespace, in any order. What came due meanwhile is dealt with when it settles first.
    ///
    /// # Errors
    /// [`Code::Corrupt`] for a row that cannot be read: nothing is dropped in silence.
    pub fn recover(
        options: Options,
        rows: impl IntoIterator<Item = (String, Vec<u8>)>,
        cx: &mut Cx<'_>,
        out: &mut Out,
    ) -> Result<Self> {
        let mut core = Self::new(options);
        let mut read = Read::default();
        for (key, value) in rows {
            match records::read(&key, &value)? {
                Record::Framework(id) => core.framework_id = Some(id.as_str().into()),
                Record::Job(name, record) => drop(read.jobs.insert(name, *record)),
                Record::State(name, state) => drop(read.states.insert(name, *state)),
                Record::Run(run) => read.runs.push(*run),
                Record::Row(name, row) => read.history.entry(name).or_default().push(*row),
                Record::Dying(id, record) => drop(core.dying.insert(id, record)),
            }
        }
        core.agenda.see(cx.now, cx.wall);
        core.restore(read, now_ms(cx), out)?;
        Ok(core)
    }

    fn restore(&mut self, mut read: Read, now: i64, out: &mut Out) -> Result<()> {
        let mut jobs: Vec<JobRecord> = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for (name, record) in std::mem::take(&mut read.jobs) {
            names.push(name);
            jobs.push(record);
        }
        for (name, record) in names.into_iter().zip(jobs) {
            let job = restore_job(&name, &record, &self.options.rules)?;
            let state = read.states.remove(&name).unwrap_or_else(|| State::new(now));
            let mut history = read.history.remove(&name).unwrap_or_default();
            history.sort_by_key(|row| row.due);
            let history: VecDeque<Arc<Row>> = history.into_iter().map(Arc::new).collect();
            self.rows += history.len();
            let (concurrent, high) = (job.concurrent, job.high_priority);
            if let Some(schedule) = job.schedule().filter(|_| !job.disabled)
                && let Some(next) = schedule.next(state.through)
            {
                self.agenda.set(Due::Planned(name.clone()), next);
            }
            let entry = Entry { number: record.number, job: Arc::new(job), state, history };
            self.entries.insert(entry);
            self.runs.configure(&name, concurrent, high);
        }
        for record in self.dying.values() {
            self.runs.count_dying(&record.job, true);
        }
        // Those that were due first wait in front.
        read.runs.sort_by_key(|run| (run.due, run.job.clone()));
        for run in read.runs {
            self.restore_run(run, out);
        }
        Ok(())
    }

    fn restore_run(&mut self, run: Run, out: &mut Out) {
        let key = (run.job.clone(), run.due);
        let Some(entry) = self.entries.get_mut(&run.job) else {
            // A job and its runs go in one batch; what is here all the same is nobody's.
            out.write(records::forget_run(&key.0, key.1));
            return;
        };
        // Its row is written before it is taken out: it was over.
        if entry.place(run.due).is_ok() {
            out.write(records::forget_run(&key.0, key.1));
            return;
        }
        // Of a batch that was made in two commits the state may be missing.
        let stamp = run.stamp.unwrap_or(run.due);
        entry.state.stamped = entry.state.stamped.max(stamp);
        match &run.phase {
            Phase::Waiting if run.can_be_late() => {
                let late = run.due.saturating_add(entry.job.epsilon.tolerance_ms());
                self.agenda.set(Due::Late(key), late);
            }
            Phase::Retrying { until } => self.agenda.set(Due::Retry(key), *until),
            Phase::AwaitingReport { until, .. } => self.agenda.set(Due::Report(key), *until),
            Phase::Waiting | Phase::Launched(_) => {}
        }
        self.runs.put(run);
    }
}

/// What was read, by kind.
#[derive(Default)]
struct Read {
    jobs: BTreeMap<String, JobRecord>,
    states: BTreeMap<String, State>,
    runs: Vec<Run>,
    history: BTreeMap<String, Vec<Row>>,
}

fn restore_job(name: &str, record: &JobRecord, rules: &Rules) -> Result<Job> {
    let corrupt = |why: &dyn std::fmt::Display| {
        Error::new(Code::Corrupt, format!("the job '{name}' cannot be read: {why}"))
    };
    let mut value = record.job.clone();
    // The text with its start in it is the one that is planned by.
    if let (Some(schedule), Some(map)) = (&record.schedule, value.as_object_mut()) {
        map.insert("schedule".into(), schedule.clone().into());
    }
    let (mut job, _) = model::read(&value, rules, Wall(0)).map_err(|e| corrupt(&e))?;
    if let (When::Scheduled { schedule, zone }, Some(text), Some(given)) =
        (&mut job.when, &record.schedule, &record.given)
    {
        *schedule = Schedule::restore(text, zone, given).map_err(|fault| corrupt(&fault.why))?;
    }
    Ok(job)
}
