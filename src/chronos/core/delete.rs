//! Deleting a job: its children take its place, its tasks are killed, nothing of it is left.

use super::entry::Entry;
use super::io::{Answer, Notice};
use super::plan::begin;
use super::{ChronosCore, Due, Out, now_ms, records};
use crate::chronos::model::{Job, Problem, When};
use crate::machine::Cx;
use std::sync::Arc;

impl ChronosCore {
    pub(super) fn delete(
        &mut self,
        cx: &mut Cx<'_>,
        name: &str,
        out: &mut Out,
    ) -> Result<Answer, Problem> {
        let Some(entry) = self.entries.get(name).cloned() else { return Err(Self::unknown(name)) };
        for child in self.entries.children(name) {
            self.adopt(cx, &entry, &child, out);
        }
        for key in self.runs.keys_of_job(name) {
            self.doom(&key, out);
            self.let_go(&key, out);
        }
        self.entries.remove(name);
        self.agenda.cancel(&Due::Planned(name.to_string()));
        self.runs.forget_job(name);
        self.rows -= entry.history.len();
        for row in &entry.history {
            out.write(records::forget_row(name, row.due));
        }
        for forget in records::forget_job(name) {
            out.write(forget);
        }
        self.count("jobs_deleted");
        self.publish(Notice::JobDeleted { name: name.into() }, out);
        Ok(Answer::Done)
    }

    /// A child of a job that goes takes its schedule, or its parents.
    fn adopt(&mut self, cx: &mut Cx<'_>, gone: &Entry, child: &str, out: &mut Out) {
        let Some(entry) = self.entries.get(child) else { return };
        let mut entry = (**entry).clone();
        let when = match (&gone.job.when, &entry.job.when) {
            (When::Scheduled { schedule, zone }, _) => {
                When::Scheduled { schedule: schedule.clone(), zone: zone.clone() }
            }
            (When::Dependent { parents: above }, When::Dependent { parents }) => {
                let mut parents = parents.clone();
                parents.remove(&gone.job.name);
                parents.extend(above.iter().cloned());
                When::Dependent { parents }
            }
            (When::Dependent { .. }, When::Scheduled { .. }) => return,
        };
        entry.job = Arc::new(Job { when, ..(*entry.job).clone() });
        entry.state.ready.retain(|parent| entry.job.has_parent(parent));
        // Its planned times go on from where the other's were.
        let from = gone.state.through.max(begin(&entry.job, now_ms(cx)));
        entry.state.through = entry.state.through.max(from);
        let name = entry.job.name.clone();
        self.install(entry, out);
        self.plan(cx, &name, out);
    }
}
