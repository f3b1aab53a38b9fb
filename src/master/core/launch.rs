//! LAUNCH: each task by itself is prepared, checked against what is left of the offers, and sent to
//! its agent.

use super::accept::Bundle;
use super::events::Verdict;
use super::frameworks::Executor;
use super::tasks::{self, Task};
use super::validate::task::{Charge, Place};
use super::{MasterCore, Out, validate};
use crate::base::ids::{FrameworkId, Role};
use crate::machine::Cx;
use crate::mesos::internal::{MasterMessage, RunTask};
use crate::mesos::v1;
use std::sync::Arc;
use v1::task_status::Reason;

impl MasterCore {
    pub(super) fn launch(
        &mut self,
        cx: &mut Cx<'_>,
        framework: &FrameworkId,
        bundle: &mut Bundle,
        operation: v1::offer::Operation,
        out: &mut Out,
    ) {
        let has_id = operation.id.is_some();
        for mut task in operation.launch.unwrap_or_default().task_infos {
            prepare(&mut task, framework, &bundle.role);
            let checked = if has_id {
                Err("The `id` field cannot be set on LAUNCH operations".to_string())
            } else {
                self.check_task(framework, bundle, &task)
            };
            match checked {
                Ok(charge) => self.run(framework, bundle, task, charge, out),
                Err(message) => {
                    let verdict = Verdict {
                        state: v1::TaskState::TaskError,
                        reason: Reason::TaskInvalid,
                        message: &message,
                    };
                    self.verdict_on_tasks(cx, framework, &[task], &verdict, out);
                }
            }
        }
    }

    fn check_task(
        &self,
        framework_id: &FrameworkId,
        bundle: &Bundle,
        task: &v1::TaskInfo,
    ) -> Result<Charge, String> {
        let framework = self.frameworks.registered.get(framework_id);
        let agent = self.agents.registered.get(&bundle.agent);
        // Taking offers proves both to be there; a gap would be a defect of ours, told as a
        // refusal.
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
        validate::task::check(&place, task)
    }

    /// Takes a valid task into the tables and sends it to its agent.
    fn run(
        &mut self,
        framework_id: &FrameworkId,
        bundle: &mut Bundle,
        task: v1::TaskInfo,
        charge: Charge,
        out: &mut Out,
    ) {
        let Some(framework) = self.frameworks.registered.get(framework_id) else { return };
        let info = framework.info.clone();
        if let (Some(resources), Some(executor)) = (charge.executor, &task.executor) {
            bundle.available -= &resources;
            let executor = Executor { info: Arc::new(executor.clone()), resources };
            self.add_executor(framework_id, &bundle.agent, executor);
        }
        bundle.available -= &charge.task;
        let record = Task {
            record: Arc::new(tasks::staged(&task, &info, framework_id.into())),
            agent: bundle.agent.clone(),
            resources: charge.task,
        };
        self.share(framework_id, bundle, &record.resources);
        self.add_task(framework_id, record);
        let run = RunTask { framework_info: (*info).clone(), task };
        let message = MasterMessage { run_task: Some(run), ..self.message() };
        self.to_agent(&bundle.agent, message, out);
    }
}

/// Fills in what schedulers may leave out: the role resources are allocated to, the executor's
/// framework, the type of a health check.
pub(super) fn prepare(task: &mut v1::TaskInfo, framework: &FrameworkId, role: &Role) {
    let of_executor = task.executor.iter_mut().flat_map(|e| e.resources.iter_mut());
    for resource in task.resources.iter_mut().chain(of_executor) {
        if resource.allocation_info.as_ref().is_none_or(|info| info.role.is_none()) {
            let role = Some(role.as_str().to_string());
            resource.allocation_info = Some(v1::resource::AllocationInfo { role });
        }
    }
    if let Some(executor) = &mut task.executor {
        executor.framework_id.get_or_insert_with(|| framework.into());
    }
    let checks = task.health_check.iter_mut().chain(&mut task.further_health_checks);
    for check in checks.filter(|check| check.r#type.is_none()) {
        use v1::health_check::Type;
        let guess = match (&check.command, &check.http) {
            (Some(_), None) => Some(Type::Command),
            (None, Some(_)) => Some(Type::Http),
            _ => None,
        };
        check.r#type = guess.map(|t| t as i32);
    }
}
