//! The decisions of Chronos, as one deterministic machine: which runs are due, who may be launched where, what an end means.
//!
//! No I/O: the master is calls and events, clients are requests known by number, the state is a list of writes. A run is
//! written down before it is launched, and an update before it is acknowledged; so what comes up again after a crash knows
//! every task that can exist.
//!
//! The state lies in four tables ([`entry`], [`runs`], [`agenda`], [`offers`]); each other file is one concern's rules over
//! them.

mod agenda;
mod container;
mod delete;
mod depend;
mod end;
pub mod entry;
mod force;
mod history;
pub mod io;
mod jobs;
mod kill;
mod launch;
mod offers;
pub mod options;
mod plan;
mod reconcile;
mod records;
mod recovery;
pub mod row;
pub mod run;
mod runs;
mod status;
mod task;
mod undelivered;
pub mod view;
mod why;

#[cfg(test)]
pub(in crate::chronos) mod tests;

pub use options::Options;
pub use runs::Load;

use crate::base::ids::FrameworkId;
use crate::base::kv::Op;
use crate::base::time::Mono;
use crate::chronos::model::Problem;
use crate::chronos::schedule;
use crate::machine::timers::Timers;
use crate::machine::{Cx, Effects, Machine};
use crate::mesos::v1::scheduler::{Call, call};
use agenda::{Agenda, Due};
use io::{Act, Answer, Command, Input, Notice, RequestId};
use std::collections::BTreeMap;

/// The core of Chronos.
pub struct ChronosCore {
    options: Options,
    framework_id: Option<FrameworkId>,
    entries: entry::Entries,
    runs: runs::Runs,
    dying: BTreeMap<String, records::Dying>,
    agenda: Agenda,
    timers: Timers<Timer>,
    offers: offers::Offers,
    reconciling: reconcile::Reconciling,
    /// Calls that did not arrive and may be made twice.
    again: Vec<Call>,
    rows: usize,
    counts: BTreeMap<&'static str, u64>,
}

/// What is waited for by the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Offers may be asked for again.
    Revive,
    /// Nothing has waited for offers for a while.
    Suppress,
    /// Tasks that the master has said nothing of are asked for again.
    Reconcile,
    /// All tasks are asked for.
    ReconcileAll,
    /// Calls that did not arrive are made again.
    CallAgain,
}

type Out = Effects<ChronosCore>;

impl Machine for ChronosCore {
    type Input = Input;
    type Write = Op;
    type Act = Act;

    fn step(&mut self, cx: &mut Cx<'_>, input: Input, out: &mut Out) {
        self.agenda.see(cx.now, cx.wall);
        match input {
            Input::Request { request, command } => self.request(cx, request, command, out),
            Input::Subscribed { framework_id } => self.subscribed(cx, framework_id, out),
            Input::Disconnected { why } => self.disconnected(why, out),
            Input::Undelivered(call) => self.undelivered(cx, *call),
            Input::Event(event) => self.event(cx, &event, out),
        }
    }

    fn wake(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        self.agenda.see(cx.now, cx.wall);
        while let Some(timer) = self.timers.pop(cx.now) {
            match timer {
                // Settling looks whether it is wanted.
                Timer::Revive => {}
                Timer::Suppress => self.suppress(out),
                Timer::Reconcile => self.reconcile_again(cx, out),
                Timer::ReconcileAll => self.reconcile_all(cx, out),
                Timer::CallAgain => self.call_again(out),
            }
        }
    }

    fn settle(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        self.agenda.see(cx.now, cx.wall);
        // Those beyond are due at once, when others had their turn.
        for _ in 0..options::DUE_PER_STEP_MAX {
            let Some(due) = self.agenda.pop(cx.wall) else { break };
            match due {
                Due::Planned(name) => self.plan(cx, &name, out),
                Due::Late(key) => self.late(cx, &key, out),
                Due::Retry(key) => self.retry(&key, out),
                Due::Report(key) => self.report_missing(cx, &key, out),
            }
        }
        self.match_offers(cx, out);
        self.ask_for_offers(cx, out);
    }

    fn wake_at(&self) -> Option<Mono> {
        [self.timers.first(), self.agenda.wake_at()].into_iter().flatten().min()
    }
}

impl ChronosCore {
    fn request(&mut self, cx: &mut Cx<'_>, request: RequestId, command: Command, out: &mut Out) {
        let answered = match command {
            Command::Upload { job, counters, era } => self.upload(cx, *job, counters, era, out),
            Command::Delete { name } => self.delete(cx, &name, out),
            Command::Force { name, arguments } => self.force(cx, &name, arguments, out),
            Command::MarkSuccess { name } => Ok(self.mark_success(cx, &name, out)),
            Command::Kill { name } => self.kill_job(cx, &name, out),
            Command::ClearQueue => Ok(self.clear_queue(cx, out)),
            Command::Report { task_id, code } => Ok(self.report(cx, &task_id, code, out)),
            Command::Progress { name, task_id, more } => self.progress(&name, &task_id, more, out),
        };
        let answer = answered.unwrap_or_else(Answer::Refused);
        out.act(Act::Answer { request, answer });
    }

    /// A call to the master, after all writes so far.
    fn call(&self, call: Call, out: &mut Out) {
        out.act(Act::Call(Box::new(call)));
    }

    fn publish(&self, notice: Notice, out: &mut Out) {
        out.act(Act::Publish(notice));
    }

    fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// The refusal of what names a job that there is not, in the original's words.
    fn unknown(name: &str) -> Problem {
        Problem::new(format!("requirement failed: Job '{name}' not found"))
    }
}

/// Now, in milliseconds since 1970.
fn now_ms(cx: &Cx<'_>) -> i64 {
    schedule::millis(cx.wall)
}

/// A call of that type without its payload.
fn call_of(kind: call::Type) -> Call {
    Call { r#type: Some(kind.into()), ..Call::default() }
}
