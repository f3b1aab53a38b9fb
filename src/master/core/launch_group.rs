//! LAUNCH_GROUP: all tasks of a group are checked together against what is left of the offers, and sent to the agent as one,
//! or none is.

use super::accept::Bundle;
use super::events::Verdict;
use super::frameworks::Executor;
use super::launch::prepare;
use super::tasks::{self, Task};
use super::validate::group::{self, Charge};
use super::validate::task::Place;
use super::{MasterCore, Out};
use crate::base::ids::FrameworkId;
use crate::machine::Cx;
use crate::mesos::internal::{MasterMessage, RunTaskGroup};
use crate::mesos::v1;
use std::sync::Arc;
use v1::task_status::Reason;

impl MasterCore {
    pub(super) fn launch_group(
        &mut self,
        cx: &mut Cx<'_>,
        framework: &FrameworkId,
        bundle: &mut Bundle,
        operation: v1::offer::Operation,
        out: &mut Out,
    ) {
        let has_id = operation.id.is_some();
        let Some(launch) = operation.launch_group else { return };
        let mut executor = launch.executor;
        executor.framework_id.get_or_insert_with(|| framework.into());
        let mut tasks = launch.task_group.tasks;
        for task in &mut tasks {
            prepare(task, framework, &bundle.role);
        }
        // By way of a task, whose executor is prepared with it.
        let mut with_executor = v1::TaskInfo { executor: Some(executor), ..Default::default() };
        prepare(&mut with_executor, framework, &bundle.role);
        let executor = with_executor.executor.unwrap_or_default();
        let checked = if has_id {
            Err("The `id` field cannot be set on LAUNCH_GROUP operations".to_string())
        } else {
            self.check_group(framework, bundle, &executor, &tasks)
        };
        match checked {
            Ok(charge) => self.run_group(framework, bundle, executor, tasks, charge, out),
            Err(message) => {
                let verdict = Verdict {
                    state: v1::TaskState::TaskError,
                    reason: Reason::TaskGroupInvalid,
                    message: &message,
                };
                self.verdict_on_tasks(cx, framework, &tasks, &verdict, out);
            }
        }
    }

    fn check_group(
        &self,
        framework_id: &FrameworkId,
        bundle: &Bundle,
        executor: &v1::ExecutorInfo,
        tasks: &[v1::TaskInfo],
    ) -> Result<Charge, String> {
        let framework = self.frameworks.registered.get(framework_id);
        let agent = self.agents.registered.get(&bundle.agent);
        // Taking offers proves both to be there; a gap would be a defect of ours, told as a refusal.
        let (Some(framework), Some(agent)) = (framework, agent) else {
            return Err("Agent removed".into());
        };
        let place = Place {
            framework_id,
            framework,
            agent_id: &bundle.agent,
            agent,
            available: &bundle.available,
        };
        group::check(&place, executor, tasks)
    }

    fn run_group(
        &mut self,
        framework_id: &FrameworkId,
        bundle: &mut Bundle,
        executor: v1::ExecutorInfo,
        tasks: Vec<v1::TaskInfo>,
        charge: Charge,
        out: &mut Out,
    ) {
        let Some(framework) = self.frameworks.registered.get(framework_id) else { return };
        let info = framework.info.clone();
        if let Some(resources) = charge.executor {
            bundle.available -= &resources;
            let executor = Executor { info: Arc::new(executor.clone()), resources };
            self.add_executor(framework_id, &bundle.agent, executor);
        }
        for (task, resources) in tasks.iter().zip(charge.tasks) {
            bundle.available -= &resources;
            let mut record = tasks::staged(task, &info, framework_id.into());
            record.executor_id = Some(executor.executor_id.clone());
            let record = Task { record: Arc::new(record), agent: bundle.agent.clone(), resources };
            self.share(framework_id, bundle, &record.resources);
            self.add_task(framework_id, record);
        }
        let run = RunTaskGroup { framework_info: (*info).clone(), executor_info: executor, tasks };
        let message = MasterMessage { run_task_group: Some(run), ..self.message() };
        self.to_agent(&bundle.agent, message, out);
    }
}
