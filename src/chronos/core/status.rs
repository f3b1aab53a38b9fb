//! Status updates: taken, written down, acknowledged; in that order.

use super::agenda::Due;
use super::end::Said;
use super::options::{MESSAGE_CHARS_MAX, REPORT_WAIT_MAX};
use super::run::{Phase, Run};
use super::runs::RunKey;
use super::{ChronosCore, Out, call_of, now_ms, records};
use crate::chronos::model::name::parse_task_id;
use crate::machine::Cx;
use crate::mesos::make;
use crate::mesos::v1::scheduler::{Call, Event, call, event};
use crate::mesos::v1::task_status::Reason;
use crate::mesos::v1::{TaskState as S, TaskStatus};

impl ChronosCore {
    pub(super) fn event(&mut self, cx: &mut Cx<'_>, event: &Event, out: &mut Out) {
        match event.r#type() {
            event::Type::Offers => {
                let offers = event.offers.as_ref().map_or(&[][..], |o| &o.offers);
                self.offered(offers, out);
            }
            event::Type::Rescind => {
                if let Some(rescind) = &event.rescind {
                    self.offers.rescind(&rescind.offer_id.value);
                }
            }
            event::Type::Update => {
                if let Some(update) = &event.update {
                    self.update(cx, &update.status, out);
                }
            }
            event::Type::Failure => {
                if let Some(failure) = event.failure.as_ref().filter(|f| f.executor_id.is_none()) {
                    self.agent_lost(cx, failure.agent_id.as_ref(), out);
                }
            }
            // The rest is not asked for, or is the port's.
            _ => {}
        }
    }

    fn update(&mut self, cx: &mut Cx<'_>, status: &TaskStatus, out: &mut Out) {
        self.count("status_updates");
        let id = &status.task_id.value;
        self.reconciling.heard(id);
        if let Some(key) = self.runs.of_task(id) {
            self.heard(cx, &key, status, out);
        } else if self.dying.contains_key(id) {
            self.heard_of_dying(status, out);
        } else {
            self.heard_of_unknown(status, out);
        }
        self.acknowledge(status, out);
    }

    /// Updates made by the master carry no uuid and are not acknowledged.
    fn acknowledge(&self, status: &TaskStatus, out: &mut Out) {
        let (Some(uuid), Some(agent_id)) = (&status.uuid, &status.agent_id) else { return };
        let acknowledge = Some(call::Acknowledge {
            agent_id: agent_id.clone(),
            task_id: status.task_id.clone(),
            uuid: uuid.clone(),
        });
        self.call(Call { acknowledge, ..call_of(call::Type::Acknowledge) }, out);
    }

    /// Of a task that belongs to a run.
    fn heard(&mut self, cx: &mut Cx<'_>, key: &RunKey, status: &TaskStatus, out: &mut Out) {
        let Some(run) = self.runs.get(key) else { return };
        let Phase::Launched(task) = &run.phase else {
            // The task of an asynchronous run has told its end already.
            return;
        };
        let started = task.seen || task.running.is_some();
        let killed = run.killed;
        let said = said(status);
        match status.state() {
            S::TaskFinished => self.finished(cx, key, said, out),
            _ if killed && make::is_terminal(status.state()) => self.killed(cx, key, said, out),
            S::TaskFailed | S::TaskError => self.fail(cx, key, said, out),
            // Ended because its agent was drained: as lost with it.
            S::TaskKilled if status.reason() == Reason::AgentDraining => match started {
                true => self.fail(cx, key, said, out),
                false => self.never_started(cx, key, said, out),
            },
            S::TaskKilled => self.killed(cx, key, said, out),
            S::TaskUnknown if killed => self.killed(cx, key, said, out),
            S::TaskLost | S::TaskDropped | S::TaskGone | S::TaskGoneByOperator | S::TaskUnknown => {
                match started {
                    true => self.fail(cx, key, said, out),
                    false => self.never_started(cx, key, said, out),
                }
            }
            S::TaskUnreachable => self.note(key, out, |run| {
                if let Phase::Launched(task) = &mut run.phase {
                    task.unreachable = true;
                }
            }),
            state @ (S::TaskStaging | S::TaskStarting | S::TaskRunning | S::TaskKilling) => {
                let now = now_ms(cx);
                if killed && runs_on(state) {
                    self.call_kill(&task.id, &task.agent_id, out);
                }
                self.note(key, out, |run| {
                    if let Phase::Launched(task) = &mut run.phase {
                        task.unreachable = false;
                        task.seen |= state != S::TaskStaging;
                        if matches!(state, S::TaskRunning | S::TaskKilling) {
                            task.running.get_or_insert(now);
                        }
                    }
                });
            }
        }
    }

    /// Changes a run and, if that is more than that its task was seen, writes it down and tells of it.
    fn note(&mut self, key: &RunKey, out: &mut Out, change: impl FnOnce(&mut Run)) {
        let before = self.runs.get(key).map(Run::state);
        let Some(run) = self.runs.change(key, change) else { return };
        if before != Some(run.state()) {
            let run = run.clone();
            out.write(records::run(&run));
            self.publish_run(&run, out);
        }
    }

    fn finished(&mut self, cx: &mut Cx<'_>, key: &RunKey, said: Said, out: &mut Out) {
        let is_async = self.entries.get(&key.0).is_some_and(|entry| entry.job.is_async);
        if !is_async {
            return self.succeed(cx, key, said, out);
        }
        let Some(run) = self.runs.get(key) else { return };
        if let Some(code) = run.reported {
            return self.reported(cx, key, code, out);
        }
        let mut run = run.clone();
        let Phase::Launched(task) = run.phase else { return };
        let wait = i64::try_from(REPORT_WAIT_MAX.as_millis()).unwrap_or(i64::MAX);
        let until = now_ms(cx).saturating_add(wait);
        run.phase = Phase::AwaitingReport { task, until };
        self.agenda.set(Due::Report(key.clone()), until);
        self.put_run(run, out);
    }

    /// Of a task that is to end.
    fn heard_of_dying(&mut self, status: &TaskStatus, out: &mut Out) {
        let id = &status.task_id.value;
        let over = make::is_terminal(status.state()) || status.state() == S::TaskUnknown;
        if runs_on(status.state())
            && let Some(record) = self.dying.get(id)
        {
            // A master that has led only since may not have passed the call on.
            self.call_kill(id, &record.agent_id, out);
        }
        if over && let Some(record) = self.dying.remove(id) {
            out.write(records::forget_dying(id));
            self.runs.count_dying(&record.job, false);
            if self.entries.get(&record.job).is_none() {
                self.runs.forget_job(&record.job);
            }
        }
    }

    /// Of a task that no run has: one that is long over, or one that should not be.
    fn heard_of_unknown(&mut self, status: &TaskStatus, out: &mut Out) {
        let id = &status.task_id.value;
        let agent_id = status.agent_id.as_ref().filter(|_| runs_on(status.state()));
        let Some(agent_id) = agent_id else { return };
        if parse_task_id(id).is_some() {
            self.count("unknown_tasks_killed");
            self.call_kill(id, &agent_id.value, out);
        }
    }
}

/// Whether a task is where it does not end unless it is told to.
fn runs_on(state: S) -> bool {
    matches!(state, S::TaskStaging | S::TaskStarting | S::TaskRunning)
}

fn said(status: &TaskStatus) -> Said {
    let message = status.message.as_deref().unwrap_or_default();
    Said {
        message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
        reason: status.reason.map(make::reason_name),
    }
}
