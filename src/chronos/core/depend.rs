//! Dependencies: a job runs when all its parents have succeeded since it was last triggered.
//!
//! After a parent has failed, what the others did belongs to a round that will not be completed: a parent that starts again
//! then counts anew, so that the child does not start beside it.

use super::io::Answer;
use super::run::Cause;
use super::{ChronosCore, Out, records};
use crate::machine::Cx;

impl ChronosCore {
    /// A run of a job begins.
    pub(super) fn parent_starts(&mut self, name: &str, out: &mut Out) {
        for child in self.entries.children(name) {
            let stale = self
                .entries
                .get(&child)
                .is_some_and(|entry| entry.state.broken && entry.state.ready.contains(name));
            if !stale {
                continue;
            }
            if let Some(entry) = self.entries.get_mut(&child) {
                entry.state.ready.remove(name);
                out.write(records::state(&child, &entry.state));
            }
        }
    }

    /// A job has succeeded: those of its children that waited for nothing else are triggered.
    pub(super) fn parent_succeeded(&mut self, cx: &mut Cx<'_>, name: &str, out: &mut Out) {
        for child in self.entries.children(name) {
            let Some(entry) = self.entries.get_mut(&child) else { continue };
            entry.state.ready.insert(name.to_string());
            let job = entry.job.clone();
            let complete = job.parents().all(|parent| entry.state.ready.contains(parent));
            if complete {
                entry.state.ready.clear();
                entry.state.broken = false;
            }
            out.write(records::state(&child, &entry.state));
            if complete {
                let due = self.unplanned_due(cx, &job);
                self.begin_run(cx, &job, due, Cause::Triggered, None, out);
            }
        }
    }

    /// A run of a job has failed for good.
    pub(super) fn parent_failed(&mut self, name: &str, out: &mut Out) {
        for child in self.entries.children(name) {
            let Some(entry) = self.entries.get_mut(&child) else { continue };
            if !entry.state.broken {
                entry.state.broken = true;
                out.write(records::state(&child, &entry.state));
            }
        }
    }

    pub(super) fn mark_success(&mut self, cx: &mut Cx<'_>, name: &str, out: &mut Out) -> Answer {
        if self.entries.get(name).is_none() {
            return Answer::Marked(false);
        }
        self.parent_succeeded(cx, name, out);
        Answer::Marked(true)
    }
}
