//! Ending runs before their time.

use super::end::Said;
use super::io::Answer;
use super::records::Dying;
use super::run::Phase;
use super::runs::RunKey;
use super::{ChronosCore, Out, call_of, records};
use crate::chronos::model::Problem;
use crate::machine::Cx;
use crate::mesos::make;
use crate::mesos::v1::scheduler::{Call, call};

impl ChronosCore {
    /// Kills what runs, and calls off what waits.
    pub(super) fn kill_job(
        &mut self,
        cx: &mut Cx<'_>,
        name: &str,
        out: &mut Out,
    ) -> Result<Answer, Problem> {
        if self.entries.get(name).is_none() {
            return Err(Self::unknown(name));
        }
        for key in self.runs.keys_of_job(name) {
            self.kill_run(cx, &key, out);
        }
        Ok(Answer::Done)
    }

    fn kill_run(&mut self, cx: &mut Cx<'_>, key: &RunKey, out: &mut Out) {
        let Some(run) = self.runs.get(key) else { return };
        if !matches!(run.phase, Phase::Launched(_)) {
            return self.killed(cx, key, Said::new("called off before it was launched"), out);
        }
        if let Some(run) = self.runs.change(key, |run| run.killed = true) {
            let run = run.clone();
            out.write(records::run(&run));
            if let Some(task) = run.task() {
                self.call_kill(&task.id, &task.agent_id, out);
            }
        }
    }

    /// All runs that wait to be launched are called off.
    pub(super) fn clear_queue(&mut self, cx: &mut Cx<'_>, out: &mut Out) -> Answer {
        let waiting: Vec<RunKey> = self
            .runs
            .iter()
            .filter(|run| run.phase == Phase::Waiting)
            .map(|run| (run.job.clone(), run.due))
            .collect();
        for key in waiting {
            self.killed(cx, &key, Said::new("called off before it was launched"), out);
        }
        Answer::Done
    }

    /// The task of a run is to end although its job goes; it is remembered until it has.
    pub(super) fn doom(&mut self, key: &RunKey, out: &mut Out) {
        let Some(Phase::Launched(task)) = self.runs.get(key).map(|run| run.phase.clone()) else {
            return;
        };
        let record = Dying { job: key.0.clone(), agent_id: task.agent_id.clone() };
        out.write(records::dying(&task.id, &record));
        self.runs.count_dying(&key.0, true);
        self.dying.insert(task.id.clone(), record);
        self.call_kill(&task.id, &task.agent_id, out);
    }

    pub(super) fn call_kill(&self, task_id: &str, agent_id: &str, out: &mut Out) {
        let kill = Some(call::Kill {
            task_id: make::task_id(task_id),
            agent_id: Some(make::agent_id(agent_id)),
            kill_policy: None,
        });
        self.call(Call { kill, ..call_of(call::Type::Kill) }, out);
    }
}
