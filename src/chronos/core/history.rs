//! Rows of runs that are over: so many a job, older ones summed up.

use super::io::Notice;
use super::options::{HISTORY_MIN, HISTORY_TOTAL_MAX};
use super::row::Row;
use super::{ChronosCore, Out, records};
use std::sync::Arc;

impl ChronosCore {
    /// How many rows a job keeps now.
    pub(super) fn history_limit(&self) -> usize {
        let share = HISTORY_TOTAL_MAX / self.entries.len().max(1);
        self.options.history_limit.min(share.max(HISTORY_MIN)).max(1)
    }

    /// Remembers the end of a run, and writes the job's state with it.
    pub(super) fn remember(&mut self, name: &str, row: Row, out: &mut Out) {
        let limit = self.history_limit();
        let notice = Notice::RunEnded { job: name.into(), due: row.due, outcome: row.outcome };
        let Some(entry) = self.entries.get_mut(name) else { return };
        out.write(records::row(name, &row));
        match entry.place(row.due) {
            Ok(at) => entry.history[at] = Arc::new(row),
            Err(at) => {
                entry.history.insert(at, Arc::new(row));
                self.rows += 1;
            }
        }
        while entry.history.len() > limit {
            let Some(oldest) = entry.history.pop_front() else { break };
            self.rows -= 1;
            entry.state.earlier.add(oldest.outcome, 1, oldest.due);
            out.write(records::forget_row(name, oldest.due));
        }
        out.write(records::state(name, &entry.state));
        self.publish(notice, out);
    }
}
